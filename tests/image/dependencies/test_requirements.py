"""An image installs what its lock pins, else what the list requires; and our runtime."""

from __future__ import annotations

import dataclasses
import subprocess
import zipfile
from contextlib import nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import uv
from packaging.requirements import Requirement

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.image.dependencies.requirements import (
    ImageRequirements,
    check_lock,
    image_requirements,
)
from bigflow_backend.image.relock import lock_dependencies
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from support.distribution import make_project, make_wheel
from support.matrix import rest_slow
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path

_OURS = f"bigflow-backend=={version('bigflow-backend')}"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that depends on ``alpha``; an index of files has two versions of it."""
    for release in ("1.0", "1.1"):
        make_wheel(tmp_path / "index", "alpha", release, {"alpha.py": f"V = '{release}'\n"})
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    _write(tmp_path / "project", ["alpha>=1,<2"])
    return tmp_path / "project"


def _write(root: Path, stated: list[str] | None, more: str = "", file: str | None = None) -> None:
    listed = "" if stated is None else f"dependencies = {stated}\n"
    write_project(
        root,
        {
            "pyproject.toml": (
                '[build-system]\nrequires = ["bigflow-backend"]\n'
                'build-backend = "bigflow_backend"\n'
                '[project]\nname = "pipelines"\nversion = "1.0.0"\n'
                f'requires-python = ">=3.10"\n{listed}'
                '[[tool.uv.index]]\nname = "local"\nurl = "../index"\nformat = "flat"\n'
                f"default = true\n{more}"
            ),
            "project_setup.py": (
                "from bigflow_backend import setup\nif __name__ == '__main__':\n    setup()\n"
            ),
            "resources/requirements.txt": file,
        },
    )


def _uv(root: Path, *arguments: str) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments], cwd=root, capture_output=True, check=True)


def _found(root: Path, **settings: object) -> tuple[ImageRequirements, list[str]]:
    said: list[str] = []
    chosen = dataclasses.replace(ImageSettings(), **settings)  # type: ignore[arg-type]
    staging = root.with_name("staging")
    return image_requirements(read_project(root), chosen, staging, said.append), said


def _lines(found: ImageRequirements, directory: Path) -> list[str]:
    return found.write(directory, absolute=False).path.read_text("utf-8").splitlines()


def test_a_list_and_the_runtime_of_this_machine(root: Path, tmp_path: Path) -> None:
    found, _ = _found(root)
    assert not found.is_locked
    assert _lines(found, tmp_path / "out") == ["alpha>=1,<2", _OURS]
    (wheel,) = (tmp_path / "out/wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert {"bigflow/__main__.py", "bigflow_backend/pipeline.py"} <= set(archive.namelist())
        assert archive.testzip() is None


def test_the_wheel_of_the_runtime_is_reproducible(root: Path, tmp_path: Path) -> None:
    found, _ = _found(root)
    written = [found.write(tmp_path / name, absolute=False) for name in ("one", "two")]
    first, second = (next(w.wheels.iterdir()).read_bytes() for w in written)
    assert first == second


@pytest.mark.parametrize(
    ("stated", "brings"),
    [
        ([], True),
        (["bigflow-backend"], True),
        ([_OURS], True),
        (["bigflow-backend==0.0.1"], False),
        (["bigflow-backend>=0.0.1"], False),
    ],
)
def test_a_stated_version_of_the_runtime_counts(
    root: Path, stated: list[str], brings: bool
) -> None:
    _write(root, stated)
    assert _found(root)[0].brings_runtime is brings


def test_a_wheel_of_the_runtime_in_find_links_counts(root: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "links", "bigflow-backend", "9.9", {})
    links = (str(tmp_path / "links"),)
    assert _found(root, find_links=links)[0].brings_runtime  # the list does not name it
    _write(root, ["bigflow-backend"])
    assert not _found(root, find_links=links)[0].brings_runtime


def test_uv_lock_pins(root: Path, tmp_path: Path) -> None:
    _uv(root, "lock")
    make_wheel(tmp_path / "index", "alpha", "1.2", {})  # newer than the lock
    found, _ = _found(root)
    assert (found.place, found.is_locked) == ("uv.lock", True)
    # uv writes no hashes of files on this machine.
    assert _lines(found, tmp_path / "out") == ["alpha==1.1", _OURS]


def test_pylock_pins_with_hashes(root: Path, tmp_path: Path) -> None:
    _uv(root, "lock")
    _uv(root, "export", "--format", "pylock.toml", "--output-file", "pylock.toml")
    (root / "uv.lock").unlink()
    found, _ = _found(root)
    assert (found.place, found.is_locked) == ("pylock.toml", True)
    pin, ours = _lines(found, tmp_path / "out")
    assert pin.startswith("alpha==1.1 --hash=sha256:")
    assert ours.startswith(f"{_OURS} --hash=sha256:")


@pytest.mark.parametrize("lock", rest_slow(["uv.lock", "pylock.toml"], quick=["pylock.toml"]))
def test_a_stale_lock(root: Path, monkeypatch: pytest.MonkeyPatch, lock: str) -> None:
    _uv(root, "lock")
    if lock == "pylock.toml":
        _uv(root, "export", "--format", lock, "--output-file", lock)
        (root / "uv.lock").unlink()
    _write(root, ["alpha==1.0"])
    with pytest.warns(BigflowWarning, match=f"{lock} .*, so it does not count"):
        found, _ = _found(root)
    assert not found.is_locked
    for environment, settings in (({"CI": "true"}, {}), ({}, {"locked": True})):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(UserError, match=lock):
                _found(root, **settings)


def test_locked_needs_a_lock(root: Path) -> None:
    with pytest.raises(UserError, match="no lock pins the dependencies"):
        _found(root, locked=True)


def test_a_lock_can_be_left_out(root: Path) -> None:
    _uv(root, "lock")
    assert not _found(root, locked=False)[0].is_locked


@pytest.mark.parametrize(
    "text",
    ["[", "lock-version = '2.0'\n", "lock-version = '1.0'\ncreated-by = 3\n", "\udcff"],
)
def test_a_broken_pylock(root: Path, text: str) -> None:
    (root / "pylock.toml").write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=r"pylock.toml is not a valid lock"):
        _found(root)


def test_groups_and_extras(root: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "index", "beta", "1.0", {})
    make_wheel(tmp_path / "index", "gamma", "1.0", {})
    more = "[dependency-groups]\npods = ['beta']\ndev = ['gamma']\n"
    _write(root, ["alpha"], more)
    _uv(root, "lock")
    assert _found(root)[0].names == {"alpha"}
    assert _found(root, groups=("pods",))[0].names == {"alpha", "beta"}
    with pytest.raises(UserError, match="missing"):
        _found(root, groups=("missing",))
    with pytest.raises(UserError, match=r"tool\.bigflow\.image\.groups needs a uv\.lock"):
        _found(root, groups=("pods",), locked=False)


_PYLOCK = """\
lock-version = "1.0"
created-by = "test"
extras = ["fast"]
dependency-groups = ["pods", "dev"]
default-groups = ["main"]
"""
_PACKAGE = """\
[[packages]]
name = "{name}"
version = "{version}"
marker = {marker!r}
index = "https://example.com/simple"
[[packages.wheels]]
name = "{name}-{version}-py3-none-any.whl"
url = "https://example.com/{name}-{version}-py3-none-any.whl"
hashes = {{ sha256 = "{hash}" }}
"""


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"alpha", "main"}),
        ({"groups": ("pods",)}, {"alpha", "main", "both", "pods"}),
        ({"extras": ("Fast",)}, {"alpha", "main", "fast"}),
    ],
)
def test_groups_extras_and_platforms_of_a_pylock(
    root: Path, tmp_path: Path, settings: dict[str, object], names: set[str]
) -> None:
    markers = {
        ("alpha", "1.0"): "python_version < '3.0'",
        ("alpha", "1.1"): "python_version >= '3.0' and sys_platform == 'linux'",
        ("windows", "1.0"): "sys_platform == 'win32'",
        ("main", "1.0"): "'main' in dependency_groups",
        ("fast", "1.0"): "'fast' in extras",
        ("pods", "1.0"): "'pods' in dependency_groups or 'dev' in dependency_groups",
        ("both", "1.0"): "'dev' not in dependency_groups and 'pods' in dependency_groups",
    }
    packages = [
        _PACKAGE.format(name=name, version=release, marker=marker, hash="0" * 64)
        for (name, release), marker in markers.items()
    ]
    stated = ["alpha==1.0; python_version < '3.0'", "alpha>1.0; python_version >= '3.0'"]
    _write(root, [*stated, "onlywin; sys_platform == 'win32'"])
    (root / "pylock.toml").write_text("".join([_PYLOCK, *packages]), "utf-8")
    found, _ = _found(root, **settings)
    lines = [Requirement(line.specifier) for line in found.requirements.lines]
    assert {line.name for line in lines if line.marker is None or line.marker.evaluate()} == names
    with pytest.raises(UserError, match=r"pylock\.toml has no dependency group 'other'"):
        _found(root, groups=("other",))


def test_a_project_in_a_pylock(root: Path, tmp_path: Path) -> None:
    make_project(root / "common", "common", "2.0", {})
    _write(root, ["alpha", "common"], _SOURCE)
    _uv(root, "lock")
    _uv(root, "export", "--format", "pylock.toml", "--output-file", "pylock.toml")
    (root / "uv.lock").unlink()
    found, _ = _found(root)
    assert (found.place, found.local_names) == ("pylock.toml", {"common"})
    lines = _lines(found, tmp_path / "out")
    assert any(line.startswith("common==2.0 --hash=sha256:") for line in lines)


def test_projects_of_the_repository_are_built(root: Path, tmp_path: Path) -> None:
    """Two of them have directories of one name, and one is for another platform."""
    for place, name in (("a/lib", "common"), ("b/lib", "util"), ("win", "winlib")):
        make_project(root / place, name, "2.0", {f"{name}.py": ""})
    _write(
        root,
        ["alpha", "common", "util", "winlib; sys_platform == 'win32'"],
        "[tool.uv.sources]\ncommon = { path = 'a/lib' }\nutil = { path = 'b/lib' }\n"
        "winlib = { path = 'win' }\n",
    )
    _uv(root, "lock")
    found, said = _found(root)
    assert found.local_names == {"common", "util", "winlib"}
    assert [line for line in said if "building the wheel of" in line] == [
        "building the wheel of a/lib", "building the wheel of b/lib", "building the wheel of win",
    ]  # fmt: skip
    # uv writes no hash of a file on this machine, and pip wants all or none.
    assert sorted(_lines(found, tmp_path / "out")) == [
        "alpha==1.1", _OURS, "common==2.0", "util==2.0", "winlib==2.0 ; sys_platform == 'win32'",
    ]  # fmt: skip
    assert (tmp_path / "out/wheels/common-2.0-py3-none-any.whl").is_file()


def test_a_wheel_of_the_repository(root: Path) -> None:
    make_wheel(root / "vendor", "common", "2.0", {})
    path = "vendor/common-2.0-py3-none-any.whl"
    _write(root, ["common"], f"[tool.uv.sources]\ncommon = {{ path = '{path}' }}\n")
    _uv(root, "lock")
    assert _found(root)[0].wheels == (root / path,)
    make_wheel(root / "vendor", "common", "2.0", {"common.py": "changed\n"})
    with pytest.raises(UserError, match=r"^vendor/common-2\.0-py3-none-any\.whl has a wrong hash"):
        _found(root)


@pytest.mark.parametrize("ci", rest_slow(["", "true"], quick=["true"]))
def test_the_lock_is_checked_before_anything_is_built(
    root: Path, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    monkeypatch.setenv("CI", ci)
    make_project(root / "common", "common", "2.0", {})
    (root / "common/backend.py").write_text("1 / 0\n", "utf-8")
    source = "[tool.uv.sources]\ncommon = { path = 'common' }\n"
    _write(root, ["alpha", "common"], source)
    _uv(root, "lock")
    check_lock(read_project(root), ImageSettings())
    _write(root, ["alpha==1.0", "common"], source)
    with pytest.raises(UserError, match=r"uv\.lock is older") if ci else nullcontext():
        check_lock(read_project(root), ImageSettings())
    check_lock(read_project(root), ImageSettings(locked=False))
    with pytest.raises(UserError, match=r"uv\.lock is older"):
        check_lock(read_project(root), ImageSettings(locked=True))


_SOURCE = "[tool.uv.sources]\ncommon = { path = 'common' }\n"


@pytest.mark.parametrize(
    ("stated", "more", "file"),
    [
        (["alpha", "common"], _SOURCE, None),
        pytest.param(["alpha", "common @ file:common"], "", None, marks=pytest.mark.slow),
        pytest.param(["alpha", "common@file:./common"], "", None, marks=pytest.mark.slow),
        pytest.param(["alpha", "common @ file://{root}/common"], "", None, marks=pytest.mark.slow),
        pytest.param(None, "", "alpha\ncommon @ file:common\n", marks=pytest.mark.slow),
        pytest.param(None, _SOURCE, "alpha\nCommon>=1\n", marks=pytest.mark.slow),
    ],
)
def test_projects_of_the_repository_without_a_lock(
    root: Path, tmp_path: Path, stated: list[str] | None, more: str, file: str | None
) -> None:
    """The names are on an index, too, in newer versions of a stranger."""
    for name in ("common", "below"):
        make_wheel(tmp_path / "index", name, "9.0", {})
    make_project(root / "below", "below", "3.0", {})
    make_project(root / "common", "common", "2.0", {}, requires=["below"])
    with (root / "common/pyproject.toml").open("a") as pyproject:
        pyproject.write("[tool.uv.sources]\nbelow = { path = '../below' }\n")
    make_project(root / "unused", "unused", "2.0", {})
    stated = stated and [line.format(root=root) for line in stated]
    _write(root, stated, more, file)
    (root / ".git").mkdir()
    found, _ = _found(root)
    assert (found.is_locked, found.local_names) == (False, {"below", "common"})
    lines = [line.lower() for line in _lines(found, tmp_path / "out")]
    assert lines == ["alpha", "common==2.0", "below==3.0", _OURS]


def test_a_project_that_is_locked_by_hashes(root: Path, tmp_path: Path) -> None:
    make_project(root / "common", "common", "2.0", {})
    _write(root, None, file=f"alpha==1.1 --hash=sha256:{'0' * 64}\ncommon @ file:common\n")
    (root / ".git").mkdir()
    found, _ = _found(root, locked=True)
    assert found.is_locked
    assert _lines(found, tmp_path / "out")[1].startswith("common==2.0 --hash=sha256:")


@pytest.mark.parametrize("hashes", [True, False])
def test_pip_gets_the_place_of_a_project(root: Path, tmp_path: Path, hashes: bool) -> None:
    """For one version, pip prefers an index to find-links."""
    make_project(root / "common", "common", "2.0", {})
    digest = f" --hash=sha256:{'0' * 64}" if hashes else ""
    _write(root, None, file=f"alpha==1.1{digest}\ncommon[x] @ file:common ; python_version > '3'\n")
    (root / ".git").mkdir()
    written = _found(root)[0].write(tmp_path / "out", absolute=False, wheels_at="/wheels")
    line = written.path.read_text("utf-8").splitlines()[1]
    place = "common[x] @ file:///wheels/common-2.0-py3-none-any.whl"
    assert line.startswith(f'{place} ; python_version > "3"')
    assert ("--hash=sha256:" in line) is hashes


def test_a_project_that_a_lock_has_from_an_index(root: Path, tmp_path: Path) -> None:
    """uv does not know a relative URL, and searches the name on its indexes."""
    make_project(root / "common", "common", "2.0", {})
    make_wheel(tmp_path / "index", "common", "2.0", {"stranger.py": ""})
    _write(root, ["common"])
    _uv(root, "lock")
    _write(root, ["common @ file:common"])
    _uv(root, "export", "--frozen", "--format", "pylock.toml", "--output-file", "pylock.toml")
    (root / "uv.lock").unlink()
    with pytest.raises(UserError, match=r"has common from an index, but .* has it in common\n"):
        _found(root)
    with pytest.raises(UserError, match=r"uv cannot lock common @ file:common") as caught:
        lock_dependencies(
            read_project(root), python="python3", upgrade=False, packages=(), say=print
        )
    assert 'common = { path = "common" } into [tool.uv.sources]' in (caught.value.hint or "")


@pytest.mark.parametrize("place", ["", "common"])
def test_a_file_outside_the_repository(root: Path, place: str) -> None:
    _write(root, [f"other @ file:///nowhere/{place}"])
    with pytest.raises(UserError, match=r"is a file of this machine"):
        _found(root)


def test_a_source_of_a_needed_project_is_not_searched_on_an_index(root: Path) -> None:
    make_project(root / "common", "common", "2.0", {}, requires=["alpha"])
    with (root / "common/pyproject.toml").open("a") as pyproject:
        pyproject.write("[tool.uv.sources]\nalpha = { index = 'local' }\n")
    _write(root, ["common"], _SOURCE)
    (root / ".git").mkdir()
    with pytest.raises(UserError, match=r"has the place of alpha, and no valid uv\.lock"):
        _found(root)


@pytest.mark.parametrize(
    "source", ["workspace = true", "path = '../gone'", "index = 'local'", "git = 'https://x.y/z'"]
)
def test_a_source_without_a_lock_is_not_searched_on_an_index(root: Path, source: str) -> None:
    _write(root, ["Alpha"], f"[tool.uv.sources]\nalpha = {{ {source} }}\n")
    with pytest.raises(UserError, match=r"no valid uv\.lock has it") as caught:
        _found(root)
    assert caught.value.hint == "make the lock: bigflow lock"


def test_a_lock_that_fails_leaves_the_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    _write(root, None, file="no-such-distribution\n")
    with pytest.raises(UserError):
        lock_dependencies(
            read_project(root), python="python3", upgrade=False, packages=(), say=print
        )
    names = sorted(path.name for path in (root / "resources").iterdir())
    assert names == ["requirements.txt"]


@pytest.mark.parametrize("text", ["[", "a = " + "[" * 100_000, "package = 3\n"])
def test_a_broken_uv_lock_is_one_error(root: Path, text: str) -> None:
    (root / "uv.lock").write_text(text, "utf-8")
    with pytest.raises(UserError):
        lock_dependencies(
            read_project(root), python="python3", upgrade=False, packages=(), say=print
        )
