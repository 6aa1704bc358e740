"""The imageinfo of an image + the same image, built again -> what differs: wheel, layers, files."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.compare.content import opened_layer
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.base.tar_reader import Kind, Names

if TYPE_CHECKING:
    from bigflow_backend.image.image import Image
    from bigflow_backend.image.imageinfo import BuildDocument, PlatformDocument
    from bigflow_backend.image.oci import BaseImage, Layer
    from bigflow_backend.image.session import Session

_SEPARATE = "(modes, times or the order of the files)"


@dataclass(frozen=True)
class FileChange:
    """A file that differs; ``change`` is ``+``, ``-`` or ``~``."""

    change: str
    name: str


@dataclass(frozen=True)
class LayerChange:
    """A layer that differs."""

    platform: str
    created_by: str
    old: str | None
    """The digest of its unpacked content; None if only one side has the layer."""
    new: str | None
    files: tuple[FileChange, ...] | None
    """None if the layer of the first build is not here any more."""


class OldLayers:
    """The layers of the first build, as far as this machine or a registry has them."""

    def __init__(
        self, places: Sequence[str], session: Session, *, root: Path, deadline: float
    ) -> None:
        """``places`` are names of the image that :func:`read_base` knows."""
        self._places = places
        self._session = session
        self._root = root
        self._deadline = deadline

    def files(self, diff_id: str, platform: str) -> dict[str, str] | None:
        """Return a text for each file of a layer; None if the layer is not there."""
        for place in self._places:
            # It may be the archive of another build, or the registry may not answer.
            with contextlib.suppress(UserError):
                found = self._files_in(place, diff_id, platform)
                if found is not None:
                    return found
        return None

    def _files_in(self, place: str, diff_id: str, platform: str) -> dict[str, str] | None:
        image, session = self._read(place, platform), self._session
        layer = next((x for x in image.layers if x.diff_id == diff_id), None)
        if layer is None:
            return None
        only = dataclasses.replace(image, layers=(layer,))
        fetch_layers(only, store=session.store, registries=session.registries)
        return _files(layer, place, session, deadline=self._deadline)

    def _read(self, place: str, platform: str) -> BaseImage:
        return read_base(
            place,
            architecture=platform.removeprefix("linux/"),
            root=self._root,
            store=self._session.store,
            registries=self._session.registries,
            deadline=self._deadline,
        )


def changed_layers(
    info: BuildDocument, image: Image, session: Session, old: OldLayers, *, deadline: float
) -> Iterator[LayerChange]:
    """Yield the layers of ``image``, built again in ``session``, that differ from imageinfo."""
    before: dict[str, PlatformDocument] = {
        str(one["platform"]): one for one in info["platforms"] or [info]
    }
    for one in image.variants:
        platform = str(one.platform)
        known = {str(layer["digest"]): layer["created_by"] for layer in before[platform]["layers"]}
        stored = one.stored
        layers = {} if stored is None else {x.diff_id: x for x in stored.each[0].layers}
        gone = {digest: name for digest, name in known.items() if digest not in layers}
        for digest, layer in layers.items():
            if digest in known:
                continue
            match = next((d for d, name in gone.items() if name == layer.created_by), None)
            files = None
            if match is not None:
                gone.pop(match)
                files = _compared(old.files(match, platform), layer, session, deadline=deadline)
            yield LayerChange(platform, layer.created_by, match, digest, files)
        for digest, name in gone.items():
            yield LayerChange(platform, name, digest, None, None)


def changed_members(old: Path, new: Path, sha256: str) -> tuple[FileChange, ...] | None:
    """Return the files that differ in two wheels; None if ``old`` is not that of the SHA-256."""
    try:
        with old.open("rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != sha256:
                return None
        before, after = (
            {x.filename: f"{x.CRC} {x.file_size}" for x in zipfile.ZipFile(path).infolist()}
            for path in (old, new)
        )
    except (OSError, zipfile.BadZipFile):
        return None
    return tuple(_changes(before, after))


def _compared(
    before: Mapping[str, str] | None, layer: Layer, session: Session, *, deadline: float
) -> tuple[FileChange, ...] | None:
    if before is None:
        return None
    after = _files(layer, layer.created_by, session, deadline=deadline)
    return tuple(_changes(before, after)) or (FileChange("~", _SEPARATE),)


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[FileChange]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield FileChange("+", name)
        elif name not in after:
            yield FileChange("-", name)
        elif before[name] != after[name]:
            yield FileChange("~", name)


def _files(layer: Layer, name: str, session: Session, *, deadline: float) -> dict[str, str]:
    """Return kind, target and SHA-256 of each entry of a layer, which the store has."""
    names, found = Names(), {}
    with opened_layer(layer, name, session, deadline=deadline) as entries:
        for entry in entries:
            names.add(entry.name, entry.target)
            digest = _Digest()
            if entry.kind in {Kind.FILE, Kind.SPARSE}:
                entries.copy(digest)
            found[entry.name] = f"{entry.kind.name} {entry.target} {digest.hex}"
    return found


class _Digest:
    """A file that hashes what is written to it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self._hash.update(content)

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()
