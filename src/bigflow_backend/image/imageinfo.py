"""``imageinfo-<version>.json``: what an image is and how it came about, for people and programs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, BuiltImage

_SCHEMA = 1


def image_info(request: BuildRequest, built: BuiltImage, *, seconds: float) -> dict[str, Any]:
    """The document; sizes are in bytes, unpacked, and times in seconds."""
    wheel = request.wheel
    return {
        "schema": _SCHEMA,
        "tag": str(request.reference),
        "id": built.id,
        "digest": built.digest,
        "pushed": request.options.push,
        "project": request.project.name,
        "version": request.version.text,
        "commit": request.version.commit,
        "wheel": {"name": wheel.path.name, "sha256": wheel.sha256},
        "base": None if built.base is None else dataclasses.asdict(built.base),
        "size": sum(layer.size for layer in built.layers),
        "layers": [dataclasses.asdict(layer) for layer in built.layers],
        "dependencies": None if built.dependencies is None else list(built.dependencies),
        "builder": built.builder,
        "seconds": round(seconds, 3),
        "leftovers": list(built.leftovers),
    }


def write_info(path: Path, info: dict[str, Any]) -> None:
    path.write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", "utf-8")


def pushed_digest(path: Path, reference: str) -> str | None:
    """The digest by which a registry has ``reference``, when the document in ``path`` says so."""
    try:
        info = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(info, dict) or info.get("tag") != reference or info.get("pushed") is not True:
        return None
    digest = info.get("digest")
    return digest if isinstance(digest, str) else None


def leftovers(directory: Path) -> tuple[str, ...]:
    """What the build before left in the engine, as its document in ``directory`` says."""
    found: list[str] = []
    for path in directory.glob("imageinfo-*.json"):
        try:
            info = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue  # not written by us: nothing that we would have to clear away
        if isinstance(info, dict) and isinstance(info.get("leftovers"), list):
            found += [item for item in info["leftovers"] if isinstance(item, str)]
    return tuple(found)
