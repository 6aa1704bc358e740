"""`bigflow run`, the command of each pod."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bigflow
from support.runtime import SAMPLE, clean_environment, run_bigflow, write_files

RUNTIME = str(Path(bigflow.__file__).parent.parent)
JOB = """
import os, sys, time
import bigflow
class J(bigflow.Job):
    id = "j"
    def execute(self, context):
{body}
w = bigflow.Workflow("w", [J()])
"""


def project(root: Path, *body: str) -> Path:
    lines = "\n".join(f"        {line}" for line in body)
    text = JOB.format(body=lines)
    return write_files(root, {"p/__init__.py": text, "project_setup.py": "PROJECT_NAME = 'p'"})


def test_a_job() -> None:
    done = run_bigflow(
        *("run", "--job", "daily.extract", "--runtime", "2026-01-02 03:04:05"),
        *("--project-package", "runtime_sample", "--module", "runtime_sample.workflow"),
        *("--config", "prod"),
        cwd=SAMPLE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "bigflow: job daily.extract, runtime 2026-01-02 03:04:05, config prod, runtime_sample",
        "output of a module is not part of the description",
        "extracted 72793,Seattle for 2026-01-02 03:04:05",
    ]


def test_a_workflow_with_jobs_of_every_kind() -> None:
    done = run_bigflow("run", "-w", "archive", "-r", "2026-01-02", cwd=SAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == (
        "bigflow: workflow archive, runtime 2026-01-02, runtime_sample"
    )
    assert done.stdout.splitlines()[-4:] == [
        "bigflow: job archive.extract",
        "extracted 72793,Seattle for 2026-01-02 00:00:00",
        "bigflow: job archive.archive",
        "archive 2026-01-02",
    ]


def test_jobs_in_the_order_of_the_graph() -> None:
    done = run_bigflow("run", "-w", "daily", "-r", "2026-01-02 03:04", "-c", "dev", cwd=SAMPLE)
    assert [line for line in done.stdout.splitlines() if "bigflow: job" not in line][-4:] == [
        "extracted 72793,Seattle for 2026-01-02 03:04:00",
        "temperature 2026-01-02 03:04 daily dev",
        "rain 2026-01-02 03:04 daily dev",
        "report 2026-01-02T03:04:00 dev",
    ]


def test_what_a_job_knows_of_its_run(tmp_path: Path) -> None:
    body = "print([context.run_id, context.try_number, str(context.interval_end), context.params])"
    root = project(tmp_path, body)
    module = root / "p" / "__init__.py"
    params = 'params={"days": bigflow.Param(7, minimum=1), "mode": "full", "day": bigflow.Param()}'
    module.write_text(module.read_text().replace("[J()])", f"[J()], {params})"))

    def printed(*arguments: str) -> str:
        done = run_bigflow("run", "-j", "w.j", "-r", "2026-01-01", *arguments, cwd=root)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    assert printed() == "[None, None, 'None', {'days': 7, 'mode': 'full'}]"
    given = ("--interval-end=2026-01-02 00:00:00", "--run-id=--x", "--try-number=2")
    assert printed(*given, '--params={"days": 3, "more": null}') == (
        "['--x', 2, '2026-01-02 00:00:00', {'days': 3, 'mode': 'full', 'more': None}]"
    )
    assert printed("--interval-end=", "--run-id=", "--try-number=", "--params=") == printed()


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 100_000])
def test_params_that_are_not_an_object(tmp_path: Path, text: str) -> None:
    done = run_bigflow("run", "-j", "w.j", f"--params={text}", cwd=project(tmp_path, "pass"))
    assert done.returncode == 2
    assert "argument --params: not" in done.stderr


class TestFirstLine:
    """It comes before all output of the project, also during its import."""

    def first_line(self, cwd: Path, env: dict[str, str], *arguments: str) -> str:
        done = run_bigflow("run", "-j", "w.j", "-r", "2026-01-01", *arguments, cwd=cwd, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]

    def test_names_version_commit_and_image(self, tmp_path: Path) -> None:
        site = project(tmp_path / "site", "pass")
        (site / "project_setup.py").unlink()
        write_files(site, {"p-1.2.0+g1a2b.dist-info/METADATA": ""})
        env = {"PYTHONPATH": f"{site}:{RUNTIME}", "BIGFLOW_COMMIT": "1a2b", "BIGFLOW_IMAGE": "r:1"}
        line = self.first_line(tmp_path, env, "--project-package", "p")
        assert line == (
            "bigflow: job w.j, runtime 2026-01-01, p 1.2.0+g1a2b, commit 1a2b, image r:1"
        )

    def test_omits_unknown_facts(self, tmp_path: Path) -> None:
        line = self.first_line(project(tmp_path, "pass"), {})
        assert line == "bigflow: job w.j, runtime 2026-01-01, p"

    def test_bf_env_is_the_configuration(self, tmp_path: Path) -> None:
        body = "assert (context.env, os.environ['bf_env']) == ('prod', 'prod')"
        line = self.first_line(project(tmp_path, body), {"bf_env": "prod"})
        assert line == "bigflow: job w.j, runtime 2026-01-01, config prod, p"


class TestArgumentsOfTheJob:
    """BigFlow 1.7.1 leaves arguments that it does not know to the job, which reads sys.argv."""

    def run(self, root: Path, *arguments: str) -> tuple[list[str], str]:
        given = ("run", "--job", "w.j", *arguments)
        done = run_bigflow(*given, cwd=project(root, "print(*sys.argv, sep='|')"))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].split("|"), done.stderr

    @pytest.mark.parametrize(
        "arguments", [("--days", "3", "full"), ("--days=3", "-x3"), ("--", "--config", "all")]
    )
    def test_they_are_in_argv(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        argv, error = self.run(tmp_path, *arguments)
        assert argv == ["bigflow", "run", "--job", "w.j", *arguments]
        assert not error

    def test_a_typing_error_gets_a_warning(self, tmp_path: Path) -> None:
        _, error = self.run(tmp_path, "--confg", "prod")
        assert error == (
            "bigflow: warning: --confg is an argument of the job; did you mean --config?\n"
        )


LOGGING = (
    "import logging",
    "logging.getLogger('rides').info('loaded')",
    "logging.getLogger('rides').debug('rows')",
)


@pytest.mark.parametrize(
    ("arguments", "env", "shown"),
    [
        ((), {}, ["loaded"]),
        (("-v",), {}, ["loaded", "rows"]),
        ((), {"BIGFLOW_VERBOSE": "1"}, ["loaded", "rows"]),
    ],
)
def test_log_messages_are_shown(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], shown: list[str]
) -> None:
    module = project(tmp_path, *LOGGING) / "p/__init__.py"
    module.write_text(f"import logging\n{module.read_text()}")
    done = run_bigflow(*arguments, "run", "--job", "w.j", cwd=tmp_path, env=env)
    assert [line.rpartition("| ")[2] for line in done.stderr.splitlines()] == shown


class TestStatus:
    def test_a_job_that_raises_shows_its_traceback(self) -> None:
        done = run_bigflow("run", "--job", "failing.fail", cwd=SAMPLE)
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback (most recent call last):")
        assert 'raise LookupError("no rows")' in done.stderr
        assert done.stderr.endswith(
            "LookupError: no rows\nbigflow: job failing.fail failed: LookupError: no rows\n"
        )
        assert "bigflow/" not in done.stderr.replace(str(SAMPLE), "")

    def test_a_bigflow_error_in_a_job_has_its_line(self, tmp_path: Path) -> None:
        body = "from bigflow.resources import *", "get_resource_absolute_path('none', __file__)"
        text = project(tmp_path, body[1]) / "p/__init__.py"
        text.write_text(f"{body[0]}\n{text.read_text()}")
        done = run_bigflow("run", "--job", "w.j", cwd=tmp_path)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "p/__init__.py, line 8: resource 'none' not found" in done.stderr

    @pytest.mark.parametrize(
        ("code", "status", "stderr"),
        [
            ("0", 0, ""),
            ("None", 0, ""),
            ("3", 3, "bigflow: job w.j failed: exit status 3\n"),
            ("-1", 255, "bigflow: job w.j failed: exit status -1\n"),
            ("'no rows'", 1, "no rows\nbigflow: job w.j failed: exit: no rows\n"),
        ],
    )
    def test_a_job_that_exits_sets_the_status(
        self, tmp_path: Path, code: str, status: int, stderr: str
    ) -> None:
        done = run_bigflow("run", "--job", "w.j", cwd=project(tmp_path, f"sys.exit({code})"))
        assert (done.returncode, done.stderr) == (status, stderr)

    @pytest.mark.parametrize(("status", "ran"), [(0, True), (3, False)])
    def test_a_job_that_exits_in_a_workflow(self, tmp_path: Path, status: int, ran: bool) -> None:
        module = project(tmp_path, f"sys.exit({status})") / "p/__init__.py"
        last = "class K(bigflow.Job):\n    def execute(self, context): print('ran')\n"
        module.write_text(f"{module.read_text()}{last}w = bigflow.Workflow('w', [J(), K('k')])\n")
        done = run_bigflow("run", "--workflow", "w", cwd=tmp_path)
        assert (done.returncode, done.stdout.endswith("ran\n")) == (status, ran)

    def test_an_unknown_workflow(self) -> None:
        done = run_bigflow("run", "--job", "nothing.load", cwd=SAMPLE)
        assert done.returncode == 1
        assert done.stderr == (
            "bigflow: error: runtime_sample has no workflow 'nothing'\n"
            "  its workflows: archive, daily, failing, load_gdansk, load_oslo\n"
        )

    def test_an_unknown_job(self) -> None:
        done = run_bigflow("run", "--job", "daily.nothing", cwd=SAMPLE)
        assert done.returncode == 1
        assert done.stderr == (
            "bigflow: error: workflow 'daily' has no job 'nothing'\n"
            "  its jobs: extract, temperature, rain, report\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "reported"),
        [
            (["--bogus"], "--bogus"),
            (["run", "--job", "a"], "'a' is not WORKFLOW.JOB"),
            (["run", "--job", ".a"], "'.a' is not WORKFLOW.JOB"),
            (["run", "--job", "a."], "'a.' is not WORKFLOW.JOB"),
            (["run"], "--job"),
            (["run", "--job", "a.b", "--workflow", "a"], "not allowed with"),
            (["run", "--job", "a.b", "--runtime", "yesterday"], "'yesterday' is not a valid date"),
            (["run", "--job", "a.b", "--config", ""], "cannot be empty"),
            (["run", "--job", "a.b", "--project-package", "../p"], "'../p' is not a valid name"),
            (["run", "--job", "a.b", "--module", ""], "'' is not a valid name"),
            (["nothing"], "unknown command 'nothing'"),
            ([], "usage: bigflow "),
        ],
    )
    def test_wrong_usage_is_2(self, tmp_path: Path, arguments: list[str], reported: str) -> None:
        done = run_bigflow(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert reported in done.stderr
        assert "Traceback" not in done.stderr

    def test_not_in_a_project(self, tmp_path: Path) -> None:
        done = run_bigflow("run", "--job", "w.j", cwd=tmp_path)
        assert done.returncode == 1
        assert "no project found" in done.stderr
        assert "give --project-package" in done.stderr


def test_the_job_of_a_deleted_pod_runs_its_finally_blocks(tmp_path: Path) -> None:
    body = "try:", "    print('ready'); sys.stdin.read()", "finally:", "    print('cleaned up')"
    command = [sys.executable, "-m", "bigflow", "run", "--job", "w.j"]
    child = subprocess.Popen(
        command,
        cwd=project(tmp_path, *body),
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        while child.stdout.readline() != "ready\n":
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == "cleaned up\n"
    assert child.wait() == 128 + signal.SIGTERM


class TestSecrets:
    def test_a_missing_secret_fails_before_the_project_is_imported(self, tmp_path: Path) -> None:
        root = project(tmp_path, "pass")
        (root / "p/__init__.py").write_text("raise AssertionError")
        arguments = ("--project-package", "p", "--secrets", "api_key,db_password")
        done = run_bigflow("run", "--job", "w.j", *arguments, cwd=root, env={"API_KEY": ""})
        assert done.returncode == 1
        assert done.stdout.startswith("bigflow: job w.j, ")
        problem, hint = done.stderr.splitlines()
        assert problem.startswith("bigflow: error: the Kubernetes secret 'db-password' does not")
        assert problem.endswith(", or has no key 'db_password'")
        assert hint.endswith(
            "kubectl create secret generic db-password --from-literal=db_password=..."
        )

    def test_with_all_secrets_the_job_runs(self, tmp_path: Path) -> None:
        root = project(tmp_path, "print('ran')")
        done = run_bigflow("run", "--job", "w.j", "--secrets", "a", cwd=root, env={"A": "1"})
        assert done.stdout.endswith("ran\n"), done.stderr


def test_lines_are_flushed(tmp_path: Path) -> None:
    body = "print('last words')", "os._exit(9)"  # like a killed process
    done = run_bigflow("run", "--job", "w.j", cwd=project(tmp_path, *body))
    assert done.returncode == 9
    assert done.stdout.endswith("last words\n")


def test_in_a_directory_of_the_project(tmp_path: Path) -> None:
    project(tmp_path, "print('ran')")
    (tmp_path / "notebooks").mkdir()
    done = run_bigflow("run", "--job", "w.j", cwd=tmp_path / "notebooks")
    assert done.stdout.endswith("ran\n"), done.stderr


def test_the_console_script_finds_the_project(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("bigflow")
    for arguments in ([], ["--project-package", "p"]):
        done = subprocess.run(
            [script, "run", "--job", "w.j", *arguments],
            cwd=project(tmp_path, "print('ran')"),
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.endswith("ran\n"), done.stderr


def test_a_name_of_a_job_with_a_dot(tmp_path: Path) -> None:
    project(tmp_path, "print('ran')")
    module = tmp_path / "p/__init__.py"
    module.write_text(module.read_text().replace('"j"', '"j.k"'))
    assert run_bigflow("run", "--job", "w.j.k", cwd=tmp_path).stdout.endswith("ran\n")


def test_version() -> None:
    done = run_bigflow("--version", cwd=Path("/"))
    assert done.stdout == f"bigflow-backend {bigflow.__version__}\n"


def test_help_lists_the_build_commands(tmp_path: Path) -> None:
    done = run_bigflow("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("run", "build", "build-package", "build-image", "build-dags", "release"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", ["build", "build-image", "project-version", "pv", "release"])
def test_build_commands_are_passed_on_unchanged(tmp_path: Path, command: str) -> None:
    text = "def main(argv):\n    print(argv)\n    return 7\n"
    write_files(
        tmp_path,
        {
            "bigflow_backend/__init__.py": "",
            "bigflow_backend/cli/__init__.py": "",
            "bigflow_backend/cli/main.py": text,
        },
    )
    done = run_bigflow(command, "--anything", "-x", cwd=tmp_path)
    assert done.returncode == 7
    assert done.stdout == f"{[command, '--anything', '-x']}\n"


def test_an_interrupt_ends_a_job_without_a_traceback(tmp_path: Path) -> None:
    body = "import signal", "os.kill(os.getpid(), signal.SIGINT)", "time.sleep(60)"
    done = run_bigflow("run", "--job", "w.j", cwd=project(tmp_path, *body))
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "bigflow: interrupted\n"
