"""The search for the command that builds, and the errors of a failed build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import read_dockerfile
from bigflow_backend.image.engine.build_command import BuildOptions, docker_command, podman_command
from bigflow_backend.image.engine.failure import build_error

if TYPE_CHECKING:
    from collections.abc import Callable

_OLD = 'echo "Docker version 20.10.24+dfsg1, build 297e128"; [ "$1" = --version ]'
_WITHOUT_BUILDX = 'echo "Docker version 28.2.2, build e6534b4"; [ "$1" = --version ]'
_WITH_BUILDX = 'echo "Docker version 28.2.2, build e6534b4"'
_PODMAN = 'echo "podman version 4.3.1"'


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Put each script, as the command ``docker``, into a directory of PATH of its own."""

    def install(*scripts: str) -> list[str]:
        programs = []
        for number, script in enumerate(scripts):
            program = tmp_path / str(number) / "docker"
            program.parent.mkdir()
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            programs.append(str(program))
        monkeypatch.setenv("PATH", ":".join(str(Path(p).parent) for p in programs) or "/nowhere")
        return programs

    return install


@pytest.mark.parametrize(
    ("scripts", "found"),
    [
        ([_OLD], 0),
        ([_WITH_BUILDX, _OLD], 0),
        ([_WITHOUT_BUILDX, _OLD], 1),
        ([_PODMAN, "exit 1", _WITH_BUILDX], 2),
    ],
)
def test_the_first_docker_with_buildkit(
    install: Callable[..., list[str]], scripts: list[str], found: int
) -> None:
    programs = install(*scripts)
    assert docker_command().words == [programs[found], "build", "--progress", "plain"]


def test_a_docker_without_buildx(install: Callable[..., list[str]]) -> None:
    (program,) = install(_WITHOUT_BUILDX)
    with pytest.raises(UserError) as raised:
        docker_command()
    assert raised.value.message == (
        f"{program} (Docker version 28.2.2) cannot build the Dockerfile: its buildx plugin is"
        " missing"
    )
    assert "https://docs.docker.com/go/buildx/" in raised.value.hint
    assert "standard Dockerfile" in raised.value.hint


@pytest.mark.parametrize("scripts", [[], [_PODMAN]])
def test_no_docker(install: Callable[..., list[str]], scripts: list[str]) -> None:
    install(*scripts)
    with pytest.raises(
        UserError, match="needs the `docker` command, which is not on PATH"
    ) as error:
        docker_command()
    assert "install it" in error.value.hint


def test_no_podman(install: Callable[..., list[str]]) -> None:
    install()
    with pytest.raises(UserError, match="needs the `podman` command, which is not on PATH"):
        podman_command("unix:///run/podman/podman.sock")


_TEXT = """\
ARG BASE
FROM ${BASE} AS one
RUN make   this
FROM b
RUN --mount=type=secret,id=x \\
    make that <<END
FROM
END
COPY --from=one /x /x
"""
_RUN = "RUN --mount=type=secret,id=x     make that <<END"


def error_of(
    tmp_path: Path, output: str, *, network: str | None = None, platform: str | None = None
) -> UserError:
    """Return the error of a build with that output."""
    path = tmp_path / "Dockerfile"
    path.write_text(_TEXT)
    options = BuildOptions(
        arguments={"BASE": "python:3"}, network=network, platform=platform, secrets=(),
        directory=tmp_path, timeout=1, idle_timeout=1,
    )  # fmt: skip
    return build_error(output.splitlines(), read_dockerfile(path), options)


def test_a_step_of_buildx(tmp_path: Path) -> None:
    error = error_of(
        tmp_path,
        f"""\
#7 [one 2/2] RUN make   this
#7 0.210 ERROR: of another step
#8 [stage-1 2/3] {_RUN}
#8 0.312 making
#8 0.512 no rule
#8 ERROR: process "/bin/sh -c make that <<END" did not complete successfully: exit code: 2
#7 [one 2/2] RUN make   this
#7 CANCELED
------
 > [stage-1 2/3] {_RUN}:
0.312 making
0.512 no rule
------
Dockerfile:5
--------------------
ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2""",
    )
    assert error.message == (
        "Dockerfile, line 5: RUN --mount=type=secret,id=x make that <<END failed: no rule"
        " (exit status 2)"
    )


def test_a_step_of_podman(tmp_path: Path) -> None:
    error = error_of(
        tmp_path,
        """\
[1/2] STEP 1/2: FROM python:3 AS one
[1/2] STEP 2/2: RUN make   this
error: no rule
made nothing
Error: building at STEP "RUN make   this": while running runtime: exit status 2
""",
    )
    assert error.message == (
        "Dockerfile, line 3: RUN make this failed: error: no rule (exit status 2)"
    )


@pytest.mark.parametrize(
    ("output", "message", "hint"),
    [
        (
            (
                "#3 [internal] load metadata for docker.io/library/python:3\n#3 ERROR: not found\n"
                " > [internal] load metadata for docker.io/library/python:3:\n"
            ),
            "Dockerfile, line 2: cannot get the base image python:3: not found",
            "that it exists for linux/arm64",
        ),
        (
            (
                "STEP 1/2: FROM python:3 AS one\nTrying to pull\n"
                "Error: creating build container: short-name did not resolve\n"
            ),
            "Dockerfile, line 2: cannot get the base image python:3: creating build container",
            "",
        ),
        (
            (
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition:"
                " dockerfile parse error line 7: unknown instruction: END\n"
            ),
            "Dockerfile, line 7: unknown instruction: END",
            "`# syntax=docker/dockerfile:1` in the first line",
        ),
        ("ERROR: failed to solve: no space\n", "the engine refused the build: no space", "log"),
        ("", "the engine refused the build: the command printed no reason", "log"),
    ],
)
def test_a_failure_without_a_step(tmp_path: Path, output: str, message: str, hint: str) -> None:
    error = error_of(tmp_path, output, platform="linux/arm64")
    assert error.message.startswith(message)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("network", "reason", "hint"),
    [
        (None, "Temporary failure in name resolution", "--network host"),
        ("none", "Temporary failure in name resolution", "--network host"),
        ("host", "Temporary failure in name resolution", "access to that server"),
        (None, "network bridge not found", "--network host"),
        (None, "exec format error", 'builder = "layered"'),
        (None, "secret x not found: not found", "--secret id=x,src=FILE"),
        (None, "unable to find user me: no matching entries", "USER 10001"),
        (None, "exit code: 137", "more memory"),
        (None, "No matching distribution found for six", "correct six, or add"),
    ],
)
def test_hints_for_a_step(tmp_path: Path, network: str | None, reason: str, hint: str) -> None:
    output = f"#5 [2/2] RUN make   this\n#5 ERROR: {reason}\n > [2/2] RUN make   this:\n"
    error = error_of(tmp_path, output, network=network)
    assert error.message.startswith("Dockerfile, line 3: RUN make this failed: ")
    assert hint in error.hint
