"""A release: its notes, and the files that `make dist` builds."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.repository import ROOT, copy_repository, repository_files, tool

if TYPE_CHECKING:
    from pathlib import Path

release_notes = runpy.run_path(str(ROOT / "scripts/release_notes.py"))["release_notes"]
on_index = runpy.run_path(str(ROOT / "scripts/distribution.py"))["on_index"]


def repository(root: Path, changelog: str) -> Path:
    (root / "src/bigflow").mkdir(parents=True)
    (root / "src/bigflow/__init__.py").write_text('"""X."""\n\n__version__ = "0.2.0"\n', "utf-8")
    (root / "CHANGELOG.md").write_text(changelog, "utf-8")
    return root


def test_the_notes_are_the_section_of_the_release(tmp_path: Path) -> None:
    changelog = (
        "# Changelog\n\n## 0.2.0 (2026-12-01)\n\n### Added\n\n- A.\n\n## 0.1.0 (2026-01-01)\n"
    )
    notes = release_notes("v0.2.0", repository(tmp_path, changelog))
    assert notes == "### Added\n\n- A.\n"


@pytest.mark.parametrize(
    ("tag", "heading", "message"),
    [
        ("v0.3.0", "0.2.0 (2026-12-01)", "the tag must be v0.2.0: got 'v0.3.0'"),
        ("0.2.0", "0.2.0 (2026-12-01)", "the tag must be v0.2.0: got '0.2.0'"),
        ("v0.2.0", "Unreleased", "must be that of 0.2.0: got 'Unreleased'"),
        ("v0.2.0", "0.2.0", "must be that of 0.2.0: got '0.2.0'"),
        ("v0.2.0", "0.1.0 (2026-12-01)", "must be that of 0.2.0: got '0.1.0 (2026-12-01)'"),
    ],
)
def test_a_tag_that_the_files_contradict(
    tmp_path: Path, tag: str, heading: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=re.escape(message)):
        release_notes(tag, repository(tmp_path, f"# Changelog\n\n## {heading}\n\n- A.\n"))


def test_links_on_a_package_index_are_complete() -> None:
    text = on_index(
        '![a](docs/a.svg) [b](docs/b.md#c) [d](https://e.org) [f](#g) <img src="h.svg">'
    )
    assert re.sub(r"https://\S+?/v[0-9.]+/", "URL/", text) == (
        '![a](URL/docs/a.svg) [b](URL/docs/b.md#c) [d](https://e.org) [f](#g) <img src="URL/h.svg">'
    )


@pytest.mark.slow
def test_the_files_of_a_release(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "scripts/distribution.py")]
    subprocess.run([*script, "--sdist", tmp_path / "dist"], capture_output=True, check=True)
    sdist, wheel = sorted((tmp_path / "dist").iterdir(), key=lambda path: path.suffix)
    checked = tool("twine", "check", "--strict", sdist, wheel)
    assert checked.returncode == 0, checked.stdout
    sources = {name.removeprefix("src/") for name in repository_files() if name.startswith("src/")}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name for name in names if ".dist-info/" not in name} == sources
        (metadata,) = (archive.read(n).decode() for n in names if n.endswith("/METADATA"))
    assert re.search(r"\]\((?![a-z]+:|#)", metadata) is None
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in sources} <= inside
    assert {"pyproject.toml", "setup.cfg", "README.md", "LICENSE", "PKG-INFO"} <= inside


@pytest.mark.slow
def test_a_build_in_a_checkout_has_the_same_members(tmp_path: Path) -> None:
    """Without our script, too: `python -m build` is what a distributor types."""
    checkout = copy_repository(tmp_path / "checkout")
    done = tool("build", "--outdir", tmp_path / "dist", checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        modules = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = {name for name in repository_files() if name.startswith("src/")}
    assert {f"src/{name}" for name in modules} == tracked
