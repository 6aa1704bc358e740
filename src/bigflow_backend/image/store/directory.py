"""The place and the size limit of the cache, and the errors of its disk."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.directories import cache_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.machine import machine_settings

_GIGABYTE = 10**9


def default_root() -> Path:
    """Return ``blobs`` in the cache directory."""
    return cache_directory() / "blobs"


def cache_name(root: Path) -> str:
    """Return the name of the store for a message: as the user wrote it, if possible."""
    own = machine_settings().cache
    return own if own and root == default_root() else str(root)


def size_limit() -> int:
    """Return the limit of the store's size after a build, in bytes.

    :raises UserError: if the setting is not a number.
    """
    return machine_settings().cache_limit_gb * _GIGABYTE


@contextlib.contextmanager
def cache_errors(root: Path) -> Iterator[None]:
    """Report errors of the disk below ``root`` as user errors."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            hint = "free space there, or set BIGFLOW_CACHE to a directory on a larger disk"
        elif error.errno == errno.ENOENT:
            raise UserError(
                f"the cache {cache_name(root)} does not exist any more: {error.strerror}",
                hint="build again, or set BIGFLOW_CACHE to a directory that you can write; "
                "`bigflow cache --clear` is a safe way to empty the cache",
            ) from error
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            hint = "set BIGFLOW_CACHE to a directory that you can write"
        else:
            raise
        raise UserError(
            f"cannot write the cache {cache_name(root)}: {error.strerror}", hint=hint
        ) from error
