"""``imageinfo-<version>.json``: what an image is and where it came from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import is_digest

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage

_SCHEMA = 1


@dataclass(frozen=True)
class ImageFiles:
    """The paths of an image's files, relative to the project."""

    version: str

    @property
    def tar(self) -> Path:
        return Path(f".image/image-{self.version}.tar")

    @property
    def layout(self) -> Path:
        return Path(f".image/oci-layout-{self.version}")

    @property
    def info(self) -> Path:
        return Path(f".image/imageinfo-{self.version}.json")


def write_imageinfo(request: BuildRequest, image: Image, published: PublishedImage) -> None:
    """Write the document into the staging directory; sizes are in bytes, times in seconds."""
    path = request.transaction.outputs.root / published.info
    path.parent.mkdir(parents=True, exist_ok=True)
    document = _document(request, image, published)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _document(request: BuildRequest, image: Image, published: PublishedImage) -> dict[str, Any]:
    project, wheel = request.project, request.wheel
    return {
        "schema": _SCHEMA,
        "tag": published.tag,
        "id": published.id,
        "digest": published.digest,
        "pushed": published.pushed,
        "project": project.name,
        "version": project.version.text,
        "commit": project.version.commit,
        "wheel": {"name": wheel.path.name, "sha256": wheel.sha256},
        "base": None if image.base is None else dataclasses.asdict(image.base),
        "size": image.size,
        "layers": [dataclasses.asdict(layer) for layer in image.layers],
        "dependencies": None if image.dependencies is None else list(image.dependencies),
        "builder": image.builder,
        "seconds": round(published.seconds, 3),
    }


def pushed_digest(path: Path, reference: str) -> str | None:
    """Return the digest of ``reference`` in its registry, if the document in ``path`` has it.

    :raises UserError: if the digest there is not valid.
    """
    try:
        info = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(info, dict) or info.get("tag") != reference or info.get("pushed") is not True:
        return None
    digest = info.get("digest")
    if digest is not None and not is_digest(str(digest)):
        raise UserError(
            f"{path.name}: the digest {digest!r} is not valid",
            hint="build and push the image again: bigflow build-image --push",
        )
    return digest
