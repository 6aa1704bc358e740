"""Installed distributions: files, scripts and RECORD; invalid wheels."""

from __future__ import annotations

import csv
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered.dependencies.install import (
    Prefix,
    adopt_distributions,
    changed_distributions,
    install_wheel,
)
from support.distribution import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SITE = "lib/python3.11/site-packages"


def _prefix(tmp_path: Path) -> Prefix:
    root = tmp_path / "prefix"
    root.mkdir()
    return Prefix(root, _SITE)


def test_a_wheel_is_installed_and_recorded(tmp_path: Path) -> None:
    info = "library-3.1.dist-info"
    wheel = make_wheel(
        tmp_path,
        "library",
        "3.1",
        {
            "library.py": "",
            "library-3.1.data/scripts/run": "#!pythonw\nprint()\n",
            "library-3.1.data/platlib/native.so": "",
            f"{info}/entry_points.txt": (
                "[console_scripts]\nTool.X = library.main:Main.run [extra]\n[other]\na = b\n"
            ),
        },
    )
    prefix = _prefix(tmp_path)
    install_wheel(wheel, prefix)
    site = prefix.site_packages
    assert (prefix.root / "bin" / "Tool.X").read_text() == (
        "#!/app/bin/python\nimport sys\nfrom library.main import Main\n"
        'if __name__ == "__main__":\n    sys.exit(Main.run())\n'
    )
    assert (prefix.root / "bin" / "run").read_text() == "#!/app/bin/python\nprint()\n"
    rows = list(csv.reader((site / info / "RECORD").read_text().splitlines()))
    names = {row[0] for row in rows}
    assert {"../../../bin/Tool.X", "../../../bin/run", "native.so", "library.py"} <= names
    on_disk = {os.path.relpath(p, site) for p in prefix.root.rglob("*") if p.is_file()}
    assert names == on_disk


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "library-1.data/data/../../../x"])
def test_a_wheel_that_reaches_outside(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "library", "1", {name: ""})
    with pytest.raises(UserError, match=r"is not a valid wheel: it has a file"):
        install_wheel(wheel, _prefix(tmp_path))
    assert not (tmp_path / "outside.py").exists()


def test_invalid_wheels(tmp_path: Path) -> None:
    wheel, prefix = tmp_path / "library-1-py3-none-any.whl", _prefix(tmp_path)
    wheel.write_text("not an archive")
    with pytest.raises(UserError, match="is not a valid wheel"):
        install_wheel(wheel, prefix)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("library.py", "")
    with pytest.raises(UserError, match="WHEEL"):
        install_wheel(wheel, prefix)


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\nx = no-module\n",
        "[console_scripts]\n../x = a:b\n",
        "[console\n",
        "[console_scripts]\n.. = a:b\n",
    ],
)
def test_invalid_entry_points(tmp_path: Path, text: str) -> None:
    wheel = make_wheel(tmp_path, "library", "1", {"library-1.dist-info/entry_points.txt": text})
    prefix = _prefix(tmp_path)
    with pytest.raises(UserError, match=r"library-1.dist-info/entry_points.txt"):
        install_wheel(wheel, prefix)


def _installed_by_uv(prefix: Prefix, rows: str, **files: str) -> Path:
    info = prefix.site_packages / "library-1.dist-info"
    info.mkdir(parents=True)
    for name, text in {"RECORD": rows, **files}.items():
        (info / name).write_text(text)
    (prefix.root / "bin").mkdir()
    return info


def test_scripts_of_uv_run_in_the_image(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    note = "library-1.dist-info/uv_cache.json"
    record = "b.py,sha256=b,1\na.py,sha256=a,1\n../../../bin/run,sha256=x,9\nINFO/RECORD,,\n"
    rows = record.replace("INFO", "library-1.dist-info") + f"{note},sha256=y,2\n"
    info = _installed_by_uv(prefix, rows, **{"uv_cache.json": "{}"})
    for name in ("a.py", "b.py"):
        (prefix.site_packages / name).touch()
    script = prefix.root / "bin" / "run"
    script.write_text(f"#!/{'x' * 20}/bin/python3\nprint('ran')\n")
    script.chmod(0o755)
    (prefix.root / "bin" / "shell").write_text("#!/bin/sh\n")
    adopt_distributions(prefix)
    assert script.read_text() == "#!/app/bin/python\nprint('ran')\n"
    assert script.stat().st_mode & 0o777 == 0o755
    assert (prefix.root / "bin" / "shell").read_text() == "#!/bin/sh\n"
    assert not (info / "uv_cache.json").exists()
    changed, *others = csv.reader((info / "RECORD").read_text().splitlines())
    assert changed[0] == "../../../bin/run"
    assert changed[1] != "sha256=x"
    assert others == [
        ["a.py", "sha256=a", "1"],
        ["b.py", "sha256=b", "1"],
        ["library-1.dist-info/RECORD", "", ""],
    ]


@pytest.mark.parametrize("name", ["../../../../outside", "/dev/zero", "a/../../../../../outside"])
def test_a_record_that_names_files_of_this_machine(tmp_path: Path, name: str) -> None:
    """They are not read, since /dev/zero has no end. The image's RECORD does not name them."""
    prefix = _prefix(tmp_path)
    (tmp_path / "outside").write_text("a secret")
    info = _installed_by_uv(prefix, f"{name},sha256=x,1\n")
    assert changed_distributions(prefix) == []
    adopt_distributions(prefix)
    assert (info / "RECORD").read_text().splitlines() == ["library-1.dist-info/RECORD,,"]


def test_files_that_differ_from_the_record(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    _installed_by_uv(prefix, f"a.py,{empty},0\n")
    assert changed_distributions(prefix) == ["library-1"]  # it is missing
    (prefix.site_packages / "a.py").touch()
    assert changed_distributions(prefix) == []
    (prefix.site_packages / "a.py").write_text("changed")
    assert changed_distributions(prefix) == ["library-1"]


@pytest.mark.parametrize(
    "name", ["nothing", "folder", "link", "x" * 300, "a/../../../..", "a\0b", "", "\x1b]0;x\x07"]
)
def test_a_record_that_names_what_is_not_a_file(tmp_path: Path, name: str) -> None:
    prefix = _prefix(tmp_path)
    info = _installed_by_uv(prefix, "")
    with (info / "RECORD").open("w", newline="") as file:
        csv.writer(file).writerow([name, "sha256=x", "1"])
    (prefix.site_packages / "folder").mkdir()
    (prefix.site_packages / "link").symlink_to("/etc/passwd")
    changed_distributions(prefix)
    adopt_distributions(prefix)
    assert (info / "RECORD").read_text().splitlines() == ["library-1.dist-info/RECORD,,"]


@pytest.mark.parametrize(
    "record", [b"\xff", b"a" * 200_000, b'"' + b"a" * 200_000, b"x" * (64 * 2**20 + 1)]
)
def test_a_record_that_cannot_be_read(tmp_path: Path, record: bytes) -> None:
    prefix = _prefix(tmp_path)
    info = _installed_by_uv(prefix, "")
    (info / "RECORD").write_bytes(record)
    with pytest.raises(UserError, match="RECORD"):
        changed_distributions(prefix)
    with pytest.raises(UserError, match="RECORD"):
        adopt_distributions(prefix)


def test_directories_that_are_not_distributions(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    _installed_by_uv(prefix, "")
    (prefix.site_packages / "x.dist-info").mkdir()
    (prefix.site_packages / "y.dist-info").write_text("a file")
    (prefix.site_packages / "library-1.dist-info/uv_cache.json").mkdir()
    assert changed_distributions(prefix) == []
    adopt_distributions(prefix)


def _damaged(path: Path, damage: Callable[[bytearray], None]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "print('some text, long enough to be packed')\n" * 50)
        archive.writestr("a-1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    return path


def _set(content: bytearray, offset_here: int, offset_central: int, value: bytes) -> None:
    """Set a field of the first file, in its own header and in the directory at the end."""
    for start, offset in ((0, offset_here), (content.index(b"PK\x01\x02"), offset_central)):
        content[start + offset : start + offset + len(value)] = value


def _cut(content: bytearray) -> None:
    del content[-40:]


def _packed_wrongly(content: bytearray) -> None:
    content[40:60] = b"\xff" * 20


def _renamed(content: bytearray) -> None:
    content[30:34] = b"c.py"


DAMAGES: dict[str, Callable[[bytearray], None]] = {
    "empty": bytearray.clear,
    "cut": _cut,
    "data": _packed_wrongly,
    "encrypted": lambda content: _set(content, 6, 8, b"\x01\0"),
    "unknown method": lambda content: _set(content, 8, 10, b"\x63\0"),
    "bzip2 that is not": lambda content: _set(content, 8, 10, b"\x0c\0"),
    "LZMA that is not": lambda content: _set(content, 8, 10, b"\x0e\0"),
    "checksum": lambda content: _set(content, 14, 16, b"\0\0\0\0"),
    "another name": _renamed,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_wheel(tmp_path: Path, name: str) -> None:
    wheel = _damaged(tmp_path / "a-1-py3-none-any.whl", DAMAGES[name])
    with pytest.raises(UserError, match=r"a-1-py3-none-any.whl is not a valid wheel: "):
        install_wheel(wheel, _prefix(tmp_path))


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "", "a.py/b.py": ""},
        {"a/b.py": "", "a": ""},
        {"x" * 300: ""},
        {"library-1.data/data/lib": ""},
        {"library-1.dist-info/INSTALLER/x": ""},
    ],
)
def test_files_in_each_others_place(tmp_path: Path, files: dict[str, str]) -> None:
    wheel = make_wheel(tmp_path, "library", "1", files)
    with pytest.raises(UserError, match="is not a valid wheel"):
        install_wheel(wheel, _prefix(tmp_path))


def test_a_wheel_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigflow_backend.image.layered.dependencies.install.WHEEL_BYTES", 1000)
    wheel = make_wheel(tmp_path, "library", "1", {"a.py": "#" * 1000})
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        install_wheel(wheel, _prefix(tmp_path))
