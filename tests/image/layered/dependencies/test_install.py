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
    """They are not read: /dev/zero has no end."""
    prefix = _prefix(tmp_path)
    (tmp_path / "outside").write_text("a secret")
    info = _installed_by_uv(prefix, f"{name},sha256=x,1\n")
    assert changed_distributions(prefix) == []
    adopt_distributions(prefix)
    assert (info / "RECORD").read_text().splitlines() == sorted(
        [f"{name},sha256=x,1", "library-1.dist-info/RECORD,,"]
    )


def test_files_that_differ_from_the_record(tmp_path: Path) -> None:
    prefix = _prefix(tmp_path)
    empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    _installed_by_uv(prefix, f"a.py,{empty},0\n")
    assert changed_distributions(prefix) == ["library-1"]  # it is missing
    (prefix.site_packages / "a.py").touch()
    assert changed_distributions(prefix) == []
    (prefix.site_packages / "a.py").write_text("changed")
    assert changed_distributions(prefix) == ["library-1"]
