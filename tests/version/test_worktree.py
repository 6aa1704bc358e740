"""The changed and the untracked files of a work tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import project_version
from bigflow_backend.version.worktree import untracked
from support.git_repository import (
    Repository,
    log_git_processes,
    make_repository,
    put_git,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = make_repository(tmp_path / "repository")
    repository.write("data/ä b.txt", "one\n")
    repository.write("run.sh", "exit\n")
    repository.git("add", ".")
    repository.commit()
    repository.tag("v1.2.0")
    return repository


def version(root: Path) -> str:
    return project_version(root, distribution="demo", static=None, tag_prefix="").text


def clone(repository: Repository, path: Path) -> Repository:
    repository.git("clone", "--quiet", str(repository.path), str(path))
    return Repository(path)


def edit(repository: Repository) -> None:
    repository.write("tracked.py", "changed\n")


def edit_and_stage(repository: Repository) -> None:
    edit(repository)
    repository.git("add", "--all")


def edit_twice(repository: Repository) -> None:
    repository.write("tracked.py", "something else\n")
    repository.git("add", "tracked.py")
    edit(repository)


def edit_long_ago(repository: Repository) -> None:
    edit(repository)
    os.utime(repository.path / "tracked.py", (1, 1))


@pytest.mark.parametrize("other", [edit, edit_and_stage, edit_twice, edit_long_ago])
def test_the_same_content_is_the_same_version_anywhere(
    other: Callable[[Repository], None], repository: Repository, tmp_path: Path
) -> None:
    elsewhere = clone(repository, tmp_path / "elsewhere")
    edit(repository)
    other(elsewhere)
    assert version(elsewhere.path) == version(repository.path)
    assert ".t" in version(repository.path)


def test_the_same_content_over_time(repository: Repository) -> None:
    was = (repository.path / "tracked.py").read_text()
    edit(repository)
    changed = version(repository.path)
    repository.write("tracked.py", was)
    assert version(repository.path) == "1.2.0"
    edit(repository)
    assert version(repository.path) == changed


CHANGES = (
    "echo changed > tracked.py",
    ": > tracked.py",
    "echo changed > 'data/ä b.txt'",
    "rm tracked.py",
    "chmod +x run.sh",
    "git mv run.sh moved.sh",
    "ln -sf tracked.py run.sh",
    "ln -sf nowhere run.sh",
    "rm run.sh && mkdir run.sh",
    "touch new.py && git add --intent-to-add new.py",
    "touch another.py && git add another.py",
)


def test_every_kind_of_change_has_its_own_version(repository: Repository) -> None:
    found = set()
    for change in CHANGES:
        subprocess.run(["sh", "-ec", change], cwd=repository.path, check=True)
        changed = version(repository.path)
        assert ".t" in changed, change
        found.add(changed)
        repository.git("reset", "--quiet", "--hard")
        assert version(repository.path) == "1.2.0"
    assert len(found) == len(CHANGES)


def test_a_file_that_git_no_longer_tracks_counts_as_deleted(repository: Repository) -> None:
    repository.git("rm", "--quiet", "--cached", "run.sh")
    kept = version(repository.path)
    (repository.path / "run.sh").unlink()
    assert version(repository.path) == kept != "1.2.0"


def test_a_conflict_is_a_change(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "other")
    repository.write("run.sh", "other\n")
    repository.git("commit", "--quiet", "--all", "--message=other")
    repository.git("switch", "--quiet", "main")
    repository.write("run.sh", "main\n")
    repository.git("commit", "--quiet", "--all", "--message=main")
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "other")
    in_conflict = version(repository.path)
    assert in_conflict.startswith("1.2.1.dev1+g")
    assert ".t" in in_conflict
    repository.write("run.sh", "solved\n")
    assert version(repository.path) != in_conflict


def test_submodules(repository: Repository, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    first = inner.commit()
    inner.commit()
    repository.git("submodule", "--quiet", "add", str(inner.path), "lib")
    repository.git("commit", "--quiet", "--message=lib")
    repository.tag("v1.3.0")
    lib = Repository(repository.path / "lib")
    assert version(repository.path) == "1.3.0"
    lib.write("untracked.py", "")
    assert version(repository.path) == "1.3.0"

    lib.write("tracked.py", "changed\n")
    with pytest.raises(UserError, match="the submodule lib has changes") as caught:
        version(repository.path)
    assert "git submodule update" in caught.value.hint
    lib.git("checkout", "--quiet", "tracked.py")

    lib.git("checkout", "--quiet", first)
    with pytest.raises(UserError, match="the submodule lib has changes"):
        version(repository.path)
    repository.git("add", "lib")
    staged = version(repository.path)
    assert staged.startswith("1.3.1.dev0+g")
    # A configuration that ignores submodules does not matter.
    repository.git("config", "submodule.lib.ignore", "all")
    assert version(repository.path) == staged
    repository.git("config", "--unset", "submodule.lib.ignore")
    # The commit of the submodule counts.
    lib.commit()
    repository.git("add", "lib")
    assert version(repository.path) != staged


def test_no_hook_and_no_monitor_runs(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for name in ("post-index-change", "monitor"):
        hook = repository.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
        hook.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(repository.path / ".git" / "hooks" / "monitor"))
    os.utime(repository.path / "tracked.py", (1, 1))
    assert version(repository.path) == "1.2.0"
    assert not ran.exists()
    repository.git("status")  # without our options, git runs them
    assert ran.exists()


def test_untracked_files_are_returned(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository.path
    new = repository.write("demo/new.py", "")
    repository.write(".gitignore", "*.cfg\n")
    repository.git("add", ".gitignore")
    ignored = repository.write("demo/ö.cfg", "")
    staged = repository.write("demo/staged.py", "")
    repository.git("add", "demo/staged.py")
    removed = root / "run.sh"
    repository.git("rm", "--quiet", "--cached", "run.sh")
    tracked = [root / "tracked.py", root / "data" / "ä b.txt", staged]
    log = log_git_processes(monkeypatch, tmp_path)
    assert untracked(root, [new, *tracked, ignored, removed]) == (new, ignored, removed)
    assert len(log.read_text().splitlines()) == 1
    # Relative paths stay relative.
    assert untracked(root, [Path("demo/new.py"), Path("tracked.py")]) == (Path("demo/new.py"),)
    # The project is a subdirectory. One path is outside it.
    assert untracked(root / "demo", [new, staged, root / "tracked.py"]) == (new,)
    assert untracked(root, []) == ()


def test_untracked_files_behind_a_symbolic_link(repository: Repository) -> None:
    root = repository.path
    (root / "link").symlink_to("data")
    repository.git("add", "link")
    repository.write("data/new.txt", "")
    found = untracked(root, [root / "link" / "ä b.txt", root / "link" / "new.txt"])
    assert found == (root / "link" / "new.txt",)


def test_untracked_files_of_a_submodule(repository: Repository, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    inner.commit()
    repository.git("submodule", "--quiet", "add", str(inner.path), "lib")
    repository.write("lib/new.py", "")
    lib = repository.path / "lib"
    assert untracked(repository.path, [lib / "tracked.py", lib / "new.py"]) == (lib / "new.py",)


def test_untracked_files_of_a_new_repository(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    file = repository.write("demo/one.py", "")
    assert untracked(repository.path, [file]) == (file,)


@pytest.mark.parametrize("where", ["nowhere", "sdist", "foreign", "no git", "broken"])
def test_projects_outside_git_have_no_untracked_files(
    where: str, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (tmp_path if where == "nowhere" else repository.path) / "demo"
    root.mkdir()
    file = root / "one.py"
    file.touch()
    if where == "sdist":
        (root / "PKG-INFO").touch()
    elif where == "no git":
        monkeypatch.setenv("PATH", "")
    elif where == "broken":
        put_git(monkeypatch, tmp_path, "exit 3")
    assert untracked(root, [file]) == ()


def filtered(repository: Repository, scope: str) -> None:
    """Track a file that a filter converts, and touch it, so that git compares its content."""
    repository.write(".gitattributes", "*.up filter=x\n")
    repository.write("a.up", "text\n")
    repository.git("add", ".")
    repository.git("commit", "--quiet", "--message=a filtered file")
    repository.tag("v1.3.0")
    repository.git("config", scope, "filter.x.clean", "tr A-Z a-z")
    repository.git("config", scope, "filter.x.required", "true")
    repository.write("a.up", "TEXT\n")


def test_a_filter_of_the_user_runs(repository: Repository) -> None:
    filtered(repository, "--global")
    assert version(repository.path) == "1.3.0"
    # The repository's own filter of that name does not run in its place.
    repository.git("config", "filter.x.clean", "false")
    assert version(repository.path) == "1.3.0"


def test_a_filter_of_the_repository_does_not_run(repository: Repository) -> None:
    filtered(repository, "--local")
    found = project_version(repository.path, distribution="demo", static=None, tag_prefix="")
    assert found.text.startswith("1.3.1.dev0+g")
    assert "the filter x of the repository's own configuration does not run" in found.notes[0]
    repository.write("a.up", "text\n")
    assert version(repository.path) == "1.3.0"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("lfs", "git-lfs clean -- %f"),
        ("git-crypt", '"git-crypt" clean'),
        ("git-crypt-own", '"git-crypt" clean --key-name=own'),
    ],
)
def test_well_known_filters_of_a_repository_run(
    name: str,
    clean: str,
    repository: Repository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`git lfs install --local` and `git-crypt init` write them there."""
    (tmp_path / "programs").mkdir()
    fake = tmp_path / "programs" / clean.split(maxsplit=1)[0].strip('"')
    fake.write_text("#!/bin/sh\ntr A-Z a-z\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    repository.write(".gitattributes", f"*.bin filter={name}\n")
    repository.git("config", f"filter.{name}.clean", clean)
    repository.write("a.bin", "TEXT\n")
    repository.git("add", ".")
    repository.git("commit", "--quiet", "--message=a filtered file")
    repository.tag("v1.3.0")
    os.utime(repository.path / "a.bin", (1, 1))
    assert repository.git("show", "HEAD:a.bin") == "text"
    assert version(repository.path) == "1.3.0"


def test_a_filter_from_variables_runs(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    filtered(repository, "--local")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "filter.x.clean")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "tr A-Z a-z")
    assert version(repository.path) == "1.3.0"


def test_a_list_that_is_too_long(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigflow_backend.version.git.GIT_OUTPUT", 1000)
    for number in range(20):
        repository.write(f"{number}{'x' * 100}", "")
    with pytest.raises(UserError, match=r"`git status` lists too much in .*: the limit is 1,000"):
        version(repository.path)


def test_changes_of_submodules_of_submodules(repository: Repository, tmp_path: Path) -> None:
    innermost = make_repository(tmp_path / "innermost")
    innermost.commit()
    inner = make_repository(tmp_path / "inner")
    inner.git("submodule", "--quiet", "add", str(innermost.path), "deep")
    inner.git("commit", "--quiet", "--message=a submodule")
    repository.git("submodule", "--quiet", "add", str(inner.path), "lib")
    repository.git("commit", "--quiet", "--message=a submodule")
    repository.git("submodule", "--quiet", "update", "--init", "--recursive")
    assert ".t" not in version(repository.path)
    Repository(repository.path / "lib/deep").write("tracked.py", "changed\n")
    with pytest.raises(UserError, match="the submodule deep has changes"):
        version(repository.path)
