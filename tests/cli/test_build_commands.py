"""``bigflow COMMAND`` and ``python project_setup.py COMMAND`` build, and report errors alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from bigflow_backend.cli.commands import COMMANDS
from bigflow_backend.cli.report import build_lines
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.image.image import PublishedImage
from bigflow_backend.pipeline import Build
from support.commands import bigflow, python
from support.engine import sockets_may_leak
from support.matrix import rest_slow
from support.projects import Project, write_project

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
_FILES = {
    "pipelines/workflow.py": _WORKFLOW,
    "deployment_config.py": _DEPLOYMENT,
    "test/test_rides.py": "def test_passes():\n    assert True\n",
    "Dockerfile": "FROM scratch\n",
}
_LAST_BUILD = {
    "dist/pipelines-1.0-py3-none-any.whl": "the last good one",
    ".image/imageinfo-1.0.json": "the last good one",
    ".dags/rides_dag.py": "the last good one",
}
WHEEL = "dist/pipelines-1.2.0-py3-none-any.whl"
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path / "project", _FILES)


@dataclass(frozen=True)
class Case:
    """An error, the commands that report it, and its text."""

    name: str
    commands: tuple[str, ...]
    files: dict[str, str | None]
    message: str
    hint: str


CASES = [
    Case(
        "no Docker Engine",
        ("build-image", "build"),
        {},
        "no Docker Engine answers",
        "DOCKER_HOST",
    ),
    Case(
        "no Dockerfile for the engine",
        ("build-image",),
        {"Dockerfile": None, "pyproject.toml": '[tool.bigflow.image]\nbuilder = "engine"\n'},
        "Dockerfile",
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
        ("build-dags",),
        {"deployment_config.py": "\nimport nowhere\n"},
        "deployment_config.py, line 2: ModuleNotFoundError: No module named 'nowhere'",
        "",
    ),
    Case(
        "no docker_repository",
        ("build-image",),
        {"deployment_config.py": _DEPLOYMENT.replace("docker_repository", "repository")},
        "docker_repository",
        "",
    ),
    Case(
        "an upper-case repository",
        ("build-image", "build-dags"),
        {"deployment_config.py": _DEPLOYMENT.replace("rides-dev", "Rides")},
        "example.org/Rides",
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
        ("build-dags",),
        {"pipelines/broken.py": "\n\nimport nowhere\n"},
        "pipelines/broken.py, line 3",
        "",
    ),
    Case(
        "a failing test",
        ("build-package", "build"),
        # Without an engine, a Dockerfile of its own would be the first error.
        {"test/test_rides.py": "def test_fails():\n    assert 1 == 2\n", "Dockerfile": None},
        "the project's tests failed: 1 of 1 tests failed",
        "see their output above",
    ),
    Case(
        "a test that ends the process",
        ("build-package",),
        {"test/test_rides.py": "import os\n\ndef test_ends():\n    os._exit(0)\n"},
        "the tests ended without a report: exit status 0",
        "os._exit()",
    ),
    Case(
        "no requirements.txt for the image",
        ("build-image",),
        {"resources/requirements.txt": None, "Dockerfile": "COPY resources/requirements.txt /\n"},
        "no file lists the dependencies of the image",
        "create resources/requirements.txt, or write dependencies into [project]",
    ),
    Case(
        "no requirements.txt for the image: found before the tests run",
        ("build",),
        {
            "resources/requirements.txt": None,
            "Dockerfile": "COPY resources/requirements.txt /\n",
            "test/test_rides.py": "def test_fails():\n    assert 0\n",
        },
        "no file lists the dependencies of the image",
        "create resources/requirements.txt, or write dependencies into [project]",
    ),
    Case(
        "a [build-system] that pip refuses",
        ("build-package",),
        {"pyproject.toml": "[build-system]\nbuild-backend = 'bigflow_backend'\n"},
        "[build-system] has no requires",
        'requires = ["bigflow-backend"]',
    ),
    Case(
        "a requirement that is not valid",
        ("build-package",),
        {
            "pyproject.toml": '[build-system]\nrequires = ["bigflow-backend>>1"]\n'
            'build-backend = "bigflow_backend"\n'
        },
        "[build-system] requires: Expected semicolon",
        "",
    ),
    Case(
        "a requirement that is not installed",
        ("build-package",),
        {
            "pyproject.toml": '[build-system]\nrequires = ["no-such-distribution"]\n'
            'build-backend = "bigflow_backend"\n'
        },
        "[build-system] requires no-such-distribution, which ",
        "",
    ),
    Case(
        "another build backend",
        ("build-package",),
        {"pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'setuptools'\n"},
        "[build-system] build-backend must be 'bigflow_backend': got 'setuptools'",
        'write build-backend = "bigflow_backend"',
    ),
]


@pytest.mark.parametrize(
    ("case", "command"),
    rest_slow(
        [(case, command) for case in CASES for command in case.commands],
        quick=[(case, case.commands[0]) for case in CASES],
    ),
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_an_error_is_reported_and_the_last_build_stays(
    project: Project, case: Case, command: str
) -> None:
    project.write({**_LAST_BUILD, **case.files})
    before = project.files()
    with sockets_may_leak():
        message, hint = bigflow(project, command, **NO_ENGINE).error
    assert case.message in message
    assert case.hint in hint
    assert project.files() == before


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            ["--start-time", "soon"],
            "--start-time must be a date and time: got 'soon'",
            "write it in UTC, such as --start-time '2026-01-31 06:00:00'",
        ),
        (
            ["--workflow", "trips"],
            "the project has no workflow 'trips'",
            "its workflows are: rides",
        ),
        (
            ["--python", "/nonexistent"],
            "--python must be an interpreter: got '/nonexistent'",
            "write its path, such as --python .venv/bin/python",
        ),
        (["--config", "test"], "test", "dev, prod"),
        (
            ["--builder", "dokcer"],
            "--builder must be auto, engine or layered: got 'dokcer'",
            "known are: auto, engine, layered",
        ),
        (
            ["--platform", "linux/amd"],
            "--platform must be linux/amd64 or linux/arm64: got 'linux/amd'",
            "did you mean 'linux/amd64'?",
        ),
        (
            ["--find-links", "nope"],
            "tool.bigflow.image.find-links, or --find-links, must be directories of wheels: got ",
            "create the directory, or correct the path",
        ),
    ],
)
def test_values_of_options_are_checked_first(
    project: Project, options: list[str], message: str, hint: str
) -> None:
    before = project.files()
    done = bigflow(project, "build", *options)
    assert done.error[0].startswith("bigflow: error: ")
    assert message in done.error[0]
    assert hint in done.error[1]
    assert "testing" not in done.stderr
    assert project.files() == before


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["build", "--xyz"],
            "bigflow build: unknown argument '--xyz'",
            "bigflow build --help",
        ),
        (["build", "x"], "bigflow build: unknown argument 'x'", "bigflow build --help"),
        (
            ["build-dags", "--start-tim=2026-01-01"],
            "bigflow build-dags: unknown argument '--start-tim=2026-01-01'",
            "did you mean --start-time?",
        ),
        (
            ["build-dags", "--start-time"],
            "bigflow build-dags: argument --start-time/-t: expected one argument",
            "bigflow build-dags --help",
        ),
        (
            ["biuld"],
            "unknown command 'biuld'",
            "did you mean build?",
        ),
        (
            ["nothing"],
            "unknown command 'nothing'",
            "bigflow --help lists the commands",
        ),
        (
            ["logs"],
            "the command 'logs' of BigFlow 1.x is not part of bigflow-backend",
            "Airflow shows the log of each task; for a pod: kubectl logs POD",
        ),
        (
            ["codegen", "x", "--y"],
            "the command 'codegen' of BigFlow 1.x is not part of bigflow-backend",
            "remove the call: it did nothing in BigFlow",
        ),
        (
            ["graph"],
            "bigflow graph: the following arguments are required: WORKFLOW",
            "bigflow graph --help",
        ),
    ],
)
def test_wrong_usage_ends_with_2(
    project: Project, arguments: list[str], message: str, hint: str
) -> None:
    done = bigflow(project, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"bigflow: error: {message}", f"  {hint}"]


def test_options_of_bigflow_without_effect(project: Project) -> None:
    """An unchanged command line of a build server works, and a warning says what changed."""
    vault = ("--cache-from-version", "1.1", "-a", "vault", "-vs", "s3cret")
    done = bigflow(project, "-v", "build-image", "--dry-run", *vault)
    assert done.returncode == 0, done.stderr
    assert "--cache-from-version of BigFlow 1.x has no effect: a build reuses" in done.stderr
    assert "--auth-method of BigFlow 1.x has no effect: `docker login`" in done.stderr
    assert "--vault-secret of BigFlow 1.x has no effect" in done.stderr
    assert "s3cret" not in done.stderr
    assert "--cache-from" not in bigflow(project, "build-image", "--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_function_and_a_help(project: Project, name: str) -> None:
    done = bigflow(project, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: bigflow {name} [-h]")
    module, _, function = COMMANDS[name].function.partition(":")
    assert callable(getattr(import_module(f"bigflow_backend.cli.{module}"), function))


def test_the_help_of_a_command_lists_the_settings(project: Project) -> None:
    done = bigflow(project, "build-image", "--help", COLUMNS="200")
    assert done.returncode == 0
    assert "--builder auto|engine|layered" in done.stdout
    assert "--oci-layout, --no-oci-layout" in done.stdout


def test_the_package_needs_no_deployment_config(project: Project) -> None:
    project.write({"deployment_config.py": None, "Dockerfile": None})
    done = bigflow(project, "build-package", "--json", **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["tests"] == {"tests": 1, "skipped": 0}
    assert result["wheel"]["path"] == WHEEL
    assert result["wheel"]["version"] == "1.2.0"
    assert (project.root / WHEEL).is_file()
    assert not [p for p in project.root.iterdir() if p.name.startswith(".bigflow")]


def test_tests_of_unittest_run(project: Project) -> None:
    project.write(
        {
            "test/__init__.py": "",
            "test/test_rides.py": "import unittest\n\nclass T(unittest.TestCase):\n"
            "    def test_one(self):\n        from pipelines import workflow\n"
            "    @unittest.skip('later')\n    def test_two(self):\n        pass\n",
        }
    )
    done = bigflow(project, "build-package")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "tests  1 passed, 1 skipped"


@pytest.mark.parametrize(
    "test",
    ["import nowhere\n", "import os\n\n\nclass T:\n    os._exit(0)\n"],
    ids=["error", "exit"],
)
def test_tests_that_cannot_be_collected_fail(project: Project, test: str) -> None:
    project.write({"test/test_rides.py": test})
    assert bigflow(project, "build-package").returncode == 1
    assert not (project.root / "dist").exists()


def test_a_project_without_tests_gets_a_warning(project: Project) -> None:
    project.write({"test/test_rides.py": None})
    done = bigflow(project, "build-package")
    assert done.returncode == 0, done.stderr
    assert "nothing was tested" in done.stderr


def test_commands_work_below_the_project(project: Project) -> None:
    below = Project(project.root / "pipelines", project.environment)
    assert bigflow(below, "build-dags").returncode == 0
    assert (project.root / ".dags").is_dir()


def test_no_project_here(tmp_path: Path) -> None:
    message, _ = bigflow(Project(tmp_path, {}), "build").error
    assert message.startswith(f"bigflow: error: no project found: neither {tmp_path} nor ")


def test_a_dry_run_builds_nothing(project: Project) -> None:
    project.write({"Dockerfile": STANDARD.read_text("utf-8")})
    before = project.files()
    options = ["--dry-run", "--base-image=base:1", "--platform=linux/arm64", "--push"]
    done = bigflow(project, "build-image", *options, **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "image     example.org/rides-dev:1.2.0",
        "builder   layered: Dockerfile is the standard one",
        "base      base:1",
        "platform  linux/arm64",
        "file      .image/image-1.2.0.tar",
        "file      .image/imageinfo-1.2.0.json",
        "file      .image/image-1.2.0.cdx.json",
        "file      .image/image-1.2.0.provenance.json",
        "file      .image/deployment_config.py",
        "registry  gets the image",
        "nothing was built: this is a dry run",
    ]
    assert project.files() == before


@pytest.mark.parametrize(
    "options",
    [
        ["--platform", "linux/arm64", "--platform", "linux/amd64"],
        ["--platform=linux/amd64,linux/arm64"],
    ],
)
def test_a_dry_run_for_several_platforms(project: Project, options: list[str]) -> None:
    project.write({"Dockerfile": STANDARD.read_text("utf-8")})
    lines = bigflow(project, "build-image", "--dry-run", *options, **NO_ENGINE).stdout.splitlines()
    assert "platform  linux/amd64, linux/arm64" in lines
    bills = [line for line in lines if line.endswith(".cdx.json")]
    assert [bill.rpartition("1.2.0-")[2] for bill in bills] == ["amd64.cdx.json", "arm64.cdx.json"]


def test_a_dry_run_of_the_dags_checks_them(project: Project) -> None:
    last_build = {".dags/rides_dag.py": "the last good one"}
    project.write(last_build)
    before = project.files()
    lines = bigflow(project, "build-dags", "--dry-run", "--start-time", "2026-01-31").stdout
    file = "rides__v1_2_0__2026_01_31_00_00_00_dag.py"
    assert lines.splitlines() == [f"DAG    .dags/{file}", "nothing was built: this is a dry run"]
    project.write({"pipelines/workflow.py": _WORKFLOW.replace('"count"', '"a b"')})
    failed = bigflow(project, "build-dags", "--dry-run")
    assert failed.returncode == 1
    assert "a b" in failed.stderr
    project.write({"pipelines/workflow.py": _WORKFLOW})
    assert project.files() == before


def test_a_dry_run_as_json(project: Project) -> None:
    options = ["--dry-run", "--json", "--no-export-image-tar", "--tag", "latest"]
    done = bigflow(project, "build-image", *options, **NO_ENGINE)
    assert json.loads(done.stdout)["plan"] == {
        "tag": "example.org/rides-dev:1.2.0",
        "tags": ["example.org/rides-dev:1.2.0", "example.org/rides-dev:latest"],
        "builder": "engine",
        "reason": "Dockerfile, line 1, differs from the standard Dockerfile",
        "base": "scratch",
        "platforms": [],
        "files": [
            ".image/imageinfo-1.2.0.json",
            ".image/image-1.2.0.cdx.json",
            ".image/image-1.2.0.provenance.json",
            ".image/deployment_config.py",
        ],
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
def test_a_dry_run_finds_errors(project: Project, options: list[str], message: str) -> None:
    done = bigflow(project, "build-image", "--dry-run", *options, **NO_ENGINE)
    assert message in done.error[0]


def test_the_summary_has_the_size_of_each_file() -> None:
    tar = Path(".image/image-1.2.0.tar")
    image = PublishedImage(
        tag="rides:1.2.0", tags=("rides:1.2.0", "rides:latest"), id="", digest=None,
        version="1.2.0", size=1, layout=None, pushed=False, tar=tar,
        info=Path(".image/info.json"), builder="engine", in_engine=True, seconds=1.0,
        platforms=("linux/amd64", "linux/arm64"),
    )  # fmt: skip
    lines = list(build_lines(Build(image=image, sizes={tar: 1500})))
    assert lines[1:4] == [
        "       rides:latest",
        "       for linux/amd64, linux/arm64",
        "       .image/image-1.2.0.tar  1.5 kB",
    ]


class TestSetupScript:
    """``python project_setup.py``"""

    def test_several_commands_in_one_call(self, project: Project) -> None:
        options = ("--config", "prod", "--start-time", "2026-01-01 00:00:00")
        done = python(project, "project_setup.py", "build_package", "build_dags", *options)
        assert done.returncode == 0, done.stderr
        name = "rides__v1_2_0__2026_01_01_00_00_00_dag.py"
        tests, wheel, dag = done.stdout.splitlines()
        assert tests == "tests  1 passed"
        assert wheel.startswith(f"wheel  {WHEEL}  ")
        assert dag == f"DAG    .dags/{name}"
        assert "example.org/rides:1.2.0" in (project.root / ".dags" / name).read_text("utf-8")

    def test_a_command_of_setuptools_and_one_of_ours(self, project: Project) -> None:
        done = python(project, "project_setup.py", "-q", "clean", "build_dags")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("DAG    .dags/rides__v1_2_0__")

    def test_setuptools_lists_the_commands(self, project: Project) -> None:
        done = python(project, "project_setup.py", "--help-commands")
        lines = [line.split(maxsplit=1)[0] for line in done.stdout.splitlines() if line]
        assert {"build_project", "build_package", "build_image", "build_dags"} < set(lines)

    @pytest.mark.parametrize("arguments", [["build_image", "--help"], ["--help", "build_image"]])
    def test_the_help_of_a_command(self, project: Project, arguments: list[str]) -> None:
        done = python(project, "project_setup.py", *arguments)
        assert done.returncode == 0
        assert done.stdout.startswith("usage: python project_setup.py build_image [-h]")
        assert "--dry-run" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message", "hint"),
        [
            (
                [],
                "python project_setup.py: no commands supplied",
                "python project_setup.py --help",
            ),
            (
                ["no_such_command"],
                "python project_setup.py no_such_command: invalid command 'no_such_command'",
                "python project_setup.py --help",
            ),
            (
                ["build_package", "build_dags", "--xyz"],
                "python project_setup.py build_dags: unknown argument '--xyz'",
                "python project_setup.py build_dags --help",
            ),
        ],
    )
    def test_wrong_usage_ends_with_2(
        self, project: Project, arguments: list[str], message: str, hint: str
    ) -> None:
        done = python(project, "project_setup.py", *arguments)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [f"bigflow: error: {message}", f"  {hint}"]

    def test_flags_of_bigflow(self, project: Project) -> None:
        given = ["build_project", "--build-dags", "--start-time", "2026-01-01"]
        done = python(project, "project_setup.py", *given)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "DAG    .dags/rides__v1_2_0__2026_01_01_00_00_00_dag.py\n"
        assert (
            "build_project --build-dags is deprecated; write: python project_setup.py build_dags"
        ) in done.stderr
        done = python(project, "project_setup.py", "build_project", "--validate-project-setup")
        assert (done.returncode, done.stdout) == (0, "BigFlow setup is valid.\n")
        flags = ["--build-dags", "--build-package"]
        assert python(project, "project_setup.py", "build_project", *flags).error == [
            "bigflow: error: build_project takes one flag: got --build-package --build-dags",
            "  write: python project_setup.py build_package build_dags",
        ]

    def test_an_error_has_two_lines(self, project: Project) -> None:
        project.write({"deployment_config.py": None})
        message, hint = python(project, "project_setup.py", "build_image").error
        assert "deployment_config.py" in message
        assert "docker_repository" in hint

    def test_options_of_our_commands_in_setup_cfg_are_refused(self, project: Project) -> None:
        project.write({"setup.cfg": "[build_image]\npush = 1\n"})
        assert python(project, "project_setup.py", "build_image").error == [
            "bigflow: error: setup.cfg: [build_image] has no effect",
            "  remove it, and write its options behind build_image on the command line",
        ]

    def test_a_setup_cfg_that_is_not_valid_is_reported(self, project: Project) -> None:
        project.write({"setup.cfg": "no section\n"})
        assert "setup.cfg" in python(project, "project_setup.py", "build_package").error[0]

    def test_a_script_that_is_a_link_builds_where_the_link_is(self, project: Project) -> None:
        (project.root / "tools").mkdir()
        script = project.root / "project_setup.py"
        script.rename(project.root / "tools/setup_of_ours.py")
        script.symlink_to("tools/setup_of_ours.py")
        done = python(project, "project_setup.py", "build_package")
        assert done.returncode == 0, done.stderr
        assert (project.root / WHEEL).is_file()


# The parent of a child is its supervisor, whose parent is the command.
_COMMAND = """\
import os, pathlib, signal
status = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text()
COMMAND = int(status.rpartition(")")[2].split()[1])
"""
_SIGNALS_COMMAND = """
def test_waits():
    pathlib.Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    os.kill(COMMAND, signal.{signal})
    signal.pause()
"""


@pytest.mark.parametrize("command", ["-m bigflow build-package", "project_setup.py build_package"])
@pytest.mark.parametrize(
    ("number", "message"),
    [(signal.SIGINT, "bigflow: interrupted"), (signal.SIGTERM, "bigflow: ended by SIGTERM")],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.slow
def test_a_signal_leaves_the_last_build_no_child_and_no_traceback(
    project: Project, command: str, number: signal.Signals, message: str
) -> None:
    test = _COMMAND + _SIGNALS_COMMAND.format(signal=number.name)
    project.write({**_LAST_BUILD, "test/test_rides.py": test})
    before = project.files()
    pid_file = project.root.parent / "pid"
    done = python(project, *command.split(), PID_FILE=str(pid_file))
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-1] == f"{message}; this build changed no outputs"
    assert "Traceback" not in done.stderr
    assert project.files() == before
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_ctrl_c_while_a_module_is_imported_prints_no_traceback(project: Project) -> None:
    """A terminal sends the signal to the command, and not to its child, which has a session."""
    interrupts = f"{_COMMAND}os.kill(COMMAND, signal.SIGINT)\nsignal.pause()\n"
    project.write({"pipelines/workflow.py": interrupts})
    with subprocess.Popen(
        [sys.executable, "-m", "bigflow", "build-dags"],
        cwd=project.root,
        env={**os.environ, **project.environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _, stderr = process.communicate()
    assert process.returncode == 128 + signal.SIGINT
    assert stderr.splitlines() == [
        "finding the workflows",
        "bigflow: interrupted; this build changed no outputs",
    ]


def test_an_interrupted_hook_prints_no_traceback(project: Project) -> None:
    interrupts = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()\n"
    project.write({"project_setup.py": interrupts})
    hook = "import bigflow_backend; bigflow_backend.build_wheel('.')"
    done = python(project, "-c", hook)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "bigflow: interrupted\n"


@pytest.mark.parametrize("command", ["-m bigflow build-dags", "project_setup.py build_dags"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pipe_without_a_reader(project: Project, command: str, stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=project.root,
            env={**os.environ, **project.environment},
            text=True,
            check=False,
            **streams,  # type: ignore[call-overload]
        )
    finally:
        os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in (done.stderr or "")
