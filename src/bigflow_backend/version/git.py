"""Run git in a clean environment, with a fixed locale and a time limit, and without prompts.

A build may run in a git hook, an IDE or a CI job. They set variables that make git use another
repository or another language.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version.model import SET_VERSION

_KEPT = frozenset({
    # The programs and the configuration of git. CI jobs set safe.directory with the last three.
    "GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY", "GIT_CONFIG_VALUE",
    # The limits of the search for a repository: containers mount parts of one.
    "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    # The author of a tag, and the connection to the remote.
    "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_ALLOW_PROTOCOL",
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY",
    "GIT_PROXY_COMMAND", "GIT_HTTP_USER_AGENT",
})  # fmt: skip
"""The variables of git that do not choose a repository, an index or objects.

https://git-scm.com/docs/git#_environment_variables
"""

_LIMIT = 60.0
"""Seconds for one git process. ``BIGFLOW_GIT_TIMEOUT`` overrides it."""

_READ_ONLY = ("--no-optional-locks", "-c", "core.fsmonitor=false")
"""Options against a refresh of the index by ``git status``, and against a daemon."""


@dataclass(frozen=True)
class Result:
    """Exit status and output of a git process."""

    status: int
    out: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output. Bytes outside UTF-8 are decoded as in :func:`os.fsdecode`."""
        # splitlines() also splits at other line separators of Unicode, which a tag may contain.
        *lines, rest = self.out.decode("utf-8", "surrogateescape").split("\n")
        return [*lines, rest] if rest else lines

    @property
    def reason(self) -> str:
        """The errors in one line, without the advice of git."""
        lines = (line.strip() for line in self.stderr.splitlines())
        return "; ".join(line for line in lines if line and not line.startswith("hint:"))


def query(directory: Path, *arguments: str) -> Result:
    """Run a git command that only reads the repository.

    :raises UserError: if git is missing or too slow.
    """
    return run(directory, [*_READ_ONLY, *arguments], alternative=SET_VERSION)


def run(
    directory: Path,
    arguments: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    limit: float = _LIMIT,
    alternative: str = "",
) -> Result:
    """Run git in ``directory``, with ``variables`` added to the clean environment.

    ``limit`` is in seconds. A slower process is killed, together with its child processes.
    ``alternative`` is a command or setting for a user without a working git.

    :raises UserError: if git is missing or too slow.
    """
    git = shutil.which("git")
    if git is None:
        raise UserError(
            "git is not installed: PATH has no `git`",
            hint=_either("install git", alternative),
        )
    limit = _limit(limit)
    try:
        # In a session of its own, ssh and hooks cannot prompt on the terminal, and one signal
        # kills them all.
        process = subprocess.Popen(
            [git, *arguments],
            cwd=directory,
            env={**_environment(), **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(
            f"cannot run {git} in {directory}: {error.strerror}",
            hint=_either("fix the installation of git", alternative),
        ) from error
    with process:
        try:
            out, errors = process.communicate(timeout=limit)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()  # after Ctrl-C, `with` does not wait
            if isinstance(error, subprocess.TimeoutExpired):
                raise _too_slow(arguments, directory, limit, alternative) from error
            raise
    return Result(process.returncode, out, errors.decode("utf-8", "replace"))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    return {
        **kept,
        # This package reads the messages of git. LANGUAGE takes precedence over C.UTF-8:
        # https://www.gnu.org/software/gettext/manual/html_node/The-LANGUAGE-variable.html
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        # Replaced objects exist in one clone only; a version must be the same in all clones.
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


def _is_kept(name: str) -> bool:
    # GIT_CONFIG_KEY_0, GIT_CONFIG_VALUE_0, ...
    stem, _, number = name.rpartition("_")
    return not name.startswith("GIT_") or (stem if number.isdigit() else name) in _KEPT


def _limit(default: float) -> float:
    text = os.environ.get("BIGFLOW_GIT_TIMEOUT")
    if not text:
        return default
    try:
        limit = float(text)
    except ValueError:
        limit = 0
    if not 0 < limit < float("inf"):
        raise UserError(
            f"BIGFLOW_GIT_TIMEOUT must be a number of seconds above 0: got {text!r}",
            hint="set it to a number, for example 120, or unset it",
        )
    return limit


def _too_slow(
    arguments: Sequence[str], directory: Path, limit: float, alternative: str
) -> UserError:
    command = next(a for a in arguments if not a.startswith("-") and "=" not in a)
    return UserError(
        f"`git {command}` did not finish within {limit:g} s in {directory}",
        hint=_either(
            "run it there to see why; for more time, set BIGFLOW_GIT_TIMEOUT=300",
            alternative,
        ),
    )


def _either(fix: str, alternative: str) -> str:
    return f"{fix}, or {alternative}" if alternative else fix
