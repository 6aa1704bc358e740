"""The commands of a deployment, with a real registry and a directory as the DAGs folder."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.commands import bigflow
from support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Result
    from support.layered import LayeredProject
    from support.object_stores import ObjectStore
    from support.registry import Registry

_WORKFLOW = """\
from bigflow import Job, Workflow

class Load(Job):
    def execute(self, context):
        pass

daily = Workflow("daily", definition=[Load("load")], schedule_interval="@daily")
"""


@pytest.fixture
def project(layered_project: LayeredProject, registry: Registry, tmp_path: Path) -> Project:
    """A project with two configurations, whose image of the version 1.0.0 is built."""
    repository = f"{registry.address}/{tmp_path.name.lower().replace('_', '-')}/demo"
    for name in ("dev", "prod"):
        (tmp_path / name).mkdir()
    layered_project.write(
        {
            "demo/workflow.py": _WORKFLOW,
            "deployment_config.py": f"""\
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    "dev",
    {{"docker_repository": {repository!r}, "dags_bucket": {str(tmp_path / "dev")!r}}},
    is_default=True,
)
deployment_config.add_configuration(
    "prod",
    {{"docker_repository": {repository + "-prod"!r}, "dags_bucket": {str(tmp_path / "prod")!r}}},
)
""",
        }
    )
    layered_project.build(repository=repository)
    project = Project(layered_project.root, {"BIGFLOW_VERSION": "1.0.0"})
    assert bigflow(project, "build-dags").returncode == 0
    return project


def done(result: Result) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def live(tmp_path: Path, name: str = "dev") -> dict[str, str]:
    return {p.name: p.read_text() for p in (tmp_path / name / "demo").glob("*.py")}


def in_registry(made: dict[str, Any]) -> bool:
    """Return whether the registry has the image, by its tag and by its digest."""
    repository, _, tag = made["image"].rpartition(":")
    address, _, path = repository.partition("/")
    headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    digests = {
        requests.head(f"http://{address}/v2/{path}/manifests/{name}", headers=headers, timeout=60)
        .headers.get("Docker-Content-Digest")
        for name in (tag, made["digest"])
    }  # fmt: skip
    return digests == {made["digest"]}


def documents(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the fallback tag lists."""
    address, _, path = made["image"].rpartition(":")[0].partition("/")
    url = f"http://{address}/v2/{path}/manifests/{made['digest'].replace(':', '-')}"
    headers = {"Accept": "application/vnd.oci.image.index.v1+json"}
    found: list[dict[str, Any]] = requests.get(url, headers=headers, timeout=60).json()["manifests"]
    return found


def test_deploy_brings_the_image_and_then_the_dags(project: Project, tmp_path: Path) -> None:
    built = project.files()
    plan = done(bigflow(project, "deploy", "--dry-run", "--json"))
    assert plan["dry_run"]
    assert not list((tmp_path / "dev").iterdir())
    made = done(bigflow(project, "deploy", "--json"))
    assert (made["digest"], made["changes"]) == (plan["digest"], plan["changes"])
    (text,) = live(tmp_path).values()
    assert f"'image': '{made['image']}@{made['digest']}'" in text
    assert in_registry(made)
    (listed,) = json.loads(bigflow(project, "deployments", "--json").stdout)
    assert (listed["version"], listed["digest"], listed["current"]) == (
        "1.0.0",
        made["digest"],
        True,
    )
    assert "is deployed already" in bigflow(project, "deploy").stdout
    assert project.files() == built
    deployed = str(tmp_path / "dev")
    assert "version 1.0.0" in bigflow(project, "dags", "--deployed", deployed).stdout
    build = ["build-dags", "--deployed", deployed]
    assert "retired, ends its runs" in bigflow(project, *build, BIGFLOW_VERSION="1.1.0").stdout
    problem, _ = bigflow(project, "dags", "--deployed", f"file://{project.root}").error
    assert problem.endswith("has no deployment of demo")


@pytest.mark.slow
def test_no_dag_file_comes_without_its_image(project: Project, tmp_path: Path) -> None:
    problem, fix = bigflow(project, "deploy-dags").error
    assert "the registry does not have the image" in problem
    assert "bigflow deploy-image" in fix
    assert not list((tmp_path / "dev").iterdir())
    pushed = done(bigflow(project, "deploy-image", "--json"))
    assert in_registry(pushed)
    assert not list((tmp_path / "dev").iterdir())
    assert bigflow(project, "deploy-dags").returncode == 0
    assert pushed["digest"] in str(live(tmp_path))


@pytest.mark.slow
def test_an_image_that_the_cache_has_lost_comes_from_its_archive(
    project: Project, tmp_path: Path
) -> None:
    made = done(bigflow(project, "deploy", "--json", BIGFLOW_CACHE=str(tmp_path / "other")))
    assert in_registry(made)


@pytest.mark.slow
def test_an_archive_of_docker_save_is_pushed(project: Project, tmp_path: Path) -> None:
    """An engine knows the digest of an image after a push only."""
    (path,) = (project.root / ".image").glob("imageinfo-*.json")
    info = json.loads(path.read_text())
    path.write_text(json.dumps({**info, "digest": None}))
    made = done(bigflow(project, "deploy", "--json"))
    assert made["digest"] != info["digest"]  # the manifest has no annotations
    assert in_registry(made)
    assert made["digest"] in str(live(tmp_path))


@pytest.mark.slow
def test_an_image_that_an_engine_has_pushed_stays(project: Project, tmp_path: Path) -> None:
    """Its archive has other layers than the registry, so the digest would be another one."""
    pushed = done(bigflow(project, "deploy-image", "--json"))
    (archive,) = (project.root / ".image").glob("image-*.tar")
    with tarfile.open(archive) as old, tarfile.open(tmp_path / "new.tar", "w") as new:
        for member in old:
            if member.name not in {"index.json", "oci-layout"}:
                new.addfile(member, old.extractfile(member))
    (tmp_path / "new.tar").rename(archive)
    made = done(bigflow(project, "deploy", "--json", BIGFLOW_CACHE=str(tmp_path / "other")))
    assert made["digest"] == pushed["digest"]


@pytest.mark.slow
def test_all_tags_are_pushed(project: Project) -> None:
    (path,) = (project.root / ".image").glob("imageinfo-*.json")
    info = json.loads(path.read_text())
    latest = f"{info['tag'].rpartition(':')[0]}:latest"
    path.write_text(json.dumps({**info, "tags": [info["tag"], latest]}))
    made = done(bigflow(project, "deploy-image", "--json"))
    assert in_registry({**made, "image": latest})


@pytest.mark.slow
def test_the_documents_about_the_image_are_attached(project: Project) -> None:
    """Debian's registry has no API of referrers, so an index under a tag lists them."""
    made = done(bigflow(project, "deploy-image", "--json"))
    listed = documents(made)
    kinds = {entry["artifactType"] for entry in listed}
    assert kinds == {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}
    done(bigflow(project, "deploy-image", "--json"))
    assert documents(made) == listed


@pytest.mark.slow
def test_promotion_takes_the_same_image(project: Project, tmp_path: Path) -> None:
    dev = done(bigflow(project, "deploy", "--json"))
    empty = str(tmp_path / "another machine")
    plan = done(bigflow(project, "promote", "dev", "prod", "--dry-run", "--json"))
    assert not live(tmp_path, "prod")
    made = done(bigflow(project, "promote", "dev", "prod", "--json", BIGFLOW_CACHE=empty))
    assert (made["digest"], made["changes"]) == (dev["digest"], plan["changes"])
    assert made["image"] == dev["image"].replace("/demo:", "/demo-prod:")
    assert in_registry(made)
    assert documents(made) == documents(dev)
    (ours,), (theirs,) = live(tmp_path).values(), live(tmp_path, "prod").values()
    assert theirs == ours.replace(dev["image"], made["image"])


@pytest.mark.slow
def test_rollback(project: Project, tmp_path: Path) -> None:
    first = done(bigflow(project, "deploy", "--json"))
    for name in ("imageinfo-1.0.0.json", "image-1.0.0.tar"):
        file = project.root / ".image" / name
        text = file.read_bytes().replace(b"demo:1.0.0", b"demo:1.1.0")
        file.with_name(name.replace("1.0.0", "1.1.0")).write_bytes(text)
    assert bigflow(project, "build-dags", BIGFLOW_VERSION="1.1.0").returncode == 0
    second = done(bigflow(project, "deploy", "--json", BIGFLOW_VERSION="1.1.0"))
    assert second["version"] == "1.1.0"
    made = done(bigflow(project, "rollback", "--json"))
    assert (made["version"], made["digest"]) == ("1.0.0", first["digest"])
    listed = json.loads(bigflow(project, "deployments", "--json").stdout)
    assert [(one["version"], one["action"]) for one in listed] == [
        ("1.0.0", "rollback"),
        ("1.1.0", "deploy"),
        ("1.0.0", "deploy"),
    ]
    assert "* 1.0.0" in bigflow(project, "deployments").stdout


def test_parts_that_do_not_belong_together_are_refused(project: Project, tmp_path: Path) -> None:
    (dag,) = (project.root / ".dags").glob("*_dag.py")
    text = dag.read_text()
    info = project.root / ".image" / "imageinfo-1.0.0.json"
    cases: list[tuple[dict[str, str | None], list[str], str]] = [
        ({str(dag): text + "\n"}, [], "has been changed since the build"),
        ({str(dag): None}, [], "is missing"),
        ({str(info): None}, [], "no image of 1.0.0 has been built"),
        ({}, ["--config", "prod"], "and the configuration 'prod' has"),
        ({}, ["--clear-dags-folder"], "deletes the DAG files of all projects"),
        ({}, ["--dags-folder", str(tmp_path / "none")], "is not a directory"),
        ({}, ["--dags-folder", "ftp://x"], "the DAGs folder must be"),
        ({}, ["--image-tar-path", str(tmp_path / "none")], "--image-tar-path must be a file"),
    ]
    for files, options, message in cases:
        before = {name: (project.root / name).read_text() for name in files}
        project.write(files)
        problem, fix = bigflow(project, "deploy", *options).error
        assert message in problem
        assert fix
        project.write(dict(before))
    assert not list((tmp_path / "dev").iterdir())


def test_options_of_bigflow(project: Project) -> None:
    options = ["--vault-secret", "x", "--gcp-project-id", "y", "-a", "vault"]
    done = bigflow(project, "deploy", *options, "--dags-dir", ".dags", "--dry-run")
    assert done.returncode == 0
    for name in ("--vault-secret", "--gcp-project-id", "--auth-method"):
        assert f"{name} of BigFlow 1.x has no effect" in done.stderr


def test_a_configuration_without_a_folder(project: Project) -> None:
    path = project.root / "deployment_config.py"
    path.write_text(path.read_text().replace("dags_bucket", "elsewhere"))
    problem, fix = bigflow(project, "deploy").error
    assert problem.endswith("the configuration 'dev' has no dags_bucket")
    assert "--dags-folder" in fix


@pytest.mark.slow
def test_dag_files_beside_the_image(project: Project, tmp_path: Path) -> None:
    plan = done(bigflow(project, "deploy", "--to=oci", "--dry-run", "--json"))
    made = done(bigflow(project, "deploy", "--to=oci", "--json"))
    repository = made["image"].rpartition(":")[0]
    assert made["folder"] == plan["folder"] == f"oci://{repository}:dags-dev"
    assert made["changes"] == plan["changes"]
    assert not list((tmp_path / "dev").iterdir())
    assert "is deployed already" in bigflow(project, "deploy", "--to=oci").stdout
    promoted = done(bigflow(project, "promote", "dev", "prod", "--to=oci", "--json"))
    assert promoted["folder"] == f"oci://{repository}-prod:dags-prod"
    assert promoted["digest"] == made["digest"]
    listing = bigflow(project, "deployments", "--to=oci", "--config=prod", "--json").stdout
    (listed,) = json.loads(listing)
    assert (listed["version"], listed["action"]) == ("1.0.0", "promote")
    folder = f"--dags-folder=oci://{repository}:dags-dev"
    (listed,) = json.loads(bigflow(project, "deployments", folder, "--json").stdout)
    assert listed["action"] == "deploy"
    built = bigflow(project, "build-dags", f"--deployed=oci://{repository}:dags-dev")
    assert built.returncode == 0, built.stderr
    problem, _ = bigflow(project, "build-dags", f"--deployed=oci://{repository}:absent").error
    assert problem.endswith("has no deployment of demo")
    problem, _ = bigflow(project, "deployments", folder, "--to=oci").error
    assert "name two places" in problem


@pytest.mark.slow
def test_a_missing_bucket_is_an_error_before_the_push(
    project: Project, s3_store: ObjectStore
) -> None:
    failed = bigflow(
        project, "deploy", "--dags-folder", "s3://missing/dags", **s3_store.environment
    )
    problem, _ = failed.error
    assert problem.startswith("bigflow: error: s3://missing/dags: ")
    assert "pushing" not in failed.stderr
