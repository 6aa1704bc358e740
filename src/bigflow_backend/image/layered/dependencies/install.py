"""A wheel's files -> an environment that is laid out here for an image.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import configparser
import csv
import errno
import hashlib
import io
import lzma
import os
import posixpath
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_bounded, read_text
from bigflow_backend.ground.limits import LEVELS, WHEEL_BYTES, WHEEL_FILES, WHEEL_RECORD
from bigflow_backend.image.layered.venv import APP

_SHEBANG = f"#!/{APP}/bin/python\n".encode()
_SCRIPT = """\
import sys
from {module} import {name}
if __name__ == "__main__":
    sys.exit({function}())
"""
# https://packaging.python.org/en/latest/specifications/entry-points/
_OBJECT = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<function>[\w.]+)\s*(?:\[.*\])?\s*")
_SCRIPT_NAME = re.compile(r"\w[\w.+-]{0,99}")
_SCRIPT_GROUPS = ("console_scripts", "gui_scripts")
# More than the longest path and a line around it.
_SHEBANG_AT_MOST = 1 << 16
# uv writes this form if the path of the interpreter is too long for the kernel.
_LONG_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
# uv's note of the times of an sdist's files: it differs from machine to machine.
_UV_CACHE_NOTE = "uv_cache.json"
_HASH = "sha256="
# What zipfile raises for archives that are damaged, encrypted, or packed by an unknown method.
_INVALID_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError),
    *(LookupError, NotImplementedError, ValueError, OverflowError),
)
# A file below a file, two files in one place, names that a file system cannot have. bzip2 has no
# number for damaged data.
_INVALID_PATH = {
    *(
        None,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EPERM,
    ),
}
_PIECE = 1 << 20


@dataclass(frozen=True)
class Prefix:
    """A directory of this machine that becomes the environment of an image."""

    root: Path
    site: str
    """The directory of packages, relative to the root."""

    @property
    def site_packages(self) -> Path:
        return self.root / self.site


def install_wheel(wheel: Path, prefix: Prefix) -> None:
    """Install a wheel: its files, the scripts of its entry points, and its RECORD.

    :raises UserError: for an invalid wheel, or one with files outside of their places.
    """
    try:
        _install(wheel, prefix)
    except (*_INVALID_ZIP, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _INVALID_PATH:
            raise
        raise UserError(
            f"{wheel.name} is not a valid wheel: {error}", hint="build the wheel again"
        ) from error


def _install(wheel: Path, prefix: Prefix) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        _check_size(members)
        dist_info = _dist_info(m.filename for m in members)
        places = _places(prefix, dist_info)
        files = {_extract(archive, member, prefix, places) for member in members}
    info = prefix.site_packages / dist_info
    for name in files:
        if name.startswith("bin/"):
            _fix_shebang(prefix.root / name)
    for name, script in _entry_points(info):
        _write_new(prefix.root / "bin" / name, script, mode=0o755)
        files.add(f"bin/{name}")
    for name, content in {"INSTALLER": b"bigflow-backend\n", "REQUESTED": b""}.items():
        _write_new(info / name, content)
        files.add(f"{prefix.site}/{dist_info}/{name}")
    record = f"{prefix.site}/{dist_info}/RECORD"
    _write_record(info, [_row(prefix, name) for name in files - {record}])


def adopt_distributions(prefix: Prefix) -> None:
    """Make the distributions that uv has installed run in the image, and equal on each machine.

    Their scripts start with the path of this machine's Python, and RECORD has their hashes.
    """
    scripts = prefix.root / "bin"
    changed = {
        posixpath.join("bin", path.name)
        for path in (scripts.iterdir() if scripts.is_dir() else ())
        if _is_regular(path) and _fix_shebang(path)
    }
    for info in distributions(prefix):
        note = f"{prefix.site}/{info.name}/{_UV_CACHE_NOTE}"
        if _is_regular(prefix.root / note):
            (prefix.root / note).unlink()
        rows = []
        for row in _read_record(info):
            name = _inside(prefix, row[0])
            if name in changed:
                rows.append(_row(prefix, name))
            elif name is not None and name != f"{prefix.site}/{info.name}/RECORD":
                rows.append(row)
        _write_record(info, rows)


def distributions(prefix: Prefix) -> list[Path]:
    """Return the ``.dist-info`` directories of the installed distributions, sorted.

    A wheel may contain other directories with such a name. They have no RECORD.
    """
    return [
        info
        for info in sorted(prefix.site_packages.glob("*.dist-info"))
        if os.path.lexists(info / "RECORD")
    ]


def wheel_tags(file: Path) -> tuple[str, ...]:
    """Return the tags in a WHEEL, sorted."""
    tags = re.findall(r"^Tag:\s*(\S+-\S+-\S+)", read_text(file), re.MULTILINE)
    return tuple(sorted(set(tags)))


def recorded_files(prefix: Prefix, info: Path) -> set[str]:
    """Return the files in the RECORD of the distribution, relative to the prefix."""
    names = (_inside(prefix, row[0]) for row in _read_record(info))
    return {name for name in names if name is not None}


def changed_distributions(prefix: Prefix) -> list[str]:
    """Return the distributions with files that differ from RECORD, each as ``name-version``.

    uv copies from a cache of unpacked wheels, and environments may be linked into that cache: an
    edit in such an environment changes the cache. uv does not check the files again.
    https://docs.astral.sh/uv/concepts/cache/
    """
    return [
        info.name.removesuffix(".dist-info")
        for info in distributions(prefix)
        if not all(_is_as_recorded(prefix, row) for row in _read_record(info))
    ]


def _is_as_recorded(prefix: Prefix, row: list[str]) -> bool:
    name, value = row[0], row[1]
    # Installers write scripts and metadata themselves. A row may also name a file of this machine.
    is_module = posixpath.normpath(name) == name and not name.startswith(("/", "../"))
    if not is_module or ".dist-info/" in name or not value.startswith(_HASH):
        return True
    path = prefix.site_packages / name
    return _is_regular(path) and _digest(path) == value


def _inside(prefix: Prefix, recorded: str) -> str | None:
    """Return the path in the prefix of a file in RECORD, or None if the prefix has no such file.

    RECORD is text of a stranger: it can name files of this machine, or directories. Old uv keeps
    such rows.
    """
    name = posixpath.normpath(posixpath.join(prefix.site, recorded))
    if name.startswith(("/", "../")) or not name.isprintable():
        return None
    return name if _is_regular(prefix.root / name) else None


def _is_regular(path: Path) -> bool:
    """Return True for a regular file that is not a link: a link could lead to this machine."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # a path too long, or with a null character
        return False


def _check_size(members: Sequence[zipfile.ZipInfo]) -> None:
    """
    :raises LookupError: for a "zip bomb", which unpacks to more than any wheel.
    """
    if len(members) > WHEEL_FILES or sum(m.file_size for m in members) > WHEEL_BYTES:
        raise LookupError(
            f"it has more than {WHEEL_FILES:,} files, or more than {WHEEL_BYTES:,} bytes"
        )


def _dist_info(names: Iterable[str]) -> str:
    for name in names:
        directory, _, file = name.partition("/")
        if directory.endswith(".dist-info") and file == "WHEEL":
            return directory
    raise LookupError("it has no *.dist-info/WHEEL")


def _places(prefix: Prefix, dist_info: str) -> dict[str, str]:
    """Return the target directories, relative to the prefix, by the start of names in the wheel."""
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
    if name.count("/") > LEVELS:
        raise LookupError(f"it has a file in more than {LEVELS} directories")
    path = prefix.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with archive.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    # As in pip, the archive must also say that this is a regular file.
    mode = member.external_attr >> 16
    path.chmod(0o755 if stat.S_ISREG(mode) and mode & 0o111 else 0o644)
    return name


def _entry_points(info: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the scripts for a distribution's entry points."""
    path = info / "entry_points.txt"
    if not has_file(path):
        return
    parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the module's docs say
    try:
        parser.read_string(read_text(path))
    except configparser.Error as error:
        raise UserError(
            f"{info.name}/entry_points.txt cannot be read: {str(error).splitlines()[0]}",
            hint="correct the entry points of the project",
        ) from error
    for group in _SCRIPT_GROUPS:
        for name, value in parser.items(group) if parser.has_section(group) else ():
            match = _OBJECT.fullmatch(value)
            if match is None or not _SCRIPT_NAME.fullmatch(name):
                raise UserError(
                    f"{info.name}/entry_points.txt: {name} = {value} is not a valid script",
                    hint="write it as name = package.module:function",
                )
            function = match["function"]
            imported = function.partition(".")[0]
            text = _SCRIPT.format(module=match["module"], name=imported, function=function)
            yield name, _SHEBANG + text.encode()


def _fix_shebang(path: Path) -> bool:
    """Make the environment's Python run a Python script; return True if the file has changed.

    A wheel has the line ``#!python``, and uv replaces it by the path of this machine's Python.
    """
    with path.open("rb") as script:  # it may be a program of hundreds of megabytes
        start = script.read(_SHEBANG_AT_MOST)
        first, newline, _ = start.partition(b"\n")
        if long := _LONG_SHEBANG.match(start):
            script.seek(long.end())
        elif newline and re.match(rb"#!(?:python|/\S*/python)", first):
            script.seek(len(first) + 1)
        else:
            return False
        mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
        path.unlink()  # it may be a hard link into uv's cache; it stays open
        with path.open("wb") as file:
            file.write(_SHEBANG)
            shutil.copyfileobj(script, file)
    path.chmod(mode)
    return True


def _write_new(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _read_record(info: Path) -> list[list[str]]:
    """Return the rows of RECORD: a path relative to site-packages, a hash and a size.

    :raises UserError: if RECORD cannot be read.
    """
    try:
        text = read_bounded(info / "RECORD", WHEEL_RECORD).decode("utf-8")
        rows = list(csv.reader(text.splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{info.name}/RECORD is not valid: {error}",
            hint="install another version of that distribution",
        ) from error
    return [row for row in rows if len(row) == 3]  # noqa: PLR2004


def _write_record(info: Path, rows: list[list[str]]) -> None:
    output = io.StringIO(newline="")
    csv.writer(output).writerows(sorted([*rows, [f"{info.name}/RECORD", "", ""]]))
    _write_new(info / "RECORD", output.getvalue().encode())


def _row(prefix: Prefix, name: str) -> list[str]:
    path = prefix.root / name
    return [posixpath.relpath(name, prefix.site), _digest(path), str(path.stat().st_size)]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return _HASH + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
