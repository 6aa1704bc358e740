"""Releases, pushed to a bare repository."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.version import project_version
from bigflow_backend.version.release import ReleasePlan, carry_out, plan_release
from support.git_repository import (
    Repository,
    log_git_processes,
    make_repository,
    put_git,
)

if TYPE_CHECKING:
    from pathlib import Path


def bare(path: Path) -> Repository:
    path.mkdir()
    repository = Repository(path)
    repository.git("init", "--quiet", "--bare")
    return repository


@pytest.fixture
def remote(tmp_path: Path) -> Repository:
    return bare(tmp_path / "remote.git")


@pytest.fixture
def repository(tmp_path: Path, remote: Repository) -> Repository:
    repository = make_repository(tmp_path / "repository")
    repository.commit(2)
    repository.git("remote", "add", "origin", str(remote.path))
    repository.git("push", "--quiet", "--set-upstream", "origin", "main")
    return repository


def plan(
    repository: Repository,
    wanted: str = "minor",
    *,
    prefix: str = "",
    push: bool = True,
    static: tuple[str, str] | None = None,
    identity_file: Path | None = None,
) -> ReleasePlan:
    return plan_release(
        repository.path,
        distribution="demo",
        static=static,
        tag_prefix=prefix,
        wanted=wanted,
        push=push,
        identity_file=identity_file,
    )


def plan_error(repository: Repository, wanted: str = "minor") -> UserError:
    with pytest.raises(UserError) as caught:
        plan(repository, wanted)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def version(repository: Repository) -> str:
    return project_version(repository.path, distribution="demo", static=None, tag_prefix="").text


def test_a_release_is_tagged_and_pushed(repository: Repository, remote: Repository) -> None:
    repository.tag("v1.2.0")
    commit = repository.commit()
    planned = plan(repository)
    assert (planned.previous, planned.version, planned.tag) == ("1.2.0", "1.3.0", "v1.3.0")
    assert (planned.commit, planned.remote) == (commit, "origin")
    assert planned.commands == (
        f"git tag --annotate '--message=demo 1.3.0' v1.3.0 {commit}",
        "git push --no-follow-tags --recurse-submodules=no origin refs/tags/v1.3.0",
    )
    assert repository.tags() == ["v1.2.0"], "a plan must not change anything"

    carry_out(planned)

    assert repository.tags() == ["v1.2.0", "v1.3.0"]
    assert remote.tags() == ["v1.3.0"], "only the new tag must be pushed"
    assert remote.git("rev-parse", "v1.3.0^{commit}") == commit
    assert remote.git("cat-file", "-t", "v1.3.0") == "tag", "the tag must be annotated"
    assert "demo 1.3.0" in remote.git("cat-file", "-p", "v1.3.0")
    assert version(repository) == "1.3.0"


@pytest.mark.parametrize(
    ("tags", "wanted", "tag"),
    [
        ([], "minor", "0.1.0"),
        ([], "patch", "0.0.1"),
        ([], "v2.0", "2.0"),
        (["1.2.0"], "major", "2.0.0"),
        (["1.2.0"], "minor", "1.3.0"),
        (["v1.2.0"], "patch", "v1.2.1"),
        (["v1.2.0"], "1.4", "v1.4"),
        (["v1.2.0"], "v1.4.0", "v1.4.0"),
        (["v1.2.0"], "1.3.0RC1", "v1.3.0rc1"),
        (["v1.2.0rc1"], "minor", "v1.2.0"),
        (["1.9.0", "v1.10.0"], "minor", "v1.11.0"),
        (["v1.2.0", "release-2026", "4.0/beta"], "minor", "v1.3.0"),
        (["reports-v1.2.0", "v9.0.0"], "minor", "v9.1.0"),
    ],
)
@pytest.mark.parametrize("on_the_tag", [True, False])
def test_the_next_tag(
    tags: list[str], wanted: str, tag: str, *, on_the_tag: bool, repository: Repository
) -> None:
    repository.tag(*tags)
    if not on_the_tag:
        repository.commit()
    assert plan(repository, wanted).tag == tag


def test_the_next_tag_with_a_prefix(repository: Repository) -> None:
    repository.tag("reports-v1.2.0", "v9.0.0")
    assert plan(repository, prefix="reports-").tag == "reports-v1.3.0"
    assert plan(repository, prefix="models/").tag == "models/0.1.0"


def test_a_tagged_commit_is_released_again(repository: Repository, remote: Repository) -> None:
    repository.tag("7.1.5")
    carry_out(plan(repository))
    assert remote.tags() == ["7.2.0"]
    assert version(repository) == "7.2.0"
    # On the tagged commit a post-release is higher. After another commit it is not.
    assert plan(repository, "7.2.0.post1").tag == "7.2.0.post1"
    repository.commit()
    error = plan_error(repository, "7.2.0.post1")
    assert "7.2.0.post1 is not higher than this commit's version, 7.2.1.dev0" in error.message


def test_a_changed_work_tree_is_an_error(repository: Repository) -> None:
    for number in range(7):
        repository.write(f"file{number}.py", "")
    repository.write("untracked.py", "")
    assert plan(repository).tag == "0.1.0", "untracked files are not changes"
    repository.git("add", "file*")
    error = plan_error(repository)
    assert "file0.py, file1.py, file2.py, file3.py, file4.py, ..." in error.message
    assert "commit them" in error.hint


@pytest.mark.parametrize("spelling", ["v1.3.0", "1.3.0", "1.3"])
def test_an_existing_tag_is_an_error(spelling: str, repository: Repository) -> None:
    """The tag is on another branch, in any spelling."""
    repository.tag("v1.2.0")
    repository.git("switch", "--quiet", "--create", "other")
    repository.commit(file="other.py")
    repository.tag(spelling)
    repository.git("switch", "--quiet", "main")
    repository.commit()
    assert f"already has a tag: {spelling}" in plan_error(repository).message
    assert plan(repository, "patch").tag == "v1.2.1"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("1.2.0", "1.2.0 is not higher than this commit's version, 1.2.1.dev0"),
        ("1.1.0", "1.1.0 is not higher than this commit's version, 1.2.1.dev0"),
        ("mayor", "two or more numbers: got 'mayor'"),
        ("2", "two or more numbers: got '2'"),
        ("", "two or more numbers: got ''"),
        ("1.3.0+local", "it cannot be released"),
        ("1.3.0.dev1", "it cannot be released"),
    ],
)
def test_wrong_releases(wanted: str, message: str, repository: Repository) -> None:
    repository.tag("v1.2.0")
    repository.commit()
    assert message in plan_error(repository, wanted).message


def test_a_version_that_does_not_come_from_git(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"\[project\] version sets it to 1\.0\.0"):
        plan(repository, static=("1.0.0", "pyproject.toml [project] version"))
    monkeypatch.setenv("BIGFLOW_VERSION", "3.0.0")
    assert "BIGFLOW_VERSION sets it to 3.0.0" in plan_error(repository).message


def test_a_shallow_clone_is_an_error(
    repository: Repository, remote: Repository, tmp_path: Path
) -> None:
    clone = Repository(tmp_path / "clone")
    repository.git("clone", "--quiet", "--depth=1", f"file://{remote.path}", str(clone.path))
    assert "is a shallow clone" in plan_error(clone).message


def test_a_rejected_push_leaves_no_tag(repository: Repository, remote: Repository) -> None:
    repository.tag("v1.2.0")
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no tags on a Friday >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UserError) as caught:
        carry_out(plan(repository))
    assert "the tag v1.3.0 was not pushed to origin, and was removed here" in caught.value.message
    assert "no tags on a Friday" in caught.value.message
    assert len(str(caught.value).splitlines()) == 2
    assert repository.tags() == ["v1.2.0"]
    assert remote.tags() == []
    hook.unlink()
    carry_out(plan(repository))
    assert remote.tags() == ["v1.3.0"]


def test_a_tag_that_only_the_remote_has(repository: Repository, remote: Repository) -> None:
    repository.tag("v1.2.0")
    remote.git("tag", "v1.3.0", "main~1")
    with pytest.raises(UserError, match=r"was not pushed to origin.*v1\.3\.0.*already exists"):
        carry_out(plan(repository))
    assert repository.tags() == ["v1.2.0"]
    assert remote.git("rev-parse", "v1.3.0") != repository.head


def test_a_missing_remote(repository: Repository) -> None:
    repository.git("remote", "set-url", "origin", "/nowhere/at/all.git")
    with pytest.raises(UserError, match="/nowhere/at/all"):
        carry_out(plan(repository))
    assert repository.tags() == []


def test_a_push_without_an_end_leaves_no_tag(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(repository)
    real = log_git_processes(monkeypatch, tmp_path)
    script = tmp_path / "bin" / "git"
    script.write_text(
        script.read_text().replace("exec", 'case "$*" in *" push "*) sleep 30;; esac\nexec')
    )
    monkeypatch.setenv("BIGFLOW_GIT_TIMEOUT", "2")
    with pytest.raises(UserError, match="`git push` did not finish within 2 s"):
        carry_out(planned)
    words = real.read_text().split()
    assert [word for word in words if word in {"tag", "push"}] == ["tag", "push", "tag"]
    assert repository.tags() == []


def test_the_pre_push_hook_of_the_user_runs(repository: Repository, remote: Repository) -> None:
    hook = repository.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho the tests fail >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UserError, match="the tests fail"):
        carry_out(plan(repository))
    assert repository.tags() == remote.tags() == []


def test_without_a_push(repository: Repository, remote: Repository) -> None:
    repository.git("remote", "remove", "origin")
    planned = plan(repository, push=False)
    assert planned.remote is None
    assert len(planned.commands) == 1
    carry_out(planned)
    assert repository.tags() == ["0.1.0"]
    assert remote.tags() == []


def test_git_without_a_user(repository: Repository) -> None:
    planned = plan(repository)
    repository.git("config", "--global", "--remove-section", "user")
    repository.git("config", "user.useConfigOnly", "true")
    with pytest.raises(UserError, match="git has no name and e-mail address") as caught:
        carry_out(planned)
    assert "user.email" in caught.value.hint
    assert repository.tags() == []


def test_a_prefix_that_git_does_not_accept(repository: Repository) -> None:
    with pytest.raises(UserError, match=r"cannot create the tag my project-0\.1\.0: ") as caught:
        carry_out(plan(repository, prefix="my project-"))
    assert "tag-prefix" in caught.value.hint


@pytest.mark.parametrize(
    ("configuration", "chosen"),
    [
        ({}, "origin"),
        ({"branch.main.remote": "upstream"}, "upstream"),
        ({"branch.main.remote": "upstream", "remote.pushDefault": "fork"}, "fork"),
        ({"remote.pushDefault": "fork", "branch.main.pushRemote": "upstream"}, "upstream"),
        ({"branch.main.remote": "."}, "origin"),
        ({"branch.other.remote": "fork"}, "origin"),
    ],
)
def test_the_choice_among_several_remotes(
    configuration: dict[str, str], chosen: str, repository: Repository, tmp_path: Path
) -> None:
    repository.git("branch", "--unset-upstream")
    repository.git("branch", "other")
    for name in ("fork", "upstream"):
        repository.git("remote", "add", name, str(bare(tmp_path / name).path))
    for name, value in configuration.items():
        repository.git("config", name, value)
    planned = plan(repository)
    assert planned.remote == chosen
    carry_out(planned)
    other = {"origin": "remote.git"}.get(chosen, chosen)
    assert Repository(tmp_path / other).tags() == ["0.1.0"]


def test_the_only_remote_of_a_detached_head(repository: Repository, remote: Repository) -> None:
    repository.git("remote", "rename", "origin", "somewhere")
    repository.git("checkout", "--quiet", "--detach")
    carry_out(plan(repository))
    assert remote.tags() == ["0.1.0"]


def test_no_remote_and_too_many_remotes(repository: Repository, remote: Repository) -> None:
    repository.git("remote", "rename", "origin", "one")
    repository.git("remote", "add", "two", str(remote.path))
    repository.git("branch", "--unset-upstream")
    error = plan_error(repository)
    assert "one, two" in error.message
    repository.git(*shlex.split(error.hint.partition("git ")[2]))
    assert plan(repository).remote == "one"
    repository.git("config", "--unset", "remote.pushDefault")
    repository.git("remote", "remove", "one")
    repository.git("remote", "remove", "two")
    error = plan_error(repository)
    assert "has no remote" in error.message
    assert "--no-push" in error.hint


@pytest.fixture
def ssh(tmp_path: Path) -> Path:
    """Return an ssh that logs its arguments and runs the command on this machine."""
    program = tmp_path / "fake ssh"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {shlex.quote(str(tmp_path / "ssh.log"))}\n'
        'for command; do :; done\nexec sh -c "$command"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture(params=["GIT_SSH_COMMAND", "core.sshCommand"])
def _ssh_is_configured(
    request: pytest.FixtureRequest,
    ssh: Path,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = f"{shlex.quote(str(ssh))} -v"
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    if request.param == "GIT_SSH_COMMAND":
        monkeypatch.setenv("GIT_SSH_COMMAND", command)
    else:
        repository.git("config", "core.sshCommand", command)


@pytest.mark.usefixtures("_ssh_is_configured")
def test_the_identity_file(repository: Repository, remote: Repository, tmp_path: Path) -> None:
    repository.git("remote", "set-url", "origin", f"ssh://example.org{remote.path}")
    key = tmp_path / "my key"
    key.touch()
    planned = plan(repository, identity_file=key)
    assert planned.commands[1].startswith("GIT_SSH_COMMAND=")
    carry_out(planned)
    assert remote.tags() == ["0.1.0"]
    logged = (tmp_path / "ssh.log").read_text()
    assert f"-v -i {key} -o IdentitiesOnly=yes" in logged
    assert "example.org git-receive-pack" in logged


def test_a_missing_identity_file(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the identity file"):
        plan(repository, identity_file=tmp_path / "nothing")


def test_an_interrupted_push_leaves_no_tag(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the push: the fake git sends the signal."""
    monkeypatch.setenv("BIGFLOW_GIT_TIMEOUT", "60")
    # A background job of a shell starts with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    planned = plan(repository)
    real = shutil.which("git")
    put_git(
        monkeypatch,
        tmp_path,
        f'case "$*" in *" push "*) kill -INT {os.getpid()}; sleep 30;; esac\nexec {real} "$@"',
    )
    try:
        with pytest.raises(KeyboardInterrupt):
            carry_out(planned)
    finally:
        signal.signal(signal.SIGINT, before)
    assert repository.tags() == []


def test_a_plan_takes_six_processes(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.tag(*(f"v0.{number}.0" for number in range(50)))
    log = log_git_processes(monkeypatch, tmp_path)
    assert plan(repository).tag == "v0.50.0"
    assert len(log.read_text().splitlines()) == 6
