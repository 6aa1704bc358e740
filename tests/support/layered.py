"""A small project for the layered builder, with all that its image needs."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import platform
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.builds import build_image
from support.distribution import make_wheel
from support.images import ImageFiles, read_image, small_base
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bigflow_backend.image.image import PublishedImage

__all__ = ["LayeredProject", "bubblewrap", "layered_project", "make_sdist"]

_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"

[project]
name = "demo"
"""
# A build backend in the sdist itself: its build needs no index.
_BACKEND = """\
import os, zipfile
NAME, VERSION, TAG = {name!r}, {version!r}, {tag!r}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    {before}
    stem = f"{{NAME}}-{{VERSION}}"
    name = f"{{stem}}-{{TAG}}.whl"
    info = f"{{stem}}.dist-info"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for member, text in (
            (f"{{NAME}}.py", ""),
            (f"{{info}}/METADATA",
             f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"),
            (f"{{info}}/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {{TAG}}\\n"),
        ):
            wheel.writestr(member, text)
        names = [*wheel.namelist(), f"{{info}}/RECORD"]
        wheel.writestr(names[-1], "".join(f"{{n}},,\\n" for n in names))
    return name
"""


@dataclass
class LayeredProject:
    """A project whose image needs neither an engine nor a network."""

    root: Path
    base: str
    wheels: Path
    said: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of its images, unless a test gives others."""

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def require(self, *lines: str) -> None:
        """Write the requirements, besides bigflow-backend."""
        self.write({"resources/requirements.txt": "\n".join(["bigflow-backend", *lines, ""])})

    def build(
        self,
        *,
        files: Mapping[str, str] | None = None,
        version: str = "1.0.0",
        repository: str = "registry.example.com/team/demo",
        requires_python: str = "",
        tag: str = "py3-none-any",
        **options: Any,
    ) -> PublishedImage:
        content = {"demo/__init__.py": "TEXT = 'first'\n", **(files or {})}
        wheel = make_wheel(
            self.root / "dist", "demo", version, content, requires_python=requires_python, tag=tag
        )
        given = ImageSettings(
            builder="layered",
            base_image=self.base,
            platforms=("linux/amd64",),
            find_links=(str(self.wheels),),
            network="none",  # the private engine of the tests has no other than the host's
        )
        return build_image(
            read_project(self.root),
            wheel,
            repository=repository,
            version=ProjectVersion(text=version, source="the test", commit="c0ffee"),
            settings=dataclasses.replace(given, **{**self.options, **options}),
            say=self.said.append,
        )

    def files(self, image: PublishedImage) -> ImageFiles:
        assert image.tar is not None
        return read_image(image.tar)

    def info(self, image: PublishedImage) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(image.info.read_text("utf-8"))
        return found


@pytest.fixture
def layered_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LayeredProject:
    """A project with its own cache; its base has the version of the running Python."""
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    wheels = tmp_path / "wheels"
    # The builder looks for this module, and does not run it.
    make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": "print('ran')\n"})
    base = small_base(tmp_path / "base.tar", version=platform.python_version())
    project = LayeredProject(tmp_path / "project", base, wheels)
    project.write({"demo/__init__.py": "", "pyproject.toml": _PYPROJECT})
    project.require()
    return project


@pytest.fixture(scope="session")
def bubblewrap() -> str:
    """The command ``bwrap``, which is installed if it is missing."""
    return installed("bwrap", package="bubblewrap")


def make_sdist(
    directory: Path, name: str, version: str, *, tag: str = "py3-none-any", before: str = "pass"
) -> Path:
    """Write an sdist whose wheel gets the ``tag``; its build runs the statement ``before``."""
    stem = f"{name}-{version}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\n'
        ),
        "backend.py": _BACKEND.format(name=name, version=version, tag=tag, before=before),
    }
    path = directory / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member_name, text in files.items():
            member = tarfile.TarInfo(f"{stem}/{member_name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
