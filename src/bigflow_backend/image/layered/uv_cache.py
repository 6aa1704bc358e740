"""Whether what uv has installed is what the wheels held.

uv copies from a cache of unpacked wheels, into which other environments may be linked: who edits a
file in one of them edits the cache, and uv does not look. https://docs.astral.sh/uv/concepts/cache/
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.image.layered.install import Prefix

_PIECE = 1 << 20
_KIND = "sha256="


def changed_distributions(prefix: Prefix) -> list[str]:
    """Those with a file whose content is not what their RECORD says, each as ``name-version``.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    """
    return [
        info.name.removesuffix(".dist-info")
        for info in sorted(prefix.site_packages.glob("*.dist-info"))
        if not all(_is_as_recorded(path, value) for path, value in _recorded(info))
    ]


def _recorded(info: Path) -> Iterator[tuple[Path, str]]:
    """The modules and data of a distribution; scripts are written anew by who installs them."""
    site = info.parent
    for row in csv.reader((info / "RECORD").read_text("utf-8").splitlines()):
        inside = bool(row) and not row[0].startswith(("../", f"{info.name}/"))
        if inside and row[1].startswith(_KIND):
            yield site / row[0], row[1]


def _is_as_recorded(path: Path, value: str) -> bool:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except FileNotFoundError:
        return False
    return _KIND + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == value
