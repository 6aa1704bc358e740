"""The space that a build takes for a while."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["room_for_temporary_files", "temporary_file"]


@contextlib.contextmanager
def room_for_temporary_files() -> Iterator[None]:
    """Tells that there is none left, when that ends the block.

    What is written to other places in the block must tell of them itself.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"no room for temporary files in {tempfile.gettempdir()}: {error.strerror}",
            hint="make room there, or set TMPDIR to a directory on a larger disk",
        ) from error


@contextlib.contextmanager
def temporary_file() -> Iterator[IO[bytes]]:
    """A file without a name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):
            file.close()  # it may have to write: to a full disk, which was told already
