"""Repositories of strangers: git runs none of their programs, and a command ends.

Each program writes into the neighbour of the scratch directory; the runner sees that.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from hostile.runner import attempt
from support.git_repository import Repository, isolate_git, make_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hostile.runner import Scratch


@pytest.fixture
def repository(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The scratch project in git, with the tag 1.2.0."""
    isolate_git(monkeypatch, scratch.root)
    # The command reads the configuration of the tests, too.
    shutil.copy(scratch.root / "gitconfig", scratch.root / "home/.gitconfig")
    repository = Repository(scratch.project)
    repository.git("init", "--quiet")
    repository.write("data.bin", "data\n")
    commit(repository)
    repository.tag("1.2.0")
    return repository


def commit(repository: Repository) -> None:
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=a commit")


def program(scratch: Scratch, name: str = "program") -> Path:
    """Write a program that leaves a file outside the scratch directory."""
    path = scratch.input / name
    path.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(scratch.outside / 'ran'))}\ncat\n", "utf-8")
    path.chmod(0o755)
    return path


def touch(repository: Repository, name: str = "data.bin") -> None:
    """Change the time of a file, so that git compares its content."""
    os.utime(repository.path / name, (1, 1))


def filtered(repository: Repository, name: str = "x") -> None:
    repository.write(".git/info/attributes", f"*.bin filter={name}\n")
    touch(repository)


def clean(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "filter.x.clean", str(program(scratch)))
    filtered(repository)


def clean_required(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "filter.x.required", "true")
    clean(scratch, repository)


def clean_with_an_odd_name(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "filter.a=b.c.clean", str(program(scratch)))
    filtered(repository, "a=b.c")


def process(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "filter.x.process", str(program(scratch)))
    filtered(repository)


def included(scratch: Scratch, repository: Repository) -> None:
    repository.write("more.cfg", f'[filter "x"]\n  clean = {program(scratch)}\n')
    repository.git("config", "include.path", "../more.cfg")
    filtered(repository)


def of_a_work_tree(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "extensions.worktreeConfig", "true")
    repository.git("config", "--worktree", "filter.x.clean", str(program(scratch)))
    filtered(repository)


def in_place_of_the_users(scratch: Scratch, repository: Repository) -> None:
    configuration = scratch.root / "home/.gitconfig"
    configuration.write_text(f'{configuration.read_text()}[filter "x"]\n  clean = cat\n')
    clean(scratch, repository)


def looks_like_lfs(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "filter.lfs.clean", f"git-lfs clean -- %f; {program(scratch)}")
    filtered(repository, "lfs")


def extension_of_lfs(scratch: Scratch, repository: Repository) -> None:
    # In place of the real one, which runs the commands of extensions.
    program(scratch, "git-lfs")
    repository.git("config", "filter.lfs.clean", "git-lfs clean -- %f")
    repository.git("config", "lfs.extension.foo.clean", "foo %f")
    filtered(repository, "lfs")


def of_a_submodule(scratch: Scratch, repository: Repository) -> None:
    inner = make_repository(scratch.input / "inner")
    inner.write("data.bin", "data\n")
    commit(inner)
    repository.git("submodule", "--quiet", "add", str(inner.path), "lib")
    commit(repository)
    checked_out = Repository(repository.path / "lib")
    checked_out.git("config", "filter.x.clean", str(program(scratch)))
    checked_out.git("config", "core.fsmonitor", str(program(scratch)))
    checked_out.write("../.git/modules/lib/info/attributes", "*.bin filter=x\n")
    touch(checked_out)


def of_a_nested_repository(scratch: Scratch, repository: Repository) -> None:
    inner = make_repository(repository.path / "lib")
    inner.write("data.bin", "data\n")
    commit(inner)
    repository.git("-c", "advice.addEmbeddedRepo=false", "add", "lib")
    commit(repository)
    inner.git("config", "filter.x.clean", str(program(scratch)))
    filtered(inner)


def hooks(scratch: Scratch, repository: Repository) -> None:
    for name in ("post-index-change", "reference-transaction", "post-checkout", "fsmonitor"):
        hook = repository.path / ".git/hooks" / name
        shutil.copy(program(scratch), hook)
    repository.git("config", "core.hooksPath", ".git/hooks")
    repository.git("config", "core.fsmonitor", str(program(scratch)))
    touch(repository)


def commands(scratch: Scratch, repository: Repository) -> None:
    ours = str(program(scratch))
    for key in (
        *("core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy"),
        *("core.alternateRefsCommand", "credential.helper", "diff.external", "gpg.program"),
        *("pager.status", "pager.config", "sequence.editor", "trace2.eventTarget"),
    ):
        repository.git("config", key, ours)
    for name in ("status", "rev-parse", "rev-list", "for-each-ref", "config", "ls-files"):
        repository.git("config", f"alias.{name}", f"!{ours}")
    touch(repository)


def missing_objects(repository: Repository, url: str) -> None:
    """Make a partial clone with missing objects, which git would fetch from ``url``."""
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", url),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialCloneFilter", "tree:0"),
    ):
        repository.git("config", key, value)
    tree = repository.git("rev-parse", "HEAD^{tree}")
    (repository.path / ".git/objects" / tree[:2] / tree[2:]).unlink()


def fetched_by_ssh(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "core.sshCommand", str(program(scratch)))
    missing_objects(repository, "ssh://example.org/x")


def fetched_by_a_command(scratch: Scratch, repository: Repository) -> None:
    repository.git("config", "protocol.ext.allow", "always")
    repository.git("config", "protocol.allow", "always")
    missing_objects(repository, f"ext::{program(scratch)}")


def fetched_by_a_helper(scratch: Scratch, repository: Repository) -> None:
    program(scratch, "git-remote-helper")
    repository.git("config", "protocol.helper.allow", "always")
    missing_objects(repository, "helper::x")


def bare_in_the_project(scratch: Scratch, repository: Repository) -> None:
    """A clone has the project in a directory, whose files look like a repository."""
    inner = make_repository(scratch.input / "inner")
    inner.write("data.bin", "data\n")
    commit(inner)
    inner.tag("6.6.6")
    inner.git("config", "core.worktree", ".")
    inner.git("config", "filter.x.clean", str(program(scratch)))
    inner.git("config", "core.fsmonitor", str(program(scratch)))
    inner.write(".git/info/attributes", "*.bin filter=x\n")
    for path in (inner.path / ".git").iterdir():
        shutil.move(path, repository.path / path.name)
    shutil.rmtree(repository.path / ".git")
    around = Repository(scratch.root)
    around.git("init", "--quiet")
    around.git("add", "project")
    around.git("commit", "--quiet", "--message=a commit")
    around.tag("1.2.0")
    touch(repository)


RUNS: dict[str, Callable[[Scratch, Repository], None]] = {
    row.__name__: row
    for row in (
        *(clean, clean_required, clean_with_an_odd_name, process, included, of_a_work_tree),
        *(in_place_of_the_users, looks_like_lfs, extension_of_lfs, of_a_submodule),
        *(of_a_nested_repository, hooks, commands, fetched_by_ssh, fetched_by_a_command),
        *(fetched_by_a_helper, bare_in_the_project),
    )
}


_QUICK = {"clean", "of_a_submodule", "fetched_by_a_command", "bare_in_the_project"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in _QUICK else pytest.mark.slow) for n in RUNS]
)
def test_git_runs_no_program_of_a_repository(
    scratch: Scratch, repository: Repository, name: str
) -> None:
    RUNS[name](scratch, repository)
    path = f"{scratch.input}{os.pathsep}{os.environ['PATH']}"
    outcome = attempt(scratch, "project-version", succeeds=None, BIGFLOW_VERSION="", PATH=path)
    assert "6.6.6" not in outcome.stdout


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def replace_git(repository: Repository, file: str | None = None) -> None:
    git = repository.path / ".git"
    shutil.rmtree(git)
    if file is None:
        git.mkdir()
    else:
        git.write_text(file)


ODD: dict[str, Callable[[Repository], object]] = {
    "the configuration is a FIFO": lambda r: fifo(r.path / ".git/config"),
    "HEAD is a FIFO": lambda r: fifo(r.path / ".git/HEAD"),
    "the index is a FIFO": lambda r: fifo(r.path / ".git/index"),
    ".gitignore is a FIFO": lambda r: fifo(r.path / ".gitignore"),
    ".gitattributes is a FIFO": lambda r: fifo(r.path / ".gitattributes"),
    "a configuration that includes itself": lambda r: r.write(
        ".git/config", "[include]\n  path = config\n"
    ),
    "an empty .git": replace_git,
    ".git is a file of /dev/zero": lambda r: replace_git(r, "gitdir: /dev/zero\n"),
    "a broken submodule": lambda r: r.git(
        "update-index", "--add", "--cacheinfo", f"160000,{r.head},lib"
    ),
    "a ref with control characters": lambda r: r.write(
        ".git/packed-refs", f"{r.head} refs/tags/v1.0\x1b]0;x\x07\n"
    ),
    "a version of 5,000 digits": lambda r: r.write(
        ".git/packed-refs", f"{r.head} refs/tags/v{'1' * 5_000}.0\n"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_repositories(scratch: Scratch, repository: Repository, name: str) -> None:
    ODD[name](repository)
    attempt(scratch, "project-version", succeeds=None, BIGFLOW_VERSION="", BIGFLOW_GIT_TIMEOUT="1")
