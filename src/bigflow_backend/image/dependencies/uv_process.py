"""uv with the configured indexes, and its errors in one line each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.ground.limits import MESSAGE
from bigflow_backend.ground.processes import TooSlowError, run_bounded
from bigflow_backend.ground.progress import end_transfer, show_transfer
from bigflow_backend.ground.uv import find_uv
from bigflow_backend.image.dependencies.indexes import configured_indexes, configured_urls
from bigflow_backend.image.standard import NoWheelError
from bigflow_backend.project.members import UV_LOCK
from bigflow_backend.wheel.own import write_own_wheel

if TYPE_CHECKING:
    from bigflow_backend.image.dependencies.indexes import Indexes
    from bigflow_backend.project.project import Project


class UnsatisfiableError(UserError):
    """Requirements that no versions meet. The message has the whole explanation of uv."""


OPTION_FLAGS = {"--pre": "--prerelease=allow", "--trusted-host": "--allow-insecure-host"}
"""Options that pip takes in requirements.txt, and uv only on its command line."""

# Variables that would change what is installed, or for which Python.
_NOT_FOR_UV = {
    "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_COMPILE_BYTECODE", "UV_REQUIRE_HASHES",
    "UV_FIND_LINKS",
}  # fmt: skip
_HASH_MISMATCH = re.compile(
    r"Hash mismatch for `?(?P<file>[^`\s]+)`? Expected: sha256:(?P<expected>\w+)"
    r"(?: sha\d+:\w+)* Computed: (?:sha\d+:\w+ )*?sha256:(?P<computed>\w+)"
)
_BUILD_FAILED = re.compile(r"Failed to (?:build|download and build) `?(?P<sdist>[^`\s]+)`?")
_FETCH_FAILED = re.compile(r"Failed to fetch: `?(?P<url>[^\s`]+)")
_INDEX_REFUSED = re.compile(
    r"\bindex(?: URL)? \((?P<url>\S{1,2000})\) .{0,300}?\b(?P<status>40[13])\b"
)
_DOWNLOAD = re.compile(
    r"(?:Downloading| Downloaded) (?P<name>[\w.-]{1,100})"
    r"(?: \((?P<number>[0-9.]{1,9})(?P<unit>[KMG]iB)\))?"
)
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PURPOSE = "resolving and installing dependencies"
_ANOTHER_BUILDER = (
    'add a directory with its wheel to find-links, or set builder = "engine" in'
    " [tool.bigflow.image]"
)


def run_uv(
    *arguments: str,
    project: Path,
    find_links: Iterable[Path],
    urls: Iterable[str],
    timeout: int,
) -> tuple[int, list[str]]:
    """Run uv with the configured indexes; return its exit status, and the lines that it prints.

    The lines have no secrets of the configured indexes and of ``urls``, which are those of the
    requirements file. ``timeout`` is in seconds.

    :raises UserError: if it takes longer, or is not installed.
    """
    indexes = configured_indexes(project)
    # Every user of the machine can read the arguments of a process. Indexes and find-links may
    # hold passwords, so uv gets them by its environment.
    environment = uv_environment(indexes)
    places = [*map(str, find_links), *indexes.find_links]
    if places:
        environment["UV_FIND_LINKS"] = ",".join(_find_link(place, project) for place in places)
    try:
        done = run_bounded(
            [find_uv(_PURPOSE), *arguments, *(["--no-index"] if indexes.no_index else [])],
            cwd=project,
            environment=environment,
            limit=None,
            seconds=timeout,
            capture_stderr=True,
            on_line=_show_download,
        )
    except TooSlowError as error:
        raise UserError(
            f"uv took longer than {timeout} seconds for the dependencies",
            hint="raise timeout in [tool.bigflow.image]",
        ) from error
    text = redacted(done.stderr.decode("utf-8", "replace"), (*urls, *configured_urls(project)))
    return done.status, text.splitlines()


def _show_download(line: str) -> None:
    """Show the bytes of uv's downloads. It prints a line when one begins, and when it ends."""
    match = _DOWNLOAD.fullmatch(line)
    if match is not None and match["number"]:
        total = int(float(match["number"]) * _UNITS[match["unit"]])
        show_transfer("uv", match["name"], 0, total)
    elif match is not None:
        end_transfer("uv", match["name"])


def run_uv_for_project(project: Project, *arguments: str) -> tuple[int, list[str]]:
    """Run uv, which may build the project for its metadata; return status and output.

    The build needs bigflow-backend, which this process brings: no index needs to have it.
    """
    with scratch_directory() as own:
        write_own_wheel(own)
        links = [project.root / place for place in project.settings.image.find_links]
        return run_uv(
            *arguments,
            project=project.root,
            find_links=(*links, own),
            urls=(),
            timeout=project.settings.image.timeout,
        )


def _find_link(place: str, project: Path) -> str:
    """Return a directory or a page for uv's variable, which separates them by commas."""
    if "," in place and "://" not in place:
        place = (project / place).absolute().as_uri()
    return place.replace(",", "%2C")


def uv_environment(indexes: Indexes) -> dict[str, str]:
    """Return uv's environment variables; they may contain credentials."""
    return {
        **{k: v for k, v in os.environ.items() if k not in _NOT_FOR_UV},
        **indexes.environment,
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def error_of(lines: Sequence[str], file: str) -> UserError:
    """Return one line for the tree of lines that uv prints about the requirements in ``file``."""
    text = " ".join(re.sub(r"^[^\w`]+", "", line).strip() for line in lines if line.strip())
    if match := _HASH_MISMATCH.search(text):
        return UserError(
            f"{match['file']} has a wrong hash: got SHA-256 {match['computed']}, expected"
            f" {match['expected']}",
            hint=f"find out who changed the file before you change the hash in {file}",
        )
    if match := _BUILD_FAILED.search(text):
        return NoWheelError(
            f"{match['sdist']} has no wheel for the image, and cannot be built here",
            hint=_ANOTHER_BUILDER,
        )
    if match := _FETCH_FAILED.search(text):
        # uv's text ends with the URL again: ... for url (https://...)
        cause = re.sub(r" for url \(\S+\)", "", text.rpartition("cause: ")[2])
        return UserError(
            f"cannot install the dependencies: {match['url']} cannot be fetched: {cause}",
            hint="check the network, and the indexes in the configuration of pip and uv",
        )
    start = text.find("Because ")
    problem = text[start:] if start >= 0 else re.sub(r"^.*?\berror: ", "", text)
    problem, _, more = problem.partition(" hint:")
    fix = "update uv.lock with `bigflow lock`" if file == UV_LOCK else f"correct {file}"
    hint = f"{fix}, or add the missing wheels to find-links"
    if match := _INDEX_REFUSED.search(more):
        hint = (
            f"the index {match['url']} answered {match['status']}: correct its credentials in its"
            " URL, in the netrc file or in uv's configuration"
        )
    kind = UnsatisfiableError if start >= 0 and len(problem) < MESSAGE else UserError
    return kind(f"cannot install the dependencies: {problem}", hint=hint)


def must_be_compiled(name: str, version: str) -> NoWheelError:
    """Return the error for a distribution that has no wheel for the image."""
    return NoWheelError(
        f"{name} {version} has no wheel for the image and must be compiled", hint=_ANOTHER_BUILDER
    )
