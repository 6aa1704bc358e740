"""``imageinfo-<version>.json``: what an image is and where it came from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.image.oci import is_digest

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage
    from bigflow_backend.image.materials.documents import Document

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

    def bill(self, platform: str = "") -> Path:
        """Return the path of the bill of materials; of several, that of ``platform``."""
        return self._of(platform, "cdx.json")

    def provenance(self, platform: str = "") -> Path:
        """Return the path of the provenance; of several, that of ``platform``."""
        return self._of(platform, "provenance.json")

    def _of(self, platform: str, suffix: str) -> Path:
        name = "-".join(filter(None, (self.version, platform.rpartition("/")[2])))
        return Path(f".image/image-{name}.{suffix}")


def write_imageinfo(
    request: BuildRequest,
    image: Image,
    published: PublishedImage,
    documents: Sequence[Document],
    attached: Mapping[Path, str],
) -> None:
    """Write imageinfo, and the documents about the image, into the staging directory.

    ``attached`` has the digests of those that the registry has. Sizes are in bytes, times in
    seconds.
    """
    path = request.transaction.outputs.root / published.info
    path.parent.mkdir(parents=True, exist_ok=True)
    info = _document(request, image, published)
    info["documents"] = [
        {
            "file": document.path.name,
            "media_type": document.media_type,
            "digest": attached.get(document.path),
        }
        for document in documents
    ]
    path.write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for document in documents:
        (request.transaction.outputs.root / document.path).write_text(document.text, "utf-8")


def _document(request: BuildRequest, image: Image, published: PublishedImage) -> dict[str, Any]:
    project, wheel = request.project, request.wheel
    return {
        "schema": _SCHEMA,
        "tag": published.tag,
        "tags": list(published.tags),
        "id": published.id,
        "digest": published.digest,
        "pushed": published.pushed,
        "project": project.name,
        "version": project.version.text,
        "commit": project.version.commit,
        "wheel": {"name": wheel.path.name, "sha256": wheel.sha256},
        **_content(image),
        "platforms": [
            {"id": one.id, "digest": one.digest, **_content(one)} for one in image.variants
        ]
        if image.index
        else None,
        "compression": image.compression,
        "builder": image.builder,
        "seconds": round(published.seconds, 3),
    }


def _content(image: Image) -> dict[str, Any]:
    return {
        "platform": image.platform,
        "base": None if image.base is None else dataclasses.asdict(image.base),
        "size": image.size,
        "layers": [dataclasses.asdict(layer) for layer in image.layers],
        "dependencies": None if image.dependencies is None else list(image.dependencies),
    }


class LayerDocument(TypedDict):
    """A layer in the document."""

    size: int
    created_by: str
    digest: str | None


class BaseDocument(TypedDict, total=False):
    """The base image in the document."""

    name: str
    id: str | None
    digest: str | None


class _PlatformName(TypedDict):
    platform: str | None


class _Names(TypedDict, total=False):
    tags: list[str]
    platform: str | None
    platforms: list[_PlatformName] | None


class InfoDocument(_Names):
    """The document, for a comparison with another one."""

    tag: str
    digest: str | None
    pushed: bool
    version: str
    commit: str | None
    base: BaseDocument | None
    layers: list[LayerDocument]
    dependencies: list[str] | None


def read_imageinfo(path: Path) -> InfoDocument:
    """Read a document that :func:`write_imageinfo` has written.

    :raises UserError: if it cannot be read, or is not valid.
    """
    try:
        return parse_imageinfo(read_bounded(path, DOCUMENT))
    except (DocumentError, OSError) as error:
        raise UserError(
            f"{path} {error}", hint="give the imageinfo that `bigflow build` wrote"
        ) from error


def parse_imageinfo(content: bytes | str) -> InfoDocument:
    """Return the document of its text.

    :raises DocumentError: if it is not valid.
    """
    return read_json(content, InfoDocument)


class PlatformDocument(TypedDict):
    """The image of one platform in the document."""

    platform: str | None
    digest: str | None
    base: BaseDocument | None
    layers: list[LayerDocument]


class WheelDocument(TypedDict):
    """The wheel in the document."""

    name: str
    sha256: str


class BuildDocument(PlatformDocument):
    """The document, for a build that makes the same image again."""

    tag: str
    wheel: WheelDocument
    platforms: list[PlatformDocument] | None
    """None for an image of one platform."""
    compression: str | None
    builder: str


def read_build(path: Path) -> BuildDocument:
    """Read a document, for a build that makes the same image again.

    :raises UserError: if it cannot be read, or is not valid.
    """
    try:
        return read_json(read_bounded(path, DOCUMENT), BuildDocument)
    except (DocumentError, OSError) as error:
        raise UserError(f"{path} {error}", hint="build that version again") from error


class _WheelDocument(TypedDict):
    sha256: str


class _Release(TypedDict):
    commit: str | None
    wheel: _WheelDocument


def commit_of_wheel(path: Path, sha256: str) -> str | None:
    """Return the commit of the wheel with that SHA-256, if the document in ``path`` has it."""
    try:
        info = read_json(read_bounded(path, DOCUMENT), _Release) if path.is_file() else None
    except DocumentError:
        return None
    return info["commit"] if info is not None and info["wheel"]["sha256"] == sha256 else None


class _Published(TypedDict, total=False):
    """The part of the document that a build of DAGs reads."""

    tag: str | None
    pushed: bool | None
    digest: str | None


def pushed_digest(path: Path, reference: str) -> str | None:
    """Return the digest of ``reference`` in its registry, if the document in ``path`` has it.

    :raises UserError: if the document is not valid.
    """
    if not path.exists():
        return None
    hint = "build and push the image again: bigflow build-image --push"
    try:
        info = read_json(read_bounded(path, DOCUMENT), _Published)
    except DocumentError as error:
        raise UserError(f"{path.name} {error}", hint=hint) from error
    if info.get("tag") != reference or not info.get("pushed"):
        return None
    digest = info.get("digest")
    if digest is not None and not is_digest(digest):
        raise UserError(f"{path.name}: the digest {quoted(digest)!r} is not valid", hint=hint)
    return digest
