"""An error about the value of a setting names its place: a variable, a file, or an option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import bigflow
from support.images import small_base
from support.projects import Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_DEPLOYMENT = (
    "from bigflow import DeploymentConfig\n"
    "config = DeploymentConfig('dev', {'docker_repository': 'registry.example.com/x'})\n"
)
_WORKFLOW = """\
from bigflow import Job, Workflow
class Step(Job):
    def execute(self, context): pass
daily = Workflow("daily", [Step("load")])
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    written = write_project(
        tmp_path / "project",
        {"deployment_config.py": _DEPLOYMENT, "pipelines/workflow.py": _WORKFLOW},
    )
    base = small_base(tmp_path / "base.tar")
    environment = {
        "BIGFLOW_IMAGE_BASE_IMAGE": base,
        "BIGFLOW_CACHE": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    return Project(written.root, {**written.environment, **environment})


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("build-image", "BIGFLOW_IMAGE_TAGS", "a/b"),
        ("build-image", "BIGFLOW_IMAGE_BASE_IMAGE", "Python:3 x"),
        ("build-image", "BIGFLOW_IMAGE_FIND_LINKS", "nowhere"),
        ("build-image", "BIGFLOW_IMAGE_BUILD_ARGS", "OTHER=1"),
        ("build-image", "BIGFLOW_IMAGE_GROUPS", "dev"),
        ("build-image", "BIGFLOW_IMAGE_EXTRAS", "more"),
        ("build-image", "BIGFLOW_SOURCE_DIRECTORY", "nowhere"),
        ("build-image", "BIGFLOW_PACKAGE", "nobody"),
        ("build-image", "BIGFLOW_PACKAGES", "nobody"),
        ("build-dags", "BIGFLOW_DAGS_NAMESPACE", "A_B"),
        ("build-dags", "BIGFLOW_DAGS_START_DATE", "tomorrow"),
        ("build-dags", "BIGFLOW_DAGS_TEMPLATE", "nowhere.jinja"),
        ("build-dags", "BIGFLOW_DAGS_IMAGE_PULL_SECRETS", "A_B"),
        ("build-dags", "BIGFLOW_DAGS_MEMORY_LIMIT", "512 MB"),
        ("build-dags", "BIGFLOW_DAGS_LABELS", "a/b/c=1"),
        ("build-dags", "BIGFLOW_DAGS_ENVIRONMENT", "1A=2"),
        ("build-dags", "BIGFLOW_DAGS_KUBERNETES_CONN_ID", "a b"),
    ],
)
def test_a_variable(project: Project, command: str, variable: str, value: str) -> None:
    problem, fix, *_ = bigflow(project, command, **{variable: value}).error
    assert variable in problem
    assert value.partition("=")[0] in problem
    assert fix.strip()


def test_the_same_key_in_the_project(project: Project) -> None:
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text("utf-8") + '[tool.bigflow.dags]\nnamespace = "A_B"\n', "utf-8")
    problem, _ = bigflow(project, "build-dags").error
    assert problem == (
        "bigflow: error: pyproject.toml: tool.bigflow.dags.namespace is 'A_B', which cannot name a"
        " namespace"
    )


@pytest.mark.parametrize(
    ("line", "key", "problem"),
    [
        (
            'insecure-registries = ["http://mirror"]',
            "image.insecure-registries",
            "'http://mirror' is not a valid registry name",
        ),
        (
            'registry-mirrors = {"docker.io" = "http://mirror"}',
            "image.registry-mirrors",
            "'http://mirror' is not a valid mirror of a registry",
        ),
    ],
)
def test_the_file_of_the_user(project: Project, line: str, key: str, problem: str) -> None:
    file = project.root.parent / "config/bigflow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f"[image]\n{line}\n")
    found, _ = bigflow(project, "build-image", BIGFLOW_IMAGE_BASE_IMAGE="localhost:1/x:1").error
    assert found.endswith(f" {file}: {key} is wrong: {problem}")
