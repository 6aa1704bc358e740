"""Setup scripts of every form: the wheel and ``bigflow pv`` have their name and version."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.project.setup_script import read_setup_script
from support.projects import HookFailedError, Project, write_project

if TYPE_CHECKING:
    from pathlib import Path

_CALL = 'setup(name="my-rides", version="3.4.0")'
FORMS = {
    "plain": _CALL,
    "under another name": "import bigflow_backend as b\ngo = b.setup\ngo"
    + _CALL.removeprefix("setup"),
    "of the module": f"import bigflow_backend\nbigflow_backend.{_CALL}",
    "unpacked": 'about = dict(name="my-rides", version="3.4.0")\nsetup(**about)',
    "after another setup": """
class Log:
    def setup(self): ...
Log().setup()
setup(name="my-rides", version="3.4.0")""",
    "of names bound twice": """
name = version = "3.4"
name = "my-rides"
version += ".0"
setup(name=name, version=version)""",
    "computed": 'setup(name="-".join(["my", "rides"]), version=".".join("340"))',
    "in a function": """
def main():
    version = "3.4.0"
    setup(name="my-rides", version=version)
main()""",
    "from a neighbour": "import about\nsetup(name=about.NAME, version=about.VERSION)",
    "that prints": 'print("hello")\nsetup(name="my-" + "rides", version="3.4.0")',
}


@pytest.mark.parametrize("form", FORMS)
def test_name_and_version_are_those_of_the_script(tmp_path: Path, form: str) -> None:
    script = f'from bigflow_backend import setup\nPROJECT_NAME = "pipelines"\n{FORMS[form]}\n'
    files = {"project_setup.py": script, "about.py": "NAME = 'my-rides'\nVERSION = '3.4.0'\n"}
    project = Project(write_project(tmp_path / "project", files).root, {"BIGFLOW_VERSION": ""})
    before = project.files()
    name = project.hook("build_wheel", str(tmp_path))
    assert name == "my_rides-3.4.0-py3-none-any.whl"
    done = project.run("-m", "bigflow", "pv")
    assert done.stdout == "3.4.0\n", done.stderr
    assert project.files() == before


_PLAIN = 'from bigflow_backend import setup\nPROJECT_NAME = "pipelines"\n'


@pytest.mark.parametrize(
    ("script", "stated"),
    [
        (_PLAIN + "setup(name=PROJECT_NAME)", {"name": "pipelines"}),
        (
            f'"""Rides."""\n{_PLAIN}# why\nif __name__ == "__main__":\n  setup(name=PROJECT_NAME)',
            {"name": "pipelines"},
        ),
        (
            _PLAIN + "setup(\n    name=PROJECT_NAME,\n    description='Rides',\n)",
            {"name": "pipelines"},
        ),
        (
            _PLAIN + "setup(name=PROJECT_NAME, license='MIT', version='1')",
            {"name": "pipelines", "version": "1"},
        ),
        (
            "from bigflow_backend import setup\nif __name__ == '__main__':\n    setup()\n",
            {},
        ),
        ("from bigflow_backend import setup\nsetup(version='1')\n", None),
        (_PLAIN + "setup()", None),
        (_PLAIN + "setup(name=PROJECT_NAME, version=str(1))", None),
        (_PLAIN + "setup(name=PROJECT_NAME, version=None)", None),
        (_PLAIN + "setup(name=PROJECT_NAME, **dict(version='1'))", None),
        (_PLAIN + "setup(name=PROJECT_NAME, license='MIT')(1)", None),
        (_PLAIN + "setup(name='rides')", None),
        (_PLAIN + "from setuptools import setup\nsetup(name=PROJECT_NAME)", None),
        (_PLAIN + "PROJECT_NAME += 's'\nsetup(name=PROJECT_NAME)", None),
    ],
)
def test_the_usual_script_is_not_run(
    tmp_path: Path, script: str, stated: dict[str, str] | None
) -> None:
    (tmp_path / "project_setup.py").write_text(script)
    found = read_setup_script(tmp_path)
    assert found is not None
    assert found.stated == stated


def test_a_bigflow_project_of_setup_py_alone_is_a_project(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "project_setup.py": None,
            "pyproject.toml": None,
            "setup.py": "import bigflow.build\nbigflow.build.setup(name='pipelines')\n",
        },
    )
    (project.root / "docs").mkdir()
    below = Project(project.root / "docs", project.environment)
    assert below.run("-m", "bigflow", "pv").stdout == "1.2.0\n"


def test_a_script_that_calls_the_setup_of_setuptools_prints_no_steps(tmp_path: Path) -> None:
    script = (
        "from setuptools import setup\n"
        "from bigflow.build import auto_configuration, project_setup\n"
        "setup(**project_setup(**auto_configuration('pipelines')))\n"
    )
    project = write_project(tmp_path / "project", {"project_setup.py": script})
    done = project.run("-m", "bigflow", "build-package")
    assert done.returncode == 0, done.stderr
    assert "egg-info" not in done.stdout + done.stderr


def test_a_setup_py_of_setuptools_is_not_a_project(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "project_setup.py": None,
            "pyproject.toml": None,
            "setup.py": "from setuptools import setup\nsetup(name='pipelines')\n",
        },
    )
    done = project.run("-m", "bigflow", "pv")
    assert done.returncode == 1
    assert done.stderr.startswith("bigflow: error: no project found")


@pytest.mark.parametrize(
    ("directive", "files"),
    [
        ("{ file = 'VERSION' }", {"VERSION": "3.4.0\n"}),
        (
            "{ attr = 'pipelines.__version__' }",
            {"pipelines/__init__.py": "__version__ = '3.4.0'\n"},
        ),
        ("{ attr = 'pipelines.about.V' }", {"pipelines/about.py": "import nothing\nV = '3.4.0'\n"}),
    ],
)
def test_a_dynamic_version_of_setuptools_is_the_projects(
    tmp_path: Path, directive: str, files: dict[str, str]
) -> None:
    pyproject = f"""\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[project]
name = "pipelines"
dynamic = ["version"]
[tool.setuptools.dynamic]
version = {directive}
"""
    project = write_project(tmp_path / "project", {"pyproject.toml": pyproject, **files})
    sdist = project.hook("build_sdist", str(tmp_path), BIGFLOW_VERSION="")
    assert sdist == "pipelines-3.4.0.tar.gz"
    assert project.run("-m", "bigflow", "pv", BIGFLOW_VERSION="").stdout == "3.4.0\n"
    # BIGFLOW_VERSION has priority, except over a static version in [project].
    assert project.hook("build_wheel", str(tmp_path)) == "pipelines-1.2.0-py3-none-any.whl"


def test_a_command_of_setuptools_table_builds_and_leaves_no_bytecode(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
[project]
name = "pipelines"
dynamic = ["version"]
[tool.setuptools.cmdclass]
build_py = "pipelines.commands.Generate"
""",
        "pipelines/commands.py": """\
from pathlib import Path
from setuptools.command.build_py import build_py

class Generate(build_py):
    def run(self):
        super().run()
        Path(self.build_lib, "pipelines", "generated.py").write_text("X = 1\\n")
""",
        "resources/table.csv": "1",
    }
    project = write_project(tmp_path / "project", files)
    before = project.files()
    wheel = project.hook_process("build_wheel", str(tmp_path), PYTHONDONTWRITEBYTECODE="")
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        assert {"pipelines/generated.py", "pipelines/resources/table.csv"} <= {*archive.namelist()}
    assert project.files() == before


def test_warnings_as_errors_are_reported_in_two_lines(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {"resources/requirements.txt": None})
    with pytest.raises(HookFailedError) as caught:
        project.hook_process("build_wheel", str(tmp_path), PYTHONWARNINGS="error")
    assert caught.value.status == 1
    assert caught.value.lines == [
        "bigflow: error: resources/requirements.txt does not exist: the wheel has no dependencies",
        "  it is a warning without -W error",
    ]
