"""Each code block of README.md and docs/ does what its page says: see support/pages.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

from support.distribution import make_wheel
from support.package_index import PackageIndex, served_index
from support.pages import REPOSITORY, SHELL, Part, Reader, pages, read_page

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCENES = Path(__file__).with_name("scenes")
_HEADER = re.compile(r"^# (from|needs): (.*)$", re.MULTILINE)
_REGISTRIES = (
    "registry.example.com",
    "europe-west1-docker.pkg.dev",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
)
_BUCKETS = {
    "gcs_store": "gs://composer-bucket/dags",
    "s3_store": "s3://airflow-bucket/dags",
    "azure_store": "az://airflow-container/dags",
}
_GIT = "[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n"
_EXTRAS = "build,deploy-gcs,deploy-s3"


def _runs(parts: list[Part]) -> bool:
    return any(p.kind in {"run", *SHELL} and "not run" not in p.marks for p in parts)


_PAGES = {str(path.relative_to(REPOSITORY)): path for path in pages()}
_PARTS = {name: list(read_page(path.read_text("utf-8"))) for name, path in _PAGES.items()}


def test_each_block_is_tested_or_says_why_not() -> None:
    """A fence that the reader of pages does not find is an error, too."""
    undeclared = [
        f"{name}:{part.line}: {part.kind or 'no language'}"
        for name, parts in _PARTS.items()
        for part in parts
        if part.kind not in {"scene", "run"} and not part.is_declared
    ]
    assert undeclared == []
    for name, path in _PAGES.items():
        fences = re.findall(r"^ *(?:```|~~~)", path.read_text("utf-8"), re.MULTILINE)
        assert len(fences) == 2 * sum(part.kind not in {"scene", "run"} for part in _PARTS[name])


def test_each_scene_is_used() -> None:
    used = {part.text for parts in _PARTS.values() for part in parts if part.kind == "scene"}
    scenes = {path.stem: path.read_text("utf-8") for path in _SCENES.glob("*.sh")}
    inherited = {value for text in scenes.values() for key, value in _HEADER.findall(text)}
    assert used <= scenes.keys() <= used | inherited


@dataclass
class Stage:
    """An environment with bigflow-backend, a cache, and scenes, for all pages."""

    home: Path
    environment: dict[str, str]
    request: pytest.FixtureRequest
    begun: dict[str, Reader] = field(default_factory=dict)

    def reader(self, page: str, scene: str) -> Reader:
        """Return a reader of the page at the end of a scene, in a directory of their own."""
        name = re.sub(r"\W", "-", page.removesuffix(".md")).lower()
        (self.home / name).mkdir(exist_ok=True)
        home = tempfile.mkdtemp(prefix=f"{scene}-", dir=self.home / name)
        reader = Reader(Path(home), dict(self.environment))
        places = {"HOME": reader.home.parent / "home", "/mnt/dags": reader.home.parent / "dags"}
        for place in places.values():
            place.mkdir(exist_ok=True)
        reader.environment["HOME"] = str(places["HOME"])
        reader.names["@sha256:..."] = ""  # a digest that a page shortens: the tag is enough
        reader.names["/mnt/dags"] = str(places["/mnt/dags"])
        if base := reader.environment.get("BIGFLOW_IMAGE_BASE_IMAGE"):
            reader.names["python:3.12.9-slim-bookworm"] = base
        if scene:
            self._begin(reader, scene, name)
        return reader

    def _begin(self, reader: Reader, scene: str, page: str) -> None:
        text = (_SCENES / f"{scene}.sh").read_text("utf-8")
        headers = dict(_HEADER.findall(text))
        if scene in self.begun:
            self.begun[scene].copy(reader)
            return
        if "from" in headers:
            self._begin(reader, headers["from"], page)
        for fixture in headers.get("needs", "").split():
            self._provide(reader, fixture, page)
        reader.do(Part(0, "run", text))
        if not _needs(scene):
            self.begun[scene] = Reader(self.home / "scenes" / scene, {})
            reader.copy(self.begun[scene])

    def _provide(self, reader: Reader, fixture: str, page: str) -> None:
        made = self.request.getfixturevalue(fixture)
        if fixture == "registry":
            for name in _REGISTRIES:
                reader.names[name] = f"{made.address}/{page}"
        elif fixture == "registry_with_password":
            reader.names["registry.example.com"] = made.address
            reader.names["writer"] = made.username
            reader.environment["REGISTRY_PASSWORD"] = made.password
        elif fixture == "private_index":
            reader.names["https://pypi.example.com/simple"] = made.bare
        elif fixture in _BUCKETS:
            reader.names[_BUCKETS[fixture]] = made.new_bucket()
            reader.environment.update(made.environment)
        elif fixture == "engine":
            reader.environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]


def _needs(scene: str) -> bool:
    """Return whether a scene, or one that it begins with, has its own places on servers."""
    headers = dict(_HEADER.findall((_SCENES / f"{scene}.sh").read_text("utf-8")))
    return "needs" in headers or ("from" in headers and _needs(headers["from"]))


@pytest.fixture(scope="module")
def private_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """The index of docs/how-to/private-index.md, with one library."""
    with served_index(tmp_path_factory.mktemp("index") / "packages") as index:
        index.username, index.password = "reader", "letmein"
        make_wheel(index.directory, "acme-rides", "1.0.0", {"acme_rides.py": ""})
        yield index


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    home = tmp_path_factory.mktemp("pages")
    (home / "gitconfig").write_text(_GIT, "utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BIGFLOW_", "PYTHON"))}
    environment = {
        **{k: v for k, v in kept.items() if k not in {"CI", "VIRTUAL_ENV", "FORCE_COLOR"}},
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "BIGFLOW_CACHE": str(home / "cache"),
        "CHECKOUT": str(REPOSITORY),
        # The home directory is empty; what uv has fetched for other tests is used again.
        "UV_CACHE_DIR": subprocess.check_output(
            [uv.find_uv_bin(), "cache", "dir"], text=True
        ).strip(),
    }
    return Stage(home, environment, request)


@pytest.fixture(scope="module")
def installed(stage: Stage, bigflow_wheels: Path, base_archive: str) -> Stage:
    """A stage whose readers have installed bigflow-backend, and have a base image."""
    environment, place = stage.environment, stage.home / "venv"
    environment |= {
        "PIP_FIND_LINKS": str(bigflow_wheels),
        "UV_FIND_LINKS": str(bigflow_wheels),
        "BIGFLOW_IMAGE_BASE_IMAGE": base_archive,
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    program = uv.find_uv_bin()
    wanted = [f"bigflow-backend[{_EXTRAS}]", "build", "pytest", "uv"]
    for command in (
        ["venv", "--quiet", "--seed", "--python", sys.executable, str(place)],
        ["pip", "install", "--quiet", "--python", str(place), *wanted],
    ):
        subprocess.run([program, *command], env=environment, check=True, timeout=600)
    return stage


def _read(parts: list[Part], page: str, stage: Stage) -> None:
    reader = None
    for part in parts:
        if part.kind == "scene":
            reader = stage.reader(page, part.text)
        elif "not run" not in part.marks:
            reader = reader or stage.reader(page, "")
            try:
                reader.do(part)
            except Exception as error:
                raise AssertionError(f"{page}:{part.line}: {error}") from error


@pytest.mark.parametrize("page", [name for name, parts in _PARTS.items() if not _runs(parts)])
def test_the_blocks_are_valid(page: str, stage: Stage) -> None:
    _read(_PARTS[page], page, stage)


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, parts in _PARTS.items() if _runs(parts)])
def test_the_commands_do_what_the_page_says(page: str, installed: Stage) -> None:
    _read(_PARTS[page], page, installed)
