"""``bigflow diff``: two versions, paths or images of a registry."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.image.registry import Registries, push_image
from support.commands import bigflow
from support.distribution import make_wheel
from support.git_repository import Repository, isolate_git
from support.images import layer_tar, make_image, small_base, write_docker_archive
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore
    from support.registry import Registry

_SITE = "venv/lib/python3.11/site-packages"
_BASE = layer_tar({"usr/lib/python3/dist-packages/pip-23.0.dist-info/METADATA": ""})


def dependencies(*names: str) -> bytes:
    """Return a layer with the metadata of distributions, or what removes it."""
    return layer_tar({f"{_SITE}/{name}.dist-info/METADATA": "" for name in names})


@pytest.fixture
def here(tmp_path: Path) -> Project:
    """A directory without a project, with a cache of its own."""
    return Project(tmp_path, {"BIGFLOW_CACHE": str(tmp_path / "own")})


def compared(project: Project, old: str, new: str) -> dict[str, Any]:
    done = bigflow(project, "diff", old, new, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_archives_have_their_layers_and_distributions_compared(here: Project) -> None:
    removed = layer_tar(
        {
            f"{_SITE}/.wh.gone-1.0.dist-info": "",
            f"{_SITE}/setuptools/_vendor/x-1.dist-info/RECORD": "",
        }
    )
    common = [_BASE, dependencies("same-1.0", "gone-1.0")]
    write_docker_archive(here.root / "1.tar", [*common, dependencies("Pandas-2.0", "one-1")], {})
    write_docker_archive(
        here.root / "2.tar", [*common, removed, dependencies("pandas-2.1", "two-1+cpu")], {}
    )
    found = compared(here, "1.tar", "2.tar")
    assert [len(found["layers"][part]) for part in ("shared", "new", "removed")] == [2, 2, 1]
    assert found["dependencies"] == [
        {"name": "gone", "old": "1.0", "new": None},
        {"name": "one", "old": "1", "new": None},
        {"name": "pandas", "old": "2.0", "new": "2.1"},
        {"name": "two", "old": None, "new": "1+cpu"},
    ]
    text = bigflow(here, "diff", "1.tar", "2.tar").stdout.splitlines()
    assert text[0].split() == ["old", "1.tar"]
    assert text[2].startswith("layers        2 shared, ")
    assert "  ~ pandas 2.0 -> 2.1" in text
    assert "  - gone 1.0" in text


@pytest.mark.parametrize(("second", "status"), [("1.tar", 0), ("2.tar", 3)])
def test_the_exit_status(here: Project, second: str, status: int) -> None:
    write_docker_archive(here.root / "1.tar", [_BASE], {})
    write_docker_archive(here.root / "2.tar", [_BASE, dependencies("a-1")], {})
    assert bigflow(here, "diff", "1.tar", second, "--exit-code").returncode == status
    assert bigflow(here, "diff", "1.tar", second).returncode == 0


def test_only_the_layers_that_differ_are_fetched_from_a_registry(
    here: Project, registry: Registry, store: BlobStore
) -> None:
    layers = [_BASE, dependencies("numpy-1.0")], [_BASE, dependencies("numpy-2.0")]
    names = [f"{registry.address}/team/diff:{tag}" for tag in (1, 2)]
    labels = {"org.opencontainers.image.version": "2.0.0"}
    with Registries() as registries:
        for name, tars in zip(names, layers, strict=True):
            image = make_image(store, *tars, config_changes={"config": {"Labels": labels}})
            push_image(image, name, store=store, registries=registries)
    found = compared(here, *names)
    assert found["dependencies"] == [{"name": "numpy", "old": "1.0", "new": "2.0"}]
    assert found["new"]["version"] == "2.0.0"
    assert found["new"]["image"]["compressed_sizes"]
    (shared,) = found["layers"]["shared"]
    blobs = here.root / "own/blobs/sha256"
    assert len(list(blobs.iterdir())) == 6  # two manifests, two configurations, two layers
    assert shared["size"] > 0


@pytest.mark.parametrize(
    ("old", "problem", "fix"),
    [
        ("none.tar", "none.tar does not exist", "give a version, an archive"),
        ("./none", "./none does not exist", "give a version, an archive"),
        ("empty", "empty has no image and no DAGs", "a directory with a manifest.json"),
        ("text.txt", "text.txt is not a complete tar", "give a tar of `docker save`"),
        ("bad.json", "bad.json is not valid JSON", "give the manifest.json"),
        ("imageinfo-1.json", "is not valid JSON", "give the imageinfo that `bigflow build` wrote"),
        ("1.0", "no project found", "bigflow start-project"),
        ("Not An Image", "'Not An Image' is not a valid image name", "write it like"),
    ],
)
def test_what_cannot_be_compared(here: Project, old: str, problem: str, fix: str) -> None:
    for name in ("text.txt", "bad.json", "imageinfo-1.json"):
        (here.root / name).write_text("text")
    (here.root / "empty").mkdir()
    found = bigflow(here, "diff", old, old).error
    assert problem in found[0]
    assert "base image" not in "".join(found)
    assert fix in found[1]


def test_a_layer_that_is_not_the_one_of_its_configuration(here: Project) -> None:
    good, other = dependencies("a-1"), dependencies("b-1")
    write_docker_archive(here.root / "1.tar", [_BASE, good], {})
    write_docker_archive(here.root / "2.tar", [_BASE, other], {})
    broken = (here.root / "2.tar").read_bytes().replace(b"b-1.dist-info", b"c-1.dist-info")
    (here.root / "2.tar").write_bytes(broken)
    assert bigflow(here, "diff", "1.tar", "2.tar").returncode == 1


_WORKFLOW = """\
from bigflow import Job, Workflow
class Step(Job):
    def execute(self, context): pass
daily = Workflow("daily", [Step(id) for id in {tasks}], schedule_interval={schedule!r})
"""
_DEPLOYMENT = (
    "from bigflow import DeploymentConfig\n"
    "config = DeploymentConfig('dev', {'docker_repository': 'localhost:1/team/x'})\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in git."""
    isolate_git(monkeypatch, tmp_path)
    environment = {"BIGFLOW_CACHE": str(tmp_path / "cache")}
    written = write_project(
        tmp_path / "project",
        {
            "deployment_config.py": _DEPLOYMENT,
            "pipelines/workflow.py": _WORKFLOW.format(tasks=["load"], schedule="@daily"),
        },
    )
    Repository(written.root).git("init", "--quiet")
    return Project(written.root, environment)


def released(project: Project, version: str) -> None:
    repository = Repository(project.root)
    repository.git("add", ".")
    repository.git("commit", "--quiet", "--allow-empty", f"--message=Make {version}")
    repository.tag(f"v{version}")


def test_versions_have_their_dags_and_commits_compared(project: Project) -> None:
    """The DAGs of the old version are not in .dags/ any more."""
    released(project, "1.0.0")
    start = ("--start-time", "2026-01-01")
    assert bigflow(project, "build-dags", *start).returncode == 0
    project.write(
        {"pipelines/workflow.py": _WORKFLOW.format(tasks=["load", "mail"], schedule="@hourly")}
    )
    released(project, "1.1.0")
    assert bigflow(project, "build-dags", *start).returncode == 0
    found = compared(project, "1.0.0", "v1.1.0")
    (dag,) = found["dags"]
    assert dag["workflow"] == "daily"
    assert dag["old_id"].startswith("daily__v1_0_0__")
    assert {"name": "schedule", "old": "@daily", "new": "@hourly"} in dag["changes"]
    assert dag["tasks_added"] == ["mail"]
    assert not any("1.0.0" in line or "1_0_0" in line for line in dag["lines"])
    (commit,) = found["commits"]
    assert (commit["subject"], commit["is_new"]) == ("Make 1.1.0", True)
    assert "the image of 1.0.0: " in " ".join(found["not_compared"])
    back = bigflow(project, "diff", "1.1.0", "1.0.0").stdout
    assert f"  - {commit['hash'][:12]}  " in back
    assert "      - task mail" in back


def test_the_name_of_an_image_that_was_not_pushed(project: Project) -> None:
    """The registry does not have it, but this directory has built it."""
    released(project, "1.0.0")
    info = {
        "tag": "localhost:1/team/x:1.0.0", "digest": None, "pushed": False, "version": "1.0.0",
        "commit": None, "base": None, "layers": [], "dependencies": ["six==1.0"],
    }  # fmt: skip
    project.write({".image/imageinfo-1.0.0.json": json.dumps(info)})
    project.write(
        {".image/imageinfo-1.1.0.json": json.dumps({**info, "dependencies": ["Six==2.0"]})}
    )
    found = compared(project, "localhost:1/team/x:1.0.0", "1.1.0")
    assert found["dependencies"] == [{"name": "six", "old": "1.0", "new": "2.0"}]
    problem, _ = bigflow(project, "diff", "localhost:1/team/x:2.0.0", "1.1.0").error
    assert "localhost:1" in problem


def test_a_version_that_nobody_has(project: Project) -> None:
    released(project, "1.0.0")
    problem, fix = bigflow(project, "diff", "1.0.0", "2.0.0").error
    assert "the version 2.0.0 is neither in .image/, .dags/ and the cache nor in the" in problem
    assert fix.endswith("or give the path of its archive or imageinfo")


@pytest.mark.slow
def test_real_builds(project: Project, registry: Registry, bubblewrap: None) -> None:
    """Versions, archives and images of a registry give the same differences."""
    del bubblewrap
    wheels = project.root.parent / "wheels"
    make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": "print('ran')\n"})
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "numbers-of", version, {"numbers_of.py": f"V = {version}\n"})
    base = small_base(project.root.parent / "base.tar", version=platform.python_version())
    repository = f"{registry.address}/team/real"
    project.write({"deployment_config.py": _DEPLOYMENT.replace("localhost:1/team/x", repository)})
    archives = []
    for number in (1, 2):
        requirements = f"bigflow-backend\nnumbers-of=={number}.0\n"
        project.write({"resources/requirements.txt": requirements})
        released(project, f"{number}.0.0")
        done = bigflow(
            project, "build", "--base-image", base, "--find-links", str(wheels), "--push",
            PIP_NO_INDEX="1",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        archives.append(project.root.parent / f"{number}.tar")
        archives[-1].write_bytes((project.root / f".image/image-{number}.0.0.tar").read_bytes())
    pairs = (
        ("1.0.0", "2.0.0"),
        (f"{repository}:1.0.0", f"{repository}:2.0.0"),
        (str(archives[0]), str(archives[1])),
        ("1.0.0", str(archives[1])),
    )
    all_found = [compared(project, *pair) for pair in pairs]
    change = {"name": "numbers-of", "old": "1.0", "new": "2.0"}
    digests = [
        [layer["digest"] for part in ("shared", "new", "removed") for layer in f["layers"][part]]
        for f in all_found
    ]
    assert all(change in found["dependencies"] for found in all_found)
    assert all(one == digests[0] for one in digests)
    assert all([c["subject"] for c in found["commits"]] == ["Make 2.0.0"] for found in all_found)
    assert all_found[0]["dependencies"] == [change]
    assert all_found[0]["dags"] is not None
