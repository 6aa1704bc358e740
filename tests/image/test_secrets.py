"""Secrets are planted everywhere, and looked for in everything that a build leaves behind."""

from __future__ import annotations

import base64
import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from support.distribution import make_wheel
from support.secrets import places_of

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from support.layered import LayeredProject
    from support.package_index import PackageIndex
    from support.registry import Registry

_PLANTED = "pl4nted-in-every-secret-"
"""A part of all secrets, which stands nowhere else."""


@pytest.fixture
def planted(
    layered_project: LayeredProject,
    package_index: PackageIndex,
    registry_with_password: Registry,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> LayeredProject:
    """A project whose requirements are on a private index, and whose registry wants a password."""
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    home, project = tmp_path / "home", layered_project
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    for name in ("DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "TWINE_PASSWORD", "bf_secret"):
        monkeypatch.setenv(name, f"{_PLANTED}{name}")
    make_wheel(package_index.directory, "private-library", "1.0", {"private_library.py": "X = 1\n"})
    package_index.password = f"{_PLANTED}index"
    known = registry_with_password
    auths = {
        known.address: {
            "auth": base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
        },
        "registry.example.com": {"username": "me", "password": f"{_PLANTED}docker"},
        "other.example.com": {"identitytoken": f"{_PLANTED}token"},
    }
    files = {
        home / ".docker/config.json": json.dumps({"auths": auths}),
        home / ".netrc": f"machine files.example.com login me password {_PLANTED}netrc\n",
        home / ".config/gcloud/credentials.json": f"{_PLANTED}gcloud",
        home / "pip/pip.conf": (f"[global]\nextra-index-url = {package_index.url}/nothing\n"),
        project.root / ".env": f"PASSWORD={_PLANTED}env\n",
        project.root / "resources/.env": f"PASSWORD={_PLANTED}env\n",
        project.root / "credentials.json": f"{_PLANTED}credentials",
        project.root / ".git/config": f"url = https://me:{_PLANTED}git@example.com/demo\n",
        project.root / "tests/secret.txt": f"{_PLANTED}tests",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    # An index of requirements.txt comes before all that is configured.
    project.require(f"--index-url {package_index.url}", "private-library")
    return project


@pytest.mark.parametrize(
    "builder", ["layered", pytest.param("engine", marks=[pytest.mark.engine, pytest.mark.slow])]
)
def test_no_secret_is_kept(
    *,
    planted: LayeredProject,
    builder: str,
    registry_with_password: Registry,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    known = registry_with_password
    repository = f"{known.address}/secrets/{builder}"
    outputs: list[str] = []
    if builder == "engine":
        engine: DockerClient = request.getfixturevalue("engine")
        base = request.getfixturevalue("base_image")
        planted.write({"Dockerfile": STANDARD.read_text()})
        image = planted.build(
            builder="engine", base_image=base, platforms=(), network="host", push=True,
            repository=repository,
        )  # fmt: skip
        found = engine.images.get(image.tag)
        outputs += [json.dumps(found.attrs), json.dumps(found.history())]
        engine.images.remove(image.tag, force=True)
    else:
        image = planted.build(repository=repository, push=True, oci_layout=True)
    # What only a registry has: the blobs as they were sent.
    outputs += [*planted.said, caplog.text, *capfd.readouterr()]
    places = [planted.root / ".image", tmp_path / "cache", known.storage]
    for secret in (_PLANTED, known.password):
        assert places_of(secret, *places, text=outputs) == []
    files = planted.files(image).files
    assert any(name.endswith("/private_library.py") for name in files)
    # They would have been found: here is one in the package, where the user wants it.
    open_secret = {"demo/__init__.py": f"TEXT = '{_PLANTED}in the package'\n"}
    shown = planted.build(files=open_secret, version="2.0.0", oci_layout=True)
    where = places_of(_PLANTED, shown.info.parent)
    assert any("image-2.0.0.tar!blobs/sha256/" in place for place in where)
    assert any("oci-layout-2.0.0/blobs/sha256/" in place for place in where)


def test_no_secret_is_in_a_error(planted: LayeredProject, package_index: PackageIndex) -> None:
    """A build that fails says no more than one that does not."""
    planted.require(f"--index-url {package_index.url}", "no-such-library")
    with pytest.raises(UserError, match="no-such-library") as caught:
        planted.build()
    assert places_of(_PLANTED, text=[str(caught.value), repr(caught.value), *planted.said]) == []
