"""Where the cache of the user is, how large it may be, and what goes wrong with its disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from bigflow_backend.ground.directories import cache_directory
from bigflow_backend.ground.errors import UserError

_GIGABYTE = 10**9
_DEFAULT_LIMIT_GB = 10
_LIMIT_VARIABLE = "BIGFLOW_CACHE_LIMIT_GB"


def default_root() -> Path:
    """``$BIGFLOW_CACHE/blobs``, else ``bigflow/blobs`` in the user's XDG cache directory."""
    return cache_directory() / "blobs"


def cache_name(root: Path) -> str:
    """The store at ``root`` for a message: by what the user has written, if that names it."""
    own = os.environ.get("BIGFLOW_CACHE")
    return own if own and root == default_root() else str(root)


def size_limit() -> int:
    """How large the store may be after a build, in bytes; a number, or :exc:`UserError`."""
    text = os.environ.get(_LIMIT_VARIABLE, "")
    if not text:
        return _DEFAULT_LIMIT_GB * _GIGABYTE
    if not text.isdecimal():
        raise UserError(
            f"{_LIMIT_VARIABLE} is {text!r}, not a whole number of gigabytes",
            hint=f"write it in digits, such as {_LIMIT_VARIABLE}={_DEFAULT_LIMIT_GB}, or unset it",
        )
    return int(text) * _GIGABYTE


@contextlib.contextmanager
def cache_faults(root: Path) -> Iterator[None]:
    """Tells a fault of the disk below ``root`` in the block in the user's words."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            hint = "make room there, or set BIGFLOW_CACHE to a directory on a larger disk"
        elif error.errno == errno.ENOENT:
            raise UserError(
                f"the cache {cache_name(root)} is not there, or no longer: {error.strerror}",
                hint="build again (`bigflow cache --clear` empties it and harms no build), or set "
                "BIGFLOW_CACHE to a directory that you may write",
            ) from error
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            hint = "set BIGFLOW_CACHE to a directory that you may write"
        else:
            raise
        raise UserError(
            f"cannot write the cache {cache_name(root)}: {error.strerror}", hint=hint
        ) from error
