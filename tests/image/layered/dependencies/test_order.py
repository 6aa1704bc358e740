"""The order in which pip installs distributions, against pip itself."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from bigflow_backend.image.layered.dependencies.order import Needs, installation_order
from bigflow_backend.image.layered.python.interpreter import Interpreter
from support.distribution import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_INTERPRETER = Interpreter(
    executable="/usr/bin/python3",
    program="/usr/bin/python3.11",
    version=".".join(map(str, sys.version_info[:3])),
    libc="glibc",
    libc_version="2.36",
    architecture="amd64",
    installed={},
)
# A name, its requirements, and whether it states a Python.
_GRAPH: dict[str, tuple[tuple[str, ...], bool]] = {
    "application": (("middle", "zebra"), True),
    "middle": (("leaf", "Base.Library>=1"), True),
    "leaf": ((), False),
    "base-library": ((), True),
    "zebra": (("yak[fast]; python_version >= '3'",), False),
    "yak": (("never; sys_platform == 'win32'", "quick; extra == 'fast'"), True),
    "quick": (("leaf",), False),
    "alone": ((), False),
    "zenith": ((), True),
    "broken": (("alone; platform_machine == 'none'",), True),
}


def _needs() -> dict[str, Needs]:
    return {name: Needs(requires, python) for name, (requires, python) in _GRAPH.items()}


def test_the_order_of_pip(tmp_path: Path) -> None:
    for name, (requires, python) in _GRAPH.items():
        make_wheel(
            tmp_path / "wheels",
            name,
            "1.0",
            {f"{name}.py": ""},
            requires_python=">=3" if python else "",
            requires=requires,
            metadata="Provides-Extra: fast\n",
        )
    installed = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-index", "--no-compile", "--isolated"),
            *("--find-links", tmp_path / "wheels", "--target", tmp_path / "target"),
            *("application", "zenith", "broken", "alone"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"^Installing collected packages: (.*)$", installed, re.MULTILINE)
    assert found is not None
    order = installation_order(_needs(), {"yak": frozenset({"fast"})}, _INTERPRETER)
    assert order.cycles == ()
    assert [canonicalize_name(name) for name in found[1].split(", ")] == [*order.names]


def test_cycles_come_after_what_they_need() -> None:
    needs = {
        "above": Needs(("one",), python=False),
        "one": Needs(("two",), python=False),
        "two": Needs(("one", "below"), python=False),
        "below": Needs(("not a requirement !",), python=False),
    }
    order = installation_order(needs, {}, _INTERPRETER)
    assert order.names == ("below", "two", "one", "above")
    assert order.cycles == (frozenset({"one", "two"}),)


def test_distributions_of_the_base_image_are_installed_already() -> None:
    needs = {"one": Needs(("setuptools",), python=True), "two": Needs((), python=True)}
    assert installation_order(needs, {}, _INTERPRETER).names == ("two", "one")
