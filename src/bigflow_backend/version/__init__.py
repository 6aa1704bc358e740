"""git -> PEP 440: the version of a project. See docs/reference/versions.md.

- ``model``: ``ProjectVersion``, and its forms for image tags and DAG ids
- ``scheme``: arithmetic of PEP 440
- ``git``: git processes
- ``filters``: the filters of a repository's own configuration, which do not run
- ``repository``: commit, tags and distance
- ``worktree``: changed and untracked files
- ``touched``: the paths that count, ``version.paths``
- ``changed``: the files that differ from another commit
- ``static``: the local part of a version that a file states
- ``archival``: the versions in ``PKG-INFO`` and ``.git_archival.txt``
- ``history``: the version of a work tree or a revision
- ``sources``: the order of all sources
- ``release``: the next tag
"""

from bigflow_backend.version.model import ProjectVersion
from bigflow_backend.version.sources import project_version

__all__ = [
    "ProjectVersion",
    "project_version",
]
