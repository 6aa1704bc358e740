"""Project -> the metadata of its wheel without an import of setuptools, for a plain project.

The import takes longer than all else in a small build. A plain project gives setuptools nothing
to read but ``setup(name=...)`` and a few fields of ``[project]``. Its metadata are byte for byte
those that setuptools writes: the tests compare them. In all other cases setuptools writes them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.project.members import local_projects
from bigflow_backend.project.requirements import ours

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content
    from bigflow_backend.wheel.distribution import Stated

_RELEASES = range(77, 85)
"""The major versions of setuptools whose metadata the tests compare with these."""
_FIELDS = {
    "name",
    "version",
    "description",
    "readme",
    "requires-python",
    "dependencies",
    "dynamic",
}
_TEXTS = ("description", "readme", "requires-python")
_DYNAMIC: tuple[list[str], ...] = (
    [],
    ["version"],
    ["dependencies"],
    ["version", "dependencies"],
    ["dependencies", "version"],
)
_README_TYPES = {".md": "text/markdown", ".rst": "text/x-rst", ".txt": "text/plain"}
_LICENSES = ("LICEN", "COPYING", "NOTICE", "AUTHORS")
"""Beginnings of the names of files that setuptools packs as licenses."""
_VARIABLES = ("DIST_EXTRA_CONFIG", "SETUPTOOLS_USE_DISTUTILS")
_GROUP = re.compile(r"^\s*\[\s*(.*?)\s*\]", re.MULTILINE)
_USED = {
    "distutils.commands": {"bdist", "build", "dist_info", "egg_info"},
    "distutils.setup_keywords": {"install_requires", "package_dir", "packages", "zip_safe"},
}
"""The names by which plugins of setuptools would replace what the metadata need."""
_SETUPTOOLS = re.compile(r"setuptools-(?P<version>(?P<major>\d+)[\d.]*)\.dist-info")
# The releases of setuptools write other names differently into the names of files.
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
_PYTHONS = re.compile(r"[<>=!~][\w.,<>=!~* ]+")


@dataclass(frozen=True)
class PlainMetadata:
    """The metadata of a plain project."""

    stem: str
    """``NAME-VERSION``, as in the names of the wheel and of its ``.dist-info``."""
    files: Mapping[str, bytes]
    """The files of ``.dist-info`` by their names in it, sorted."""

    @property
    def dist_info(self) -> str:
        return f"{self.stem}.dist-info"

    @property
    def wheel_name(self) -> str:
        return f"{self.stem}-py3-none-any.whl"


def plain_metadata(project: Project, content: Content, stated: Stated) -> PlainMetadata | None:
    """Return the metadata; None if only setuptools knows them."""
    if not _is_plain(project, stated):
        return None
    core = _core(project, stated)
    try:
        release = _release_without_plugins()
    except (OSError, UnicodeError):  # setuptools skips what it cannot read
        release = None
    if core is None or release is None:
        return None
    wheel = (
        f"Wheel-Version: 1.0\nGenerator: setuptools ({release})\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n\n"
    )
    top_level = sorted({package.partition(".")[0] for package in content.packages})
    return PlainMetadata(
        stem=f"{project.name.replace('-', '_')}-{project.version.text}",
        files={
            "METADATA": core.encode(),
            "WHEEL": wheel.encode(),
            "top_level.txt": "".join(f"{name}\n" for name in top_level).encode(),
        },
    )


def _is_plain(project: Project, stated: Stated) -> bool:
    """Return False if setuptools has more to read than ``[project]``."""
    settings = project.pyproject
    return (
        stated.keywords.keys() <= {"name", "version"}
        and _NAME.fullmatch(project.name) is not None
        and not {"setuptools", "distutils"} & settings.get("tool", {}).keys()
        and "tools" not in settings
        and not any(name in os.environ for name in _VARIABLES)
        and not any(
            name == "setup.cfg" or name.upper().startswith(_LICENSES)
            for name in os.listdir(project.root)  # noqa: PTH208  (faster)
        )
        # These functions, and not those of pathlib, allow a home that is unknown or unreadable.
        and not os.path.exists(os.path.expanduser("~/.pydistutils.cfg"))  # noqa: PTH110, PTH111
        and not local_projects(project.root, settings)
    )


def _core(project: Project, stated: Stated) -> str | None:
    """Return the content of METADATA; None if ``[project]`` has more than a few plain fields."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion, Version

    table = project.pyproject.get("project", {"name": project.name})
    dynamic = table.get("dynamic", [])
    texts = {key: table[key] for key in _TEXTS if key in table}
    dependencies = table.get("dependencies", list(stated.requirements.specifiers))
    if (
        not table.keys() <= _FIELDS
        or table.get("name") != project.name
        or dynamic not in _DYNAMIC
        or any(name in table for name in dynamic)
        or not isinstance(dependencies, list)
        or not all(isinstance(text, str) and text for text in (*texts.values(), *dependencies))
        or len(texts.get("description", "").splitlines()) > 1
    ):
        return None
    try:
        Version(table.get("version", "0"))
        requirements = [str(Requirement(ours(text))) for text in dependencies]
        pythons = _pythons(texts.get("requires-python"))
        readme, body = _readme(project.root, texts.get("readme"))
    except (InvalidRequirement, InvalidVersion, TypeError, ValueError):
        return None  # setuptools names the error
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project.name}",
        f"Version: {project.version.text}",
        *(f"Summary: {texts[key]}" for key in texts if key == "description"),
        *pythons,
        *readme,
        *(f"Requires-Dist: {requirement}" for requirement in requirements),
        *(["Dynamic: requires-dist"] if requirements else []),
    ]
    return "".join(f"{line}\n" for line in lines) + body


def _pythons(specifiers: str | None) -> list[str]:
    """Return the line for ``requires-python``.

    :raises ValueError: if it is not valid.
    """
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    if specifiers is None:
        return []
    if not _PYTHONS.fullmatch(specifiers):
        raise ValueError(specifiers)
    Requirement(f"x{specifiers}")  # setuptools checks it so, and then takes it as follows
    return [f"Requires-Python: {SpecifierSet(specifiers)}"]


def _readme(root: Path, name: str | None) -> tuple[list[str], str]:
    """Return the line with the type of a readme, and the text.

    :raises ValueError: if it is not a file of the project's directory, in UTF-8 and of a known
        type.
    """
    if name is None:
        return [], ""
    kind = _README_TYPES.get(Path(name).suffix)
    if kind is None or Path(name).name != name:
        raise ValueError(name)
    text = (root / name).read_text("utf-8")
    end = "" if text.endswith("\n") else "\n"
    return [f"Description-Content-Type: {kind}"], f"\n{text}{end}" if text else ""


def _release_without_plugins() -> str | None:
    """Return the version of setuptools; None for an unknown one, or if a plugin extends it.

    The import of ``importlib.metadata`` would take 12 ms: it imports ``email`` and ``socket``.
    """
    if any(hasattr(f, "find_distributions") for f in sys.meta_path if f is not PathFinder):
        return None
    found = set()
    for place in map(Path, sys.path):
        if place.is_file():  # an archive, which may have plugins
            return None
        for name in os.listdir(place) if place.is_dir() else ():  # noqa: PTH208  (faster)
            if own := _SETUPTOOLS.fullmatch(name):
                found.add((own["version"], int(own["major"])))
            elif name.lower().endswith((".dist-info", "egg-info")):
                points = place / name / "entry_points.txt"
                if points.is_file() and _is_plugin(points.read_text("utf-8")):
                    return None
    if len(found) != 1:
        return None
    version, major = found.pop()
    return version if major in _RELEASES else None


def _is_plugin(entry_points: str) -> bool:
    """Return True if a distribution with these entry points can change the metadata."""
    _, *parts = _GROUP.split(entry_points)
    return any(
        group.startswith(("egg_info.", "setuptools."))
        or {line.partition("=")[0].strip() for line in body.splitlines()} & _USED.get(group, set())
        for group, body in zip(parts[::2], parts[1::2], strict=True)
    )
