"""What ``setup()``, ``[project]`` and requirements.txt say twice must be the same.

https://packaging.python.org/en/latest/specifications/pyproject-toml/#declaring-project-metadata-the-project-table
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any, TypeGuard

from bigflow_backend.ground.errors import UserError
from bigflow_backend.wheel.metadata import referenced_files

if TYPE_CHECKING:
    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.project.requirements import Requirements

LAYOUT = {
    "data_files": "move the files to resources/",
    "package_data": "move the files to resources/",
    "include_package_data": "move the files to resources/",
    "py_modules": "move the modules into the package",
    "package_dir": "name the directory in [tool.bigflow] source-directory",
    "packages": "name the top-level packages in [tool.bigflow] packages",
}
"""Keywords of setup() that would put other files into the wheel than the layout says; and what to
do instead."""

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
"""Keyword of setup() -> field of [project]; ``name``, ``version`` and the dependencies apart."""


def check_agreement(
    project: Project, keywords: Mapping[str, Any], requirements: Requirements
) -> None:
    """
    :raises UserError: for what two places say differently, naming both, and for a keyword of
        setup() that [project] makes void.
    """
    table = project.pyproject.get("project")
    for name, advice in LAYOUT.items():
        if keywords.get(name):
            raise UserError(f"setup() passes {name}, which is not the layout's", hint=advice)
    script = project.setup_script.path.name if project.setup_script else "project_setup.py"
    for name in referenced_files(project.pyproject):
        if not (project.root / name).is_file():
            raise UserError(
                f"pyproject.toml takes metadata from {name}, and there is no such file",
                hint="create it, or remove the entry",
            )
    _check_version(project, keywords, script)
    if table is not None:
        _check_name(table, keywords, script)
        _check_version_is_there(table)
        for keyword in _FIELDS:
            if keywords.get(keyword):
                _check_field(project, keyword, keywords[keyword], script)
    _check_dependencies(project, keywords, requirements, script)


def without_restated(project: Project, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords without those that [project] says, too: setuptools warns of overwriting them."""
    table = project.pyproject.get("project", {})
    return {name: value for name, value in keywords.items() if _FIELDS.get(name) not in table}


def _check_name(table: Mapping[str, Any], keywords: Mapping[str, Any], script: str) -> None:
    from packaging.utils import canonicalize_name

    ours, theirs = keywords.get("name"), table.get("name")
    if ours and theirs and canonicalize_name(str(ours)) != canonicalize_name(str(theirs)):
        raise _differ("the name", repr(ours), f"name in {script}", repr(theirs), "name")


def _check_version(project: Project, keywords: Mapping[str, Any], script: str) -> None:
    from packaging.version import InvalidVersion, Version

    passed, static = keywords.get("version"), project.static_version
    if passed is None or static is None:
        return
    try:
        same = Version(str(passed)) == Version(static[0])
    except InvalidVersion:
        same = str(passed) == static[0]
    if not same:
        raise UserError(
            f"the version is {str(passed)!r} by version in {script}, and {static[0]!r} by "
            f"{static[1]}",
            hint="keep one of the two",
        )


def _check_version_is_there(table: Mapping[str, Any]) -> None:
    if "version" not in table and "version" not in table.get("dynamic", []):
        raise UserError(
            "pyproject.toml: [project] has neither a version nor a dynamic one",
            hint='write dynamic = ["version"] there, and git gives it',
        )


def _check_field(project: Project, keyword: str, value: object, script: str) -> None:
    table, field = project.pyproject["project"], _FIELDS[keyword]
    place = f"{keyword} in {script}"
    if field in table:
        if not _same(project, keyword, value, table[field]):
            raise _differ(f"the {field}", repr(value), place, repr(table[field]), field)
    elif field not in table.get("dynamic", []):
        raise UserError(
            f"{place} has no effect: [project] in pyproject.toml neither states {field} nor lists "
            "it as dynamic",
            hint=f'move it to [project] {field}, or add "{field}" to dynamic',
        )


def _same(project: Project, keyword: str, value: Any, stated: Any) -> bool:
    """Whether a keyword of setup() says what the field of [project] says, each in its own form."""
    ours, theirs = value, stated
    match keyword, stated:
        case "author" | "maintainer", list():
            theirs = ", ".join(_each(stated, "name"))
        case "author_email" | "maintainer_email", list():
            ours = [address for _, address in getaddresses([str(value)])]
            theirs = _each(stated, "email")
        case "long_description", str() | {"file": str()}:
            file = project.root / (stated if isinstance(stated, str) else stated["file"])
            ours, theirs = str(value).strip(), file.read_text("utf-8").strip()
        case "license", {"text": str(text)}:
            theirs = text
        case "url", dict():
            ours, theirs = True, value in stated.values()
        case "extras_require", dict():
            ours = {extra: _normalised(some) for extra, some in dict(value).items()}
            theirs = {extra: _normalised(some) for extra, some in stated.items()}
        case "python_requires", str():
            ours, theirs = (text.replace(" ", "").split(",") for text in (str(value), stated))
    return _comparable(ours) == _comparable(theirs)


def _each(people: list[Any], key: str) -> list[str]:
    return [str(p[key]) for p in people if isinstance(p, dict) and key in p]


def _comparable(value: object) -> object:
    return sorted(map(str, value)) if isinstance(value, (list, tuple)) else value


def _check_dependencies(
    project: Project, keywords: Mapping[str, Any], requirements: Requirements, script: str
) -> None:
    file = f"resources/{project.requirements.name}"
    exists = project.requirements.is_file()
    stated = project.pyproject.get("project", {}).get("dependencies")
    passed = keywords.get("install_requires")
    if isinstance(passed, str):
        passed = passed.splitlines()
    # What is no list of strings, setuptools refuses by its key.
    if _is_strings(stated) and exists:
        _check_same(stated, requirements.specifiers, "dependencies", f"[project] and {file}")
    if passed and exists:
        _check_same(passed, requirements.specifiers, "dependencies", f"{script} and {file}")
    if passed and not exists:
        raise UserError(
            f"{script} passes install_requires, and there is no {file}",
            hint=f"write the dependencies into {file}, where the image finds them, too",
        )


def _is_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def check_configuration(
    project: Project,
    distribution: Distribution,
    packages: Iterable[str],
    requirements: Requirements,
) -> None:
    """Checks what setup.cfg and [tool.setuptools] of pyproject.toml made of the distribution.

    :raises UserError: for another name, version or dependencies than the project's, and for what
        would put other files into the wheel than the layout says.
    """
    metadata = distribution.get_option_dict("metadata")  # setup.cfg; `name = x` and the like
    for key, ours in (("name", project.name), ("version", project.version.text)):
        _, said = metadata.get(key, (None, ours))
        if said != ours:
            raise UserError(
                f"the {key} is {said!r} by setup.cfg [metadata], and {ours!r} otherwise",
                hint=f"remove {key} from setup.cfg",
            )
    passed: Any = distribution
    _, lines = distribution.get_option_dict("options").get("install_requires", (None, ""))
    stated = [*(passed.install_requires or ()), *(s.strip() for s in lines.splitlines())]
    if project.requirements.is_file():
        places = f"[project], setup.cfg and resources/{project.requirements.name}"
        _check_same(filter(None, stated), requirements.specifiers, "dependencies", places)
    source = project.source.relative_to(project.root).as_posix()
    found = {
        "package_dir": (passed.package_dir or {}) != ({} if source == "." else {"": source}),
        "packages": sorted(passed.packages or ()) != sorted(packages),
        "package_data": bool(passed.package_data),
        "data_files": bool(passed.data_files),
        "py_modules": bool(passed.py_modules),
    }
    for name, differs in found.items():
        if differs:
            raise UserError(
                f"setup.cfg or [tool.setuptools] in pyproject.toml sets {name}, which is not the "
                "layout's",
                hint=LAYOUT[name],
            )


def _check_same(ours: Iterable[str], theirs: Iterable[str], what: str, places: str) -> None:
    odd = sorted(_normalised(ours) ^ _normalised(theirs))
    if odd:
        raise UserError(
            f"{places} state the {what} differently: only one of them has {', '.join(odd)}",
            hint="keep resources/requirements.txt, and list dependencies as dynamic in [project]",
        )


def _normalised(requirements: Iterable[str]) -> set[str]:
    return {_normal_form(str(text)) for text in requirements}


def _normal_form(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return str(Requirement(text))
    except InvalidRequirement:
        return text


def _differ(what: str, ours: str, place: str, theirs: str, field: str) -> UserError:
    return UserError(
        f"{what} is {ours} by {place}, and {theirs} by [project] {field} in pyproject.toml",
        hint="keep one of the two",
    )
