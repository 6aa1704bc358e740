"""The version of a project: git -> PEP 440.

``scheme`` knows versions, ``git`` runs git, ``repository`` and ``worktree`` ask it, ``archive``
reads what copies carry, ``sources`` has the order in which they are asked; ``release``, which is
imported on its own, makes the next tag. All of it is described in docs/versioning.md.
"""

from bigflow_backend.version.model import ProjectVersion
from bigflow_backend.version.sources import project_version
from bigflow_backend.version.worktree import untracked

__all__ = [
    "ProjectVersion",
    "project_version",
    "untracked",
]
