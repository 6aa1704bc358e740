"""The sources of a version, in their order.

The modules that run git are imported when a source needs them. Outside a repository none does.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version.archival import NotFilledInError, from_archival, from_pkg_info
from bigflow_backend.version.git import has_repository
from bigflow_backend.version.model import ProjectVersion
from bigflow_backend.version.scheme import Version, parse


def project_version(
    root: Path,
    *,
    distribution: str,
    static: tuple[str, str] | None,
    tag_prefix: str,
    paths: tuple[str, ...] = (),
    revision: str | None = None,
    keep_static: bool = False,
) -> ProjectVersion:
    """Return the version of the project in ``root``. Wheel, image and DAGs all have it.

    ``distribution`` is the project's name. ``static`` is the version in its files, and the place.
    Only commits that touch ``paths`` count; without any, all do.
    The sources, in this order: ``BIGFLOW_VERSION``, ``SETUPTOOLS_SCM_PRETEND_VERSION_FOR_<NAME>``,
    ``SETUPTOOLS_SCM_PRETEND_VERSION``, the static version, PKG-INFO, git, ``.git_archival.txt``.
    It takes at most six git processes, and four for each submodule.

    A static version gets a local part unless this content owns it (``static``). With
    ``keep_static`` a note says so instead, because PEP 621 forbids a hook another version.

    With ``revision``, return the version of that commit in git. The variables and the work tree
    do not count then, because they describe the current build.

    :raises UserError: if no source has a valid version, or two sources contradict each other.
    """
    root = root.resolve()
    if revision is not None:
        if static is not None:
            raise UserError(
                f"the version of {revision!r} is not in git: it is set by {static[1]}",
                hint="print the file of that commit: git show REVISION:./FILE",
            )
        from bigflow_backend.version.history import from_git

        return from_git(root, tag_prefix, paths, revision)
    stated = from_outside_git(root, distribution=distribution, static=static)
    if stated is None:
        return _from_git(root, tag_prefix, paths)
    if not has_repository(root):
        return stated
    if static is None or stated.source != static[1]:
        # A hook only needs the version.
        return stated if keep_static else _with_commit(root, stated, paths)
    found = _kept if keep_static else _as_one_content
    return found(root, stated, static[0], tag_prefix, paths)


def _from_git(root: Path, tag_prefix: str, paths: tuple[str, ...]) -> ProjectVersion:
    """Return the version from git, else from ``.git_archival.txt``."""
    from bigflow_backend.version.history import from_git
    from bigflow_backend.version.repository import OutsideGitError

    try:
        return from_git(root, tag_prefix, paths)
    except OutsideGitError as outside:
        try:
            archived = from_archival(root, tag_prefix)
        except NotFilledInError:
            if (root / ".git").exists():  # a new repository, not the result of `git archive`
                raise outside from None
            raise
        if archived is None:
            raise
        return archived


def _with_commit(root: Path, stated: ProjectVersion, paths: tuple[str, ...]) -> ProjectVersion:
    from bigflow_backend.version.history import commit_of

    return replace(stated, commit=commit_of(root, paths))


def _as_one_content(
    root: Path, stated: ProjectVersion, text: str, tag_prefix: str, paths: tuple[str, ...]
) -> ProjectVersion:
    from bigflow_backend.version.static import as_one_content

    return as_one_content(root, stated, text, tag_prefix=tag_prefix, paths=paths)


def from_outside_git(
    root: Path, *, distribution: str, static: tuple[str, str] | None
) -> ProjectVersion | None:
    """Return the version of a variable, the project's files or PKG-INFO, or None.

    These sources take precedence over git.

    :raises UserError: if the version is not valid, or a variable differs from ``version`` in
        ``[project]`` by more than a local part. PEP 621 forbids tools to change that field.
    """
    override = _override(distribution)
    fixed = static and _stated(*static)
    if override is None:
        return fixed or from_pkg_info(root, distribution)
    if fixed and "[project]" in fixed.source:
        if Version(override.text) == Version(fixed.text):
            return replace(fixed, source=override.source)
        if Version(override.text).public == Version(fixed.text).public:
            return override  # `bigflow build` gives other contents a local part
        raise UserError(
            f"{override.source} is {override.text}, but {fixed.source} is {fixed.text}",
            hint=f"unset {override.source}, or write in pyproject.toml, in place of the version:"
            ' dynamic = ["version"]',
        )
    return override


def _kept(
    root: Path, stated: ProjectVersion, text: str, tag_prefix: str, paths: tuple[str, ...]
) -> ProjectVersion:
    """Return the static version as it is, with a note if other contents have it, too."""
    try:
        found = _as_one_content(root, stated, text, tag_prefix, paths)
    except UserError as error:
        return replace(stated, notes=(error.message,))
    if found.text == stated.text:
        return found
    note = (
        f"other contents have the version {stated}, too: this is {found};"
        " `bigflow build` gives the wheel that version"
    )
    return replace(found, text=stated.text, source=stated.source, notes=(note,))


def _override(distribution: str) -> ProjectVersion | None:
    own = re.sub(r"[-_.]+", "_", distribution).upper()
    for variable in (
        "BIGFLOW_VERSION",
        # CI jobs and packagers may already set these names:
        # https://setuptools-scm.readthedocs.io/en/latest/overrides/
        f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{own}",
        "SETUPTOOLS_SCM_PRETEND_VERSION",
    ):
        text = os.environ.get(variable)
        if text:
            return _stated(text, variable)
    return None


def _stated(text: str, source: str) -> ProjectVersion:
    version = parse(text)
    if version is None:
        raise UserError(
            f"{source} is not a valid version (PEP 440): got {text!r}",
            hint="write a version such as 1.2.0, 1.2.0rc1 or 1.2.0+local",
        )
    return ProjectVersion(text=str(version), source=source, commit=None)
