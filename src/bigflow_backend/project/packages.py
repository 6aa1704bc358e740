"""The top-level packages of a project: its main package, the others, and those left out."""

from __future__ import annotations

import contextlib
import keyword
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.settings.places import naming, place_of

if TYPE_CHECKING:
    from bigflow_backend.project.legacy import Statement
    from bigflow_backend.project.settings import Settings
    from bigflow_backend.project.setup_script import SetupScript

_TESTS = "test"
_NEVER_MAIN = "tests"
"""A usual name of a second directory of tests."""


def project_packages(
    root: Path,
    source: Path,
    *,
    script: SetupScript | None,
    settings: Settings,
    statements: Mapping[str, Statement],
    name: str | None,
    is_legacy: bool,
) -> tuple[str, ...]:
    """Return the top-level packages of the distribution ``name``, the main package first.

    :raises UserError: if the main package is not known, or a package does not exist.
    """
    there = packages_in(source)
    if settings.packages:
        stated = settings.packages
    elif is_legacy:
        stated = _top_level(statements.get("packages")) or there
    else:
        stated = ()
    named = _named(script, settings, statements, there, is_legacy=is_legacy)
    main = named or _unnamed(settings.packages, stated, there, name)
    found = (main, *(p for p in stated if p != main))
    for package in found:
        keys = {"package": (settings.package,), "packages": settings.packages}
        key = next((key for key, names in keys.items() if package in names), None)
        with naming(key) if key else contextlib.nullcontext():
            _check_package(root, source, package, there)
    return found


def _top_level(packages: Statement | None) -> tuple[str, ...]:
    """Return the top-level packages in a list that has the packages below them, too.

    :raises UserError: if it is not a list.
    """
    if packages is None:
        return ()
    if not isinstance(packages.value, (list, tuple)):
        raise UserError(
            f"{packages.place} must be a list of strings: got {packages.value!r}",
            hint='write the packages, such as packages = ["project_package"]',
        )
    return tuple(dict.fromkeys(str(name).partition(".")[0] for name in packages.value))


def packages_in(source: Path) -> tuple[str, ...]:
    """Return the packages in a directory, sorted, without the project's tests."""
    found = (path.parent.name for path in source.glob("*/__init__.py"))
    usable = (n for n in found if n.isidentifier() and not keyword.iskeyword(n))
    return tuple(sorted(n for n in usable if n != _TESTS))


def left_out_packages(source: Path, packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages beside ``packages``."""
    return tuple(p for p in packages_in(source) if p not in packages)


def _named(
    script: SetupScript | None,
    settings: Settings,
    statements: Mapping[str, Statement],
    there: tuple[str, ...],
    *,
    is_legacy: bool,
) -> str | None:
    """Return the main package that the project names, if it names one."""
    named = {}
    if settings.package:
        named[place_of("package")] = settings.package
    root_package = statements.get("root_package")
    if root_package is not None:
        named[root_package.place] = Path(str(root_package.value)).name
    project_name = script.project_name if script is not None else None
    # In BigFlow 1.x it is the name of the distribution.
    if script is not None and project_name and (project_name in there or not (named or is_legacy)):
        named = {f"PROJECT_NAME in {script.path.name}": project_name, **named}
    if len(set(named.values())) > 1:
        both = ", ".join(f"{name!r} by {place}" for place, name in named.items())
        raise UserError(f"the main package is named twice: {both}", hint="keep one of the two")
    return next(iter(named.values()), None)


def _unnamed(
    listed: tuple[str, ...],
    stated: tuple[str, ...],
    there: tuple[str, ...],
    name: str | None,
) -> str:
    """Return the main package of a project that does not name it."""
    if listed:
        return listed[0]
    alike = name.replace("-", "_").replace(".", "_") if name else ""
    if alike in there:
        return alike
    candidates = [p for p in stated or there if p != _NEVER_MAIN]
    if len(candidates) == 1 or (candidates and stated):
        return candidates[0]
    if alike:
        return alike
    names = ", ".join(there) or "none; create one with an __init__.py"
    raise UserError(
        "the main package is not named",
        hint=f'write PROJECT_NAME = "..." into project_setup.py; the packages are: {names}',
    )


def _check_package(root: Path, source: Path, package: str, there: tuple[str, ...]) -> None:
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UserError(
            f"{package!r} is not a valid name of a top-level package",
            hint="write the name of the directory with __init__.py, such as project_package",
        )
    if has_file(source / package / "__init__.py"):
        return
    if (root / "src" / package / "__init__.py").is_file():
        raise UserError(
            f"the package {package!r} is in src/, and pyproject.toml does not say so",
            hint='write source-directory = "src" into [tool.bigflow]',
        )
    if (source / package).is_dir():
        raise UserError(
            f"the package {package}/ has no __init__.py",
            hint=f"create {(source / package / '__init__.py').relative_to(root)}; it may be empty",
        )
    listed = ", ".join(there) or "none; create one with an __init__.py"
    write = f'; write package = "{there[0]}" into [tool.bigflow] of pyproject.toml' if there else ""
    raise UserError(
        f"{source} has no package {package!r}", hint=f"its packages are: {listed}{write}"
    )
