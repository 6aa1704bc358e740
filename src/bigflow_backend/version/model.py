"""A version, and its forms for image tags and DAG ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import WorkTree

HASH_DIGITS = 12
"""Digits of a hash in a version: unique in any repository, and readable."""

SET_VERSION = "set BIGFLOW_VERSION to the version, for example 1.2.0"
"""The end of each hint for a version that cannot be read."""

_LONGEST_IMAGE_TAG = 128
"""https://github.com/distribution/reference/blob/main/regexp.go"""


@dataclass(frozen=True)
class ProjectVersion:
    """A version and its source.

    :raises UserError: if it is longer than an image tag can be.
    """

    text: str
    """The version, normalised by PEP 440."""
    source: str
    """The source in words: ``git tag v1.2.0``, ``BIGFLOW_VERSION``, ..."""
    commit: str | None
    """The full hash of the commit, if the version comes from git."""
    notes: tuple[str, ...] = ()
    """Warnings for the user, a line each."""
    work_tree: WorkTree | None = field(default=None, compare=False, repr=False)
    """The work tree that git read for this version. Later steps use it without another process."""

    def __post_init__(self) -> None:
        if len(self.text) > _LONGEST_IMAGE_TAG:
            raise UserError(
                f"{self.source}: the version {self.text} has {len(self.text)} characters,"
                f" but an image tag has at most {_LONGEST_IMAGE_TAG}",
                hint="set a shorter version",
            )

    def __str__(self) -> str:
        return self.text

    @property
    def image_tag(self) -> str:
        """The tag of the image. A tag cannot contain ``+``, nor the ``!`` of an epoch."""
        return self.text.replace("+", "-").replace("!", "_")

    @property
    def identifier(self) -> str:
        """The version in a DAG id: only letters, digits and ``_``."""
        return self.image_tag.replace(".", "_").replace("-", "_")
