"""Project -> advice about its files, which a build prints as warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bigflow_backend.ground.files import has_file
from bigflow_backend.project.packages import left_out_packages
from bigflow_backend.project.requirements import (
    OURS,
    extras_of,
    is_bigflow,
    logical_lines,
    read_requirements,
    read_requirements_text,
)

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_MODERN = 'from bigflow_backend import setup; setup(name="...")'


def project_notes(project: Project) -> tuple[str, ...]:
    """Return sentences about old forms in the project's files, and about packages left out.

    :raises UserError: if the requirements are not valid.
    """
    return tuple(_notes(project))


def _notes(project: Project) -> Iterator[str]:
    script = project.setup_script
    if script is not None and project.is_legacy:
        yield (
            f"bigflow.build in {script.name} is deprecated and still works; the current form is: "
            f"{_MODERN}"
        )
    lines = list(_lines_for_ours(project))
    if lines:
        extras = _extras_of_bigflow(project)
        instead = f", and instead of its extras ({', '.join(extras)}) the libraries that you import"
        yield f"bigflow means {OURS} here: write {', and '.join(lines)}{instead if extras else ''}"
    if project.settings.version.paths:
        from bigflow_backend.project.changed import note_of_other_lock

        yield from filter(None, [note_of_other_lock(project)])
    left_out = left_out_packages(project.source, project.packages)
    if left_out:
        names = ", ".join(f"{name}/" for name in left_out)
        all_of_them = ", ".join(f'"{name}"' for name in (*project.packages, *left_out))
        yield (
            f"not in the wheel, and without DAGs: {names} beside {project.package}/; to add it, "
            f"write packages = [{all_of_them}] into [tool.bigflow] of pyproject.toml"
        )


def _lines_for_ours(project: Project) -> Iterator[str]:
    """Yield what to write, and where, for each requirement of ``bigflow``."""
    tables = {
        "[build-system] requires": project.pyproject.get("build-system", {}).get("requires"),
        "[project] dependencies": project.pyproject.get("project", {}).get("dependencies"),
    }
    for key, value in tables.items():
        if isinstance(value, list) and any(map(is_bigflow, value)):
            table, name = key.split()
            others = (f', "{item}"' for item in value if not is_bigflow(item))
            line = f'{name} = ["{OURS}"{"".join(others)}]'
            yield f"{line} into {table} of pyproject.toml"
    places = [*read_requirements(project.requirements).bigflow, *dict(_in_source(project))]
    if places:
        yield f"{OURS} into {project.requirements.parent.name}/{'; '.join(places)}"


def _extras_of_bigflow(project: Project) -> list[str]:
    stated = project.pyproject.get("project", {}).get("dependencies")
    lines = stated if isinstance(stated, list) else []
    extras = list(read_requirements(project.requirements).bigflow_extras)
    for line in (*filter(is_bigflow, lines), *dict(_in_source(project)).values()):
        extras += extras_of(str(line))
    return sorted(set(extras))


def _in_source(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the places in requirements.in that require ``bigflow``, and their lines."""
    source = project.requirements.with_suffix(".in")
    if has_file(source):
        for number, line in logical_lines(read_requirements_text(source)):
            if is_bigflow(line):
                yield f"{source.name}, line {number}", line
