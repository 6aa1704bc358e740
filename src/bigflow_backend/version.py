"""The version of a project: git -> PEP 440."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.settings import VersionSettings

__all__ = ["ProjectVersion", "project_version"]


@dataclass(frozen=True)
class ProjectVersion:
    """A version and where it comes from."""

    text: str
    """The version, normalised as PEP 440 says."""
    source: str
    """What gave it, in words: ``git tag v1.2.0``, ``BIGFLOW_VERSION``, ..."""
    commit: str | None
    """The full hash of the commit, where the project is in a git repository with one."""

    def __str__(self) -> str:
        return self.text

    @property
    def image_tag(self) -> str:
        """The tag of the image: ``+`` is not allowed in one and becomes ``-``."""
        return self.text.replace("+", "-")

    @property
    def identifier(self) -> str:
        """The version's part of a DAG id: only letters, digits and ``_``."""
        return self.image_tag.replace(".", "_").replace("-", "_")


def project_version(
    root: Path, *, distribution: str, static: tuple[str, str] | None, settings: VersionSettings
) -> ProjectVersion:
    """The version of the project in ``root``."""
    del distribution, settings
    if static is not None:
        return ProjectVersion(text=static[0], source=static[1], commit=None)
    out = subprocess.run(
        ["git", "describe", "--tags", "--always", "--long"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if out.returncode:
        raise UserError("no version", hint="set BIGFLOW_VERSION")
    return ProjectVersion(text=f"0.0.dev0+g{out.stdout.strip()}", source="git", commit=None)
