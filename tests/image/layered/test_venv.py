"""The virtual environment of an image is the one that ``venv`` makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bigflow_backend.image.layered.python.interpreter import Interpreter
from bigflow_backend.image.layered.tar import directory, tree
from bigflow_backend.image.layered.venv import skeleton

_MINORS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def _interpreter(version: str, executable: str = "/usr/bin/python3") -> Interpreter:
    minor = ".".join(version.split(".")[:2])
    return Interpreter(
        executable=executable,
        program=str(Path(executable).with_name(f"python{minor}")),
        version=version,
        libc="glibc",
        libc_version="2.36",
        architecture="amd64",
        installed={},
    )


def _python(minor: str) -> Path | None:
    places = [p.parent for p in Path.home().glob(f".pyenv/versions/{minor}.*/bin/python3")]
    path = os.pathsep.join([*map(str, places), "/usr/local/bin", "/usr/bin"])
    found = shutil.which(f"python{minor}", path=path)
    return None if found is None else Path(found).with_name("python3")


@pytest.mark.parametrize("minor", [m for m in _MINORS if _python(m) is not None])
def test_the_environment_is_that_of_venv(minor: str, tmp_path: Path) -> None:
    """For each Python of this machine that the shell, uv or pyenv has."""
    python = _python(minor)
    assert python is not None
    made = tmp_path / "app"
    subprocess.run(
        [python, "-m", "venv", "--without-pip", "--system-site-packages", made], check=True
    )
    for script in made.glob("bin/*ctivate*"):
        script.unlink()
    version = subprocess.check_output(
        [python, "-c", "import platform as p; print(p.python_version())"]
    )
    ours = {e.name: e for e in skeleton(_interpreter(version.decode().strip(), str(python)))}
    theirs = {entry.name: entry for entry in (directory("app"), *tree(made, "app"))}
    assert ours.keys() == theirs.keys()
    for name, entry in theirs.items():
        assert (ours[name].mode, ours[name].target) == (entry.mode, entry.target)
    for name in ("app/pyvenv.cfg", "app/.gitignore"):
        if name in theirs:
            content = (tmp_path / name).read_text().replace(str(made), "/app")
            assert ours[name].content == content.encode()
