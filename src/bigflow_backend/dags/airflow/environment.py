"""A release of Airflow in an environment of its own, made by uv once and kept for the next time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.directories import cache_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.uv import find_uv

_PROVIDER = "apache-airflow-providers-cncf-kubernetes"
_RELEASE = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?", re.ASCII)
_OLDEST = (2, 7)
_TOO_NEW = (4,)


@dataclass(frozen=True)
class _Line:
    """What a line of releases runs on."""

    python: str
    """The newest Python that it supports."""
    exclude_newer: str | None = None
    """A day soon after its last release. What is newer is not installed, as with a constraints
    file: old Airflows do not run with the libraries of later years."""


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
}


@dataclass(frozen=True)
class AirflowEnvironment:
    """What is installed."""

    interpreter: Path
    airflow: str
    """The version, to the patch."""
    provider: str
    """That of apache-airflow-providers-cncf-kubernetes."""
    python: str


def airflow_environment(release: str, *, say: Callable[[str], None]) -> AirflowEnvironment:
    """The environment of a release such as ``3.3`` or ``2.10.5``; it is made if it is not there.

    It lies in the user's cache directory. A release without a patch number stands for the newest
    patch at the time when its environment was made.

    :raises UserError: for what is no release, where uv is missing, and when uv cannot install it.
    """
    if not _RELEASE.fullmatch(release) or not _OLDEST <= _numbers(release) < _TOO_NEW:
        raise UserError(
            f"--airflow {release!r} is no release that DAG files are made for",
            hint="write one from 2.7 on, such as 3.3 or 2.10.5",
        )
    line = _LINES.get(".".join(release.split(".")[:2]))
    python = _python(line)
    place = cache_directory() / "airflow" / f"{release}-python{python}"
    with _lock(place):
        record = place / _RECORD
        if not record.is_file():
            say(f"installing Airflow {release} into {place}")
            _install(place, release, python, line)
        try:
            return _read(record, place)
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"{record} is damaged", hint=f"remove the directory {place} and try again"
            ) from error


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in release.split("."))


def _python(line: _Line | None) -> str:
    """Our own Python's version where the release supports that, else the newest that it does."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return own if line is None or _numbers(own) <= _numbers(line.python) else line.python


def _install(place: Path, release: str, python: str, line: _Line | None) -> None:
    """Makes the environment in ``place``, which may hold what an interrupted run has left."""
    uv = find_uv("installing an Airflow")
    wanted = f"{release}.*" if len(_numbers(release)) == 2 else release  # noqa: PLR2004
    newest = ["--exclude-newer", line.exclude_newer] if line and line.exclude_newer else []
    interpreter = place / "venv" / "bin" / "python"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        _call(release, place, uv, "venv", "--quiet", "--python", python, place / "venv")
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", *newest]
        packages = [f"apache-airflow=={wanted}", _PROVIDER]
        _call(release, place, *install, "--python", str(interpreter), *packages)
        # Last: a directory that has it is whole.
        versions = _call(release, place, interpreter, "-c", _VERSIONS, "apache-airflow", _PROVIDER)
        (place / _RECORD).write_text(versions)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _call(release: str, place: Path, *command: str | Path) -> str:
    """What a command printed."""
    done = subprocess.run(
        command,
        cwd=place,  # not in the project, whose [tool.uv] is about the project
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode and _MISSING.search(" ".join(done.stdout.split())):
        raise UserError(
            f"there is no Airflow {release} for Python {place.name.partition('-python')[2]}",
            hint="write a release that there is, such as 3.3 or 2.10.5",
        )
    if done.returncode:
        raise UserError(
            f"Airflow {release} cannot be installed: {_why(done.stdout)}",
            hint="see that there is such a release, and that the package index answers",
        )
    return done.stdout


_MISSING = re.compile("(there is no version of apache-airflow==|only apache-airflow<)")
"""How uv says that an index has no such release."""

_RECORD = "installed.json"
_VERSIONS = """\
import importlib.metadata, json, sys
print(json.dumps([importlib.metadata.version(name) for name in sys.argv[1:]]))
"""


def _why(said: str) -> str:
    """What uv said, in a line: what failed, and the last of the causes that it lists."""
    lines = [line.strip() for line in _FRAME.sub(" ", said).splitlines()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("error:")]
    causes = [line.partition(":")[2].strip() for line in lines if _CAUSE.match(line)]
    what = ": ".join([*errors[:1], *causes[-1:]]) or " ".join(filter(None, lines))
    return what[:_LONGEST] or "uv gave no reason"


_FRAME = re.compile("[\u00d7\u2570\u2500\u25b6\u251c\u2502]")
"""What some releases of uv draw beside their messages."""

_CAUSE = re.compile("(caused by|cause):", re.IGNORECASE)
_LONGEST = 300


def _read(record: Path, place: Path) -> AirflowEnvironment:
    airflow, provider = json.loads(record.read_text("utf-8"))
    python = place.name.partition("-python")[2]
    return AirflowEnvironment(place / "venv" / "bin" / "python", airflow, provider, python)


@contextlib.contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Two commands at once install a release once; the lock ends with its process."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = place.with_name(f"{place.name}.lock").open("w")
    except OSError as error:
        raise UserError(
            f"cannot write to {place.parent}: {error.strerror}",
            hint="set BIGFLOW_CACHE to a directory of yours",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
