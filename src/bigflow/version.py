"""The version of a project, for scripts: the names of ``bigflow.version`` of BigFlow 1.11.3.

It needs git, and ``bigflow-backend[build]``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bigflow.commons import logger, run_process
from bigflow.errors import BigflowError

__all__ = ["bump_minor", "get_tag", "get_version", "push_tag", "release"]

_FIRST = "0.0"


def get_version(commit_ish: str = "HEAD") -> str:
    """Return the version of the project in or above the current directory.

    It is the version of wheel, image and DAGs, as `bigflow project-version` prints it.

    :param commit_ish: a commit or tag; ``HEAD`` includes changes that are not committed.

    :raises BigflowError: outside of a project, and without a git repository and a version.
    """
    from bigflow_backend.ground.errors import UserError
    from bigflow_backend.project.project import find_project

    try:
        project = find_project(Path.cwd())
        if commit_ish == "HEAD":
            return project.version.text
        return project.version_at(commit_ish).text
    except UserError as error:
        raise BigflowError(error.message, hint=error.hint) from error


def get_tag() -> str | None:
    """Return the highest tag that ``HEAD`` has; None if it has no tag."""
    tags = _git("tag", "--sort=version:refname", "--merged").splitlines()
    return tags[-1] if tags else None


def release(identity_file: str | None = None) -> None:
    """Tag ``HEAD`` with the next minor version, and push the tag to ``origin``.

    `bigflow release` does more: it checks first that the tag can be created and pushed.
    """
    push_tag(bump_minor(get_tag() or _FIRST), identity_file)


def push_tag(tag: str, identity_file: str | None = None) -> None:
    """Create a tag on ``HEAD`` and push it to ``origin``.

    :param identity_file: the private key for ssh.
    """
    logger.info("create the git tag %s, and push it to origin", tag)
    _git("tag", tag)
    _git("push", "origin", tag, identity_file=identity_file)


def bump_minor(version: str) -> str:
    """Return the next minor version, without the numbers behind it: ``v1.2.3`` -> ``v1.3``.

    :raises ValueError: for a text without a number.
    """
    found = re.fullmatch(r"(\D*)(\d+)(?:\.(\d+))?.*", version)
    if found is None:
        raise ValueError(f"not a valid version: {version!r}")
    prefix, major, minor = found.groups()
    return f"{prefix}{major}.{int(minor or 0) + 1}"


def _git(*arguments: str, identity_file: str | None = None) -> str:
    ssh = {"GIT_SSH_COMMAND": f"ssh -i {identity_file} -o IdentitiesOnly=yes"}
    return run_process(
        ["git", *arguments], verbose=False, env={**os.environ, **(ssh if identity_file else {})}
    )
