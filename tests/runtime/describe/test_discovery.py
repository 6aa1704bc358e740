"""The workflows of a package, through `bigflow describe` as in a build."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.runtime import SAMPLE, describe, run_bigflow, write_files

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = "import bigflow\n{name} = bigflow.Workflow({id!r}, [])\n"


def workflow(name: str, workflow_id: str | None = None) -> str:
    return WORKFLOW.format(name=name, id=workflow_id or name)


def found(package: str, cwd: Path) -> list[tuple[str, str, str]]:
    answer = describe("--project-package", package, cwd=cwd)
    return [(w["id"], w["module"], w["variable"]) for w in answer["workflows"]]


def error_of(package: str, cwd: Path) -> tuple[str, str]:
    answer = describe("--project-package", package, cwd=cwd)
    return answer["error"]["message"], answer["error"]["hint"]


def test_finds_attributes_containers_and_results_of_factories_once() -> None:
    assert found("runtime_sample", SAMPLE) == [
        ("archive", "runtime_sample.workflow", "archive"),
        # Found first in runtime_sample.loads.hourly, created here; `same_again` is the same object.
        ("daily", "runtime_sample.workflow", "daily"),
        ("failing", "runtime_sample.loads.hourly", "failing"),
        ("load_gdansk", "runtime_sample.loads.hourly", "listed"),
        ("load_oslo", "runtime_sample.loads.hourly", "by_city"),
    ]


def test_nested_and_recursive_containers(tmp_path: Path) -> None:
    text = workflow("a") + "nested = {'x': [({'y': bigflow.Workflow('b', [])},)]}\n"
    text += "loop = []\nloop.append(loop)\nloop.append(bigflow.Workflow('c', []))\n"
    write_files(tmp_path, {"p/__init__.py": text})
    assert found("p", tmp_path) == [("a", "p", "a"), ("b", "p", "nested"), ("c", "p", "loop")]


def test_imports_modules_in_the_order_of_their_names(tmp_path: Path) -> None:
    show = "import sys\nprint(__name__, file=sys.stderr)\n"
    files = ["c.py", "b/z.py", "__init__.py", "b/__init__.py", "a.py"]
    write_files(tmp_path, {f"p/{file}": show for file in files})
    answer = run_bigflow("describe", "--project-package", "p", cwd=tmp_path)
    assert answer.stderr.split() == ["p", "p.a", "p.b", "p.b.z", "p.c"]


def test_a_pod_imports_the_module_that_creates_the_workflow(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "from p.all_flows import flows",
        "p/all_flows.py": "from p.one import one\nfrom p.two import two\nflows = [one, two]",
        "p/factory.py": "import bigflow\ndef make(name): return bigflow.Workflow(name, [])\n",
        "p/one.py": "from p.factory import make\none = make('one')\n",
        "p/two.py": workflow("two"),
        "p/three.py": "from p.factory import make\nimport p.all_flows\n"
        "def keep(): p.all_flows.three = make('three')\nkeep()\n",
    }
    write_files(tmp_path, files)
    assert found("p", tmp_path) == [
        ("one", "p.one", "one"),
        ("three", "p.three", "three"),  # created there, assigned to p.all_flows
        ("two", "p.two", "two"),
    ]
    run = ["run", "--workflow", "three", "--project-package", "p", "--module", "p.three"]
    assert run_bigflow(*run, cwd=tmp_path).returncode == 0


def test_a_list_that_other_modules_fill(tmp_path: Path) -> None:
    fill = "from p.flows import flows\nimport bigflow\nflows.append(bigflow.Workflow('w', []))\n"
    write_files(tmp_path, {"p/__init__.py": "", "p/flows.py": "flows = []", "p/zz.py": fill})
    assert found("p", tmp_path) == [("w", "p.zz", "flows")]


def test_workflows_in_sets(tmp_path: Path) -> None:
    text = "import bigflow\nw = {frozenset({bigflow.Workflow('w', [])})}\n"
    write_files(tmp_path, {"p/__init__.py": text})
    assert found("p", tmp_path) == [("w", "p", "w")]


def test_a_module_that_the_wheel_would_lack(tmp_path: Path) -> None:
    files = {"p/__init__.py": "", "p/q/__init__.py": "", "p/q/flows/daily.py": workflow("w")}
    write_files(tmp_path, {**files, "p/.hidden/x.py": "", "p/queries/a.sql": ""})
    message, hint = error_of("p", tmp_path)
    assert (
        message == "the wheel would not have p/q/flows/daily.py: its directory has no __init__.py"
    )
    assert hint == "create p/q/flows/__init__.py; it can be empty"
    (tmp_path / "p/q/flows/__init__.py").touch()
    assert found("p", tmp_path) == [("w", "p.q.flows.daily", "w")]


def test_subclasses_of_workflow(tmp_path: Path) -> None:
    text = "import bigflow\nclass Mine(bigflow.Workflow): pass\nw = Mine('w', [])\n"
    write_files(tmp_path, {"p/__init__.py": text})
    assert found("p", tmp_path) == [("w", "p", "w")]


def test_main_modules_are_not_imported(tmp_path: Path) -> None:
    boom = "raise SystemExit('run')"
    write_files(tmp_path, {"p/__init__.py": workflow("w"), "p/__main__.py": boom})
    write_files(tmp_path, {"p/q/__init__.py": "", "p/q/__main__.py": boom})
    assert found("p", tmp_path) == [("w", "p", "w")]


def test_a_file_that_import_cannot_name_is_skipped_with_a_warning(tmp_path: Path) -> None:
    write_files(tmp_path, {"p/__init__.py": workflow("w"), "p/my-script.py": "raise SystemExit"})
    answer = run_bigflow("describe", "--project-package", "p", cwd=tmp_path)
    assert answer.returncode == 0
    assert "warning: skipped 'my-script' in p: `import` cannot name it" in answer.stderr


def test_objects_that_raise_for_every_attribute(tmp_path: Path) -> None:
    text = """
class Proxy:
    def __getattribute__(self, name):
        raise RuntimeError("no request context")
proxy = Proxy()
"""
    write_files(tmp_path, {"p/__init__.py": workflow("w") + text})
    assert found("p", tmp_path) == [("w", "p", "w")]


def test_a_symbolic_link_to_a_parent_directory(tmp_path: Path) -> None:
    write_files(tmp_path, {"p/__init__.py": "", "p/q/__init__.py": workflow("w")})
    (tmp_path / "p/q/again").symlink_to(tmp_path / "p")
    assert found("p", tmp_path) == [("w", "p.q", "w")]


def test_a_package_in_a_zip_archive(tmp_path: Path) -> None:
    archive = tmp_path / "p.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("p/__init__.py", "")
        file.writestr("p/q/__init__.py", "")
        file.writestr("p/q/flows.py", workflow("w"))
    answer = describe("--project-package", "p", cwd=tmp_path, env={"PYTHONPATH": str(archive)})
    assert [w["module"] for w in answer["workflows"]] == ["p.q.flows"]


def test_a_package_that_is_one_module(tmp_path: Path) -> None:
    write_files(tmp_path, {"single.py": workflow("w")})
    assert found("single", tmp_path) == [("w", "single", "w")]


def test_two_workflows_with_the_same_id(tmp_path: Path) -> None:
    write_files(tmp_path, {"p/__init__.py": "", "p/a.py": workflow("x", "w")})
    write_files(tmp_path, {"p/b.py": workflow("y", "w")})
    message, hint = error_of("p", tmp_path)
    assert message == "two workflows have the id 'w': p.a.x and p.b.y"
    assert hint == "give each workflow its own id"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("\n\nraise ValueError('no\\nvalue')", "p/a.py, line 3: ValueError: no value"),
        ("raise SystemExit(0)", "p/a.py, line 1: SystemExit: 0"),
        ("import sys\nsys.exit()", "p/a.py, line 2: SystemExit"),
        ("x = 1\ndef f(:\n", "p/a.py, line 2: SyntaxError: "),
        ("import nothing_of_that_name", "p/a.py, line 1: ModuleNotFoundError: No module named"),
        ("from p import nothing", "p/a.py, line 1: ImportError: cannot import name 'nothing'"),
        ("import json\njson.loads('[')", "p/a.py, line 2: JSONDecodeError: "),
        ("import p.b", "p/b.py, line 2: ZeroDivisionError: division by zero"),
        ("\nraise KeyboardInterrupt", "p/a.py, line 2: KeyboardInterrupt"),
        ("class X(BaseException): pass\nraise X", "p/a.py, line 2: X"),
        ("x = '\0'", "Error: source code string cannot contain null bytes"),
    ],
)
def test_a_module_that_cannot_be_imported_is_reported_with_its_line(
    tmp_path: Path, text: str, reported: str
) -> None:
    write_files(tmp_path, {"p/__init__.py": "", "p/a.py": text, "p/b.py": "\n1 / 0"})
    message, hint = error_of("p", tmp_path)
    assert reported in message
    assert message.startswith(("p/a.py", "p/b.py"))
    assert message.endswith("(importing p.a)")
    assert "\n" not in message + hint
    assert hint.startswith("fix that line" if ", line " in message else "fix that module")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import bigflow.bigquery", "bigflow.bigquery"),
        ("from bigflow import dataflow", "bigflow.dataflow"),
        ("import bigflow; bigflow.log", "bigflow.log"),
        ("from bigflow.workflow import WorkflowJob", "bigflow.workflow.WorkflowJob"),
    ],
)
def test_a_name_of_bigflow_that_does_not_exist_here(tmp_path: Path, text: str, name: str) -> None:
    write_files(tmp_path, {"p/__init__.py": text})
    message, hint = error_of("p", tmp_path)
    assert message == (
        f"p/__init__.py, line 1: {name} of BigFlow 1.x is not part of bigflow-backend (importing p)"
    )
    assert hint
    assert "install" not in hint


JOB = """
import bigflow
class Step(bigflow.Job):
    pool = None
    def execute(self, context): pass
class Raising(Step):
    pool = property(lambda self: {}["no pool"])
step = Step("step")
w = bigflow.Workflow("w", [step])
"""


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("w = bigflow.Workflow('w', [Raising('r')])", "p/__init__.py, line 7: KeyError: 'no pool'"),
        ("w.definition = [step]", "p/__init__.py: AttributeError: 'list' object has no attribute"),
        ("w.workflow_id = ['w']", "p.w: the id of a workflow cannot be ['w']"),
        (
            "step.id = 'other'",
            "workflow 'w' (p): the id of a job changed after",
        ),
        (
            "step.operator_arguments = {}\nstep.operator_arguments['x'] = step.operator_arguments",
            "p",
        ),
        ("step.priority_weight = 2**63", "job 'step' of workflow 'w' (p): priority_weight cannot"),
        ("step.operator_arguments = {'x': -2**63}", "job 'step' of workflow 'w' (p): operator_arg"),
    ],
)
def test_an_invalid_value_is_reported(tmp_path: Path, text: str, reported: str) -> None:
    write_files(tmp_path, {"p/__init__.py": JOB + text})
    message, hint = error_of("p", tmp_path)
    assert message.startswith(reported)
    assert hint


def test_one_workflow_is_found_beside_a_module_that_cannot_be_imported(tmp_path: Path) -> None:
    absent = "from bigflow.bigquery import DatasetConfig\n"
    files = {"p/__init__.py": "", "p/a.py": absent, "p/b.py": workflow("w"), "p/c.py": "1 / 0"}
    write_files(tmp_path, {**files, "p/d.py": workflow("x"), "p/e.py": workflow("y")})
    message, hint = error_of("p", tmp_path)
    assert message.startswith("p/a.py, line 1: bigflow.bigquery of BigFlow 1.x is not part of")
    assert hint.endswith("; to build workflows of other modules meanwhile, add: --workflow ID")
    arguments = ("describe", "--project-package", "p", "--workflow")
    done = run_bigflow(*arguments, "w", cwd=tmp_path)
    assert [w["id"] for w in json.loads(done.stdout)["workflows"]] == ["w"]
    a, c = done.stderr.splitlines()
    assert a.startswith("bigflow: warning: skipped a module: p/a.py, line 1: bigflow.bigquery of")
    assert c.startswith("bigflow: warning: skipped a module: p/c.py, line 1: ZeroDivisionError")
    done = run_bigflow(*arguments, "x", "--workflow", "w", cwd=tmp_path)
    assert [w["id"] for w in json.loads(done.stdout)["workflows"]] == ["w", "x"]
    done = run_bigflow(*arguments, "w", "--workflow", "v", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert error["message"].startswith(
        "the project has no workflow 'v'; modules that cannot be imported: p/a.py, line 1: "
    )
    assert error["hint"] == "its workflows are: w, x, y"


OWN = """
import bigflow
class Base(bigflow.Job):
    pool = None
    def __init__(self, id):
        super().__init__(id)
        self.retries = 3
        self.labels = ["ads"]
    def execute(self, context): pass
    def annotations(self): pass
class Load(Base):
    pass
class Pool(Base):
    pool = object
class Plain:
    id = "plain"
    environment = "dev"
    def execute(self, context): pass
"""


@pytest.mark.parametrize(
    ("text", "reported", "line"),
    [
        ("j = Load('j')", "labels cannot be ['ads'], in class Load", 8),
        ("j = Pool('j'); j.labels = {}", "pool cannot be <class 'object'>, in class Pool", 14),
        ("j = Plain()", "environment cannot be 'dev', in class Plain", 17),
        ("j = Plain(); j.environment = {}; j.gpu = 'x'", "gpu cannot be 'x', in class Plain", 15),
    ],
)
def test_an_attribute_with_a_name_that_has_a_meaning(
    tmp_path: Path, text: str, reported: str, line: int
) -> None:
    text = f"{OWN}\n{text}\nw = bigflow.Workflow('w', [j])\n"
    write_files(tmp_path, {"p/__init__.py": "", "p/jobs.py": text})
    message, hint = error_of("p", tmp_path)
    assert message.endswith(f"of workflow 'w' (p.jobs): {reported} (p/jobs.py, line {line})")
    assert re.match(r"give .*: \w+ of a job now means: .*; or rename the attribute in \w+", hint)


def test_deeply_nested_data(tmp_path: Path) -> None:
    text = "data = deepest = []\nfor _ in range(10000): deepest.append([]); deepest = deepest[0]\n"
    write_files(tmp_path, {"p/__init__.py": workflow("w") + text})
    assert found("p", tmp_path) == [("w", "p", "w")]


def test_an_error_of_bigflow_is_reported_with_its_line(tmp_path: Path) -> None:
    write_files(tmp_path, {"p/__init__.py": "import bigflow\n\nw = bigflow.Workflow('', [])\n"})
    message, hint = error_of("p", tmp_path)
    assert message == "p/__init__.py, line 3: the id of a workflow cannot be '' (importing p)"
    assert hint == "give a string of letters, digits, _ and -"


def test_an_unknown_package(tmp_path: Path) -> None:
    for name in ("nothing_of_that_name", "nothing.of.that.name"):
        message, hint = error_of(name, tmp_path)
        assert message == f"package {name!r} not found"
        assert str(tmp_path) in hint


class TestLoadingOne:
    """`bigflow run` imports only the modules that it needs."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        job = "class J:\n    id = 'j'\n    def execute(self, context): print('ran', __name__)\n"
        files = {
            "p/__init__.py": "",
            "p/a.py": "raise ValueError('broken')",
            "p/b.py": job + "import bigflow\nw = bigflow.Workflow('w', [J()])",
            "p/c.py": job + "import bigflow\nw = bigflow.Workflow('v', [J()])",
            "p/d.py": "import os\nos.kill(os.getpid(), 9)",
        }
        return write_files(tmp_path, files)

    def run(self, project: Path, *arguments: str) -> tuple[int, str, str]:
        done = run_bigflow("run", *arguments, cwd=project)
        return done.returncode, done.stdout, done.stderr

    def test_a_broken_module_does_not_stop_others(self, project: Path) -> None:
        status, out, error = self.run(project, "--job", "w.j", "--project-package", "p")
        assert (status, error) == (0, "")
        assert out.endswith("ran p.b\n")

    @pytest.mark.parametrize("exit_process", ["import os\nos._exit(0)", "raise SystemExit(0)"])
    def test_a_module_that_ends_the_process_does_not_stop_others(
        self, project: Path, exit_process: str
    ) -> None:
        (project / "p/a.py").write_text(exit_process)
        status, out, error = self.run(project, "--job", "w.j", "--project-package", "p")
        assert (status, error) == (0, "")
        assert out.endswith("ran p.b\n")

    @pytest.mark.parametrize("argument", [["--module", "p.a"], []])
    def test_the_status_is_never_0_without_a_run(self, project: Path, argument: list[str]) -> None:
        (project / "p/d.py").unlink()
        (project / "p/a.py").write_text("import os\nos._exit(0)")
        arguments = ("--job", "x.j", "--project-package", "p", *argument)
        status, _, error = self.run(project, *arguments)
        assert status == 1
        assert "p/a.py, line 2: SystemExit: os._exit(0) called during the import" in error

    def test_a_forked_child_can_exit_during_the_import(self, project: Path) -> None:
        module = project / "p/b.py"
        fork = "import os\nchild = os.fork()\nif not child: os._exit(0)\nos.waitpid(child, 0)\n"
        module.write_text(fork + module.read_text())
        status, out, _ = self.run(project, "--job", "w.j", "--project-package", "p")
        assert (status, out.count("ran p.b")) == (0, 1)

    def test_a_job_can_exit(self, project: Path) -> None:
        module = project / "p/b.py"
        text = module.read_text().replace("print('ran', __name__)", "_exit(3)")
        module.write_text(f"from os import _exit\n{text}")
        assert self.run(project, "--job", "w.j", "--project-package", "p")[0] == 3

    def test_only_the_named_module_is_imported(self, project: Path) -> None:
        arguments = ("--job", "v.j", "--project-package", "p", "--module", "p.c")
        status, out, error = self.run(project, *arguments)
        assert (status, error) == (0, "")
        assert out.endswith("ran p.c\n")

    def test_not_found_names_the_modules_that_cannot_be_imported(self, project: Path) -> None:
        (project / "p/d.py").unlink()
        status, _, error = self.run(project, "--job", "x.j", "--project-package", "p")
        assert status == 1
        assert "p has no workflow 'x'; modules that cannot be imported: p/a.py, line 1: " in error
        assert error.endswith("  its workflows: v, w\n")

    def test_not_in_the_named_module(self, project: Path) -> None:
        arguments = ("--job", "v.j", "--project-package", "p", "--module", "p.b")
        status, _, error = self.run(project, *arguments)
        assert (status, error) == (
            1,
            "bigflow: error: p.b has no workflow 'v'\n  its workflows: w\n",
        )

    def test_a_named_module_that_is_broken_or_missing(self, project: Path) -> None:
        arguments = ("--job", "w.j", "--project-package", "p", "--module")
        assert "p/a.py, line 1: ValueError: broken" in self.run(project, *arguments, "p.a")[2]
        assert "module 'p.e' not found" in self.run(project, *arguments, "p.e")[2]
        assert "module 'q.e' not found" in self.run(project, *arguments, "q.e")[2]
