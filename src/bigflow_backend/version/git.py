"""Running git: a cleaned environment, a fixed locale, a time limit, never a prompt.

A build may run inside a git hook, an IDE or a CI job. Each of them sets variables that make git
look at another repository, or speak another language, than the command line would.
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

_KEPT = frozenset({
    # Where git and its configuration are; CI jobs set safe.directory by the last three.
    "GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY", "GIT_CONFIG_VALUE",
    # How far it searches for a repository: containers mount parts of one.
    "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    # Who makes a tag, and the way to the remote.
    "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_ALLOW_PROTOCOL",
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY",
    "GIT_PROXY_COMMAND", "GIT_HTTP_USER_AGENT",
})  # fmt: skip
"""The variables of git that do not say which repository, index or objects to look at; what they
mean: https://git-scm.com/docs/git#_environment_variables"""

_LIMIT = 60.0
"""Seconds for one git process, where ``BIGFLOW_GIT_TIMEOUT`` sets no other limit."""

_OTHERWISE = ", or set BIGFLOW_VERSION to the version, such as 1.2.0"

_READ_ONLY = ("--no-optional-locks", "-c", "core.fsmonitor=false")
"""A question does not write (``git status`` would refresh the index) and starts no daemon."""


@dataclass(frozen=True)
class Answer:
    """What a git process said."""

    status: int
    out: bytes
    complaint: str
    """Its standard error."""

    @property
    def lines(self) -> list[str]:
        """The output's lines; bytes that are no UTF-8 pass through as :func:`os.fsdecode` does."""
        # Not splitlines(): a tag or a directory may hold one of Unicode's other line separators.
        *lines, rest = self.out.decode("utf-8", "surrogateescape").split("\n")
        return [*lines, rest] if rest else lines

    @property
    def reason(self) -> str:
        """The complaint in one line, without git's advice."""
        lines = (line.strip() for line in self.complaint.splitlines())
        return "; ".join(line for line in lines if line and not line.startswith("hint:"))


def ask(directory: Path, *arguments: str) -> Answer:
    """The answer to a question that changes nothing in the repository.

    :raises UserError: when git is missing or does not answer in time.
    """
    return run(directory, [*_READ_ONLY, *arguments], otherwise=_OTHERWISE)


def run(
    directory: Path,
    arguments: Sequence[str],
    *,
    variables: Mapping[str, str] | None = None,
    limit: float = _LIMIT,
    otherwise: str = "",
) -> Answer:
    """Runs git in ``directory``, with ``variables`` on top of the cleaned environment.

    ``limit`` is in seconds; a process that takes longer is ended, with all that it has started.
    ``otherwise`` says what else than mending git the user can do.

    :raises UserError: when git is missing or does not answer in time.
    """
    git = shutil.which("git")
    if git is None:
        raise UserError(
            "git is not installed: there is no `git` in PATH",
            hint="install git" + otherwise,
        )
    limit = _limit(limit)
    try:
        # A session of its own: nothing below it can prompt on the terminal, and all of it can be
        # ended at once, ssh and hooks included.
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
            f"{git} cannot be run in {directory}: {error.strerror}",
            hint="mend git's installation" + otherwise,
        ) from error
    with process:
        try:
            out, complaint = process.communicate(timeout=limit)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()  # `with` does not, after Ctrl-C
            if isinstance(error, subprocess.TimeoutExpired):
                raise _too_slow(arguments, directory, limit, otherwise) from error
            raise
    return Answer(process.returncode, out, complaint.decode("utf-8", "replace"))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    return {
        **kept,
        # git's messages are told apart by their text. LANGUAGE would win over C.UTF-8:
        # https://www.gnu.org/software/gettext/manual/html_node/The-LANGUAGE-variable.html
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        # Replacements of objects are local to one clone; the version is not.
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
            f"BIGFLOW_GIT_TIMEOUT is {text!r}, which is no number of seconds",
            hint="write a number greater than 0, or unset it",
        )
    return limit


def _too_slow(arguments: Sequence[str], directory: Path, limit: float, otherwise: str) -> UserError:
    command = next(a for a in arguments if not a.startswith("-") and "=" not in a)
    return UserError(
        f"`git {command}` did not answer within {limit:g} s in {directory}",
        hint="run it there to see what it waits for; BIGFLOW_GIT_TIMEOUT (seconds) gives it longer"
        + otherwise,
    )
