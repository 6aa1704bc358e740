"""Hostile base images: a build writes nothing outside of its places, and runs nothing there."""

from __future__ import annotations

import io
import platform
import tarfile
from typing import TYPE_CHECKING

import pytest

from support.images import write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.layered import LayeredProject

_MINOR = ".".join(platform.python_version_tuple()[:2])
_LIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
_GOOD: dict[str, bytes] = {
    f"usr/local/bin/python{_MINOR}": b"\x7fELF\0" + platform.python_version().encode() + b"\0",
    "lib/x86_64-linux-gnu/libc.so.6": _LIBC,
    f"usr/local/lib/python{_MINOR}/os.py": b"name = 'posix'\n",
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": b"root:x:0:\n",
}


def _traversal(outside: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    up = "../" * 30
    names = (f"bin/python{_MINOR}", f"lib/python{_MINOR}/os.py", "lib/libc.so.6", "etc/passwd")
    return {f"{up}{str(outside)[1:]}/{name}": b"pwned" for name in names}, {}


def _links(outside: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """A link to a directory of this machine, and files and links below it."""
    files = {f"a/lib/python{_MINOR}/os.py": b"pwned", "b/bin/libc.so.6": b"pwned"}
    return files, {"a": str(outside), "b": "../" * 30 + str(outside)[1:], "a/evil": "/etc/passwd"}


def _colon(outside: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Names that would become entries of LD_LIBRARY_PATH."""
    return {f"A:{str(outside)[1:]}/libm.so.6": b"pwned", "B:evil/libc.so.6": b"pwned"}, {}


def _library_in_the_way(_outside: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """A file with the name of a directory, and one with an endless name."""
    return {
        "lib": b"a file",
        f"usr/{'x' * 250}/lib/libm.so.6": b"x",
        "l/" * 200 + "libz.so": b"",
    }, {}


@pytest.mark.parametrize("entries", [_traversal, _links, _colon, _library_in_the_way])
def test_nothing_outside_changes(
    layered_project: LayeredProject,
    bubblewrap: str,
    tmp_path: Path,
    entries: Callable[[Path], tuple[dict[str, bytes], dict[str, str]]],
) -> None:
    outside = tmp_path / "outside"
    for name in (f"bin/python{_MINOR}", f"lib/python{_MINOR}/os.py", "libm.so.6"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("ours")
    before = {path: path.lstat().st_mtime_ns for path in outside.rglob("*")}
    files, links = entries(outside)
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, target in {**links, "usr/local/bin/python3": f"python{_MINOR}"}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for name, content in {**files, **_GOOD}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    write_docker_archive(tmp_path / "hostile.tar", [output.getvalue()], {})
    layered_project.build(base_image=f"docker-archive:{tmp_path}/hostile.tar")
    assert {path: path.lstat().st_mtime_ns for path in outside.rglob("*")} == before
