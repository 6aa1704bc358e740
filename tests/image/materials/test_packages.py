"""The lists of packages of a base image, also those that are not valid."""

from __future__ import annotations

import os

import pytest

from bigflow_backend.ground.limits import PACKAGES
from bigflow_backend.image.materials.packages import BasePackages, Package, base_packages

_DPKG = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u4
Description: GNU C Library
 A second line
 Version: of the description

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tzdata
Architecture: all
Version: 1:2024a-0~deb12u1
"""
_APK = b"C:Q1abc=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld.so\n\nP:zlib\nV:1.3-r2\nA:x86_64\n"
_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n'


def test_dpkg_lists_the_installed_packages() -> None:
    found = base_packages([("deb", _DPKG)], os_release=_RELEASE, has_rpm=False)
    assert found == BasePackages(
        (
            Package("deb", "libc6", "2.36-9+deb12u4", "amd64"),
            Package("deb", "tzdata", "1:2024a-0~deb12u1", "all"),
        ),
        "debian",
        "12",
    )
    assert BasePackages.from_json(found.as_json()) == found


def test_apk_lists_the_installed_packages() -> None:
    found = base_packages([("apk", _APK), ("apk", _APK)], os_release=b"", has_rpm=False)
    assert [(p.name, p.version) for p in found.packages] == [
        ("musl", "1.2.5-r0"),
        ("zlib", "1.3-r2"),
    ]
    assert found.system == "alpine"


def test_rpm_is_reported_as_missing() -> None:
    found = base_packages([], os_release=b"ID=fedora\n", has_rpm=True)
    assert (found.packages, found.missing) == ((), ("the rpm packages",))


@pytest.mark.parametrize(
    "entry",
    [
        b"Package: a\0b\nVersion: 1\nArchitecture: all\n",
        b"Package: \xff\xfe\nVersion: 1\nArchitecture: all\n",
        b"Package: a\nVersion: 1 2\nArchitecture: all\n",
        b"Package: ../x\nVersion: 1\nArchitecture: all\n",
        b"Package: a\nVersion: 1\n",
        b"Package: " + b"a" * 1000 + b"\nVersion: 1\nArchitecture: all\n",
        b"no field\n",
        "Package: a\u2028b\nVersion: 1\nArchitecture: all\n".encode(),
    ],
)
def test_an_entry_that_is_not_valid(entry: bytes) -> None:
    found = base_packages([("deb", entry + b"\n" + _DPKG)], os_release=b"ID=\x1b[1m", has_rpm=False)
    assert [package.name for package in found.packages] == ["libc6", "tzdata"]
    assert found.missing == ("1 entries of the list of packages, which are not valid",)
    assert found.system == "debian"


def test_odd_bytes() -> None:
    for content in (os.urandom(1 << 16), b":" * (1 << 16), b"\n" * (1 << 16), b" x: y\n"):
        assert not base_packages([("deb", content)], os_release=content, has_rpm=False).packages


def test_too_many_packages() -> None:
    lines = (
        f"Package: p{number}\nVersion: 1\nArchitecture: all\n\n" for number in range(PACKAGES + 2)
    )
    found = base_packages([("deb", "".join(lines).encode())], os_release=b"", has_rpm=False)
    assert len(found.packages) == PACKAGES
    assert found.missing == ("2 entries of the list of packages, which are not valid",)
