"""Project -> wheel, editable wheel and metadata, for the hooks."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import replaced_file
from bigflow_backend.project.members import local_projects
from bigflow_backend.version.git import has_repository
from bigflow_backend.wheel.bill import bill_files
from bigflow_backend.wheel.config_settings import ConfigSettings
from bigflow_backend.wheel.content import check_syntax, project_content
from bigflow_backend.wheel.distribution import load_distribution, read_stated, reported_failures
from bigflow_backend.wheel.imports import check_imports
from bigflow_backend.wheel.metadata import metadata_files, write_metadata
from bigflow_backend.wheel.plain import plain_metadata
from bigflow_backend.wheel.writer import WheelWriter, normalise

if TYPE_CHECKING:
    from setuptools import Distribution
    from setuptools.command.bdist_wheel import bdist_wheel

    from bigflow_backend.project.project import Project
    from bigflow_backend.project.requirements import Requirements
    from bigflow_backend.wheel.content import Content
    from bigflow_backend.wheel.distribution import Loaded, Stated
    from bigflow_backend.wheel.plain import PlainMetadata

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
    stated = read_stated(project)
    plain = _plain(project, content, stated, settings)
    if plain is not None:
        target = directory / plain.wheel_name
        _write_wheel(
            content, plain.dist_info, {**plain.files, **bill_files(project)}, target, epoch
        )
        return target
    loaded = load(project, content, stated, settings)
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
    distribution = load(
        project, project_content(project), read_stated(project), settings
    ).distribution
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
    content = project_content(project)
    stated = read_stated(project)
    plain = _plain(project, content, stated, settings)
    if plain is not None:
        name, files = plain.dist_info, dict(plain.files)
        del files["WHEEL"]
    else:
        distribution = load(project, content, stated, settings).distribution
        with scratch_directory() as temporary:
            written = write_metadata(distribution, temporary)
            name, files = written.name, metadata_files(written)
    if not editable:
        files.update(bill_files(project))
    for file, data in files.items():
        path = directory / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return name


def _plain(
    project: Project, content: Content, stated: Stated, settings: ConfigSettings
) -> PlainMetadata | None:
    """Return the metadata of a plain project, and print warnings."""
    # A setup script that imports setuptools may have changed it, and has taken the time.
    if settings != _NO_SETTINGS or "setuptools" in sys.modules:
        return None
    plain = plain_metadata(project, content, stated)
    if plain is not None:
        _warn(project, content, stated.requirements)
    return plain


def load(project: Project, content: Content, stated: Stated, settings: ConfigSettings) -> Loaded:
    """Return the distribution with the options of the frontend, and print warnings."""
    from setuptools.errors import BaseError

    loaded = load_distribution(project, content, stated)
    distribution = loaded.distribution
    _warn(project, content, stated.requirements, distribution)
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


def _warn(
    project: Project,
    content: Content,
    requirements: Requirements,
    distribution: Distribution | None = None,
) -> None:
    for text in _warnings(project, content, requirements, distribution):
        warnings.warn(text, BigflowWarning, stacklevel=3)


def _warnings(
    project: Project, content: Content, requirements: Requirements, distribution: Any
) -> list[str]:
    found = [*project.notes, *project.version.notes, *requirements.warnings]
    local = local_projects(project.root, project.pyproject)
    found += [
        f"{line.where}: {line.name} is a file of this machine; the wheel cannot be installed on"
        " another machine"
        for line in requirements.lines
        if line.is_local and line.name not in local
    ]
    listed = getattr(distribution, "install_requires", requirements.specifiers)
    is_stated = listed or "dependencies" in project.pyproject.get("project", {})
    if not is_stated and not project.requirements.is_file():
        found.append("resources/requirements.txt does not exist: the wheel has no dependencies")
    extensions = getattr(distribution, "ext_modules", None) or ()
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
    untracked_files = _untracked(project, content)
    if untracked_files:
        names = [os.path.relpath(path, project.root) for path in untracked_files]
        found.append(
            f"git does not track these packaged files, so the version {project.version} does not "
            f"describe them: {_enumerated(names)}"
        )
    return found


def _untracked(project: Project, content: Content) -> tuple[Path, ...]:
    if not has_repository(project.root.resolve()):
        return ()
    from bigflow_backend.version.worktree import untracked

    paths = [Path(member.path) for member in content.members]
    return untracked(project.root, paths, known=project.version.work_tree)


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
    stored = command.compression == "stored"
    files = {**metadata_files(dist_info), **bill_files(project)}
    _write_wheel(loaded.content, dist_info.name, files, target, epoch, stored=stored)
    return target


def _write_wheel(
    content: Content,
    dist_info: str,
    files: Mapping[str, bytes],
    target: Path,
    epoch: int,
    *,
    stored: bool = False,
) -> None:
    with (
        replaced_file(target) as new,
        WheelWriter(new, dist_info, epoch, stored=stored) as writer,
    ):
        writer.add(content.members)
        writer.add_metadata(files)


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
        normalise(temporary / "dist" / target.name, new, epoch, bill_files(project))
    return target


def _bdist_wheel(distribution: Distribution, temporary: Path) -> bdist_wheel:
    command = distribution.get_command_obj("bdist_wheel")
    command.bdist_dir = str(temporary / "bdist")
    command.dist_dir = str(temporary / "dist")
    command.ensure_finalized()
    return command


def _file_stem(command: bdist_wheel) -> str:
    return "-".join((command.wheel_dist_name, *command.get_tag()))
