"""Run git in a clean environment, with a fixed locale and a time limit, and without prompts.

A build may run in a git hook, an IDE or a CI job. They set variables that make git use another
repository or another language. A repository can also come from a stranger: see ``filters``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.limits import GIT_OUTPUT
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

_SAFE = (
    # Files of a clone that look like a bare repository are not one: their `config` runs programs.
    *("-c", "safe.bareRepository=explicit"),
    # The URL of a remote can be a command: https://git-scm.com/docs/git-remote-ext
    *("-c", "protocol.ext.allow=never"),
)
_READ_ONLY = (
    # `git status` would refresh the index.
    "--no-optional-locks",
    # A daemon or a program, and scripts: https://git-scm.com/docs/githooks
    *("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null"),
)
_NO_TRANSFER = {
    # In a partial clone, a missing object would be fetched with the programs of its configuration.
    # Git before 2.45 has no GIT_NO_LAZY_FETCH; it fetches nothing by no protocol.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
}


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


def has_repository(root: Path) -> bool:
    """Return False if git would find no repository around ``root``. It takes no process."""
    return any((directory / ".git").exists() for directory in (root, *root.parents))


def query(
    directory: Path,
    *arguments: str,
    configuration: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Result:
    """Run a git command that only reads the repository. It runs no hooks, and fetches nothing.

    ``configuration`` has settings of git that override those of the repository.

    :raises UserError: if git is missing or too slow, or its output is too long.
    """
    return run(
        directory,
        [*_READ_ONLY, *arguments],
        variables={**_NO_TRANSFER, **(variables or {}), **_configured(configuration or {})},
        alternative=SET_VERSION,
    )


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

    :raises UserError: if git is missing or too slow, or its output is too long.
    """
    # Outside a repository a hook runs no git, and these imports take 5 ms.
    import shutil

    from bigflow_backend.ground.processes import TooMuchOutputError, TooSlowError, run_bounded

    git = shutil.which("git")
    if git is None:
        raise UserError(
            "git is not installed: PATH has no `git`",
            hint=_either("install git", alternative),
        )
    limit = _limit(limit)
    try:
        # In a session of its own, ssh and hooks cannot prompt on the terminal.
        done = run_bounded(
            [git, *_SAFE, *arguments],
            cwd=directory,
            environment={**_environment(), **(variables or {})},
            limit=GIT_OUTPUT,
            seconds=limit,
            capture_stderr=True,
            supervised=False,  # git runs nobody's code, and a build has many of these
        )
    except OSError as error:
        raise UserError(
            f"cannot run {git} in {directory}: {error.strerror}",
            hint=_either("fix the installation of git", alternative),
        ) from error
    except TooSlowError as error:
        raise UserError(
            f"`git {_command(arguments)}` did not finish within {limit:g} s in {directory}",
            hint=_either(
                "run it there to see why; for more time, set BIGFLOW_GIT_TIMEOUT=300",
                alternative,
            ),
        ) from error
    except TooMuchOutputError as error:
        raise UserError(
            f"`git {_command(arguments)}` lists too much in {directory}: the limit is"
            f" {GIT_OUTPUT:,} bytes",
            hint=_either("remove untracked files: git clean --dry-run -x -d", alternative),
        ) from error
    return Result(done.status, done.stdout, done.stderr.decode("utf-8", "replace"))


def _command(arguments: Sequence[str]) -> str:
    return next(a for a in arguments if not a.startswith("-") and "=" not in a)


def _configured(configuration: Mapping[str, str]) -> dict[str, str]:
    """Return variables that set ``configuration``, after what the user sets by such variables.

    https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT
    """
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(configuration))} if configuration else {}
    for number, (key, value) in enumerate(configuration.items(), start=first):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


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


def _either(fix: str, alternative: str) -> str:
    return f"{fix}, or {alternative}" if alternative else fix
