"""``--changed-since``: the projects of a repository that differ from a commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.changed import changed_projects
from bigflow_backend.project.project import read_project
from support import commands
from support.git_repository import Repository, isolate_git, make_repository
from support.projects import Project

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = """\
version = 1
[[package]]
name = "reports"
source = {{ editable = "packages/reports" }}
dependencies = [{{ name = "models" }}, {{ name = "alpha" }}]
[[package]]
name = "models"
source = {{ editable = "packages/models" }}
dependencies = [{{ name = "deep" }}]
[[package]]
name = "alpha"
version = "{alpha}"
[[package]]
name = "deep"
version = "{deep}"
[[package]]
name = "other"
dependencies = [{{ name = "beta" }}]
[[package]]
name = "beta"
version = "{beta}"
"""
_OURS = '[build-system]\nrequires = []\nbuild-backend = "bigflow_backend"\n'
_FILES = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    "[tool.uv.sources]\nmodels = { workspace = true }\nunused = { workspace = true }\n",
    "uv.lock": _LOCK.format(alpha=1, deep=1, beta=1),
    "packages/reports/pyproject.toml": f'{_OURS}[project]\nname = "reports"\nversion = "1"\n'
    'dependencies = ["Models>=1", "alpha"]\n[tool.bigflow.version]\npaths = [".", "../../sql"]\n'
    '[tool.bigflow.dags]\ntemplate = "../../shared.j2"\n',
    "packages/reports/reports/__init__.py": "",
    "packages/reports/resources/requirements.txt": "-c ../../../limits.txt\nalpha==1\n",
    "packages/reports/nested/pyproject.toml": '[project]\nname = "nested"\nversion = "1"\n',
    "packages/models/pyproject.toml": '[project]\nname = "models"\nversion = "1"\n'
    'dependencies = ["below @ file:../../below"]\n',
    "packages/models/models.py": "",
    "packages/unused/pyproject.toml": '[project]\nname = "unused"\nversion = "1"\n',
    "packages/other/pyproject.toml": f'{_OURS}[project]\nname = "other"\nversion = "1"\n'
    'dependencies = ["beta"]\n',
    "packages/other/other/__init__.py": "",
    "below/pyproject.toml": '[project]\nname = "below"\nversion = "1"\n',
    "scripts/project_setup.py": "from bigflow_backend import setup\n",
    "sql/query.sql": "",
    "limits.txt": "",
    "shared.j2": "",
    "README.md": "",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A workspace whose project `reports` needs `models`, which needs `below`."""
    isolate_git(monkeypatch, tmp_path)
    made = make_repository(tmp_path / "repository")
    _commit(made, _FILES)
    return made


def _commit(repository: Repository, files: dict[str, str]) -> None:
    for name, text in files.items():
        repository.write(name, text)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=files")


def _changed(repository: Repository, revision: str = "HEAD~1", below: str = ".") -> list[str]:
    found = changed_projects(repository.path / below, revision)
    return [project.path for project in found.projects]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("packages/reports/reports/new.py", {"packages/reports"}),
        ("packages/reports/nested/module.py", {"packages/reports"}),
        ("packages/models/models.py", {"packages/reports"}),
        ("below/module.py", {"packages/reports"}),
        ("sql/query.sql", {"packages/reports"}),
        ("sql/deeper/query.sql", {"packages/reports"}),
        ("shared.j2", {"packages/reports"}),
        ("limits.txt", {"packages/reports"}),
        ("packages/other/other/__init__.py", {"packages/other"}),
        ("scripts/job.py", {"scripts"}),
        ("packages/unused/module.py", set()),
        ("sql-other/query.sql", set()),
        ("README.md", set()),
    ],
)
def test_a_file_counts_for_the_projects_that_it_is_part_of(
    repository: Repository, name: str, expected: set[str]
) -> None:
    repository.commit(file=name)
    assert set(_changed(repository)) == expected


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"alpha": 2}, {"packages/reports"}),
        ({"deep": 2}, {"packages/reports"}),
        ({"beta": 2}, {"packages/other"}),
        ({"alpha": 2, "beta": 2}, {"packages/reports", "packages/other"}),
    ],
)
def test_a_lock_counts_for_the_projects_whose_packages_differ(
    repository: Repository, versions: dict[str, int], expected: set[str]
) -> None:
    _commit(repository, {"uv.lock": _LOCK.format(**{"alpha": 1, "deep": 1, "beta": 1, **versions})})
    assert set(_changed(repository)) == expected


@pytest.mark.parametrize("text", ["[", "package = 3\n", "version = 1\n"])
def test_a_lock_that_is_not_valid_counts_for_all(repository: Repository, text: str) -> None:
    _commit(repository, {"uv.lock": text})
    assert _changed(repository) == ["packages/other", "packages/reports"]


def test_a_file_that_is_moved_or_deleted_counts_at_its_old_place(repository: Repository) -> None:
    repository.git("mv", "packages/other/other/__init__.py", "packages/reports/reports/moved.py")
    assert _changed(repository, "HEAD") == ["packages/other", "packages/reports"]
    repository.git("commit", "--quiet", "--message=moved")
    assert _changed(repository) == ["packages/other", "packages/reports"]
    assert _changed(repository, "HEAD") == []


def test_uncommitted_changes_count_and_untracked_files_do_not(repository: Repository) -> None:
    repository.write("packages/other/untracked.py", "")
    assert _changed(repository, "HEAD") == []
    repository.write("packages/models/models.py", "changed = True\n")
    assert _changed(repository, "HEAD") == ["packages/reports"]


def test_commits_that_only_the_other_branch_has_do_not_count(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit(file="packages/other/code.py")
    repository.git("checkout", "-q", "main")
    repository.commit(file="packages/reports/code.py")
    assert _changed(repository, "topic") == ["packages/reports"]
    repository.git("checkout", "-q", "topic")
    assert _changed(repository, "main") == ["packages/other"]


def test_only_projects_below_the_directory_are_listed(repository: Repository) -> None:
    repository.commit(file="packages/other/code.py")
    repository.commit(file="below/code.py")
    assert _changed(repository, "HEAD~2", "packages/reports") == ["."]
    assert _changed(repository, "HEAD~2", "packages") == ["other", "reports"]
    with pytest.raises(UserError, match="no project has its files in git"):
        _changed(repository, "HEAD~2", "sql")


def test_the_errors_of_git(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'missing' is not a commit"):
        _changed(repository, "missing")
    repository.commit()
    url = repository.path.as_uri()
    repository.git("clone", "--quiet", "--depth=1", url, str(tmp_path / "shallow"))
    shallow = Repository(tmp_path / "shallow")
    first = repository.git("rev-list", "--max-parents=0", "HEAD")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", first)
    with pytest.raises(UserError, match="the clone is shallow") as caught:
        _changed(shallow, first)
    assert caught.value.hint == "git fetch --unshallow"


def test_an_error_names_the_project(repository: Repository) -> None:
    _commit(repository, {"packages/other/pyproject.toml": "[\n"})
    with pytest.raises(UserError, match=r"^packages/other: pyproject\.toml is not valid TOML"):
        _changed(repository)


def test_the_command_prints_one_path_a_line_and_builds_nothing(repository: Repository) -> None:
    project = Project(repository.path, {})
    repository.commit(file="packages/models/models.py")
    arguments = ("build", "--changed-since", "HEAD~1")
    done = commands.bigflow(project, *arguments)
    assert (done.returncode, done.stdout) == (0, "packages/reports\n")
    assert "packages/other: unchanged" in done.stderr
    found = json.loads(commands.bigflow(project, *arguments, "--json").stdout)
    assert found["projects"] == [
        {"path": "packages/reports", "changed": ["packages/models/models.py"]}
    ]
    assert found["unchanged"] == ["packages/other", "scripts"]
    assert repository.git("status", "--porcelain") == ""
    nothing = commands.bigflow(project, "build", "--changed-since", "HEAD")
    assert (nothing.returncode, nothing.stdout) == (0, "")


def test_the_command_takes_no_options_of_a_build(repository: Repository) -> None:
    done = commands.bigflow(
        Project(repository.path, {}), "build", "--changed-since", "HEAD", "--push"
    )
    problem, fix = done.error
    assert problem.endswith("--changed-since lists projects and builds nothing: got --push")
    assert fix.strip() == "remove --push, and build each project that is listed"


def test_a_needed_project_makes_a_new_version(repository: Repository) -> None:
    root = repository.path / "packages/reports"
    repository.write("packages/reports/reports/workflow.py", "")
    before = read_project(root).version.commit
    repository.commit(file="packages/unused/module.py")
    assert read_project(root).version.commit == before
    for file in ("packages/models/models.py", "below/module.py", "sql/query.sql"):
        assert read_project(root).version.commit != repository.commit(file=file)
        assert read_project(root).version.commit == repository.head


def test_another_lock_under_the_same_version_is_reported(repository: Repository) -> None:
    root = repository.path / "packages/reports"
    lock = {"alpha": 1, "deep": 1, "beta": 2}
    _commit(repository, {"uv.lock": _LOCK.format(**lock)})
    assert read_project(root).notes == ()
    _commit(repository, {"uv.lock": _LOCK.format(**{**lock, "deep": 2})})
    (note,) = read_project(root).notes
    assert note.startswith("../../uv.lock has other versions than at the commit of version 1")
    file = repository.path / "packages/reports/pyproject.toml"
    text = file.read_text("utf-8").replace('"../../sql"', '"../../sql", "../../uv.lock"')
    _commit(repository, {"packages/reports/pyproject.toml": text})
    assert read_project(root).notes == ()
