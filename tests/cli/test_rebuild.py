"""An image that is built again: a release on another base, and the same image to compare it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store
from support.commands import Result, bigflow
from support.distribution import make_wheel
from support.images import read_image, small_base, small_index
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry import Registry

_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[tool.bigflow.image]
base-image = "{base}"
find-links = ["{wheels}"]
platform = "linux/amd64"
"""
_CONFIG = """\
from bigflow import Config
deployment_config = Config(name="dev", properties={"docker_repository": "example.org/rides"})
"""


class Rebuilt:
    """A project that was released with its wheel in ``dist/``, and has changed since."""

    def __init__(self, root: Path) -> None:
        self.wheels = root / "wheels"
        make_wheel(self.wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": ""})
        make_wheel(self.wheels, "library", "1.0", {"library.py": ""})
        version = platform.python_version()
        old = small_base(root / "old.tar", version=version)
        self.patched = small_base(root / "patched.tar", version=version, files={"etc/patch": "1"})
        self.project = write_project(
            root / "project",
            {
                "pyproject.toml": _PYPROJECT.format(base=old, wheels=self.wheels),
                "deployment_config.py": _CONFIG,
                "pipelines/code.py": "TEXT = 'released'\n",
                "resources/requirements.txt": "bigflow-backend\nlibrary\n",
            },
        )
        self.project = Project(self.project.root, {})  # its version is not set

    def build(self, *options: str, **environment: str) -> Result:
        return bigflow(
            self.project,
            "build-image",
            *options,
            **{"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, **environment},
        )

    @property
    def wheel(self) -> Path:
        (wheel,) = (self.project.root / "dist").glob("*.whl")
        return wheel

    def info(self) -> Any:
        (path,) = (self.project.root / ".image").glob("imageinfo-*.json")
        return json.loads(path.read_text("utf-8"))


@pytest.fixture
def rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rebuilt:
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    return Rebuilt(tmp_path)


def test_a_release_on_a_patched_base(rebuilt: Rebuilt) -> None:
    assert rebuilt.build(BIGFLOW_VERSION="1.2.0").returncode == 0
    before, wheel = rebuilt.info(), rebuilt.wheel.read_bytes()
    rebuilt.project.write(
        {
            "pipelines/code.py": "TEXT = 'in work'\n",
            "pipelines/more.py": "",
            "resources/more.txt": "in work",
        }
    )
    done = rebuilt.build("--wheel", str(rebuilt.wheel), "--base-image", rebuilt.patched)
    assert done.returncode == 0, done.stderr
    assert rebuilt.wheel.read_bytes() == wheel
    after = rebuilt.info()
    assert (after["version"], after["tag"]) == ("1.2.0", "example.org/rides:1.2.0")
    assert after["wheel"] == before["wheel"]
    assert after["base"] != before["base"]
    assert after["layers"][-1] == before["layers"][-1]
    image = read_image(rebuilt.project.root / ".image" / "image-1.2.0.tar")
    assert "etc/patch" in image.files
    (code,) = (f.content for n, f in image.files.items() if n.endswith("pipelines/code.py"))
    assert code == b"TEXT = 'released'\n"
    assert not [n for n in image.files if n.endswith(("more.py", "more.txt"))]


@pytest.fixture
def released(rebuilt: Rebuilt, tmp_path: Path) -> Path:
    """A wheel of the project, at another place."""
    place = tmp_path / "released"
    place.mkdir()
    name = rebuilt.project.hook("build_wheel", str(place), BIGFLOW_VERSION="1.2.0")
    return place / str(name)


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        ("bigflow-backend\nlibrary>=1\n", "only the wheel has library; only the work tree has"),
        ("bigflow-backend\nlibrary # a\n", "resources/requirements.txt has another content"),
        (
            f"bigflow-backend\nlibrary==1.0 --hash=sha256:{'a' * 64}\n",
            "only the work tree has library ==1.0",
        ),
    ],
)
def test_other_requirements(
    rebuilt: Rebuilt, released: Path, requirements: str, problem: str
) -> None:
    rebuilt.project.write({"resources/requirements.txt": requirements})
    done = rebuilt.build("--wheel", str(released))
    first, fix = done.error
    assert first.startswith(
        f"bigflow: error: {released.name} has other requirements than the work tree: "
    )
    assert problem in first
    assert fix.strip().startswith("check out the commit that the wheel was built from")


def test_other_pins(rebuilt: Rebuilt, tmp_path: Path) -> None:
    """The list is the same, and the lock is another one."""
    pyproject = rebuilt.project.root / "pyproject.toml"
    table = '[project]\nname = "pipelines"\ndynamic = ["version"]\ndependencies = ["library"]\n'
    lock = 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "library"\n'
    lock += 'version = "{version}"\n[[packages.wheels]]\n'
    lock += 'url = "https://example.com/library-{version}-py3-none-any.whl"\n'
    lock += f'hashes = {{{{ sha256 = "{"a" * 64}" }}}}\n'
    rebuilt.project.write(
        {
            "resources/requirements.txt": None,
            "pyproject.toml": table + pyproject.read_text("utf-8"),
            "pylock.toml": lock.format(version="1.0"),
        }
    )
    name = rebuilt.project.hook("build_wheel", str(tmp_path), BIGFLOW_VERSION="1.2.0")
    rebuilt.project.write({"pylock.toml": lock.format(version="2.0")})
    problem, _ = rebuilt.build("--wheel", str(tmp_path / name)).error
    assert problem.endswith("library: the wheel has 1.0, the work tree 2.0")


def test_a_wheel_that_cannot_be_used(rebuilt: Rebuilt, released: Path, tmp_path: Path) -> None:
    other = make_wheel(tmp_path, "other", "1.0", {})
    renamed = shutil.copyfile(released, tmp_path / released.name.replace("1.2.0", "1.3.0"))
    damaged = tmp_path / "pipelines-9.0-py3-none-any.whl"
    damaged.write_bytes(b"PK")
    empty = tmp_path / "pipelines-8.0-py3-none-any.whl"
    with zipfile.ZipFile(empty, "w"):
        pass
    before = rebuilt.project.files()
    for wheel, problem in {
        other: "other-1.0-py3-none-any.whl is a wheel of other, and this project is pipelines",
        renamed: "is not a valid wheel: its METADATA has",
        damaged: "is not a valid wheel: File is not a zip file",
        empty: "is not a valid wheel: its METADATA has",
        tmp_path / "none.whl": "--wheel must be a file: got",
        tmp_path / "wheels": "is not a regular file",
    }.items():
        message, _ = rebuilt.build("--wheel", str(wheel)).error
        assert problem in message
    problem, _ = rebuilt.build("--wheel", str(released), "--builder", "engine").error
    assert problem.endswith("--wheel needs the layered builder: got --builder engine")
    rebuilt.project.write({"Dockerfile": "FROM scratch\n"})
    problem, fix = rebuilt.build("--wheel", str(released)).error
    assert "differs from the standard Dockerfile, and --wheel needs the layered" in problem
    assert "builder =" not in fix
    rebuilt.project.write({"Dockerfile": None})
    assert rebuilt.project.files() == before


def verified(rebuilt: Rebuilt, status: int) -> Any:
    done = rebuilt.build("--verify", "--json", BIGFLOW_VERSION="1.2.0")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_the_same_image_again(rebuilt: Rebuilt) -> None:
    assert rebuilt.build(BIGFLOW_VERSION="1.2.0").returncode == 0
    files = rebuilt.project.files()
    found = verified(rebuilt, 0)
    assert (found["same"], found["layers"]) == (True, [])
    assert found["digest"] == dict.fromkeys(("old", "new"), rebuilt.info()["digest"])
    assert rebuilt.project.files() == files


def test_the_files_that_differ_are_named(rebuilt: Rebuilt) -> None:
    """The version does not change, because the variable states it."""
    assert rebuilt.build(BIGFLOW_VERSION="1.2.0").returncode == 0
    rebuilt.project.write({"pipelines/code.py": "TEXT = 'changed'\n", "pipelines/more.py": ""})
    make_wheel(rebuilt.wheels, "library", "2.0", {"library.py": "", "added.py": ""})
    files = rebuilt.project.files()
    found = verified(rebuilt, 3)
    assert rebuilt.project.files() == files
    assert not found["same"]
    changed = {(f["change"], f["name"]) for f in found["wheel"]["files"]}
    assert {("~", "pipelines/code.py"), ("+", "pipelines/more.py")} <= changed
    of_layers = {
        (f["change"], f["name"].rpartition("site-packages/")[2])
        for layer in found["layers"]
        for f in layer["files"]
    }
    assert {
        ("~", "pipelines/code.py"),
        ("+", "pipelines/more.py"),
        ("+", "added.py"),
    } <= of_layers
    lines = rebuilt.build("--verify", BIGFLOW_VERSION="1.2.0").stdout.splitlines()
    assert lines[0] == "different  example.org/rides:1.2.0"
    assert "  ~ pipelines/code.py" in lines


def test_what_cannot_be_verified(rebuilt: Rebuilt) -> None:
    assert rebuilt.build(BIGFLOW_VERSION="1.2.0").returncode == 0
    problem, fix = rebuilt.build("--verify", BIGFLOW_VERSION="1.3.0").error
    assert "no image of 1.3.0, the version of this work tree, was built: .image/ has 1.2.0" in (
        problem
    )
    assert fix.strip().startswith("check out the commit of the image")
    problem, _ = rebuilt.build("--verify", "--push", BIGFLOW_VERSION="1.2.0").error
    assert problem.endswith("publishes nothing: got --push")
    problem, _ = rebuilt.build("--verify", "--tag", "latest", BIGFLOW_VERSION="1.2.0").error
    assert problem.endswith("publishes nothing: got --tag")
    (path,) = (rebuilt.project.root / ".image").glob("imageinfo-*.json")
    info = rebuilt.info()
    path.write_text(json.dumps(info | {"platform": None}), "utf-8")
    problem, _ = rebuilt.build("--verify", BIGFLOW_VERSION="1.2.0").error
    assert problem.endswith("does not name its platform")
    path.write_text(json.dumps(info | {"builder": "Docker Engine 20.10.24"}), "utf-8")
    problem, _ = rebuilt.build("--verify", BIGFLOW_VERSION="1.2.0").error
    assert "an engine has built example.org/rides:1.2.0" in problem
    path.write_text("[]", "utf-8")
    problem, fix = rebuilt.build("--verify", BIGFLOW_VERSION="1.2.0").error
    assert str(path) in problem
    assert fix.strip() == "build that version again"


@pytest.mark.slow
def test_the_tag_of_the_base_has_moved(rebuilt: Rebuilt, registry: Registry) -> None:
    """The image has two platforms. Each is built on the base that it had."""
    base = f"{registry.address}/verified/base:1"
    version = platform.python_version()

    def push(text: str) -> None:
        with open_store(rebuilt.project.root.parent / "made") as store, Registries() as registries:
            index = small_index(store, "amd64", "arm64", version=version, files={"etc/x": text})
            push_image(index, base, store=store, registries=registries)

    push("first")
    pyproject = rebuilt.project.root / "pyproject.toml"
    text = pyproject.read_text("utf-8").replace("platform = ", "# ")
    text += f'base-image = "{base}"\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    first = text.index("base-image")
    pyproject.write_text(text[:first] + text[text.index("\n", first) + 1 :], "utf-8")
    done = rebuilt.build(BIGFLOW_VERSION="1.2.0")
    assert done.returncode == 0, done.stderr
    push("second")
    assert verified(rebuilt, 0)["same"]
