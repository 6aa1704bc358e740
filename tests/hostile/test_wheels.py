"""Wheels and sdists of strangers: nothing of this machine gets into the image, no traceback."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from hostile.runner import attempt
from support.distribution import make_wheel
from support.layered import make_sdist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hostile.runner import Scratch

_INFO = "evil-1.0.dist-info"


def wheel(files: dict[str, str]) -> Callable[[Path], object]:
    return lambda directory: make_wheel(directory, "evil", "1.0", {"evil.py": "", **files})


def changed(change: Callable[[bytearray], object]) -> Callable[[Path], object]:
    def write(directory: Path) -> None:
        path = make_wheel(directory, "evil", "1.0", {"evil.py": "x = 1\n" * 1000})
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return write


def record(*rows: str) -> Callable[[Path], object]:
    """A wheel with more rows in RECORD."""

    def write(directory: Path) -> None:
        path = make_wheel(directory, "evil", "1.0", {"evil.py": ""})
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files[f"{_INFO}/RECORD"] += "\n".join([*rows, ""]).encode("utf-8", "surrogateescape")
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return write


def scripts(text: str) -> Callable[[Path], object]:
    return wheel({f"{_INFO}/entry_points.txt": f"[console_scripts]\n{text}\n"})


def cut(content: bytearray) -> None:
    del content[-100:]


def other_data(content: bytearray) -> None:
    content[60:80] = b"\xff" * 20


def encrypted(content: bytearray) -> None:
    content[6:8] = b"\x01\0"
    place = content.index(b"PK\x01\x02") + 8
    content[place : place + 2] = b"\x01\0"


def fifo(directory: Path) -> None:
    os.mkfifo(directory / "evil-1.0-py3-none-any.whl")


def link_to_zeros(directory: Path) -> None:
    (directory / "evil-1.0-py3-none-any.whl").symlink_to("/dev/zero")


ROWS: dict[str, Callable[[Path], object]] = {
    "a file outside": wheel({"../../../../outside/etc/passwd": "x"}),
    "an absolute file": wheel({"/etc/evil": "x"}),
    "a script outside": wheel({"evil-1.0.data/scripts/../../../../../outside/bin/python3": "x"}),
    "data outside": wheel({"evil-1.0.data/data/../../../../outside/etc/passwd": "x"}),
    "RECORD names a file of this machine": record("../../../../../../../../etc/shadow,,"),
    "RECORD names a device": record("/dev/zero,sha256=x,1"),
    "RECORD names a directory": record("evil-1.0.dist-info,sha256=x,1"),
    "RECORD names what is missing": record("nothing.py,sha256=x,1", "../../../bin/nope,,"),
    "RECORD has a long field": record("x" * 200_000 + ",,"),
    "RECORD has control characters": record("\x1b]0;x\x07,,"),
    "RECORD is not UTF-8": record("\udcff,,"),
    "a script named .": scripts(". = evil:f"),
    "a script named ..": scripts(".. = evil:f"),
    "a script with a long name": scripts(f"{'x' * 300} = evil:f"),
    "a script with a null": scripts("x\0y = evil:f"),
    "a script below a directory": scripts("a/b = evil:f"),
    "a script over python": scripts("python = evil:f\npython3 = evil:f"),
    "a script with code": scripts("x = evil:f)\\nimport os #"),
    "a directory in the place of bytecode": wheel({
        f"__pycache__/evil.cpython-{minor}.pyc/x": "" for minor in (310, 311, 312, 313, 314)
    }),
    "a file in the place of __pycache__": wheel({"__pycache__": ""}),
    "a second .dist-info": wheel({"other-1.dist-info/x": "", "y.dist-info": ""}),
    "uv's note is a directory": wheel({f"{_INFO}/uv_cache.json/x": ""}),
    "another Python's directory": wheel({
        f"evil-1.0.data/data/lib/python3.{minor}/site-packages/x": "" for minor in range(8, 16)
    }),
    "data in the place of directories": wheel({"evil-1.0.data/data/lib": ""}),
    "a deep path": wheel({"a/" * 300 + "x": ""}),
    "a very deep path": wheel({"a/" * 1500 + "x.py": ""}),
    "a path beyond PATH_MAX": wheel({"a/" * 3000 + "x": ""}),
    "a cut archive": changed(cut),
    "damaged data": changed(other_data),
    "an encrypted file": changed(encrypted),
    "not an archive": changed(lambda content: content.__setitem__(slice(None), b"x" * 100)),
    "an empty file": changed(bytearray.clear),
    "a FIFO": fifo,
    "a link to /dev/zero": link_to_zeros,
    "an sdist that exits": lambda d: make_sdist(d, "evil", "1.0", before="raise SystemExit(1)"),
    "an sdist that prints 100 MB": lambda d: make_sdist(
        d, "evil", "1.0", before="import sys; [sys.stderr.write('x' * 10**6) for _ in range(100)]"
    ),
}  # fmt: skip
_QUICK = {"RECORD names a file of this machine", "a FIFO"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in _QUICK else pytest.mark.slow) for n in ROWS]
)
def test_wheels(scratch: Scratch, name: str) -> None:
    require(scratch)
    arguments = scratch.image_arguments()
    ROWS[name](scratch.input / "wheels")
    attempt(scratch, "build", *arguments, succeeds=None, memory=600 * 2**20)


def require(scratch: Scratch) -> None:
    file = scratch.project / "resources/requirements.txt"
    file.write_text("bigflow-backend\nevil\n", "utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    "before",
    [
        "import time; time.sleep(600)",
        "import subprocess; subprocess.Popen(['sleep', '600']).wait()",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        # a daemon in a session of its own
        "import os, time; os.fork() or (os.setsid(), os.fork() or time.sleep(600)); time.sleep(99)",
    ],
)
def test_an_sdist_ends_at_the_timeout(scratch: Scratch, before: str) -> None:
    require(scratch)
    (scratch.project / "pyproject.toml").write_text("[tool.bigflow.image]\ntimeout = 10\n")
    arguments = scratch.image_arguments()
    make_sdist(scratch.input / "wheels", "evil", "1.0", before=before)
    outcome = attempt(scratch, "build", *arguments, memory=600 * 2**20)
    assert "10 seconds" in outcome.error[0]
