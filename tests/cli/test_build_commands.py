"""Both doors to the build: ``bigflow COMMAND`` and ``python project_setup.py COMMAND``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.cli.report import summary
from bigflow_backend.ground.files import Outputs
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.image.image import PublishedImage
from bigflow_backend.pipeline import Build
from support.projects import write_project

if TYPE_CHECKING:
    from support.projects import Project

_WORKFLOW = """\
from bigflow import Job, Workflow

class Count(Job):
    def execute(self, context):
        print("counted", context.env)

rides = Workflow(workflow_id="rides", definition=[Count("count")])
"""
_DEPLOYMENT = """\
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev", properties={"docker_repository": "example.org/rides-dev"}
).add_configuration("prod", {"docker_repository": "example.org/rides"})
"""
_TEST = """\
def test_passes():
    assert True
"""
_FILES = {
    "pipelines/workflow.py": _WORKFLOW,
    "deployment_config.py": _DEPLOYMENT,
    "test/test_rides.py": _TEST,
    "Dockerfile": "FROM scratch\n",
}
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
DOORS = {
    "bigflow": lambda command: ["-m", "bigflow", command],
    "setup": lambda command: [
        "project_setup.py",
        {"build": "build_project"}.get(command, command.replace("-", "_")),
    ],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project", _FILES)


@dataclass(frozen=True)
class Case:
    """A fault, the commands that meet it, and what their user reads."""

    name: str
    commands: tuple[str, ...]
    files: dict[str, str | None]
    message: str
    hint: str
    environment: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(
        "no Docker Engine",
        ("build-image", "build"),
        {},
        "differs from the standard Dockerfile, so it needs an engine; no Docker Engine answers",
        "DOCKER_HOST",
    ),
    Case(
        "no Dockerfile for the engine",
        ("build-image", "build"),
        {"Dockerfile": None, "pyproject.toml": '[tool.bigflow.image]\nbuilder = "engine"\n'},
        "there is no Dockerfile in ",
        "start with the standard one",
    ),
    Case(
        "no deployment_config.py",
        ("build-image", "build-dags", "build"),
        {"deployment_config.py": None},
        "deployment_config.py",
        "docker_repository",
    ),
    Case(
        "a deployment_config.py that raises",
        ("build-image", "build-dags", "build"),
        {"deployment_config.py": "\nimport nowhere\n"},
        "deployment_config.py, line 2: ModuleNotFoundError: No module named 'nowhere'",
        "",
    ),
    Case(
        "no docker_repository",
        ("build-image", "build-dags", "build"),
        {"deployment_config.py": _DEPLOYMENT.replace("docker_repository", "repository")},
        "docker_repository",
        "",
    ),
    Case(
        "an upper-case repository",
        ("build-image", "build-dags", "build"),
        {"deployment_config.py": _DEPLOYMENT.replace("rides-dev", "Rides")},
        "docker_repository 'example.org/Rides' has upper-case letters",
        "write 'example.org/rides'",
    ),
    Case(
        "no workflow",
        ("build-dags", "build"),
        {"pipelines/workflow.py": "ANSWER = 42\n"},
        "no workflow",
        "",
    ),
    Case(
        "a module that cannot be imported",
        ("build-dags", "build"),
        {"pipelines/broken.py": "\n\nimport nowhere\n"},
        "pipelines/broken.py, line 3",
        "",
    ),
    Case(
        "a failing test",
        ("build-package", "build"),
        {"test/test_rides.py": "def test_fails():\n    assert 1 == 2\n"},
        "the project's tests failed: 1 of 1 tests failed",
        "see their output above",
    ),
    Case(
        "a test that ends the process",
        ("build-package", "build"),
        {"test/test_rides.py": "import os\n\ndef test_ends():\n    os._exit(0)\n"},
        "the tests ended without a report: exit status 0",
        "os._exit()",
    ),
    Case(
        "the other bigflow among the requirements",
        ("build-dags",),
        {"resources/requirements.txt": "bigflow\n"},
        "resources/requirements.txt requires bigflow",
        "replace it by bigflow-backend",
    ),
    Case(
        "no requirements.txt for the image",
        ("build-image",),
        {"resources/requirements.txt": None, "Dockerfile": "COPY resources/requirements.txt /\n"},
        "the image needs resources/requirements.txt, which does not exist",
        "`bigflow-backend`, the runtime of each pod",
    ),
    Case(
        "a [build-system] that pip refuses",
        ("build-package",),
        {"pyproject.toml": "[build-system]\nbuild-backend = 'bigflow_backend'\n"},
        "[build-system] has no requires",
        'requires = ["bigflow-backend"]',
    ),
    Case(
        "another build backend",
        ("build-package",),
        {"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'setuptools'\n"},
        "[build-system] build-backend must be 'bigflow_backend': got 'setuptools'",
        'write build-backend = "bigflow_backend"',
    ),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("case", "command"),
    [(case, command) for case in CASES for command in case.commands],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_fault_is_told_and_the_last_build_left_alone(
    project: Project, case: Case, command: str, door: str
) -> None:
    project.write(
        {
            "dist/pipelines-1.0-py3-none-any.whl": "the last good one",
            ".image/imageinfo-1.0.json": "the last good one",
            ".dags/rides_dag.py": "the last good one",
            **case.files,
        }
    )
    before = project.files()
    done = project.run(*DOORS[door](command), **NO_ENGINE, **case.environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    told = done.stderr[done.stderr.index("bigflow: error: ") :].splitlines()
    assert case.message in told[0], told
    assert len(told) == 2, told
    assert case.hint in told[1], told
    assert project.files() == before


@pytest.mark.parametrize("door", DOORS)
def test_the_package_needs_no_deployment_config(project: Project, door: str) -> None:
    project.write({"deployment_config.py": None, "Dockerfile": None})
    done = project.run(*DOORS[door]("build-package"), **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "tests  1 passed"
    assert (project.root / "dist" / "pipelines-1.2.0-py3-none-any.whl").is_file()
    assert not [p for p in project.root.iterdir() if p.name.startswith(".bigflow")]


def test_no_tests_are_told(project: Project) -> None:
    project.write({"test/test_rides.py": None})
    done = project.run("-m", "bigflow", "build-package")
    assert done.returncode == 0, done.stderr
    assert "nothing was tested" in done.stderr


@pytest.mark.parametrize("door", DOORS)
def test_dags_are_written_for_an_environment_and_a_start(project: Project, door: str) -> None:
    options = ("--config", "prod", "--start-time", "2026-01-01 00:00:00")
    done = project.run(*DOORS[door]("build-dags"), *options)
    assert done.returncode == 0, done.stderr
    name = "rides__v1_2_0__2026_01_01_00_00_00_dag.py"
    assert done.stdout == f"DAG    .dags/{name}\n"
    assert "example.org/rides:1.2.0" in (project.root / ".dags" / name).read_text("utf-8")


def test_the_result_as_json(project: Project) -> None:
    done = project.run("-m", "bigflow", "build-package", "--json")
    result = json.loads(done.stdout)
    assert result["tests"] == {"tests": 1, "skipped": 0}
    assert result["wheel"]["path"] == "dist/pipelines-1.2.0-py3-none-any.whl"
    assert result["wheel"]["version"] == "1.2.0"


@pytest.mark.parametrize("directory", ["pipelines", "test"])
def test_commands_work_from_below_the_project(project: Project, directory: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bigflow", "build-package"],
        cwd=project.root / directory,
        env={**os.environ, **project.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (project.root / "dist").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--bogus"],
        ["build-dags", "--start-tim", "2026-01-01"],
        ["no-such-command"],
        ["build", "x"],
    ],
)
def test_wrong_usage_ends_with_2(project: Project, arguments: list[str]) -> None:
    done = project.run("-m", "bigflow", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no commands supplied"),
        (["no_such_command"], "invalid command 'no_such_command'"),
        (["build_package", "--bogus"], "option --bogus not recognized"),
    ],
)
def test_wrong_usage_of_the_setup_script_ends_with_2(
    project: Project, arguments: list[str], told: str
) -> None:
    done = project.run("project_setup.py", *arguments)
    assert done.returncode == 2
    typed = " ".join(["python", "project_setup.py", *arguments])
    assert done.stderr.splitlines()[0] == f"bigflow: error: {typed}: {told}"


def test_a_setup_script_that_is_a_link_builds_where_it_lies(project: Project) -> None:
    (project.root / "tools").mkdir()
    script = project.root / "project_setup.py"
    script.rename(project.root / "tools/setup_of_ours.py")
    script.symlink_to("tools/setup_of_ours.py")
    done = project.run("project_setup.py", "build_package")
    assert done.returncode == 0, done.stderr
    assert (project.root / "dist/pipelines-1.2.0-py3-none-any.whl").is_file()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('requires = ["bigflow-backend>>1"]', "[build-system] requires: Expected semicolon"),
        ('requires = ["no-such-distribution"]', "requires no-such-distribution, which "),
        ("requires = []\n", "[build-system] build-backend must be 'bigflow_backend': got None"),
    ],
)
def test_a_build_system_that_pip_could_not_use(project: Project, table: str, told: str) -> None:
    backend = "" if table.endswith("\n") else 'build-backend = "bigflow_backend"'
    project.write({"pyproject.toml": f"[build-system]\n{table}\n{backend}\n"})
    done = project.run("-m", "bigflow", "build-package")
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[0]  # before the tests are run
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--start-time", "soon"], "--start-time 'soon' is no time", "YYYY-MM-DD"),
        (["--workflow", "trips"], "has no workflow 'trips'", "its workflows are: rides"),
        (["--python", "/nonexistent"], "--python /nonexistent is no interpreter", "path"),
        (["--config", "test"], "test", "dev, prod"),
    ],
)
def test_values_of_options_are_checked(
    project: Project, arguments: list[str], message: str, hint: str
) -> None:
    done = project.run("-m", "bigflow", "build-dags", *arguments)
    assert done.returncode == 1
    told = done.stderr[done.stderr.index("bigflow: error: ") :].splitlines()
    assert message in told[0]
    assert hint in told[1]
    assert not (project.root / ".dags").exists()


def test_no_project_here(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bigflow", "build"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("bigflow: error: no project found: ")


def test_an_interrupt_leaves_the_last_build_and_no_child(project: Project) -> None:
    project.write(
        {
            "dist/pipelines-1.0-py3-none-any.whl": "the last good one",
            "test/test_rides.py": "import os, pathlib, signal\n\n"
            "def test_waits():\n"
            "    pathlib.Path(os.environ['PID_FILE']).write_text(str(os.getpid()))\n"
            "    os.kill(os.getppid(), signal.SIGINT)\n"
            "    signal.pause()\n",
        }
    )
    before = project.files()
    pid_file = project.root.parent / "pid"
    done = project.run("-m", "bigflow", "build-package", PID_FILE=str(pid_file))
    assert done.returncode == 128 + signal.SIGINT
    assert "interrupted; nothing in the project was changed" in done.stderr
    assert project.files() == before
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_termination_ends_the_tests_too(project: Project) -> None:
    project.write(
        {
            "test/test_rides.py": "import os, pathlib, signal\n\n"
            "def test_waits():\n"
            "    pathlib.Path(os.environ['PID_FILE']).write_text(str(os.getpid()))\n"
            "    os.kill(os.getppid(), signal.SIGTERM)\n"
            "    signal.pause()\n",
        }
    )
    before = project.files()
    pid_file = project.root.parent / "pid"
    done = project.run("-m", "bigflow", "build-package", PID_FILE=str(pid_file))
    assert done.returncode == 128 + signal.SIGTERM
    assert project.files() == before
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            ["--builder", "dokcer"],
            "--builder must be auto, engine or layered: got 'dokcer'",
            "known are: auto, engine, layered",
        ),
        (
            ["--platform", "linux/amd"],
            "--platform must be linux/amd64 or linux/arm64: got 'linux/amd'",
            "did you mean 'linux/amd64'",
        ),
        (["--find-links", "nope"], "find-links: there is no directory", "a directory of wheels"),
    ],
)
def test_image_options_are_checked_first(
    project: Project, options: list[str], message: str, hint: str
) -> None:
    done = project.run("-m", "bigflow", "build", *options)
    assert done.returncode == 1
    message_line, hint_line = done.stderr.splitlines()
    assert message in message_line
    assert hint in hint_line


@pytest.mark.parametrize("door", DOORS)
def test_a_dry_run_tells_and_builds_nothing(project: Project, door: str) -> None:
    project.write({"Dockerfile": STANDARD.read_text("utf-8")})
    before = project.files()
    options = ["--dry-run", "--base-image=base:1", "--platform=linux/arm64", "--push"]
    done = project.run(*DOORS[door]("build-image"), *options, **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "image     example.org/rides-dev:1.2.0",
        "builder   layered: Dockerfile is the standard one",
        "base      base:1",
        "platform  linux/arm64",
        "file      .image/image-1.2.0.tar",
        "file      .image/imageinfo-1.2.0.json",
        "file      .image/deployment_config.py",
        "registry  gets the image",
        "nothing was built: this is a dry run",
    ]
    assert project.files() == before


def test_a_dry_run_for_machines(project: Project) -> None:
    options = ["--dry-run", "--json", "--no-export-image-tar"]
    done = project.run("-m", "bigflow", "build-image", *options, **NO_ENGINE)
    plan = json.loads(done.stdout)["plan"]
    assert plan == {
        "tag": "example.org/rides-dev:1.2.0",
        "builder": "engine",
        "reason": "Dockerfile, line 1, differs from the standard Dockerfile",
        "base": "scratch",
        "platform": None,
        "files": [".image/imageinfo-1.2.0.json", ".image/deployment_config.py"],
        "load": True,
        "push": False,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--builder", "layered"], "Dockerfile, line 1, differs from the standard Dockerfile"),
        (["--config", "prodd"], "prodd"),
    ],
)
def test_a_dry_run_finds_faults(project: Project, options: list[str], message: str) -> None:
    done = project.run("-m", "bigflow", "build-image", "--dry-run", *options, **NO_ENGINE)
    assert done.returncode == 1
    error, _hint = done.stderr[done.stderr.index("bigflow: error: ") :].splitlines()
    assert message in error


def test_the_summary_tells_the_size_of_what_lies_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".image").mkdir()
    (tmp_path / ".image" / "image-1.2.0.tar").write_bytes(b"x" * 1500)
    image = PublishedImage(
        tag="rides:1.2.0", id="", digest=None, version="1.2.0", size=1, layout=None, pushed=False,
        tar=Path(".image/image-1.2.0.tar"), info=Path(".image/info.json"),
        builder="engine", in_engine=True, seconds=1.0,
    )  # fmt: skip
    told = summary(Build(outputs=Outputs(tmp_path), image=image))
    assert told.splitlines()[1] == "       .image/image-1.2.0.tar  1.5 kB"


def test_what_a_killed_build_left_is_removed(project: Project) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    project.write(
        {
            f".bigflow-build-{dead}-x/dist/half.whl": "",
            f".bigflow-build-{os.getpid()}-y/dist/half.whl": "",
        }
    )
    assert project.run("-m", "bigflow", "build-package").returncode == 0
    left = [p.name for p in project.root.iterdir() if p.name.startswith(".bigflow-build-")]
    assert left == [f".bigflow-build-{os.getpid()}-y"]
