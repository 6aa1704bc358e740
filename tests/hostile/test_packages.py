"""Hostile lists of packages in a base image: dpkg's, apk's, and os-release."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.limits import PACKAGE_LIST, PACKAGES
from hostile.runner import attempt
from support.images import layer_tar, small_files, write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hostile.runner import Scratch

_DPKG = "var/lib/dpkg/status"
_APK = "lib/apk/db/installed"
_GOOD = b"Package: good\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n\n"


def _packages(count: int) -> bytes:
    return b"".join(_GOOD.replace(b"good", b"p%d" % number) for number in range(count))


# The files of a base, and the links of it; and the packages that the bill has, or None: an error.
_ROWS: dict[str, tuple[Mapping[str, bytes], Mapping[str, str], int | None]] = {
    "a list beyond the limit": ({_DPKG: b"\n" * (PACKAGE_LIST + 1)}, {}, None),
    "lists that are beyond it together": (
        {_DPKG: b"\n" * (PACKAGE_LIST // 2), f"{_DPKG}.d/a": b"\n" * (PACKAGE_LIST // 2 + 1)},
        {},
        None,
    ),
    "many links to one list": (
        {_DPKG: b"\n" * (PACKAGE_LIST // 4)},
        {f"{_DPKG}.d/{number}": "../status" for number in range(5)},
        None,
    ),
    "one line of 10 MB": ({_DPKG: _GOOD + b"Package: " + b"x" * 10_000_000}, {}, 1),
    "more packages than the limit": ({_DPKG: _packages(PACKAGES + 50)}, {}, PACKAGES),
    "names with escapes": (
        {_DPKG: _GOOD + _GOOD.replace(b"good", b"\x1b[2Jbad\xe2\x80\xae")},
        {},
        1,
    ),
    "names that end a JSON text": ({_DPKG: _GOOD + _GOOD.replace(b"good", b'a","b":"')}, {}, 1),
    "no UTF-8, and NULs": ({_DPKG: _GOOD + b"Package: \xff\0\n\n" + b"\0" * 1000}, {}, 1),
    "no fields": ({_DPKG: _GOOD + b": : :\n\nVersion\n \n", _APK: b"P:\nV:\nA:\n\n"}, {}, 1),
    "a path instead of a name": (
        {_APK: b"P:../../etc/passwd\nV:1 2\nA:$(id)\n\nP:good\nV:1-r0\nA:x86_64\n"},
        {},
        1,
    ),
    "an os-release of a shell": (
        {_DPKG: _GOOD, "etc/os-release": b'ID=$(touch /tmp/x)\nVERSION_ID="1\x1b"\nID="a b"\n'},
        {},
        1,
    ),
    "a list that leaves the image": ({}, {_DPKG: "../../../../../../outside/etc/passwd"}, 0),
    "a list that is a link to itself": ({}, {_DPKG: "status"}, 0),
    "a directory instead of a list": ({f"{_DPKG}/x": b"", f"{_APK}/x": b""}, {}, 0),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "names with escapes" else pytest.mark.slow)
        for name in _ROWS
    ],
)
def test_lists_of_packages(scratch: Scratch, name: str) -> None:
    files, links, expected = _ROWS[name]
    contents, own = small_files(platform.python_version())
    path = scratch.input / "base.tar"
    layer = layer_tar({**contents, **files}, {**own, **links})
    write_docker_archive(path, [layer], {})
    arguments = scratch.image_arguments(f"docker-archive:{path}")
    attempt(scratch, "build-image", *arguments, succeeds=expected is not None, patience=120)
    if expected is not None:
        bill = scratch.project / ".image/image-1.0.0.cdx.json"
        components = json.loads(bill.read_text("utf-8"))["components"]
        found = [c for c in components if c.get("purl", "").startswith(("pkg:deb/", "pkg:apk/"))]
        assert len(found) == expected
