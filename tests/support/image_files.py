"""What is in an image that was written as a tar archive."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["File", "ImageFiles", "read_image"]


@dataclass(frozen=True)
class File:
    """A file of an image, without its time."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    target: str
    content: bytes | None


@dataclass(frozen=True)
class ImageFiles:
    """An image: its configuration, and its files by their paths."""

    config: dict[str, Any]
    files: dict[str, File]
    layers: list[list[str]]
    """The names in each layer."""

    def below(self, directory: str) -> dict[str, File]:
        """The directory and what lies below it."""
        return {
            name: file
            for name, file in self.files.items()
            if name == directory or name.startswith(f"{directory}/")
        }


def read_image(path: Path) -> ImageFiles:
    """Reads a docker-archive; no layer of ours takes anything away."""
    files: dict[str, File] = {}
    layers = []
    with tarfile.open(path) as archive:

        def opened(name: str) -> IO[bytes]:
            found = archive.extractfile(name)
            assert found is not None
            return found

        manifest = json.load(opened("manifest.json"))[0]
        config = json.load(opened(manifest["Config"]))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=opened(name)) as layer:
                names = []
                for member in layer:
                    data = layer.extractfile(member) if member.isreg() else None
                    inside = member.name.removeprefix("./").strip("/")
                    names.append(inside)
                    files[inside] = File(
                        kind=member.type,
                        mode=member.mode & 0o7777,
                        owner=(member.uid, member.gid),
                        target=member.linkname,
                        content=None if data is None else data.read(),
                    )
                layers.append(names)
    return ImageFiles(config, files, layers)
