"""The lists of packages of a base image, also those that are not valid."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.limits import PACKAGES
from bigflow_backend.image.materials.packages import BasePackages, Package, base_packages
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

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


_SPEC = """\
Name: {name}
Version: 1.2
Release: 3
{epoch}
Summary: A package
License: MIT
BuildArch: noarch
%description
A package.
%files
"""


@pytest.fixture(scope="session")
def rpm_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of two packages that rpm has installed, one of them with an epoch."""
    rpm, home = installed("rpm", package="rpm"), tmp_path_factory.mktemp("rpm")
    for name, epoch in (("plain", ""), ("with-epoch", "Epoch: 2")):
        spec = home / f"{name}.spec"
        spec.write_text(_SPEC.format(name=name, epoch=epoch), "utf-8")
        command = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {home}", str(spec)]
        subprocess.run(command, check=True, capture_output=True)
    packages = list(map(str, home.glob("RPMS/noarch/*.rpm")))
    assert len(packages) == 2
    command = [rpm, "--dbpath", "/db", "--root", str(home), "-i", "--nodeps", "--ignorearch"]
    subprocess.run([*command, *packages], check=True, capture_output=True)
    return home / "db/rpmdb.sqlite"


@pytest.mark.slow
def test_rpm_lists_the_installed_packages(rpm_database: Path) -> None:
    found = base_packages(
        [], os_release=b"ID=fedora\nVERSION_ID=41\n", has_rpm=True, rpm_database=rpm_database
    )
    assert found == BasePackages(
        (
            Package("rpm", "plain", "1.2-3", "noarch"),
            Package("rpm", "with-epoch", "2:1.2-3", "noarch"),
        ),
        "fedora",
        "41",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE Other (blob)",
        (
            "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob + 1"
            " FROM n) SELECT blob FROM n"
        ),
        "CREATE VIRTUAL TABLE Packages USING fts5(blob)",
        "CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES (1, 'text')",
        "CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES (1, x'00')",
        "CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES (1, x'ffffffffffffffff')",
        (
            "CREATE TABLE Packages (hnum, blob); INSERT INTO Packages VALUES"
            " (1, x'0000000100000001000003e8000000060000ffff00000001')"
        ),
    ],
)
def test_a_database_that_is_not_one_of_rpm(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "rpmdb.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(statement)
    found = base_packages([], os_release=b"", has_rpm=True, rpm_database=path)
    assert (found.packages, found.missing) == ((), ("the rpm packages",))


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
