"""Wheels for tests: that of bigflow-backend itself, which is on no index, and small ones."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.shared import made_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["bigflow_wheels", "make_project", "make_wheel"]

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bigflow_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel of bigflow-backend as it is in this tree, for find-links."""
    return made_once(tmp_path_factory, "bigflow-wheels", _build_wheel)


def _build_wheel(directory: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        # setuptools writes beside the sources. A copy keeps this tree clean.
        source = Path(name)
        shutil.copytree(
            _REPOSITORY / "src",
            source / "src",
            ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"),
        )
        for file in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
            shutil.copy2(_REPOSITORY / file, source)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
        subprocess.run([*command, "--outdir", directory, source], capture_output=True, check=True)


def make_wheel(
    directory: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    tag: str = "py3-none-any",
    requires_python: str = "",
    requires: Sequence[str] = (),
    metadata: str = "",
) -> Path:
    """A wheel with the files, as the specification of the format has it; a pure one by its tag.

    ``metadata`` has more lines of METADATA.
    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = directory / f"{stem}-{tag}.whl"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    if requires_python:
        metadata += f"Requires-Python: {requires_python}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    content = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = [f"{member},{_hash(text)},{len(text.encode())}" for member, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in content.items():
            # A member without a date: the same files give the same bytes, and the same layers.
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


_BACKEND = """\
import pathlib, shutil

def build_wheel(directory, config_settings=None, metadata_directory=None):
    (wheel,) = pathlib.Path("made").glob("*.whl")
    shutil.copy(wheel, directory)
    return wheel.name
"""


def make_project(
    root: Path, name: str, version: str, files: Mapping[str, str], *, requires: Sequence[str] = ()
) -> None:
    """Write a project whose own backend gives a wheel with the files: its build needs no index."""
    shutil.rmtree(root / "made", ignore_errors=True)
    make_wheel(root / "made", name, version, files, requires=requires)
    (root / "backend.py").write_text(_BACKEND, "utf-8")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.10"\n'
        f"dependencies = {list(requires)}\n",
        "utf-8",
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
