"""The version of a project in real repositories: the table of docs/reference/versions.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.version import ProjectVersion, project_version
from support.git_repository import (
    Repository,
    log_git_processes,
    make_repository,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEV = r"\+g[0-9a-f]{12}"
DIRTY = DEV + r"\.t[0-9a-f]{12}"
PROCESSES = 6


def version(root: Path, prefix: str = "", revision: str | None = None) -> ProjectVersion:
    return project_version(
        root,
        distribution="demo",
        static=None,
        tag_prefix=prefix,
        revision=revision,
    )


def on_tag(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.2.0")


def on_tag_without_v(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.2.0")


def on_annotated_tag(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.2.0", annotated=True)


def on_a_tag_that_is_not_normalised(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.2.0-RC.1")


def on_several_tags(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.9.0", "1.10.0", "v1.10.0rc1")


def on_several_annotated_tags(repository: Repository) -> None:
    repository.commit()
    repository.tag("3.0.0", "3.1.0", annotated=True)


def on_a_tag_of_a_tag(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.0.0", annotated=True)
    repository.git("tag", "--annotate", "--message=x", "v2.0.0", "v1.0.0")


def on_a_tag_below_an_earlier_one(repository: Repository) -> None:
    repository.commit()
    repository.tag("v2.0.0")
    repository.commit()
    repository.tag("v1.9.0")


def on_a_version_and_odd_tags(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.2.0", "release-2026", "4.0/beta", "9.0;id", "2026", "latest", "v3")
    repository.tag("line\u2028separator", "next\u0085line", "żółw-9.0")


def on_a_tag_with_an_epoch(repository: Repository) -> None:
    repository.commit()
    repository.tag("1!2.0.0")


def three_commits_after(repository: Repository) -> None:
    on_tag(repository)
    repository.commit(3)


def after_a_nearer_lower_tag(repository: Repository) -> None:
    on_a_tag_below_an_earlier_one(repository)
    repository.commit()


def after_odd_tags_only_nearer(repository: Repository) -> None:
    on_tag(repository)
    repository.commit()
    repository.tag("release-2026", "4.0/beta")


def after_two_numbers(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.2")
    repository.commit()


def after_a_candidate(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.2.0rc1")
    repository.commit()


def after_a_post_release(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.2.0.post1")
    repository.commit(2)


def after_a_development_tag(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.3.0.dev1")
    repository.commit(2)


def after_the_same_version_twice(repository: Repository) -> None:
    repository.commit()
    repository.tag("1.2.0")
    repository.commit(2)
    repository.tag("v1.2.0")
    repository.commit()


def after_a_tag_of_a_tag(repository: Repository) -> None:
    on_a_tag_of_a_tag(repository)
    repository.commit()


def after_a_merge(repository: Repository) -> None:
    repository.commit()
    repository.tag("v1.2.0")
    repository.git("switch", "--quiet", "--create", "fix")
    repository.commit(2, file="fix.py")
    repository.tag("v1.2.1")
    repository.git("switch", "--quiet", "main")
    repository.commit()
    repository.git(
        "merge", "--quiet", "--no-edit", "fix"
    )  # two commits after v1.2.1: one on main, and the merge


def higher_tag_on_another_branch(repository: Repository) -> None:
    on_tag(repository)
    repository.git("switch", "--quiet", "--create", "next")
    repository.commit(file="next.py")
    repository.tag("v2.0.0")
    repository.git("switch", "--quiet", "main")
    repository.commit()


def detached_head(repository: Repository) -> None:
    three_commits_after(repository)
    repository.git("checkout", "--quiet", repository.head)


def tags_of_a_file_and_a_tree(repository: Repository) -> None:
    on_tag(repository)
    repository.git("tag", "v8.0.0", "HEAD^{tree}")
    repository.git("tag", "v9.0.0", "HEAD:tracked.py")
    repository.commit()


def no_tag(repository: Repository) -> None:
    repository.commit(4)


def odd_tags_only(repository: Repository) -> None:
    repository.commit(2)
    repository.tag("release-2026", "4.0/beta")


def a_thousand_tags(repository: Repository) -> None:
    head = repository.commit()
    lines = [f"create refs/tags/v0.{i}.0 {head}\n" for i in range(1000)]
    repository.git("update-ref", "--stdin", stdin="".join(lines))
    repository.commit()


def changed(repository: Repository) -> None:
    on_tag(repository)
    repository.write("tracked.py", "changed\n")


def changed_and_staged(repository: Repository) -> None:
    changed(repository)
    repository.git("add", "tracked.py")


def added(repository: Repository) -> None:
    on_tag(repository)
    repository.write("new.py", "")
    repository.git("add", "new.py")


def deleted(repository: Repository) -> None:
    on_tag(repository)
    (repository.path / "tracked.py").unlink()


def changed_after_the_tag(repository: Repository) -> None:
    three_commits_after(repository)
    repository.write("tracked.py", "changed\n")


def changed_without_a_tag(repository: Repository) -> None:
    no_tag(repository)
    repository.write("tracked.py", "changed\n")


def untracked(repository: Repository) -> None:
    on_tag(repository)
    repository.write("untracked.py", "")


def touched(repository: Repository) -> None:
    on_tag(repository)
    os.utime(repository.path / "tracked.py", (1, 1))


def staged_and_reverted(repository: Repository) -> None:
    on_tag(repository)
    was = (repository.path / "tracked.py").read_text()
    repository.write("tracked.py", "changed\n")
    repository.git("add", "tracked.py")
    repository.write("tracked.py", was)


TABLE: list[tuple[Callable[[Repository], None], str]] = [
    (on_tag, r"1\.2\.0"),
    (on_tag_without_v, r"1\.2\.0"),
    (on_annotated_tag, r"1\.2\.0"),
    (on_a_tag_that_is_not_normalised, r"1\.2\.0rc1"),
    (on_several_tags, r"1\.10\.0"),
    (on_several_annotated_tags, r"3\.1\.0"),
    (on_a_tag_of_a_tag, r"2\.0\.0"),
    (on_a_tag_below_an_earlier_one, r"1\.9\.0"),
    (on_a_version_and_odd_tags, r"1\.2\.0"),
    (on_a_tag_with_an_epoch, r"1!2\.0\.0"),
    (three_commits_after, rf"1\.2\.1\.dev3{DEV}"),
    (after_a_nearer_lower_tag, rf"2\.0\.1\.dev2{DEV}"),
    (after_odd_tags_only_nearer, rf"1\.2\.1\.dev1{DEV}"),
    (after_two_numbers, rf"1\.2\.1\.dev1{DEV}"),
    (after_a_candidate, rf"1\.2\.0rc2\.dev1{DEV}"),
    (after_a_post_release, rf"1\.2\.0\.post2\.dev2{DEV}"),
    (after_a_development_tag, r"1\.3\.0\.dev1\+2\.g[0-9a-f]{12}"),
    (after_the_same_version_twice, rf"1\.2\.1\.dev1{DEV}"),
    (after_a_tag_of_a_tag, rf"2\.0\.1\.dev1{DEV}"),
    (after_a_merge, rf"1\.2\.2\.dev2{DEV}"),
    (higher_tag_on_another_branch, rf"1\.2\.1\.dev1{DEV}"),
    (detached_head, rf"1\.2\.1\.dev3{DEV}"),
    (tags_of_a_file_and_a_tree, rf"1\.2\.1\.dev1{DEV}"),
    (no_tag, rf"0\.0\.dev4{DEV}"),
    (odd_tags_only, rf"0\.0\.dev2{DEV}"),
    (a_thousand_tags, rf"0\.999\.1\.dev1{DEV}"),
    (changed, rf"1\.2\.1\.dev0{DIRTY}"),
    (changed_and_staged, rf"1\.2\.1\.dev0{DIRTY}"),
    (added, rf"1\.2\.1\.dev0{DIRTY}"),
    (deleted, rf"1\.2\.1\.dev0{DIRTY}"),
    (changed_after_the_tag, rf"1\.2\.1\.dev3{DIRTY}"),
    (changed_without_a_tag, rf"0\.0\.dev4{DIRTY}"),
    (untracked, r"1\.2\.0"),
    (touched, r"1\.2\.0"),
    (staged_and_reverted, r"1\.2\.0"),
]


@pytest.mark.parametrize(("arrange", "expected"), TABLE, ids=[f.__name__ for f, _ in TABLE])
def test_table(
    arrange: Callable[[Repository], None],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repository = make_repository(tmp_path / "repository")
    arrange(repository)
    index = repository.path / ".git" / "index"
    before = index.read_bytes()
    objects = repository.git("count-objects", "--verbose")
    log = log_git_processes(monkeypatch, tmp_path)

    found = version(repository.path)

    assert re.fullmatch(expected, found.text), found
    assert len(log.read_text().splitlines()) <= PROCESSES
    assert found.commit == repository.head
    assert index.read_bytes() == before, "the index must not change"
    assert repository.git("count-objects", "--verbose") == objects, "git must not write objects"
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", found.image_tag)
    assert re.fullmatch(r"[A-Za-z0-9_]+", found.identifier)
    if DIRTY not in expected:
        # The version of HEAD, and of another work tree, is the same.
        assert version(repository.path, revision="HEAD") == found
        repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
        assert version(tmp_path / "other") == found


def test_the_note_without_a_tag(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    odd_tags_only(repository)
    (note,) = version(repository.path).notes
    assert "bigflow release" in note
    assert "git fetch --tags" in note
    assert "skipped tags: 4.0/beta, release-2026" in note
    repository.tag("v1.0.0")
    assert version(repository.path).notes == ()


def test_the_note_on_a_tag_that_is_no_upgrade(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    on_tag(repository)
    repository.commit()
    repository.tag("v1.2.0.post1")
    (note,) = version(repository.path).notes
    assert "1.2.0.post1 sorts before 1.2.1.dev1" in note


def test_the_source_is_named(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    on_tag(repository)
    assert version(repository.path).source == "git tag v1.2.0"
    repository.commit()
    assert version(repository.path).source == "1 commit after git tag v1.2.0"
    repository.write("tracked.py", "")
    assert version(repository.path).source == "1 commit after git tag v1.2.0, 1 changed file"
    repository.tag("v1.3.0")
    assert version(repository.path).source == "git tag v1.3.0, 1 changed file"


def test_tag_prefixes_of_several_projects(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit(file="reports/one.py")
    repository.tag("reports-v1.2.0", "v7.0.0")
    repository.commit(file="models/one.py")
    repository.tag("models/3.0.0")
    top = repository.path
    assert version(top / "reports", "reports-").text.startswith("1.2.1.dev1+g")
    assert version(top / "models", "models/").text == "3.0.0"
    assert version(top / "models").text.startswith("7.0.1.dev1+g")
    (note,) = version(top / "models", "new-").notes
    assert "new-v1.2.0" in note


def test_a_project_in_a_subdirectory(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit(file="projects/demo/one.py")
    repository.tag("v1.2.0")
    project = repository.path / "projects" / "demo"
    assert version(project).text == "1.2.0"
    # Commit and changes are those of the whole repository.
    repository.write("elsewhere.py", "")
    repository.git("add", "elsewhere.py")
    assert version(project) == version(repository.path)
    assert version(project).text.startswith("1.2.1.dev0+g")


def test_another_work_tree(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    on_tag(repository)
    other = Repository(tmp_path / "other")
    repository.git("worktree", "add", "--quiet", str(other.path))
    assert (other.path / ".git").is_file()
    assert version(other.path).text == "1.2.0"
    other.write("tracked.py", "changed\n")
    assert re.fullmatch(rf"1\.2\.1\.dev0{DIRTY}", version(other.path).text)
    assert version(repository.path).text == "1.2.0"


def test_a_relative_root_and_a_symbolic_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit(file="demo/one.py")
    repository.tag("v1.2.0")
    (tmp_path / "link").symlink_to(repository.path / "demo")
    monkeypatch.chdir(tmp_path)
    for root in ("link", "repository/demo", "repository"):
        assert version(type(tmp_path)(root)).text == "1.2.0"


def test_revisions(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    first = repository.commit()
    repository.tag("v1.2.0")
    repository.commit(2)
    repository.write("tracked.py", "changed\n")
    assert version(repository.path, revision=first).text == "1.2.0"
    assert version(repository.path, revision="v1.2.0").text == "1.2.0"
    assert version(repository.path, revision="HEAD~1").text.startswith("1.2.1.dev1+g")
    assert version(repository.path, revision="main").text.startswith("1.2.1.dev2+g")
    assert ".t" not in version(repository.path, revision="main").text


def test_a_shallow_clone_on_a_tag(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit(3)
    repository.tag("v1.2.0")
    url = f"file://{repository.path}"
    repository.git("clone", "--quiet", "--depth=1", "--branch=v1.2.0", url, str(tmp_path / "clone"))
    assert version(tmp_path / "clone").text == "1.2.0"


def test_a_partial_and_sparse_clone(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.commit(2, file="a/one.py")
    repository.commit(2, file="b/one.py")
    repository.tag("v1.2.0")
    repository.commit(3, file="a/one.py")
    clone = Repository(tmp_path / "clone")
    repository.git(
        "clone", "--quiet", "--filter=blob:none", "--sparse",
        f"file://{repository.path}", str(clone.path),
    )  # fmt: skip
    clone.git("sparse-checkout", "set", "a")
    assert not (clone.path / "b").exists()
    assert version(clone.path) == version(repository.path)
    assert version(clone.path / "a").text.startswith("1.2.1.dev3+g")


def test_a_repository_with_sha256(tmp_path: Path) -> None:
    path = tmp_path / "repository"
    path.mkdir()
    repository = Repository(path)
    repository.git("init", "--quiet", "--object-format=sha256")
    on_tag(repository)
    original = (path / "tracked.py").read_text()
    assert version(path).text == "1.2.0"
    repository.write("tracked.py", "changed\n")
    repository.git("add", "tracked.py")
    assert re.fullmatch(rf"1\.2\.1\.dev0{DIRTY}", version(path).text)
    repository.write("tracked.py", original)
    assert version(path).text == "1.2.0"


def test_replaced_objects_are_local_and_do_not_count(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    three_commits_after(repository)
    expected = version(repository.path)
    repository.git("replace", "--graft", "HEAD", "HEAD~3")
    assert repository.git("rev-list", "--count", "v1.2.0..HEAD") == "1"
    assert version(repository.path) == expected


def test_a_submodule_has_its_own_version(tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    on_tag(inner)
    outer = make_repository(tmp_path / "outer")
    outer.commit()
    outer.tag("v5.0.0")
    outer.git("submodule", "--quiet", "add", str(inner.path), "lib")
    outer.git("commit", "--quiet", "--message=lib")
    assert version(outer.path).text.startswith("5.0.1.dev1+g")
    outer.git("-C", "lib", "fetch", "--quiet", "--tags")
    assert version(outer.path / "lib").text == "1.2.0"


@pytest.mark.parametrize("hostile", ["another", "missing"])
def test_the_environment_of_a_hook_does_not_matter(
    hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repository")
    three_commits_after(repository)
    expected = version(repository.path)
    another = make_repository(tmp_path / "another")
    another.commit()
    another.tag("v9.9.9")
    directory = another.path / ".git" if hostile == "another" else tmp_path / "nowhere"
    for name, value in {
        "GIT_DIR": directory,
        "GIT_WORK_TREE": another.path,
        "GIT_INDEX_FILE": directory / "index",
        "GIT_OBJECT_DIRECTORY": directory / "objects",
        "GIT_COMMON_DIR": directory,
        "GIT_NAMESPACE": "x",
        "GIT_PREFIX": "x/",
        "GIT_CONFIG_PARAMETERS": "'core.worktree=/'",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": "1",
        "LC_ALL": "de_DE.UTF-8",
        "LANGUAGE": "de",
    }.items():
        monkeypatch.setenv(name, str(value))
    assert version(repository.path) == expected


def test_inside_a_real_hook(tmp_path: Path) -> None:
    """A hook of one repository builds a project in another. git sets the variables."""
    project = make_repository(tmp_path / "project")
    on_tag(project)
    working = make_repository(tmp_path / "working")
    working.commit()
    hook = working.path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib\n"
        "from bigflow_backend.version import project_version\n"
        "assert 'GIT_INDEX_FILE' in os.environ\n"
        f"root = pathlib.Path({str(project.path)!r})\n"
        "found = project_version(root, distribution='demo', static=None, tag_prefix='')\n"
        f"pathlib.Path({str(tmp_path / 'found')!r}).write_text(found.text)\n"
    )
    hook.chmod(0o755)
    working.commit()
    assert (tmp_path / "found").read_text() == "1.2.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status.showUntrackedFiles", "all"),
        ("status.relativePaths", "true"),
        ("status.renames", "copies"),
        ("status.branch", "true"),
        ("status.showStash", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.relative", "true"),
        ("color.ui", "always"),
        ("column.ui", "always"),
        ("core.quotePath", "true"),
        ("tag.sort", "-refname"),
        ("log.showSignature", "true"),
    ],
)
def test_the_configuration_of_the_user_does_not_matter(
    name: str, value: str, tmp_path: Path
) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit(file="demo/ä one.py")
    on_tag(repository)
    repository.write("demo/ä one.py", "changed\n")
    repository.write("demo/two.py", "")
    expected = version(repository.path / "demo")
    repository.git("config", "--global", name, value)
    assert version(repository.path / "demo") == expected
    assert re.fullmatch(rf"1\.2\.1\.dev0{DIRTY}", expected.text)


def test_a_copied_repository_has_the_same_version(tmp_path: Path) -> None:
    """Times and inodes of the files differ, but their content is the same."""
    repository = make_repository(tmp_path / "repository")
    on_tag(repository)
    shutil.copytree(repository.path, tmp_path / "copy", copy_function=shutil.copyfile)
    assert version(tmp_path / "copy").text == "1.2.0"
    subprocess.run(["cp", "-r", repository.path, tmp_path / "copy2"], check=True)
    assert version(tmp_path / "copy2").text == "1.2.0"
