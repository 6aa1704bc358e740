"""Installing distributions into an environment that is laid out here for an image.

What comes out is what pip leaves behind: the files, the scripts of the entry points, and the
records in ``*.dist-info``.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import posixpath
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered.venv import APP

_PYTHON = f"#!/{APP}/bin/python\n".encode()
_SCRIPT = """\
import sys
from {module} import {name}
if __name__ == "__main__":
    sys.exit({function}())
"""
# https://packaging.python.org/en/latest/specifications/entry-points/
_OBJECT = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<function>[\w.]+)\s*(?:\[.*\])?\s*")
_SCRIPT_GROUPS = ("console_scripts", "gui_scripts")
# What an installer writes, whatever it found.
_OURS = ("INSTALLER", "RECORD", "REQUESTED", "uv_cache.json")
# How much of a script is looked at: more than the longest path with a line around it.
_SHEBANG_AT_MOST = 1 << 16
# uv writes the interpreter that it knows; where its path is too long for the kernel, in this way:
_LONG_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")


@dataclass(frozen=True)
class Prefix:
    """A directory of this machine that becomes the environment of an image."""

    root: Path
    site: str
    """The directory of packages, relative to it."""

    @property
    def site_packages(self) -> Path:
        return self.root / self.site


@dataclass(frozen=True)
class Installed:
    """A distribution whose files are in their places."""

    dist_info: str
    """The name of its directory of metadata."""
    files: tuple[str, ...]
    """Relative to the prefix."""


def unpack(wheel: Path, prefix: Prefix) -> Installed:
    """Puts the files of a wheel where they belong in ``prefix``.

    :raises UserError: for a file that is no wheel, or that has files outside of its places.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            dist_info = _dist_info(m.filename for m in members)
            places = _places(prefix, dist_info)
            files = [_extract(archive, member, prefix, places) for member in members]
    except (zipfile.BadZipFile, LookupError, NotImplementedError) as error:
        raise UserError(f"{wheel.name} is no wheel: {error}", hint="build it again") from error
    return Installed(dist_info, tuple(files))


def _dist_info(names: Iterable[str]) -> str:
    for name in names:
        directory, _, file = name.partition("/")
        if directory.endswith(".dist-info") and file == "WHEEL":
            return directory
    raise LookupError("it has no *.dist-info/WHEEL")


def _places(prefix: Prefix, dist_info: str) -> dict[str, str]:
    """The directories, relative to the prefix, by what the names of a wheel's files start with."""
    data = f"{dist_info.removesuffix('.dist-info')}.data"
    distribution = dist_info.partition("-")[0]
    python = posixpath.basename(posixpath.dirname(prefix.site))
    return {
        f"{data}/purelib": prefix.site,
        f"{data}/platlib": prefix.site,
        f"{data}/scripts": "bin",
        f"{data}/data": "",
        f"{data}/headers": f"include/site/{python}/{distribution}",
    }


def _extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, prefix: Prefix, places: dict[str, str]
) -> str:
    start = "/".join(member.filename.split("/", 2)[:2])
    place = places.get(start)
    inside = member.filename if place is None else member.filename[len(start) + 1 :]
    name = posixpath.join(prefix.site if place is None else place, inside)
    if posixpath.normpath(name) != name or name.startswith(("/", "..")):
        raise LookupError(f"it has a file {member.filename!r}")
    path = prefix.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with archive.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    # As pip has it: the archive must say that this is a regular file, too.
    mode = member.external_attr >> 16
    path.chmod(0o755 if stat.S_ISREG(mode) and mode & 0o111 else 0o644)
    return name


def adopt(prefix: Prefix) -> Iterator[Installed]:
    """The distributions that uv has installed into ``prefix``, less what only uv knows of."""
    for info in sorted(prefix.site_packages.glob("*.dist-info")):
        rows = csv.reader((info / "RECORD").read_text("utf-8").splitlines())
        files = [posixpath.normpath(posixpath.join(prefix.site, row[0])) for row in rows if row]
        yield Installed(info.name, tuple(files))


def finish(prefix: Prefix, installed: Installed, *, requested: bool) -> None:
    """Writes the scripts and the records of a distribution.

    ``requested`` tells whether it was asked for, not only by another distribution.
    """
    info = prefix.site_packages / installed.dist_info
    metadata = f"{prefix.site}/{installed.dist_info}"
    left_out = {f"{metadata}/{name}" for name in _OURS}
    files = {name for name in installed.files if name not in left_out}
    scripts = {f"bin/{name}": script for name, script in _entry_points(info)}
    for name in files - scripts.keys():
        if name.startswith("bin/"):
            _mend_shebang(prefix.root / name)
    for name, script in scripts.items():
        _write(prefix.root / name, script, executable=True)
    for name in left_out:
        (prefix.root / name).unlink(missing_ok=True)
    records = {"INSTALLER": "pip\n"} | ({"REQUESTED": ""} if requested else {})
    for name, text in records.items():
        _write(info / name, text.encode())
    files |= scripts.keys() | {f"{metadata}/{name}" for name in records}
    _write(info / "RECORD", _record(prefix, files, f"{metadata}/RECORD"))


def _entry_points(info: Path) -> Iterator[tuple[str, bytes]]:
    """The scripts that a distribution's entry points ask for: their names and contents."""
    path = info / "entry_points.txt"
    if not path.is_file():
        return
    parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the module's docs have it
    try:
        parser.read_string(path.read_text("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UserError(
            f"{info.name}/entry_points.txt cannot be read: {str(error).splitlines()[0]}",
            hint="take another version of that package",
        ) from error
    for group in _SCRIPT_GROUPS:
        for name, value in parser.items(group) if parser.has_section(group) else ():
            match = _OBJECT.fullmatch(value)
            if match is None or "/" in name:
                raise UserError(
                    f"{info.name}/entry_points.txt: {name} = {value} is no script",
                    hint="write it as name = package.module:function",
                )
            function = match["function"]
            imported = function.partition(".")[0]
            text = _SCRIPT.format(module=match["module"], name=imported, function=function)
            yield name, _PYTHON + text.encode()


def _mend_shebang(path: Path) -> None:
    """Makes a script that was written for an interpreter run by the environment's.

    A wheel says ``#!python``; what uv has made of that is the path of this machine's.
    """
    with path.open("rb") as script:  # it may be a program of hundreds of megabytes
        start = script.read(_SHEBANG_AT_MOST)
        first, newline, _ = start.partition(b"\n")
        if long := _LONG_SHEBANG.match(start):
            script.seek(long.end())
        elif newline and re.match(rb"#!(?:python|/\S*/python)", first):
            script.seek(len(first) + 1)
        else:
            return
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        _write(path, _PYTHON, executable=executable, rest=script)


def _write(
    path: Path, content: bytes, *, executable: bool = False, rest: IO[bytes] | None = None
) -> None:
    # A new file: the one that is there may be a hard link into uv's cache, and open as `rest`.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.write(content)
        if rest is not None:
            shutil.copyfileobj(rest, file)
    path.chmod(0o755 if executable else 0o644)


def _record(prefix: Prefix, files: set[str], own: str) -> bytes:
    rows = [(posixpath.relpath(name, prefix.site), *_hash(prefix.root / name)) for name in files]
    rows.append((posixpath.relpath(own, prefix.site), "", ""))
    output = io.StringIO(newline="")
    csv.writer(output).writerows(sorted(rows))
    return output.getvalue().encode()


def _hash(path: Path) -> tuple[str, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    text = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return f"sha256={text}", str(size)
