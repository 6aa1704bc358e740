"""A build's stream of events, as other engines than the one of the tests send it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import Dockerfile, read_dockerfile
from bigflow_backend.image.engine.output import BuildOutput, DisturbedError

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = """\
FROM a AS one
RUN make   this
FROM b
RUN make   this
COPY --from=one /x /x
"""


@pytest.fixture
def dockerfile(tmp_path: Path) -> Dockerfile:
    path = tmp_path / "Dockerfile"
    path.write_text(_TEXT)
    return read_dockerfile(path)


def test_lines_come_whole_and_without_colours(dockerfile: Dockerfile) -> None:
    lines: list[str] = []
    output = BuildOutput(dockerfile, {}, network=None, say=lines.append)
    for text in ("Col", "lecting six\r\nDown", "\x1b[91mloading\x1b[0m\n\n", "last"):
        output.feed({"stream": text})
    output.feed({"status": "Pulling", "id": "layer", "progressDetail": {"current": 1}})
    output.feed({"status": "Pulled", "id": "layer", "progressDetail": {}})
    output.feed({"aux": {"ID": "sha256:1"}})
    assert output.end() == "sha256:1"
    assert lines == ["Collecting six", "Downloading", "layer Pulled", "last"]


def test_podman_counts_the_steps_of_each_stage(dockerfile: Dockerfile) -> None:
    output = BuildOutput(dockerfile, {}, network=None, say=lambda _line: None)
    for line in (
        "[1/2] STEP 1/2: FROM a AS one",
        "[1/2] STEP 2/2: RUN make   this",
        "[2/2] STEP 1/3: FROM b",
        "[2/2] STEP 2/3: RUN make   this",
        "error: no rule",
    ):
        output.feed({"stream": f"{line}\n"})
    with pytest.raises(UserError) as raised:
        output.feed({"errorDetail": {"message": "while running runtime: exit status 2"}})
    assert raised.value.message == "Dockerfile, line 4: RUN make this failed: error: no rule"


def test_the_image_of_an_engine_that_only_says_so(dockerfile: Dockerfile) -> None:
    output = BuildOutput(dockerfile, {}, network=None, say=lambda _line: None)
    output.feed({"stream": f"Successfully built {'ab' * 6}\n"})
    assert output.end() == "ab" * 6


def test_a_stream_that_ends_without_an_image(dockerfile: Dockerfile) -> None:
    output = BuildOutput(dockerfile, {}, network=None, say=lambda _line: None)
    output.feed({"stream": "Step 1/5 : FROM a AS one\n"})
    with pytest.raises(UserError, match="ended the build without an image"):
        output.end()


def test_an_error_outside_every_step(dockerfile: Dockerfile) -> None:
    output = BuildOutput(dockerfile, {}, network=None, say=lambda _line: None)
    with pytest.raises(UserError, match="refused the build: no space left"):
        output.feed({"error": "no space\nleft"})


@pytest.mark.parametrize(
    ("network", "hint"),
    [(None, "--network host"), ("none", "--network host"), ("host", "way to that server")],
)
def test_a_step_without_network(dockerfile: Dockerfile, network: str | None, hint: str) -> None:
    output = BuildOutput(dockerfile, {}, network=network, say=lambda _line: None)
    for line in (
        "Step 2/5 : RUN make   this",
        "WARNING: Retrying: [Errno -3] Temporary failure in name resolution",
        "ERROR: No matching distribution found for six",
    ):
        output.feed({"stream": f"{line}\n"})
    with pytest.raises(UserError, match=r"line 2: .*No matching distribution") as raised:
        output.feed({"errorDetail": {"code": 1, "message": "returned a non-zero code: 1"}})
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "message",
    ['unable to find image "sha256:c76954462b29"', "No such image: sha256:c76954462b29"],
)
def test_what_another_build_has_removed(dockerfile: Dockerfile, message: str) -> None:
    output = BuildOutput(dockerfile, {}, network=None, say=lambda _line: None)
    with pytest.raises(DisturbedError, match="another build on this engine has removed"):
        output.feed({"error": message, "errorDetail": {"message": message}})
