"""``bigflow image``: the layers of an image."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from bigflow_backend.compare.composition import parts_of
from support.commands import bigflow
from support.distribution import make_wheel
from support.images import layer_tar, small_base, write_docker_archive
from support.projects import Project, write_project
from support.terminal import started

if TYPE_CHECKING:
    from pathlib import Path

_INFO: dict[str, Any] = {
    "tag": "registry.example.com/rides:1.2.0",
    "digest": f"sha256:{'a' * 64}",
    "pushed": False,
    "version": "1.2.0",
    "commit": "0123456789abcdef",
    "platform": "linux/amd64",
    "platforms": [{"platform": "linux/amd64"}, {"platform": "linux/arm64"}],
    "base": {"name": "python:3.12-slim", "digest": f"sha256:{'b' * 64}"},
    "layers": [
        {"size": 6000, "created_by": "Debian", "digest": f"sha256:{'1' * 64}"},
        {"size": 3000, "created_by": "dependencies: six", "digest": f"sha256:{'2' * 64}"},
        {"size": 1000, "created_by": "project", "digest": f"sha256:{'3' * 64}"},
    ],
    "dependencies": ["six==1.0"],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the imageinfo of a build, whose archive was removed."""
    written = write_project(tmp_path / "project", {})
    text = json.dumps(_INFO)
    written.write({".image/imageinfo-1.2.0.json": text, "pipelines/__init__.py": ""})
    return written


def test_the_image_of_the_last_build(project: Project) -> None:
    done = bigflow(project, "image", COLUMNS="60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "image     registry.example.com/rides:1.2.0",
        "version   1.2.0  commit 0123456789ab",
        f"digest    sha256:{'a' * 64}",
        "platform  linux/amd64; the build also has linux/arm64",
        f"base      python:3.12-slim  sha256:{'b' * 64}",
        "size      10.0 kB unpacked",
        "",
        f"{'░' * 35}{'█' * 18}{'▓' * 7}",
        "░ base 6.0 kB  █ dependencies 3.0 kB  ▓ project 1.0 kB",
        "",
        "part              size  share  digest        made by",
        "base            6.0 kB   60 %  111111111111  Debian",
        "dependencies    3.0 kB   30 %  222222222222  dependencies: six",
        "project         1.0 kB   10 %  333333333333  project",
    ]
    assert "the sizes are those of unpacked layers: no archive" in done.stderr


def test_an_image_of_another_platform_is_an_error(project: Project) -> None:
    message, hint = bigflow(project, "image", "--platform", "linux/arm64").error
    name = _INFO["tag"]
    assert message.endswith(f"the image {name} is for linux/amd64, not for linux/arm64")
    assert "leave out --platform" in hint
    assert bigflow(project, "image", "--platform", "amd64").returncode == 0


def test_an_instruction_of_several_lines_has_one_row(project: Project) -> None:
    layer = {"size": 1, "created_by": "RUN a \\\n\n\x1b[31m  b\u202e", "digest": None}
    info = json.dumps({**_INFO, "layers": [layer]})
    project.write({".image/imageinfo-1.2.0.json": info})
    last = bigflow(project, "image").stdout.splitlines()[-1]
    assert last.endswith("  unknown 0     RUN a \\ b\\u202e")
    root = ET.fromstring(bigflow(project, "image", "--svg").stdout)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "image: RUN a \\ b\\u202e" in texts


def test_the_image_as_json(project: Project) -> None:
    found = json.loads(bigflow(project, "image", "--json").stdout)
    assert (found["size"], found["is_compressed"]) == (10000, False)
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    assert found["layers"][1] == {
        "part": "dependencies",
        "created_by": "dependencies: six",
        "size": 3000,
        "unpacked_size": 3000,
        "digest": f"sha256:{'2' * 64}",
        "blob": None,
    }


def test_the_image_as_a_picture(project: Project) -> None:
    root = ET.fromstring(bigflow(project, "image", "--svg").stdout)
    assert root.findtext("{*}title") == "registry.example.com/rides:1.2.0"
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:5] == ["10.0 kB unpacked", "base: Debian", "6.0 kB", "60 %"]
    done = bigflow(project, "image", "--svg", "--json")
    assert done.returncode == 1


def test_an_archive_of_another_builder(tmp_path: Path) -> None:
    here = Project(tmp_path, {"BIGFLOW_CACHE": str(tmp_path / "own")})
    write_docker_archive(tmp_path / "1.tar", [layer_tar({"a": "1"}), layer_tar({"b": "2"})], {})
    found = json.loads(bigflow(here, "image", "1.tar", "--json").stdout)
    assert [layer["part"] for layer in found["layers"]] == ["image", "image"]
    assert found["size"] == sum(layer["size"] for layer in found["layers"])
    assert found["is_compressed"]  # in the cache


@pytest.mark.parametrize(
    ("files", "problem", "fix"),
    [
        ((), "no image is built: .image/ is empty", "bigflow build-image"),
        (("1.2.0", "1.3.0"), ".image/ has several images", ".image/imageinfo-1.2.0.json"),
    ],
)
def test_no_single_image(tmp_path: Path, files: tuple[str, ...], problem: str, fix: str) -> None:
    project = write_project(tmp_path / "project", {})
    project.write({f".image/imageinfo-{name}.json": json.dumps(_INFO) for name in files})
    message, hint = bigflow(project, "image").error
    assert problem in message
    assert fix in hint


@pytest.mark.parametrize(
    ("variables", "bar"),
    [
        ({}, f"\x1b[90m{'░' * 35}\x1b[0m\x1b[32m{'█' * 18}\x1b[0m\x1b[34m{'▓' * 7}\x1b[0m"),
        ({"NO_COLOR": "1"}, f"{'░' * 35}{'█' * 18}{'▓' * 7}"),
        (
            {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"},
            f"{'.' * 35}{'=' * 18}{'#' * 7}",
        ),
    ],
)
def test_the_bar_in_a_terminal(project: Project, variables: dict[str, str], bar: str) -> None:
    command = [sys.executable, "-m", "bigflow", "image"]
    utf8 = {"PYTHONIOENCODING": "utf-8", "COLUMNS": "60", "NO_COLOR": "", "FORCE_COLOR": ""}
    environment = {**project.environment, **utf8, **variables}
    with started(command, project.root, environment, in_terminal=True) as running:
        assert running.finish() == 0
    assert bar in running.output.splitlines()


def test_the_layers_below_those_of_the_builder_are_the_base() -> None:
    """A base may give its layers any text."""
    assert parts_of(["project", "RUN x", "a user without rights; bytecode of the library"]) == [
        *("base", "base", "python"),
    ]
    assert parts_of(["project", "a virtual environment", "dependencies: a", "project"]) == [
        *("base", "dependencies", "dependencies", "project"),
    ]
    assert parts_of(["RUN x"]) == ["image"]
    assert parts_of([]) == []


@pytest.mark.slow
def test_a_built_image_has_compressed_and_unpacked_sizes(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": "x = 1\n" * 99})
    base = small_base(tmp_path / "base.tar", version=platform.python_version())
    project = write_project(
        tmp_path / "project",
        {
            "deployment_config.py": "from bigflow import DeploymentConfig\n"
            "config = DeploymentConfig('dev', {'docker_repository': 'example.org/rides'})\n",
            "resources/requirements.txt": "bigflow-backend\n",
        },
    )
    options = ("--base-image", base, "--find-links", str(wheels), "--platform", "linux/amd64")
    index = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    assert bigflow(project, "build-image", *options, **index).returncode == 0
    found = json.loads(bigflow(project, "image", "--json").stdout)
    parts = list(dict.fromkeys(layer["part"] for layer in found["layers"]))
    assert parts == ["base", "python", "dependencies", "project"]
    assert all(layer["blob"] and layer["unpacked_size"] for layer in found["layers"])
    assert found["base_name"] == base
