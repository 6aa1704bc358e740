"""Helpers of BigFlow 1.x, for the code and the scripts of a project.

The names and results are those of ``bigflow.commons`` of BigFlow 1.11.3. It has no ``__all__``, so
``from bigflow.commons import *`` gives all names that it gives there.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import subprocess
import threading
import warnings
from datetime import datetime, timedelta
from pathlib import Path  # noqa: TC003 - for `import *`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO, Any

logger = logging.getLogger(__name__)


def public(
    *,
    alias_for: Any = None,
    class_alias: bool = False,
    deprecate_reason: str | None = None,
    deprecate_dropat: str | None = None,
) -> Callable[[Any], Any]:
    """Mark a function or class as stable, as a decorator.

    :param alias_for: the object to use in place of the decorated one.
    :param class_alias: use the only base class in place of the decorated class.
    :param deprecate_reason: each call warns with this text.
    :param deprecate_dropat: the release that removes it; only for readers.
    """
    del deprecate_dropat

    def decorate(decorated: Any) -> Any:
        used = decorated.__base__ if class_alias else alias_for or decorated
        if decorated.__doc__ and not used.__doc__:
            used.__doc__ = decorated.__doc__
        return _deprecated(used, deprecate_reason) if deprecate_reason else used

    return decorate


def _deprecated(function: Any, reason: str) -> Any:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        text = f"{function.__name__}() is deprecated: {reason}"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return function(*arguments, **keywords)

    return call


@public(deprecate_reason="use str(path.absolute())")
def resolve(path: Path) -> str:
    """Return the absolute path as text."""
    return str(path.absolute())


@public(deprecate_reason="use datetime.now().strftime('%Y-%m-%d %H:00:00')")
def now(template: str = "%Y-%m-%d %H:00:00") -> str:
    """Return the local time as text."""
    return datetime.now().strftime(template)  # noqa: DTZ005 - as BigFlow does


def run_process(
    args: str | Sequence[Any],
    *,
    verbose: bool = True,
    check: bool = True,
    env_add: Mapping[str, str] | None = None,
    input: str | bytes | None = None,  # noqa: A002 - the name of BigFlow
    env: Mapping[str, str] | None = None,
    **keywords: Any,
) -> str:
    """Run a program and return what it wrote to stdout.

    :param args: the arguments, or one text that is split at white space. None is an empty argument.
    :param verbose: log each line of output, with the level INFO for stdout and ERROR for stderr.
    :param check: raise an error if the exit status is not 0.
    :param env_add: variables to add to ``env``, or to those of this process.
    :param input: the text for stdin.

    :raises subprocess.CalledProcessError: for another exit status than 0.
    """
    command = (
        re.split(r"\s+", args)
        if isinstance(args, str)
        else ["" if argument is None else str(argument) for argument in args]
    )
    if env_add:
        env = {**(env or os.environ), **env_add}
    logger.debug("run process %r", command)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        **keywords,
    )
    out = _Reader(process.stdout, logging.INFO if verbose else logging.DEBUG)
    err = _Reader(process.stderr, logging.ERROR if verbose else logging.DEBUG)
    if process.stdin is not None:
        with process.stdin:
            process.stdin.write(input.encode() if isinstance(input, str) else input)
    status = process.wait()
    stdout, stderr = out.text(), err.text()
    if status and check:
        raise subprocess.CalledProcessError(status, command, output=stdout, stderr=stderr)
    return stdout


class _Reader(threading.Thread):
    """Log the lines of a stream while the process writes them."""

    def __init__(self, stream: IO[bytes] | None, level: int) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._level = level
        self._lines: list[bytes] = []
        self.start()

    def run(self) -> None:
        if self._stream is None:
            return
        with self._stream:
            for line in self._stream:
                self._lines.append(line)
                logger.log(self._level, "%s", line.decode(errors="ignore").rstrip("\r\n"))

    def text(self) -> str:
        self.join()
        return b"".join(self._lines).decode()


def generate_file_hash(fname: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file as ``sha256:...``."""
    return f"{algorithm}:{hashlib.new(algorithm, fname.read_bytes()).hexdigest()}"


def decode_version_number_from_file_name(file_path: Path) -> str:
    """Return the version in the name of an existing file ``image-VERSION.tar``.

    :raises ValueError: for another name, and for a file that does not exist.
    """
    name, _, version = file_path.stem.partition("-")
    if file_path.suffix != ".tar" or not name or not version:
        raise ValueError(f"the file name must be like image-0.1.0.tar: got {file_path.as_posix()}")
    if not file_path.is_file():
        raise ValueError(f"file not found: {file_path.as_posix()}")
    return version


def get_docker_image_id(tag: str) -> str:
    """Return the id that the Docker Engine has for an image, or an empty text."""
    return run_process(["docker", "images", "-q", "--no-trunc", tag]).partition("\n")[0]


def build_docker_image_tag(docker_repository: str, package_version: str) -> str:
    """Return ``repository:version`` with a ``-`` for each ``+``, which a tag cannot have."""
    return f"{docker_repository}:{package_version.replace('+', '-')}"


def remove_docker_image_from_local_registry(tag: str) -> None:
    """Remove an image, with all its tags, from the Docker Engine."""
    run_process(["docker", "rmi", "-f", get_docker_image_id(tag), "--no-prune"])


def as_timedelta(v: str | float | timedelta | None) -> timedelta | None:
    """Return a time span for a number of seconds; None for None and for an empty text."""
    if v is None or isinstance(v, timedelta):
        return v
    return None if v == "" else timedelta(seconds=float(v))


def valid_datetime(dt: str) -> str:
    """Return the argument if it is ``NOW``, ``2026-01-31`` or ``2026-01-31 06:00:00``.

    :raises ValueError: for any other text.
    """
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            datetime.strptime(dt, form)  # noqa: DTZ007 - only the form counts
        except ValueError:
            continue
        return dt
    if dt == "NOW":
        return dt
    raise ValueError(f"a date must be NOW, 2026-01-31 or '2026-01-31 06:00:00': got {dt!r}")
