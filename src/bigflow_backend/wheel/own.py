"""The installed bigflow-backend -> its wheel. An image gets the runtime that builds it.

No index needs to have the distribution. The packages are copied as they are installed here, also
from an editable install.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bigflow_backend.ground.epoch import DEFAULT
from bigflow_backend.ground.errors import UserError
from bigflow_backend.wheel.writer import WheelWriter

NAME = "bigflow-backend"
_WHEEL = (
    "Wheel-Version: 1.0\nGenerator: bigflow-backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
)
_INFO_FILES = ("METADATA", "entry_points.txt", "top_level.txt")


@cache
def own_version() -> str:
    """Return the version of the installed distribution.

    :raises UserError: if its metadata is missing.
    """
    try:
        return distribution(NAME).version
    except PackageNotFoundError as error:
        raise UserError(
            "the metadata of bigflow-backend is not installed",
            hint="install it again: python -m pip install --force-reinstall --no-deps"
            " bigflow-backend",
        ) from error


def own_digest() -> str:
    """Return a digest of everything that the wheel contains."""
    digest = hashlib.sha256(own_version().encode())
    for name, file in _files():
        content = file.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def write_own_wheel(directory: Path) -> Path:
    """Write the wheel into ``directory`` and return its path. Equal installations give equal bytes.

    :raises UserError: if the metadata of the distribution are missing.
    """
    stem = f"{NAME.replace('-', '_')}-{own_version()}"
    path = directory / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with WheelWriter(path, info, DEFAULT) as wheel:
        for name, file in _files():
            with file.open("rb") as source:
                wheel.add_stream(name, source, size=file.stat().st_size)
        texts = {name: distribution(NAME).read_text(name) for name in _INFO_FILES}
        texts["WHEEL"] = _WHEEL
        wheel.add_metadata(
            {name: text.encode() for name, text in texts.items() if text is not None}
        )
    return path


def _files() -> Iterator[tuple[str, Path]]:
    root = Path(__file__).parents[2]
    for package in ("bigflow", "bigflow_backend"):
        for file in sorted((root / package).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(root).as_posix(), file
