"""Project -> wheel, editable wheel and metadata, for the hooks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import replaced_file
from bigflow_backend.project.members import local_projects
from bigflow_backend.version import untracked
from bigflow_backend.wheel.bill import bill_members
from bigflow_backend.wheel.config_settings import ConfigSettings
from bigflow_backend.wheel.content import check_syntax, project_content
from bigflow_backend.wheel.distribution import load_distribution, reported_failures
from bigflow_backend.wheel.imports import check_imports
from bigflow_backend.wheel.metadata import metadata_members, write_metadata
from bigflow_backend.wheel.writer import WheelWriter, normalise

if TYPE_CHECKING:
    from setuptools import Distribution
    from setuptools.command.bdist_wheel import bdist_wheel

    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content
    from bigflow_backend.wheel.distribution import Loaded

_NO_SETTINGS = ConfigSettings()


def build_wheel(project: Project, directory: Path, settings: ConfigSettings = _NO_SETTINGS) -> Path:
    """Build the project's wheel in ``directory`` and return its path.

    The current directory must be the project's. Nothing else is written.

    :raises UserError: if the project has an error. Then there is no wheel.
    """
    epoch = source_date_epoch()
    content = project_content(project)
    check_syntax(content.modules)
    check_imports(project, content.modules)
    loaded = load(project, content, settings)
    with scratch_directory() as temporary:
        if loaded.needs_setuptools:
            return _build_with_setuptools(project, loaded, temporary, directory, epoch)
        return _build_in_one_pass(project, loaded, temporary, directory, epoch)


def build_editable(
    project: Project, directory: Path, settings: ConfigSettings = _NO_SETTINGS
) -> str:
    """Build the editable wheel in ``directory`` and return its file name.

    In strict mode Python imports from links in ``build/``, which stay there. Nothing else is
    written into the project.
    """
    loaded = load(project, project_content(project), settings)
    distribution = loaded.distribution
    with scratch_directory() as temporary:
        distribution.get_command_obj("egg_info").egg_base = str(temporary)
        command: Any = distribution.get_command_obj("editable_wheel")
        command.dist_dir = str(temporary)
        command.mode = settings.editable_mode
        with reported_failures(project, "the editable wheel"):
            command.ensure_finalized()
            command.run()
        (built,) = temporary.glob("*.whl")
        target = directory / built.name
        target.write_bytes(built.read_bytes())
    return target.name


def prepare_metadata(
    project: Project,
    directory: Path,
    settings: ConfigSettings = _NO_SETTINGS,
    *,
    editable: bool = False,
) -> str:
    """Write the wheel's ``.dist-info`` into ``directory`` and return its name.

    That of an editable wheel has no bill of materials.
    """
    loaded = load(project, project_content(project), settings)
    with scratch_directory() as temporary:
        written = write_metadata(loaded.distribution, temporary)
        target = directory / written.name
        target.mkdir(exist_ok=True)
        bill = [] if editable else bill_members(project, temporary, written.name)
        for member in (*metadata_members(written), *bill):
            file = directory / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(member.read())
    return target.name


def load(project: Project, content: Content, settings: ConfigSettings) -> Loaded:
    """Return the distribution with the options of the frontend, and print warnings."""
    from setuptools.errors import BaseError

    loaded = load_distribution(project, content)
    for text in _warnings(project, loaded, content):
        warnings.warn(text, BigflowWarning, stacklevel=2)
    distribution = loaded.distribution
    distribution.script_name = "project_setup.py"
    distribution.script_args = [
        *settings.global_options,
        "bdist_wheel",
        *settings.build_options,
    ]
    try:
        distribution.parse_command_line()  # type: ignore[no-untyped-call]
    except (BaseError, SystemExit) as error:
        raise UserError(
            f"setuptools refuses the build options: {error}",
            hint="pass options of bdist_wheel, such as -C--build-option=--python-tag=py3",
        ) from error
    return loaded


def _warnings(project: Project, loaded: Loaded, content: Content) -> list[str]:
    found = [*project.notes, *project.version.notes, *loaded.requirements.warnings]
    local = local_projects(project.root, project.pyproject)
    found += [
        f"{line.where}: {line.name} is a file of this machine; the wheel cannot be installed on"
        " another machine"
        for line in loaded.requirements.lines
        if line.is_local and line.name not in local
    ]
    distribution: Any = loaded.distribution
    stated = distribution.install_requires or "dependencies" in project.pyproject.get("project", {})
    if not stated and not project.requirements.is_file():
        found.append("resources/requirements.txt does not exist: the wheel has no dependencies")
    extensions = distribution.ext_modules or ()
    sources = {os.path.normpath(s) for e in extensions for s in (*e.sources, *e.depends)}
    # An editable install has built extension modules beside their sources, for any Python.
    source = os.path.relpath(project.source, project.root)
    built = tuple(os.path.normpath(f"{source}/{e.name.replace('.', '/')}.") for e in extensions)
    left_out = [n for n in content.left_out if n not in sources and not n.startswith(built)]
    if left_out:
        found.append(
            "not in the wheel, which has only Python files and resources/: "
            f"{_enumerated(left_out)}; move them to resources/"
        )
    untracked_files = untracked(
        project.root, [Path(m.path) for m in content.members], known=project.version.work_tree
    )
    if untracked_files:
        names = [os.path.relpath(path, project.root) for path in untracked_files]
        found.append(
            f"git does not track these packaged files, so the version {project.version} does not "
            f"describe them: {_enumerated(names)}"
        )
    return found


def _enumerated(names: Sequence[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _build_in_one_pass(
    project: Project, loaded: Loaded, temporary: Path, directory: Path, epoch: int
) -> Path:
    """Write the wheel from the project's files, without a ``build/`` that may have old files."""
    dist_info = write_metadata(loaded.distribution, temporary)
    command = _bdist_wheel(loaded.distribution, temporary)
    command.write_wheelfile(str(dist_info))
    target = directory / f"{_file_stem(command)}.whl"
    with (
        replaced_file(target) as new,
        WheelWriter(new, dist_info.name, epoch, stored=command.compression == "stored") as writer,
    ):
        writer.add(loaded.content.members)
        writer.add(metadata_members(dist_info))
        writer.add(bill_members(project, temporary, dist_info.name))
    return target


def _build_with_setuptools(
    project: Project, loaded: Loaded, temporary: Path, directory: Path, epoch: int
) -> Path:
    """Run setuptools' ``bdist_wheel`` in a temporary directory, and normalise its wheel."""
    distribution = loaded.distribution
    distribution.get_command_obj("build").build_base = str(temporary / "build")
    distribution.get_command_obj("egg_info").egg_base = str(temporary)
    with reported_failures(project, "the wheel"):
        command = _bdist_wheel(distribution, temporary)
        distribution.run_command("bdist_wheel")
    target = directory / f"{_file_stem(command)}.whl"
    with replaced_file(target) as new:
        dist_info = f"{command.wheel_dist_name}.dist-info"
        more = bill_members(project, temporary, dist_info)
        normalise(temporary / "dist" / target.name, new, epoch, more)
    return target


def _bdist_wheel(distribution: Distribution, temporary: Path) -> bdist_wheel:
    command = distribution.get_command_obj("bdist_wheel")
    command.bdist_dir = str(temporary / "bdist")
    command.dist_dir = str(temporary / "dist")
    command.ensure_finalized()
    return command


def _file_stem(command: bdist_wheel) -> str:
    return "-".join((command.wheel_dist_name, *command.get_tag()))
