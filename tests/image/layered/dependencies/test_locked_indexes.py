"""A uv.lock decides, whatever an index has since: versions, contents, and the index of a name."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import uv

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from support.distribution import make_project, make_wheel
from support.git_repository import isolate_git, make_repository
from support.matrix import rest_slow
from support.package_index import served_index
from support.secrets import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.layered import LayeredProject
    from support.package_index import PackageIndex

_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[project]
name = "demo"
version = "1.0.0"
requires-python = ">=3.10"
dependencies = ["acme-lib", "beta"{more}]
[[tool.uv.index]]
name = "private"
url = "{private}"
explicit = true
[[tool.uv.index]]
name = "public"
url = "{public}"
default = true
[tool.uv.sources]
acme-lib = {source}
"""


@pytest.fixture
def public(tmp_path: Path) -> Iterator[PackageIndex]:
    """The default index. It has a newer `acme-lib`, that of a stranger."""
    with served_index(tmp_path / "public") as index:
        make_wheel(index.directory, "acme-lib", "9.0", {"acme_lib.py": "OWNER = 'stranger'\n"})
        make_wheel(index.directory, "beta", "1.0", {"beta.py": "RELEASE = 1\n"})
        yield index


@pytest.fixture
def private(package_index: PackageIndex) -> PackageIndex:
    """The explicit index."""
    files = {"acme_lib.py": "OWNER = 'we'\n"}
    make_wheel(package_index.directory, "acme-lib", "1.0", files)
    return package_index


@pytest.fixture
def locked(
    layered_project: LayeredProject,
    public: PackageIndex,
    private: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> LayeredProject:
    """A project with a lock. The credentials of the private index are in variables."""
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_INDEX_PRIVATE_USERNAME", private.username)
    monkeypatch.setenv("UV_INDEX_PRIVATE_PASSWORD", private.password)
    _empty_caches(monkeypatch, tmp_path, "first")
    (layered_project.root / "resources/requirements.txt").unlink()
    _lock(layered_project, public, private, '{ index = "private" }')
    return layered_project


def _lock(
    project: LayeredProject, public: PackageIndex, private: PackageIndex, source: str, *more: str
) -> None:
    text = _PYPROJECT.format(
        public=public.url,
        private=private.bare,
        source=source,
        more="".join(f', "{name}"' for name in more),
    )
    project.write({"pyproject.toml": text})
    subprocess.run([uv.find_uv_bin(), "lock"], cwd=project.root, capture_output=True, check=True)
    for index in (public, private):
        index.served.clear()


def _empty_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Give uv and the builder the caches of another machine."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / name / "uv"))
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / name / "bigflow"))


def test_each_index_is_asked_only_for_its_own_names(
    locked: LayeredProject, public: PackageIndex, private: PackageIndex, tmp_path: Path
) -> None:
    image = locked.build()
    assert {"acme-lib==1.0", "beta==1.0"} <= set(locked.info(image)["dependencies"])
    assert not [path for path in public.served if "acme" in path]
    assert not [path for path in private.served if "acme" not in path]
    assert places_of(private.password, locked.root / ".image", tmp_path / "first/bigflow") == []


@pytest.mark.slow
def test_a_source_for_some_platforms(
    locked: LayeredProject, public: PackageIndex, private: PackageIndex
) -> None:
    source = """[{ index = "private", marker = "sys_platform == 'linux'" }]"""
    _lock(locked, public, private, source)
    assert "acme-lib==9.0" in subprocess.run(
        [uv.find_uv_bin(), "export", "--locked", "--no-hashes"],
        cwd=locked.root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    public.served.clear()
    image = locked.build()
    assert "acme-lib==1.0" in locked.info(image)["dependencies"]
    assert not [path for path in public.served if "acme" in path]


@pytest.mark.slow
def test_a_newer_release_changes_no_digest(
    locked: LayeredProject,
    public: PackageIndex,
    private: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    before = locked.build()
    make_wheel(public.directory, "beta", "1.1", {"beta.py": "RELEASE = 2\n"})
    make_wheel(private.directory, "acme-lib", "1.1", {})
    _empty_caches(monkeypatch, tmp_path, "second")
    assert locked.build().digest == before.digest


@pytest.mark.slow
def test_a_commit_is_as_good_as_a_hash(
    locked: LayeredProject,
    public: PackageIndex,
    private: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    isolate_git(monkeypatch, tmp_path)
    _empty_caches(monkeypatch, tmp_path, "first")
    repository = make_repository(tmp_path / "library")
    make_project(repository.path, "library", "1.0", {"library.py": ""})
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=library")
    source = f'{{ index = "private" }}\nlibrary = {{ git = "{repository.path.as_uri()}" }}'
    _lock(locked, public, private, source, "library")
    found = locked.info(locked.build())["dependencies"]
    assert any(line.endswith(f"@{repository.head}") for line in found)


@pytest.mark.slow
def test_a_project_of_the_repository_has_a_layer_of_its_own(
    locked: LayeredProject, public: PackageIndex, private: PackageIndex
) -> None:
    make_wheel(public.directory, "common", "2.0", {"common.py": "OWNER = 'stranger'\n"})
    source = '{ index = "private" }\ncommon = { path = "common" }'
    layers = []
    for text in ("1", "2"):
        make_project(locked.root / "common", "common", "2.0", {"common.py": text})
        _lock(locked, public, private, source, "common")
        found = locked.info(locked.build())
        assert "common==2.0" in found["dependencies"]
        layers.append({layer["created_by"]: layer["digest"] for layer in found["layers"]})
    first, second = layers
    changed = {title for title in first if first[title] != second[title]}
    assert changed == {"dependencies: common"}
    assert not [path for path in public.served if "common-" in path]


@pytest.mark.parametrize("name", rest_slow(["acme_lib-1.0", "beta-1.0"], quick=["acme_lib-1.0"]))
def test_a_tampered_wheel_is_refused(
    locked: LayeredProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    directory = tmp_path / ("packages" if name.startswith("acme") else "public")
    distribution, _, version = name.partition("-")
    make_wheel(directory, distribution.replace("_", "-"), version, {f"{distribution}.py": "bad\n"})
    _empty_caches(monkeypatch, tmp_path, "second")
    with pytest.raises(UserError, match=r"has a wrong hash: got SHA-256 \w+, expected") as caught:
        locked.build()
    assert name.partition("-")[0].replace("_", "-") in caught.value.message
    assert "uv.lock" in (caught.value.hint or "")


def test_a_refused_password_of_an_explicit_index(
    locked: LayeredProject, private: PackageIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _empty_caches(monkeypatch, tmp_path, "second")
    monkeypatch.setenv("UV_INDEX_PRIVATE_PASSWORD", "wr0ng-passw0rd")
    with pytest.raises(UserError) as caught:
        locked.build()
    assert "401" in f"{caught.value.message} {caught.value.hint}"
    assert "wr0ng-passw0rd" not in f"{caught.value.message} {caught.value.hint} {locked.said}"
    assert private.refused


def test_pip_in_a_dockerfile_has_no_explicit_indexes(locked: LayeredProject) -> None:
    locked.write({"Dockerfile": STANDARD.read_text("utf-8")})
    make_wheel(locked.wheels, "acme-lib", "9.0", {})
    with pytest.raises(UserError, match=r"acme-lib==1\.0 from the explicit index private, which"):
        locked.build(builder="engine", base_image="python:3.12", platforms=())
