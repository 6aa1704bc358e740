"""Looking for a planted secret in everything that a build leaves behind."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["places_of"]

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\3\4"


def places_of(secret: str, *roots: Path, text: Iterable[str] = ()) -> list[str]:
    """Return the places of a secret: files below ``roots``, archives among them, lines of text.

    Names and the targets of links count, and so does the secret in base64, wherever it starts;
    it must be long enough not to be there by chance.
    """
    assert len(secret) > 12
    needles = tuple(_forms(secret))
    found = []
    for root in roots:
        for path in (root, *root.rglob("*")):
            name = str(path.relative_to(root.parent))
            if any(needle in name.encode() for needle in needles):
                found.append(name)
            if path.is_file():
                found += [f"{name}{inside}" for inside in _inside(path.read_bytes(), needles)]
    found += [line for line in text if any(n in line.encode() for n in needles)]
    return found


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    for start in range(3):
        # Base64 of three bytes is four characters: what follows the first whole ones is the same.
        encoded = base64.b64encode(b"x" * start + secret.encode())
        yield encoded[4:-4]


def _inside(content: bytes, needles: tuple[bytes, ...]) -> Iterator[str]:
    if any(needle in content for needle in needles):
        yield ""
    if content.startswith(_GZIP):
        for inside in _inside(gzip.decompress(content), needles):
            yield f" unpacked{inside}"
    elif content.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            for name in wheel.namelist():
                for inside in _inside(wheel.read(name), needles):
                    yield f"!{name}{inside}"
    elif tarfile.is_tarfile(io.BytesIO(content)):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                about = f"{member.name}\n{member.linkname}\n{member.pax_headers}".encode()
                if any(needle in about for needle in needles):
                    yield f"!{member.name}"
                if file := archive.extractfile(member) if member.isreg() else None:
                    for inside in _inside(file.read(), needles):
                        yield f"!{member.name}{inside}"
