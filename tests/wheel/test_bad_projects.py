"""Mistakes of users: one line with the problem, one with the fix, and no file changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.projects import HookFailedError, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects import Project

_SETUP = """\
from bigflow_backend import setup
PROJECT_NAME = "pipelines"
if __name__ == "__main__":
    setup(name=PROJECT_NAME, {})
"""
_PYPROJECT = """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
"""
_PROJECT = _PYPROJECT + "[project]\nname = 'pipelines'\ndynamic = ['version']\n"


# Root can read all files. Without its capabilities it is like any other user.
_WITHOUT_CAPABILITIES = (
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
)


@dataclass(frozen=True)
class Case:
    """A project with a mistake, and the lines that the user reads."""

    name: str
    files: dict[str, str | None]
    message: str
    hint: str
    links: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(
        "D24 nested resources",
        {"resources/queries/daily.sql": "select 1"},
        "resources/queries is a directory",
        "move its files into resources/",
    ),
    Case(
        "D26 a resources package in the package",
        {"pipelines/resources/__init__.py": "", "resources/table.csv": "1"},
        "pipelines/resources exists, and the wheel has the files of",
        "rename pipelines/resources",
    ),
    Case(
        "D27 a link that leaves the project",
        {},
        "resources/passwd is a link to /etc/passwd, outside the project",
        "copy the file into the project",
        links={"resources/passwd": "/etc/passwd"},
    ),
    Case(
        "resources/ is a link that leaves the project",
        {"resources/requirements.txt": None},
        "resources is a link to /etc, outside the project",
        "copy the file into the project",
        links={"resources": "/etc"},
    ),
    Case(
        "the package is a link that leaves the project",
        {"pipelines/__init__.py": None, "pipelines/workflow.py": None},
        f"pipelines is a link to {json.__path__[0]}, outside the project",
        "copy the file into the project",
        links={"pipelines": json.__path__[0]},
    ),
    Case(
        "resources is a file",
        {"resources/requirements.txt": None},
        "resources is not a directory",
        "rename it",
        links={"resources": "pyproject.toml"},
    ),
    Case(
        "a broken link",
        {},
        "resources/gone is a broken link",
        "fix or remove the link",
        links={"resources/gone": "nothing"},
    ),
    Case(
        "a module that is a link out of the project",
        {},
        "pipelines/shared.py is a link to ",
        "copy the file into the project",
        links={"pipelines/shared.py": "/etc/hostname"},
    ),
    Case(
        "a link to a directory among the modules",
        {"pipelines/jobs/__init__.py": ""},
        "pipelines/tasks is a link to a directory",
        "by its own name",
        links={"pipelines/tasks": "jobs"},
    ),
    Case(
        "D31 editable requirement",
        {"resources/requirements.txt": "packaging\n-e ../library\n"},
        "requirements.txt, line 2: an editable requirement",
        "NAME @ URL",
    ),
    Case(
        "D31 files that include each other",
        {"resources/requirements.txt": "-r base.txt\n", "resources/base.txt": "-r base.txt\n"},
        "include each other: base.txt -> base.txt",
        "remove one of the -r lines",
    ),
    Case(
        "a missing -r file",
        {"resources/requirements.txt": "\n\n-r base.txt\n"},
        "requirements.txt, line 3: resources/base.txt does not exist",
        "create the file",
    ),
    Case(
        "a -r file outside resources",
        {"resources/requirements.txt": "-r ../base.txt\n", "base.txt": ""},
        "requirements.txt, line 1: -r ../base.txt is outside resources/",
        "move ../base.txt into resources/",
    ),
    Case(
        "an invalid requirement",
        {"resources/requirements.txt": "packaging>>20\n"},
        "requirements.txt, line 1: 'packaging>>20' is not a valid requirement",
        "write NAME, NAME >= VERSION",
    ),
    Case(
        "D33 a syntax error",
        {"pipelines/broken.py": "def f():\n    return (\n"},
        "pipelines/broken.py, line 2: '(' was never closed",
        "fix the module",
    ),
    Case(
        "a null byte",
        {"pipelines/broken.py": "A = 1\n\0"},
        "pipelines/broken.py: source code string cannot contain null bytes",
        "fix the module",
    ),
    Case(
        "an expression that Python cannot nest",
        {"pipelines/broken.py": "A = " + "-" * 200_000 + "1\n"},
        "pipelines/broken.py: the code is nested too deeply",
        "fix the module",
    ),
    Case(
        "D34 no __init__.py",
        {"pipelines/__init__.py": None},
        "the package pipelines/ has no __init__.py",
        "create pipelines/__init__.py",
    ),
    Case(
        "a sub-package without __init__.py",
        {"pipelines/jobs/load.py": ""},
        "pipelines/jobs/load.py would be left out",
        "__init__.py",
    ),
    Case(
        "D34 a PROJECT_NAME without a package",
        {
            "project_setup.py": _SETUP.format("").replace('"pipelines"', '"piplines"'),
            "other/__init__.py": "",
        },
        "has no package 'piplines'",
        "its packages are: other, pipelines",
    ),
    Case(
        "D34 a src layout that was not declared",
        {
            "src/pipelines/__init__.py": "",
            "pipelines/__init__.py": None,
            "pipelines/workflow.py": None,
        },
        "the package 'pipelines' is in src/",
        'source-directory = "src"',
    ),
    Case(
        "names that differ only in case",
        {"resources/Table.csv": "1", "resources/table.csv": "2"},
        "pipelines/resources/Table.csv and pipelines/resources/table.csv differ only in",
        "rename one",
    ),
    Case(
        "a malformed SOURCE_DATE_EPOCH",
        {},
        "a whole number of seconds since 1970: got 'yesterday'",
        "git log -1",
        environment={"SOURCE_DATE_EPOCH": "yesterday"},
    ),
    Case(
        "an invalid version",
        {},
        "BIGFLOW_VERSION is not a valid version (PEP 440): got 'INVALID'",
        "1.2.0",
        environment={"BIGFLOW_VERSION": "INVALID"},
    ),
    Case(
        "an unknown key",
        {"pyproject.toml": _PYPROJECT + "[tool.bigflow]\npakage = 'pipelines'\n"},
        "unknown key 'pakage' in [tool.bigflow]",
        "did you mean 'package'?",
    ),
    Case(
        "a value of another type",
        {"pyproject.toml": _PYPROJECT + "[tool.bigflow]\npackages = 'pipelines'\n"},
        "tool.bigflow.packages must be a list of strings: got 'pipelines'",
        "write a list of strings",
    ),
    Case(
        "two names of the main package",
        {
            "pyproject.toml": _PYPROJECT + "[tool.bigflow]\npackage = 'other'\n",
            "other/__init__.py": "",
        },
        "by PROJECT_NAME in project_setup.py, 'other' by pyproject.toml: tool.bigflow.package",
        "keep one of the two",
    ),
    Case(
        "pyproject.toml that is not TOML",
        {"pyproject.toml": "[build-system\n"},
        "pyproject.toml is not valid TOML",
        "fix that line",
    ),
    Case(
        "a setup script with a syntax error",
        {"project_setup.py": "PROJECT_NAME = \n"},
        "project_setup.py, line 1: SyntaxError: invalid syntax",
        "fix project_setup.py",
    ),
    Case(
        "a setup script that raises",
        {"project_setup.py": _SETUP.format("description=1 / 0")},
        "project_setup.py, line 4: ZeroDivisionError: division by zero",
        "--version` prints the traceback",
    ),
    Case(
        "a setup script without setup()",
        {"project_setup.py": 'PROJECT_NAME = "pipelines"\n'},
        "project_setup.py must call bigflow_backend.setup() once: got 0 calls",
        'if __name__ == "__main__"',
    ),
    Case(
        "data files",
        {"project_setup.py": _SETUP.format("data_files=[('etc', ['a'])]")},
        "setup() must not pass data_files",
        "move the files to resources/",
    ),
    Case(
        "two names of the distribution",
        {"pyproject.toml": _PYPROJECT + "[project]\nname = 'rides'\ndynamic = ['version']\n"},
        "the name is 'pipelines' by name in project_setup.py, and 'rides' by [project] name",
        "keep one of the two",
    ),
    Case(
        "two descriptions",
        {
            "pyproject.toml": _PYPROJECT
            + "[project]\nname = 'pipelines'\ndynamic = ['version']\ndescription = 'Rides'\n",
            "project_setup.py": _SETUP.format("description='Trips'"),
        },
        "description is stated twice: by description in project_setup.py, and by [project]",
        "keep the one in pyproject.toml",
    ),
    Case(
        "a keyword that [project] makes void",
        {
            "pyproject.toml": _PYPROJECT + "[project]\nname = 'pipelines'\ndynamic = ['version']\n",
            "project_setup.py": _SETUP.format("description='Trips'"),
        },
        "description in project_setup.py has no effect",
        'add "description" to dynamic',
    ),
    Case(
        "dependencies in two places",
        {
            "pyproject.toml": _PYPROJECT
            + "[project]\nname = 'pipelines'\ndynamic = ['version']\ndependencies = ['six']\n",
            "resources/requirements.txt": "packaging\n",
        },
        "differ: only [project] has six; only resources/requirements.txt has packaging",
        "keep one list: remove resources/requirements.txt; or list dependencies as dynamic",
    ),
    Case(
        "install_requires without requirements.txt",
        {
            "project_setup.py": _SETUP.format("install_requires=['six']"),
            "resources/requirements.txt": None,
        },
        "project_setup.py passes install_requires, and resources/requirements.txt does not exist",
        "write the dependencies into resources/requirements.txt",
    ),
    Case(
        "an override of a static version",
        {"pyproject.toml": _PYPROJECT + "[project]\nname = 'pipelines'\nversion = '1.0'\n"},
        "BIGFLOW_VERSION",
        "",
        environment={"BIGFLOW_VERSION": "2.0"},
    ),
    *(
        Case(
            f"{name} is not a table",
            {"pyproject.toml": f'{name} = "x"\n'},
            f"pyproject.toml: {name} must be a table: got 'x'",
            f"write [{name}]",
        )
        for name in ("project", "bigflow-project", "tool", "build-system")
    ),
    Case(
        "dynamic is not a list",
        {"pyproject.toml": _PYPROJECT + "[project]\nname = 'pipelines'\ndynamic = 'version'\n"},
        "[project] dynamic must be a list of strings: got 'version'",
        'dynamic = ["version"]',
    ),
    Case(
        "dependencies is not a list",
        {"pyproject.toml": _PROJECT + "dependencies = 'six'\n"},
        "pyproject.toml or setup.cfg: invalid pyproject.toml config: `project.dependencies`",
        "must be array",
    ),
    Case(
        "an invalid name",
        {"project_setup.py": _SETUP.format("").replace("name=PROJECT_NAME", "name='my rides!'")},
        "'my rides!' is not a valid distribution name",
        "use letters, digits",
    ),
    Case(
        "two versions",
        {
            "pyproject.toml": _PYPROJECT + "[project]\nname = 'pipelines'\nversion = '1.2.0'\n",
            "project_setup.py": _SETUP.format("version='2.0'"),
        },
        "the version is '2.0' by version in project_setup.py, and '1.2.0' by pyproject.toml",
        "keep one of the two",
    ),
    Case(
        "a version in setup.cfg",
        {"setup.cfg": "[metadata]\nversion = 2.0\n"},
        "the version is '2.0' by setup.cfg [metadata], and '1.2.0' otherwise",
        "remove version from setup.cfg",
    ),
    Case(
        "setup.cfg that cannot be parsed",
        {"setup.cfg": "[metadata\n"},
        "pyproject.toml or setup.cfg: File contains no section headers",
        "setup.cfg",
    ),
    Case(
        "dependencies in setup.cfg",
        {
            "setup.cfg": "[options]\ninstall_requires = six\n",
            "resources/requirements.txt": "packaging\n",
        },
        "state different dependencies: only one of them has six",
        "keep resources/requirements.txt",
    ),
    Case(
        "dependencies of setuptools' dynamic table",
        {
            "pyproject.toml": _PROJECT.replace("'version'", "'version', 'dependencies'")
            + "[tool.setuptools.dynamic]\ndependencies = { file = 'base.txt' }\n",
            "base.txt": "six\n",
            "resources/requirements.txt": "packaging\n",
        },
        "state different dependencies: only one of them has packaging, six",
        "keep resources/requirements.txt",
    ),
    *(
        Case(
            f"{key} in [tool.setuptools]",
            {"pyproject.toml": _PROJECT + f"[tool.setuptools]\n{toml}\n", "other/__init__.py": ""},
            f"setup.cfg or [tool.setuptools] in pyproject.toml must not set {key}: the",
            hint,
        )
        for key, toml, hint in (
            ("packages", "packages = ['other']", "[tool.bigflow] packages"),
            ("package_dir", "package-dir = { '' = 'src' }", "source-directory"),
            ("package_data", "package-data = { pipelines = ['*.sql'] }", "resources/"),
            ("data_files", "data-files = { etc = ['a.sql'] }", "resources/"),
            ("py_modules", "py-modules = ['helpers']", "move the modules into the package"),
        )
    ),
    Case(
        "a missing readme",
        {"pyproject.toml": _PROJECT + "readme = 'README.md'\n"},
        "pyproject.toml takes metadata from README.md, which does not exist",
        "create the file",
    ),
    Case(
        "a version's attribute that is computed",
        {
            "pyproject.toml": _PROJECT
            + "[tool.setuptools.dynamic]\nversion = { attr = 'pipelines.__version__' }\n",
            "pipelines/__init__.py": "__version__ = '.'.join('12')\n",
        },
        "version: no module assigns a plain string to pipelines.__version__",
        'write __version__ = "1.2.0"',
    ),
    Case(
        "an invalid entry point",
        {"project_setup.py": _SETUP.format("entry_points={'console_scripts': ['a b']}")},
        "project_setup.py: entry_points: ",
        "fix that entry",
    ),
    Case(
        "a keyword of another type",
        {"project_setup.py": _SETUP.format("extras_require={'db': ['six>>1']}")},
        "project_setup.py: extras_require: 'extras_require' must be a dictionary whose",
        "fix that entry",
    ),
    Case(
        "an invalid command",
        {"project_setup.py": _SETUP.format("cmdclass={'build_py': 'mine'}")},
        "cmdclass['build_py'] must be a command: got 'mine'",
        "setuptools.Command",
    ),
    Case(
        "a command that raises",
        {
            "project_setup.py": """\
from bigflow_backend import setup
from setuptools.command.build_py import build_py
PROJECT_NAME = "pipelines"
class Generate(build_py):
    def run(self):
        raise RuntimeError("no code to generate from")
setup(name=PROJECT_NAME, cmdclass={"build_py": Generate})
"""
        },
        "project_setup.py, line 6: RuntimeError: no code to generate from",
        "fix it",
    ),
    Case(
        "the setup() of setuptools",
        {"project_setup.py": _SETUP.format("").replace("bigflow_backend", "setuptools")},
        "project_setup.py calls the setup() of setuptools",
        "from bigflow_backend import setup",
    ),
    Case(
        "a [project] that setuptools refuses",
        {
            "pyproject.toml": _PYPROJECT
            + "[project]\nname = 'pipelines'\ndynamic = ['version']\nauthors = 'Ada'\n"
        },
        "pyproject.toml or setup.cfg: invalid pyproject.toml config: `project.authors`",
        "",
    ),
]


def test_a_hook_process_exits_with_1(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"resources/requirements.txt": "-e ../library\n"})
    with pytest.raises(HookFailedError) as caught:
        project.hook_process("build_wheel", str(tmp_path))
    assert caught.value.status == 1
    assert caught.value.lines[0].startswith("bigflow: error: requirements.txt, line 1: an editab")
    assert len(caught.value.lines) == 2


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_mistake_is_reported_and_nothing_is_written(tmp_path: Path, case: Case) -> None:
    project = write_project(tmp_path / "project", case.files)
    for name, target in case.links.items():
        if (project.root / name).is_dir():  # left empty by the case's files
            (project.root / name).rmdir()
        (project.root / name).symlink_to(target)
    before = project.files()
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(HookFailedError) as caught:
        project.hook("build_wheel", str(out), **case.environment)
    problem, fix = caught.value.lines
    assert caught.value.status == 1
    assert problem.startswith("bigflow: error: ")
    assert case.message in problem
    assert case.hint in fix
    assert project.files() == before
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["pipelines/workflow.py", "resources/table.csv", "resources"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    project = write_project(tmp_path / "project", {"resources/table.csv": "1"})
    (project.root / name).chmod(0)
    out = tmp_path / "out"
    out.mkdir()
    done = build_as_a_user(project, out)
    (project.root / name).chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"bigflow: error: cannot read {project.root / name}: Permission denied",
        "  check that it exists and that you have permission to read it",
    ]
    assert list(out.iterdir()) == []


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    done = build_as_a_user(project, out)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"bigflow: error: cannot write in {out}: Permission denied",
        "  check its permissions and the free space of its file system",
    ]


def test_a_project_that_cannot_be_written_is_built(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        {"project_setup.py": "import about\n" + _SETUP.format(""), "about.py": ""},
    )
    out = tmp_path / "out"
    out.mkdir()
    for path in (*project.root.rglob("*"), project.root):
        path.chmod(0o555)
    done = build_as_a_user(project, out, PYTHONDONTWRITEBYTECODE="")
    for path in (project.root, *project.root.rglob("*")):
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert (out / "pipelines-1.2.0-py3-none-any.whl").is_file()


def build_as_a_user(
    project: Project, out: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``build_wheel`` as a user who is not root."""
    build = "import bigflow_backend as b, sys; b.build_wheel(sys.argv[1])"
    return subprocess.run(
        [*_WITHOUT_CAPABILITIES, sys.executable, "-c", build, out],
        cwd=project.root,
        env={**os.environ, **project.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"editable-mode": "strict"}, "did you mean 'editable_mode'?"),
        ({"editable_mode": "stric"}, "did you mean 'strict'?"),
        (
            {"editable_mode": ["strict"]},
            "config setting editable_mode must be lenient, strict or compat: got ['strict']",
        ),
        ({"--build-option": "'--quiet"}, "No closing quotation"),
        ({"--build-option": "--no-such-option"}, "option --no-such-option not recognized"),
    ],
)
def test_config_settings_are_checked(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    project = write_project(tmp_path / "project")
    with pytest.raises(HookFailedError) as caught:
        project.hook("build_wheel", str(tmp_path), settings)
    assert message in "\n".join(caught.value.lines)
