"""Checks that a fact has one place: ``setup()``, ``[project]``, setup.cfg or requirements.txt.

https://packaging.python.org/en/latest/specifications/pyproject-toml/#declaring-project-metadata-the-project-table
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.limits import PROJECT_FILE
from bigflow_backend.project.pyproject import metadata_files
from bigflow_backend.project.requirements import ours

if TYPE_CHECKING:
    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.project.requirements import Requirements

_LAYOUT = {
    "data_files": "move the files to resources/",
    "package_data": "move the files to resources/",
    "include_package_data": "move the files to resources/",
    "py_modules": "move the modules into the package",
    "package_dir": "write the directory into [tool.bigflow] source-directory",
    "packages": "write the top-level packages into [tool.bigflow] packages",
}
"""Keywords of setup() that would add other files to the wheel, and what to do instead."""

_FIELDS = {
    "description": "description",
    "long_description": "readme",
    "python_requires": "requires-python",
    "license": "license",
    "license_expression": "license",
    "license_files": "license-files",
    "author": "authors",
    "author_email": "authors",
    "maintainer": "maintainers",
    "maintainer_email": "maintainers",
    "keywords": "keywords",
    "classifiers": "classifiers",
    "url": "urls",
    "project_urls": "urls",
    "entry_points": "entry-points",
    "extras_require": "optional-dependencies",
}
"""The field of [project] for a keyword of setup(); except name, version and the dependencies."""


def check_keywords(
    project: Project, keywords: Mapping[str, Any], requirements: Requirements
) -> None:
    """Check the keywords of ``setup()`` against the other files of the project.

    :raises UserError: if two places state a fact, if [project] makes a keyword void, or if a
        keyword is not for the layout of BigFlow projects.
    """
    table = project.pyproject.get("project")
    script = project.setup_script.name if project.setup_script else "pyproject.toml"
    has_file(project.root / "setup.cfg", PROJECT_FILE)
    for name, advice in _LAYOUT.items():
        if keywords.get(name):
            raise UserError(f"setup() must not pass {name}: the layout is fixed", hint=advice)
    for name in metadata_files(project.pyproject):
        if not has_file(project.root / name, PROJECT_FILE):
            raise UserError(
                f"pyproject.toml takes metadata from {name}, which does not exist",
                hint="create the file or remove the entry",
            )
    _check_version(project, keywords, script)
    if table is not None:
        _check_name(table, keywords, script)
        if "version" not in table and "version" not in table.get("dynamic", []):
            raise UserError(
                "pyproject.toml: [project] has no version, and does not list it as dynamic",
                hint='write dynamic = ["version"] into it; the version then comes from git',
            )
        for keyword, field in _FIELDS.items():
            if keywords.get(keyword):
                _check_field(table, field, f"{keyword} in {script}")
    _check_dependencies(project, keywords, requirements, script)


def _check_name(table: Mapping[str, Any], keywords: Mapping[str, Any], script: str) -> None:
    from packaging.utils import canonicalize_name

    passed, stated = keywords.get("name"), table.get("name")
    if passed and stated and canonicalize_name(str(passed)) != canonicalize_name(str(stated)):
        raise UserError(
            f"the name is {passed!r} by name in {script}, and {stated!r} by [project] name in "
            "pyproject.toml",
            hint="keep one of the two",
        )


def _check_version(project: Project, keywords: Mapping[str, Any], script: str) -> None:
    passed, static = keywords.get("version"), project.static_version
    if passed is None or static is None or str(passed) == static[0]:
        return
    raise UserError(
        f"the version is {str(passed)!r} by version in {script}, and {static[0]!r} by {static[1]}",
        hint="keep one of the two",
    )


def _check_field(table: Mapping[str, Any], field: str, place: str) -> None:
    if field in table:
        raise UserError(
            f"{field} is stated twice: by {place}, and by [project] {field} in pyproject.toml",
            hint="keep the one in pyproject.toml",
        )
    if field not in table.get("dynamic", []):
        raise UserError(
            f"{place} has no effect: [project] in pyproject.toml neither has {field} nor lists it "
            "as dynamic",
            hint=f'move it to [project] {field}, or add "{field}" to dynamic',
        )


def _check_dependencies(
    project: Project, keywords: Mapping[str, Any], requirements: Requirements, script: str
) -> None:
    file = f"resources/{project.requirements.name}"
    passed = keywords.get("install_requires")
    if isinstance(passed, str):
        passed = passed.splitlines()
    if passed and not project.requirements.is_file():
        raise UserError(
            f"{script} passes install_requires, and {file} does not exist",
            hint=f"write the dependencies into {file}, which the image uses, too",
        )
    if passed:
        _check_same(passed, requirements, f"{script} and {file}")


def check_configuration(
    project: Project,
    distribution: Distribution,
    packages: Iterable[str],
    requirements: Requirements,
) -> None:
    """Check what setup.cfg and [tool.setuptools] in pyproject.toml set.

    :raises UserError: if they set another name, version or dependencies than the project's, or
        would add other files to the wheel than those of the layout.
    """
    metadata = distribution.get_option_dict("metadata")  # of setup.cfg
    # A static version can have got a local part.
    static = project.static_version
    version = static[0] if static is not None else project.version.text
    for key, projects in (("name", project.name), ("version", version)):
        _, value = metadata.get(key, (None, projects))
        if value != projects:
            raise UserError(
                f"the {key} is {value!r} by setup.cfg [metadata], and {projects!r} otherwise",
                hint=f"remove {key} from setup.cfg",
            )
    found: Any = distribution
    if project.requirements.is_file():
        _, lines = distribution.get_option_dict("options").get("install_requires", (None, ""))
        stated = [*(found.install_requires or ()), *(s.strip() for s in lines.splitlines())]
        places = f"[project], setup.cfg and resources/{project.requirements.name}"
        _check_same(filter(None, stated), requirements, places)
    source = project.source.relative_to(project.root).as_posix()
    changed = {
        "package_dir": (found.package_dir or {}) != ({} if source == "." else {"": source}),
        "packages": sorted(found.packages or ()) != sorted(packages),
        "package_data": bool(found.package_data),
        "data_files": bool(found.data_files),
        "py_modules": bool(found.py_modules),
    }
    for name, is_changed in changed.items():
        if is_changed:
            raise UserError(
                f"setup.cfg or [tool.setuptools] in pyproject.toml must not set {name}: the layout "
                "is fixed",
                hint=_LAYOUT[name],
            )


def _check_same(stated: Iterable[str], requirements: Requirements, places: str) -> None:
    odd = sorted(set(map(_normalised, stated)) ^ set(requirements.specifiers))
    if odd:
        raise UserError(
            f"{places} state different dependencies: only one of them has {', '.join(odd)}",
            hint="keep resources/requirements.txt, and list dependencies as dynamic in [project]",
        )


def _normalised(requirement: object) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return str(Requirement(ours(str(requirement))))
    except InvalidRequirement:
        return str(requirement)
