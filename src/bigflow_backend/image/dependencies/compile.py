"""``requirements.in`` -> requirements.txt, with the versions and hashes of all distributions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import replaced_file
from bigflow_backend.image.dependencies.indexes import (
    check_index_access,
    configured_indexes,
    stated_urls,
)
from bigflow_backend.image.dependencies.uv_process import (
    OPTION_FLAGS,
    error_of,
    run_uv,
    uv_environment,
)
from bigflow_backend.project.requirements import installable, read_requirements
from bigflow_backend.project.requirements_in import header
from bigflow_backend.wheel.own import write_own_wheel

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_CONSTRAINTS = ("-c", "--constraint")
"""The result meets them."""


def compile_requirements(
    project: Project,
    source: Path,
    *,
    python: str,
    upgrade: bool,
    packages: Sequence[str] = (),
    say: Callable[[str], None],
) -> Path:
    """Compile ``source`` to the file beside it that ends with ``.txt``, and return that file.

    The versions are for all platforms, and for the Python of the interpreter ``python`` and later.
    Those in an existing file are kept if they will do, unless ``upgrade`` is true or ``packages``
    names the distribution.

    :raises UserError: if the source is not valid, or if there is no solution.
    """
    if source.suffix != ".in" or not source.is_file():
        raise UserError(
            f"{source} is not a file that ends with .in",
            hint="write the requirements into resources/requirements.in",
        )
    if not source.resolve().is_relative_to(project.root):
        raise UserError(f"{source} is outside {project.root}", hint="name a file of the project")
    source = project.root / source.resolve().relative_to(project.root)
    target, first_lines = source.with_suffix(".txt"), header(source, project.root)
    found = read_requirements(source, anywhere=True)
    indexes = configured_indexes(project.root)
    environment = uv_environment(indexes)
    if found.lines and not indexes.no_index:
        check_index_access(
            found.lines[0].name,
            options=found.options,
            environment=environment,
            project=project.root,
        )
    links = [project.root / directory for directory in project.settings.image.find_links]
    flags = (OPTION_FLAGS.get(option.name) for option in found.options)
    with tempfile.TemporaryDirectory(prefix="bigflow-requirements-") as temporary:
        pins = Path(temporary) / target.name
        own = Path(temporary) / "wheels"
        own.mkdir()
        write_own_wheel(own)  # no index needs to have it
        if target.is_file() and not upgrade:
            # Its options are left out: their paths are relative to it.
            known = read_requirements(target, anywhere=True).specifiers
            pins.write_text("".join(f"{line}\n" for line in known), "utf-8")
        installed = installable(source, Path(temporary), absolute=True)
        # The comments of uv name its source: that of a temporary file would differ each time.
        named = installed == source
        status, lines = run_uv(
            "pip", "compile",
            str(source.relative_to(project.root) if named else installed),
            "--output-file", str(pins), "--universal", "--generate-hashes", "--no-header",
            "--no-strip-extras", "--python", python, "--no-python-downloads",
            *([] if named else ["--no-annotate"]),
            *(["--upgrade"] if upgrade else []),
            *(f"--upgrade-package={name}" for name in packages),
            *filter(None, flags),
            project=project.root,
            find_links=(*links, own),
            urls=stated_urls(found.options),
            timeout=project.settings.image.timeout,
        )  # fmt: skip
        if status:
            raise error_of(lines, source.relative_to(project.root).as_posix())
        for line in lines:
            say(line)
        # An installer needs the same indexes. uv would write those of this machine, too.
        kept = (option.text for option in found.options if option.name not in _CONSTRAINTS)
        options = "".join(f"{text}\n" for text in dict.fromkeys(kept))
        with replaced_file(target) as new:
            new.write_text(first_lines + options + pins.read_text("utf-8"), "utf-8")
    return target
