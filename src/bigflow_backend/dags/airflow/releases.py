"""The releases of Airflow, and the ``uv run`` command that starts one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.uv import find_uv

PROVIDER = "apache-airflow-providers-cncf-kubernetes"
_RELEASE = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3}((a|b|rc)[0-9]{1,3})?)?", re.ASCII)
_NUMBER = re.compile("[0-9]+")
_OLDEST = (2, 7)
_TOO_NEW = (4,)


@dataclass(frozen=True)
class _Line:
    """The limits of a line of releases, such as 2.10."""

    python: str
    """The newest Python that the line supports."""
    exclude_newer: str | None = None
    """A day soon after the last release of the line. Nothing newer is installed, because old
    releases of Airflow do not run with the libraries of later years."""
    beta: str | None = None
    """A release of a line that has no final release yet. uv then accepts other betas, too."""


_LINES = {
    "2.7": _Line("3.11", "2023-11-20"),
    "2.8": _Line("3.11", "2024-04-05"),
    "2.9": _Line("3.12", "2024-08-05"),
    "2.10": _Line("3.12", "2025-02-25"),
    "2.11": _Line("3.12"),
    "3.0": _Line("3.12", "2025-09-15"),
    "3.1": _Line("3.13", "2026-03-25"),
    "3.2": _Line("3.14", "2026-06-20"),
    "3.3": _Line("3.14"),
    "3.4": _Line("3.14", beta="3.4.0b1"),
}


@dataclass(frozen=True)
class AirflowRelease:
    """A release such as ``3.3``, which is its newest patch, or ``2.10.5``."""

    text: str
    requirement: str
    """The requirement for uv, such as ``apache-airflow==3.3.*``."""
    python: str
    """The Python to run it on: ours if the release supports it, else the newest that it does."""
    exclude_newer: str | None

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs ``python ARGUMENTS`` with this Airflow.

        uv installs what its cache does not have. https://docs.astral.sh/uv/reference/cli/#uv-run

        :raises UserError: if uv is not installed.
        """
        newest = ["--exclude-newer", self.exclude_newer] if self.exclude_newer else []
        packages = ["--with", self.requirement, "--with", PROVIDER]
        # Without --isolated, the packages of an active virtual environment would be seen too.
        options = ["--no-project", "--isolated", "--quiet", "--python", self.python, *newest]
        return [find_uv("installing Airflow"), "run", *options, *packages, "python", *arguments]

    def error(self, output: str) -> UserError:
        """Return the error for the output of a ``uv`` that could not install the release."""
        text = " ".join(output.split())
        if "there is no version of apache-airflow==" in text or "only apache-airflow<" in text:
            return UserError(
                f"Airflow {self.text} does not exist for Python {self.python}",
                hint="use an existing release, such as 3.3 or 2.10.5",
            )
        reason = _reason(output)
        hint = next(
            (hint for words, hint in _HINTS.items() if words in reason),
            "check that the package index answers; UV_OFFLINE=1 uses uv's cache alone",
        )
        return UserError(f"cannot install Airflow {self.text}: {reason}", hint=hint)


def airflow_release(text: str) -> AirflowRelease:
    """Return the release that ``--airflow`` names.

    :raises UserError: if it is not the number of a supported release.
    """
    if not _RELEASE.fullmatch(text) or not _OLDEST <= _numbers(text) < _TOO_NEW:
        raise UserError(
            f"--airflow must be a release from 2.7 on: got {text!r}",
            hint="write a release such as 3.3 or 2.10.5",
        )
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    line = _LINES.get(".".join(text.split(".")[:2]), _Line(own))
    return AirflowRelease(
        text,
        f"apache-airflow{_wanted(text, line)}",
        min(own, line.python, key=_numbers),
        line.exclude_newer,
    )


def deferring_error(airflow: str, provider: str) -> str | None:
    """Return the reason why deferrable tasks fail with these releases, or None.

    From 3.0.5 to 3.1, the triggerer fails to mask the extra of a connection
    (apache/airflow#55198). Newer providers read the connection before, in the task.
    """
    if (3, 0, 5) <= _numbers(airflow)[:3] < (3, 1) and _numbers(provider)[:2] < (10, 12):
        return (
            f"with Airflow {airflow} and provider {provider}, it fails when its pod succeeds;"
            f" install {PROVIDER}>=10.12, or Airflow 3.1"
        )
    return None


def _wanted(text: str, line: _Line) -> str:
    if text.count(".") > 1:
        return f"=={text}"
    return f"~={line.beta}" if line.beta else f"=={text}.*"


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(release))


def _reason(output: str) -> str:
    """Return the first error and the last of the causes that uv lists, in one line."""
    lines = [line.strip() for line in _FRAME.sub(" ", output).splitlines()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("error:")]
    causes = [line.partition(":")[2].strip() for line in lines if _CAUSE.match(line)]
    reason = ": ".join([*errors[:1], *causes[-1:]]) or " ".join(filter(None, lines))
    return reason[:_LONGEST] or "uv gave no reason"


_HINTS = {
    "(os error 28)": "free space on that disk, or set UV_CACHE_DIR to a directory on another disk",
    "(os error 13)": "set UV_CACHE_DIR to a directory that you can write to",
}
"""Part of uv's reason -> hint. 28 is a full disk, and 13 a missing permission."""

_FRAME = re.compile("[\u00d7\u2570\u2500\u25b6\u251c\u2502]")
"""The lines that some releases of uv draw beside their messages."""

_CAUSE = re.compile("(caused by|cause):", re.IGNORECASE)
_LONGEST = 300
