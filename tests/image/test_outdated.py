"""The base and the pins of an image beside a registry and an index that have moved on."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.registry.push import RepositoryPush
from bigflow_backend.image.store.blobs import open_store
from support.commands import bigflow
from support.distribution import make_wheel
from support.images import layer_tar, make_image, make_index
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.oci import Descriptor
    from support.commands import Result
    from support.registry import Registry

_PINNED = "b" * 64


class Outdated:
    """A project with a pinned library, whose base is in a registry."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.wheels = root / "wheels"
        self.base = f"{registry.address}/outdated/{root.name.replace('_', '-').lower()}:1"
        self._cache = root / "made"
        make_wheel(self.wheels, "library", "1.0", {})
        make_wheel(self.wheels, "other", "3.0", {})
        self.project: Project = write_project(
            root / "project",
            {
                "pyproject.toml": f'[tool.bigflow.image]\nbase-image = "{self.base}"\n'
                f'find-links = ["{self.wheels}"]\n',
                "resources/requirements.txt": f"library==1.0 --hash=sha256:{_PINNED}\n"
                f"other==3.0 --hash=sha256:{_PINNED}\n",
            },
        )

    def push(self, text: str) -> Descriptor:
        """Push a base image for two platforms under the tag; return its index."""
        minor = platform.python_version().rpartition(".")[0]
        files = {f"usr/local/lib/python{minor}/os.py": text}
        with open_store(self._cache) as store, Registries() as registries:
            image = make_image(store, layer_tar(files))
            index = make_index(store, [(image, "amd64")])
            push_image(image, f"{self.base}-amd64", store=store, registries=registries)
            push = RepositoryPush(
                remote_name(self.base),
                store=store,
                registries=registries,
                bases=(),
                say=lambda _line: None,
            )
            push.manifest(index, store.read(index.digest))
        self.platform = image.digest
        return index

    def built(self, digest: str) -> None:
        info: dict[str, Any] = {
            "tag": "demo:1", "digest": None, "pushed": False, "version": "1.2.0", "commit": None,
            "base": {"name": self.base, "digest": digest}, "layers": [], "dependencies": None,
        }  # fmt: skip
        self.project.write({".image/imageinfo-1.2.0.json": json.dumps(info)})

    def ask(self, *options: str) -> Result:
        return bigflow(self.project, "outdated", *options, PIP_NO_INDEX="1", PIP_CONFIG_FILE="")

    def json(self) -> Any:
        return json.loads(self.ask("--json").stdout)


@pytest.fixture
def outdated(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Outdated:
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    return Outdated(tmp_path, registry)


def test_nothing_is_newer(outdated: Outdated) -> None:
    index = outdated.push("first")
    for digest in (index.digest, outdated.platform):
        outdated.built(digest)
        done = outdated.ask()
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"base  {outdated.base} is up to date",
            "pins  none of 2 in resources/requirements.txt have newer releases",
        ]


def test_base_and_pin_are_newer(outdated: Outdated) -> None:
    outdated.push("first")
    before = outdated.platform
    outdated.built(before)
    now = outdated.push("second")
    make_wheel(outdated.wheels, "library", "1.5", {})
    files = outdated.project.files()
    done = outdated.ask()
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        f"base  {outdated.base} has moved",
        f"        built with  {before}",
        f"        now         {now.digest}",
        "      next: build the image again",
        "pins  1 of 2 in resources/requirements.txt has a newer release",
        "        library  1.0 -> 1.5",
        "      next: bigflow lock --upgrade takes those that your requirements allow",
    ]
    assert outdated.project.files() == files
    assert outdated.json() == {
        "base": {
            "name": outdated.base,
            "built": before,
            "now": now.digest,
            "is_pinned": False,
            "has_moved": True,
        },
        "place": "resources/requirements.txt",
        "asked": 2,
        "pins": [{"name": "library", "version": "1.0", "newest": "1.5"}],
        "missing": [],
    }


def test_a_pinned_base(outdated: Outdated) -> None:
    first = outdated.push("first")
    text = (outdated.project.root / "pyproject.toml").read_text()
    pinned = text.replace(outdated.base, f"{outdated.base}@{first.digest}")
    outdated.project.write({"pyproject.toml": pinned})
    assert outdated.json()["base"]["has_moved"] is False
    outdated.push("second")
    done = outdated.ask()
    assert done.returncode == 3
    assert "      next: bigflow lock" in done.stdout.splitlines()


def test_a_registry_that_does_not_answer(outdated: Outdated) -> None:
    outdated.built("sha256:" + "a" * 64)
    make_wheel(outdated.wheels, "library", "1.5", {})
    done = outdated.ask()
    assert done.returncode == 1
    *lines, missing = done.stdout.splitlines()
    assert "        library  1.0 -> 1.5" in lines
    assert missing.startswith("not compared: the base image: the registry ")
    assert "has no image" in missing


def test_an_index_that_does_not_answer(outdated: Outdated) -> None:
    index = outdated.push("first")
    outdated.built(index.digest)
    (library,) = outdated.wheels.glob("library-*")
    library.unlink()
    done = outdated.ask()
    assert done.returncode == 1
    base, missing = done.stdout.splitlines()
    assert base == f"base  {outdated.base} is up to date"
    assert missing.startswith("not compared: the releases of dependencies: ")
    assert "library" in missing


def test_nothing_was_built(outdated: Outdated) -> None:
    outdated.push("first")
    outdated.project.write({"resources/requirements.txt": "library\n"})
    found = outdated.json()
    assert found["base"] is None
    assert [text.partition(":")[0] for text in found["missing"]] == [
        "the base image",
        "the releases of dependencies",
    ]
