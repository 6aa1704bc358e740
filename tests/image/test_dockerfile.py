"""Instructions of a Dockerfile, and values of its ARG."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD, Instruction, build_args, read_dockerfile
from bigflow_backend.project.project import read_project
from support.projects import write_project

_SAMPLE = Path(__file__).parents[2] / "sample_project" / "Dockerfile"


def test_instructions_carry_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("# syntax\nfrom a\n\nRUN one \\\n  # in between\n\n  two\n  ENV A=b\n")
    assert read_dockerfile(path).instructions == (
        Instruction(2, "FROM", "a"),
        Instruction(4, "RUN", "one two"),
        Instruction(8, "ENV", "A=b"),
    )


def test_a_file_that_ends_within_an_instruction(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM a\nRUN one \\\n")
    assert read_dockerfile(path).instructions[-1] == Instruction(2, "RUN", "one")


def test_arguments_and_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text('ARG A\nARG B= C="x y"\nFROM a\nARG A=late D=\'1\'\nARG "open\n')
    assert read_dockerfile(path).arguments == {
        "A": None,
        "B": "",
        "C": "x y",
        "D": "1",
        '"open': None,
    }


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM python:3.12", "python:3.12"),
        ("ARG BASE=a:1\nFROM ${BASE}", "a:1"),
        ("ARG BASE=a:1\nFROM $BASE", "a:1"),
        ("ARG BASE\nFROM ${BASE:-b:2}", "b:2"),
        ("ARG GIVEN=a\nFROM $GIVEN", "given:1"),
        ("FROM --platform=linux/amd64 a:1", "a:1"),
        ("FROM a:1 AS One\nFROM b:1\nFROM one as two\nFROM two", "a:1"),
        ("FROM", None),
        ("RUN true", None),
    ],
)
def test_base_image(tmp_path: Path, text: str, base: str | None) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    assert read_dockerfile(path).base_image({"GIVEN": "given:1"}) == base


def test_no_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no Dockerfile in") as raised:
        read_dockerfile(tmp_path / "Dockerfile")
    assert f"cp {STANDARD} {tmp_path}/Dockerfile" in raised.value.hint
    assert STANDARD.is_file()


def test_a_dockerfile_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_bytes(b"FROM \xff")
    with pytest.raises(UserError, match=r"Dockerfile, line 1: not UTF-8"):
        read_dockerfile(path)


def test_the_sample_project_has_the_standard_one() -> None:
    assert _SAMPLE.read_bytes() == STANDARD.read_bytes()


def test_the_standard_one_has_only_what_every_builder_knows() -> None:
    text = STANDARD.read_text()
    assert "--mount" not in text
    assert not text.startswith("# syntax")
    standard = read_dockerfile(STANDARD)
    assert standard.arguments["BASE_IMAGE"] == "python:3.12-slim-bookworm"
    assert standard.base_image({}) == "python:3.12-slim-bookworm"
    assert sum(i.keyword == "LABEL" for i in standard.instructions) == 1


def test_heredocs_hold_no_instructions(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(
        "FROM a\nRUN <<ONE cat 3<<-'TWO' && echo $((1<<N))\nARG NOT=1\nONE\nFROM not\n\tTWO\n"
        "RUN cat <<<word\nUSER me\n"
    )
    found = [(i.line, i.keyword) for i in read_dockerfile(path).instructions]
    assert found == [(1, "FROM"), (2, "RUN"), (7, "RUN"), (8, "USER")]


@pytest.mark.parametrize(
    "base",
    [
        *("python:3.7", "python:3.8-slim", "python:3.7.9-slim-buster", "python:2"),
        *("docker.io/library/python:3.9", "mirror.example:5000/hub/python:3.8-slim"),
        f"python:3.9@sha256:{'0' * 64}",
    ],
)
def test_a_base_image_of_an_old_python(tmp_path: Path, base: str) -> None:
    """Dockerfiles of BigFlow 1.x have such a base."""
    files: dict[str, str | None] = {"Dockerfile": f"FROM {base}\nCOPY dist /dist\n"}
    with pytest.raises(UserError) as caught:
        arguments_of(tmp_path, files)
    assert caught.value.message == (
        f"the base image {base} is too old: bigflow-backend needs Python 3.10 or later"
    )
    assert "FROM python:3.12-slim-bookworm" in caught.value.hint


@pytest.mark.parametrize(
    "base",
    [
        *("python:3.10", "python:3.12-slim", "python:3", "python:3-slim", "python:latest"),
        *("python", "python:4.1", "team/mypython:3.7", "ubuntu:3.7", "python:300"),
    ],
)
def test_other_base_images(tmp_path: Path, base: str) -> None:
    arguments_of(tmp_path, {"Dockerfile": f"FROM {base}\n"})


def arguments_of(tmp_path: Path, files: dict[str, str | None]) -> dict[str, str]:
    project = read_project(write_project(tmp_path / "project", files).root)
    with mock.patch.dict(os.environ, {"BIGFLOW_VERSION": "1.2.0"}):
        return build_args(project, project.settings.image, read_dockerfile(project.dockerfile))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (STANDARD.read_text("utf-8"), "/wheels"),
        ("COPY wheels /w\n", "/w"),
        ("COPY --chown=1:1 ./wheels/ other /tmp/w/\n", "/tmp/w"),
        ('ADD ["wheels/", "/a b/"]\n', "/a b"),
        ("COPY wheels here\n", None),
        ("COPY --from=before wheels /w\n", None),
        ("COPY dist /w\nCOPY\n", None),
    ],
)
def test_the_place_of_a_directory_of_the_context(
    tmp_path: Path, text: str, place: str | None
) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(text, "utf-8")
    assert read_dockerfile(path).copied_to("wheels") == place
