"""A version, and the forms of it that images and DAGs take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.version.worktree import WorkTree

HASH_DIGITS = 12
"""How much of a hash a version shows: enough for any repository, short enough to read."""

_LONGEST_IMAGE_TAG = 128
"""https://github.com/distribution/reference/blob/main/regexp.go"""


@dataclass(frozen=True)
class ProjectVersion:
    """A version and where it comes from.

    :raises UserError: when it is longer than an image's tag may be.
    """

    text: str
    """The version, normalised as PEP 440 says."""
    source: str
    """What gave it, in words: ``git tag v1.2.0``, ``BIGFLOW_VERSION``, ..."""
    commit: str | None
    """The full hash of the commit it was made from, where git gave it."""
    notes: tuple[str, ...] = ()
    """What the user should know of it, a line each."""
    work_tree: WorkTree | None = field(default=None, compare=False, repr=False)
    """The work tree that git was asked of for it, so that it need not be asked again."""

    def __post_init__(self) -> None:
        if len(self.text) > _LONGEST_IMAGE_TAG:
            raise UserError(
                f"{self.source}: the version {self.text} is {len(self.text)} characters long,"
                f" an image's tag at most {_LONGEST_IMAGE_TAG}",
                hint="give a shorter version",
            )

    def __str__(self) -> str:
        return self.text

    @property
    def image_tag(self) -> str:
        """The tag of the image: neither ``+`` nor an epoch's ``!`` is allowed in one."""
        return self.text.replace("+", "-").replace("!", "_")

    @property
    def identifier(self) -> str:
        """The version's part of a DAG id: only letters, digits and ``_``."""
        return self.image_tag.replace(".", "_").replace("-", "_")
