"""uv, run for the platform of a base image.

uv resolves and installs for another Python and another machine than the running ones. It uses its
own caches, credentials and indexes: https://docs.astral.sh/uv/pip/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.image.dependencies.indexes import configured_urls
from bigflow_backend.image.dependencies.uv_process import (
    OPTION_FLAGS,
    UnsatisfiableError,
    error_of,
    run_uv,
)
from bigflow_backend.image.standard import CannotServeError

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.interpreter import Interpreter

# The platforms in `uv pip install --help`.
_MACHINES = ("x86_64", "aarch64")
_COPIES = re.compile(
    r"^warning: Failed to hardlink files|^\s+If (?:the cache and target|this is int)"
)
_GLIBC_MINORS = (17, 28, *range(31, 41))


@dataclass(frozen=True)
class Uv:
    """``uv pip`` with the settings of one build."""

    interpreter: Interpreter
    project: Path
    """The directory whose uv.toml or pyproject.toml uv reads."""
    find_links: tuple[Path, ...]
    flags: tuple[str, ...]
    urls: tuple[str, ...]
    """The indexes and pages that the requirements file names, for redaction."""
    timeout: int
    """Seconds for each run."""
    file: str
    """The list or the lock of the requirements, for messages."""
    say: Callable[[str], None]

    def pip(self, *arguments: str, report_failure: bool = True) -> None:
        """Run ``uv pip ARGUMENTS`` for the image's platform, and report its progress.

        With ``report_failure=False`` the output of a failed run is not reported. That of
        requirements which contradict each other is in the error.

        :raises UserError: with the reason that uv gives.
        """
        status, lines = run_uv(
            "pip", *arguments,
            "--python", sys.executable,
            "--python-version", self.interpreter.version,
            "--python-platform", _platform(self.interpreter),
            *self.flags,
            project=self.project,
            find_links=self.find_links,
            urls=self.urls,
            timeout=self.timeout,
        )  # fmt: skip
        error = error_of(lines, self.file) if status else None
        if error is None or (report_failure and not isinstance(error, UnsatisfiableError)):
            for line in _without_warnings(lines):
                self.say(line)
        if error is not None:
            raise error

    def redact(self, text: str) -> str:
        """Return the text without the secrets of all configured indexes and find-links."""
        return redacted(text, (*self.urls, *configured_urls(self.project)))


def _platform(interpreter: Interpreter) -> str:
    """Return uv's name of the image's platform.

    :raises CannotServeError: if uv has no name for it.
    """
    machine = interpreter.machine
    if machine not in _MACHINES:
        raise CannotServeError(f"the base image is for {interpreter.architecture}")
    if interpreter.libc == "musl":
        return f"{machine}-unknown-linux-musl"
    minor = int(interpreter.libc_version.partition(".")[2])
    known = [m for m in _GLIBC_MINORS if m <= minor]
    if not known:
        raise CannotServeError(f"the base image has the GNU C library {interpreter.libc_version}")
    return f"{machine}-manylinux_2_{known[-1]}"


def _without_warnings(lines: Iterable[str]) -> list[str]:
    """Leave out warnings of options in requirements.txt that uv gets on its command line.

    Also leave out that its cache and the temporary files are on two disks: it copies then.
    """
    return [
        line
        for line in lines
        if not _COPIES.search(line)
        if "unsupported option in" not in line or not any(f"`{f}`" in line for f in OPTION_FLAGS)
    ]
