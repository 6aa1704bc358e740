"""Layers by wheel: which layers a change makes anew, and files that several wheels have."""

from __future__ import annotations

import json
import platform
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.image.layered import dependency_layers
from support.distribution import make_wheel
from support.images import small_base

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.image import PublishedImage
    from support.layered import LayeredProject

_VERSION = platform.python_version()
_MINOR = ".".join(_VERSION.split(".")[:2])
_SITE = f"app/lib/python{_MINOR}/site-packages"


def _layers(project: LayeredProject, image: PublishedImage) -> dict[str, str]:
    """Return the digests of the layers by what made them, without those of the base."""
    layers: list[dict[str, Any]] = project.info(image)["layers"]
    return {layer["created_by"]: layer["digest"] for layer in layers[1:]}


def _content(project: LayeredProject, image: PublishedImage, name: str) -> bytes | None:
    return project.files(image).files[f"{_SITE}/{name}"].content


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency_layers, "_LARGE", 10_000)


@pytest.mark.usefixtures("small_limit")
def test_a_changed_version_makes_one_layer(layered_project: LayeredProject, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(layered_project.wheels, "small", version, {"small.py": f"V = {version}\n"})
        large = {"large.py": f"V = {version}\n" + "# text\n" * 2000}
        make_wheel(layered_project.wheels, "large", version, large)

    def layers(*lines: str) -> dict[str, str]:
        layered_project.require(*lines)
        return _layers(layered_project, layered_project.build())

    def blobs() -> int:
        return len([*(tmp_path / "cache/blobs/sha256").iterdir()])

    first = layers("small==1.0", "large==1.0")
    before = blobs()
    one_small = layers("small==2.0", "large==1.0")
    assert blobs() == before + 3  # the layer, the configuration, the manifest
    one_large = layers("small==1.0", "large==2.0")
    assert blobs() == before + 6
    changed = [
        {title for title, digest in new.items() if digest != first[title]}
        for new in (one_small, one_large)
    ]
    assert changed == [{next(t for t in first if "small" in t)}, {"dependencies: large"}]


def test_other_projects_and_bases_share_the_layers(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    """The bases have other releases of the minor version, and no compiler of their own."""
    make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    layered_project.require("library")
    found = []
    for number, release in enumerate(("3.99.1", "3.99.2")):
        base = small_base(tmp_path / f"base-{number}.tar", version=release)
        image = layered_project.build(base_image=base)
        layers = _layers(layered_project, image)
        found.append({t: d for t, d in layers.items() if t.startswith("dependencies: ")})
    assert found[0] == found[1]


def test_the_most_layers(layered_project: LayeredProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency_layers, "_LARGE", 0)
    names = [f"library{number}" for number in range(70)]
    for name in names:
        make_wheel(layered_project.wheels, name, "1.0", {f"{name}.py": ""})
    layered_project.require(*names)
    image = layered_project.build()
    assert 30 < len(layered_project.info(image)["layers"]) <= 60
    files = layered_project.files(image).files
    assert all(f"{_SITE}/{name}.py" in files for name in names)


def test_a_file_of_two_wheels(layered_project: LayeredProject) -> None:
    """As with pip, the last one that is installed wins. Each layer has its own wheel's file."""
    for name in ("one", "two"):
        make_wheel(layered_project.wheels, name, "1.0", {"common.py": f"NAME = '{name}'\n"})
    layered_project.require("one", "two")
    image = layered_project.build()
    assert _content(layered_project, image, "common.py") == b"NAME = 'one'\n"
    assert list(_layers(layered_project, image))[-2].startswith("files that several")
    layered_project.require("two")
    image = layered_project.build()
    assert _content(layered_project, image, "common.py") == b"NAME = 'two'\n"
    layered_project.require("one", "two")
    again = layered_project.build()
    assert _content(layered_project, again, "common.py") == b"NAME = 'one'\n"


def test_a_file_of_a_wheel_and_of_one_that_it_needs(layered_project: LayeredProject) -> None:
    """pip installs what a distribution needs before it."""
    make_wheel(layered_project.wheels, "base", "1.0", {"common.py": "NAME = 'base'\n"})
    make_wheel(
        layered_project.wheels,
        "over",
        "1.0",
        {"common.py": "NAME = 'over'\n"},
        requires=["base"],
    )
    for times in (1, 2):  # the second time, the store knows the wheels
        layered_project.require("over", "small")
        make_wheel(layered_project.wheels, "small", "1.0", {"small.py": "# text\n" * times})
        image = layered_project.build()
        assert _content(layered_project, image, "common.py") == b"NAME = 'over'\n"


def test_two_wheels_that_require_each_other_have_the_same_file(
    layered_project: LayeredProject,
) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        files = {"same.py": f"OWNER = {name!r}\n", "other.py": "", f"{name}.py": ""}
        make_wheel(layered_project.wheels, name, "1.0", files, requires=[other])
    layered_project.require("two", "one")
    for _ in range(2):  # the second time, all layers are in the store
        with pytest.warns(BigflowWarning) as caught:
            image = layered_project.build()
        assert [str(w.message) for w in caught if "each other" in str(w.message)] == [
            (
                f"two and one require each other, and both have {_SITE}/other.py and 1 more: the"
                " image has that of one, and pip may choose the other"
            )
        ]
        assert _content(layered_project, image, "same.py") == b"OWNER = 'one'\n"


def test_bytecode_of_the_file_of_a_lower_layer_is_removed(layered_project: LayeredProject) -> None:
    """Python would run it: it never compares the bytecode with the source."""
    make_wheel(layered_project.wheels, "low", "1.0", {"same.py": "OWNER = 'low'\n", "low.py": ""})
    files = {"same.py": "not a module\n", "high.py": ""}
    make_wheel(layered_project.wheels, "high", "1.0", files, requires=["low"])
    layered_project.require("high")
    image = layered_project.files(layered_project.build())
    cache = f"{_SITE}/__pycache__"
    tag = f"cpython-{_MINOR.replace('.', '')}"
    layers = [names for names in image.layers if f"{cache}/same.{tag}.pyc" in names]
    removing = [names for names in image.layers if f"{cache}/.wh.same.{tag}.pyc" in names]
    assert len(layers) == len(removing) == 1
    assert image.layers.index(removing[0]) > image.layers.index(layers[0])
    assert f"{cache}/high.{tag}.pyc" in image.files


def test_a_record_that_names_the_files_of_another_wheel(layered_project: LayeredProject) -> None:
    make_wheel(layered_project.wheels, "good", "1.0", {"good.py": "GOOD = True\n"})
    path = make_wheel(layered_project.wheels, "evil", "1.0", {"evil.py": ""})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["evil-1.0.dist-info/RECORD"] = b"good.py,,\n"  # and none of its own
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    layered_project.require("good", "evil")
    image = layered_project.build()
    assert _content(layered_project, image, "good.py") == b"GOOD = True\n"
    assert _content(layered_project, image, "evil.py") == b""
    layers = layered_project.files(image).layers
    assert sum(f"{_SITE}/good.py" in layer for layer in layers) == 1


def test_a_file_in_the_place_of_a_directory(layered_project: LayeredProject) -> None:
    """The wheels are installed one after the other: uv alone does not see both."""
    make_wheel(layered_project.wheels, "one", "1.0", {"place": ""})
    make_wheel(layered_project.wheels, "two", "1.0", {"place/x.py": ""})
    for name in ("one", "two"):
        layered_project.require(name)
        layered_project.build()
    layered_project.require("one", "two")
    with pytest.raises(UserError, match=rf"two has a directory /{_SITE}/place"):
        layered_project.build()


def test_files_below_lib64(layered_project: LayeredProject) -> None:
    """In an environment it is a link to lib, and stays one."""
    make_wheel(layered_project.wheels, "one", "1.0", {"one-1.0.data/data/lib64/x.txt": "x"})
    layered_project.require("one")
    files = layered_project.files(layered_project.build()).files
    assert files["app/lib64"].target == "lib"
    assert files["app/lib/x.txt"].content == b"x"


def test_uvs_cache_stays_as_it_is(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of an environment may be hard links into it."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    tag = f"cpython-{_MINOR.replace('.', '')}"
    content = {
        "library.py": "",
        f"__pycache__/library.{tag}.pyc": "old",
        "library-1.0.data/scripts/run": "#!python\n",
    }
    make_wheel(layered_project.wheels, "library", "1.0", content)
    layered_project.require("library")
    image = layered_project.build()
    assert _content(layered_project, image, f"__pycache__/library.{tag}.pyc") != b"old"
    (cached,) = (tmp_path / "uv").rglob(f"library.{tag}.pyc")
    assert cached.read_text() == "old"
    (script,) = (p for p in (tmp_path / "uv").rglob("scripts/run"))
    assert script.read_text() == "#!python\n"
    assert json.loads(image.info.read_text())["dependencies"][1:] == ["library==1.0"]
