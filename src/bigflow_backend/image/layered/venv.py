"""The virtual environment of an image, with the files that ``python3 -m venv`` makes.

https://docs.python.org/3/library/venv.html
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from bigflow_backend.image.layered.tar import Entry, directory, file, link

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.interpreter import Interpreter

APP = "app"
"""The directory of the environment in the image, without the first slash."""

_GITIGNORE = b"# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n"


def site_packages(interpreter: Interpreter) -> str:
    """Return the directory of packages, relative to the environment."""
    return f"lib/python{interpreter.minor}/site-packages"


def skeleton(interpreter: Interpreter) -> list[Entry]:
    """Return the empty environment, which also sees the packages of the base image."""
    minor = tuple(map(int, interpreter.minor.split(".")))
    include = [f"include/python{interpreter.minor}"] if minor >= (3, 11) else []
    directories = ["bin", "include", *include, "lib", f"lib/python{interpreter.minor}"]
    entries = [
        directory(APP),
        *(directory(f"{APP}/{name}") for name in (*directories, site_packages(interpreter))),
        link(f"{APP}/lib64", "lib"),
        link(f"{APP}/bin/python3", interpreter.executable),
        *(link(f"{APP}/bin/{name}", "python3") for name in _names(minor)),
        file(f"{APP}/pyvenv.cfg", _configuration(interpreter, minor).encode()),
    ]
    if minor >= (3, 13):
        entries.append(file(f"{APP}/.gitignore", _GITIGNORE))
    return entries


def _names(minor: tuple[int, ...]) -> list[str]:
    names = ["python", f"python3.{minor[1]}"]
    # Python 3.14 makes this link as well.
    return [*names, "𝜋thon"] if minor == (3, 14) else names


def _configuration(interpreter: Interpreter, minor: tuple[int, ...]) -> str:
    """https://docs.python.org/3/library/site.html"""
    lines = [
        f"home = {posixpath.dirname(interpreter.executable)}",
        "include-system-site-packages = true",
        f"version = {interpreter.version}",
    ]
    if minor >= (3, 11):
        command = f"{interpreter.executable} -m venv --without-pip --system-site-packages /{APP}"
        lines += [f"executable = {interpreter.program}", f"command = {command}"]
    return "".join(f"{line}\n" for line in lines)
