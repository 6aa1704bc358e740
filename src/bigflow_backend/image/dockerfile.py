"""Read a Dockerfile, as far as the builders need it, and the values of its ``ARG``.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.files import has_file, read_text
from bigflow_backend.ground.settings.places import naming, place_of
from bigflow_backend.image.base.read import check_transport, is_file_name
from bigflow_backend.image.reference import remote_name

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings

STANDARD = Path(__file__).with_name("templates") / "Dockerfile"
"""The standard Dockerfile, for projects without one."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, with joined continuation lines and without comments."""

    line: int
    """The line where it starts, counted from 1."""
    keyword: str
    """In upper case: ``FROM``, ``RUN``, ..."""
    value: str


@dataclass(frozen=True)
class Dockerfile:
    """The instructions of a Dockerfile."""

    text: str
    instructions: tuple[Instruction, ...]

    @cached_property
    def arguments(self) -> dict[str, str | None]:
        """The names that ``ARG`` declares in any stage, with the first default."""
        found: dict[str, str | None] = {}
        for instruction in self.instructions:
            if instruction.keyword == "ARG":
                for word in _words(instruction.value):
                    name, has_default, default = word.partition("=")
                    found.setdefault(name, default if has_default else None)
        return found

    def base_image(self, build_args: Mapping[str, str]) -> str | None:
        """Return the base image of the last stage, with the values of ``ARG``."""
        stages: dict[str, str] = {}
        base = None
        for instruction in self.instructions:
            if instruction.keyword != "FROM":
                continue
            base = self.image_of(instruction, build_args)
            if base is None:
                return None  # the engine reports the error
            words = _image_words(instruction)
            base = stages.get(base.lower(), base)
            if len(words) > 2 and words[1].upper() == "AS":  # noqa: PLR2004 - FROM image AS name
                stages[words[2].lower()] = base
        return base

    def image_of(self, instruction: Instruction, build_args: Mapping[str, str]) -> str | None:
        """Return the image of a ``FROM``, with the values of ``ARG``."""
        words = _image_words(instruction)
        return self._expanded(words[0], build_args) if words else None

    def copied_to(self, directory: str) -> str | None:
        """Return the absolute path to which a ``COPY`` of the context's directory goes, or None."""
        for instruction in self.instructions:
            if instruction.keyword in {"COPY", "ADD"} and "--from" not in instruction.value:
                # The other form is a JSON list.
                words = _words(re.sub(r"[\[\],]", " ", instruction.value))
                *sources, target = [word for word in words if word[:2] != "--"] or [""]
                if target.startswith("/") and directory in map(posixpath.normpath, sources):
                    return posixpath.normpath(target)
        return None

    def _expanded(self, text: str, build_args: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            name, default = match["braced"] or match["plain"], match["default"]
            return build_args.get(name) or self.arguments.get(name) or default or ""

        return _VARIABLE.sub(value, text)


_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")
# https://docs.docker.com/reference/dockerfile/#here-documents
_HEREDOC = re.compile(r"""(?:^|\s)\d*<<-?["']?([A-Za-z_]\w*)["']?(?=\s|$)""")
_INSTRUCTION = re.compile(r"\s*(?P<keyword>\w+)(?:\s+(?P<value>.*))?", re.DOTALL)


def read_dockerfile(path: Path) -> Dockerfile:
    """Read the Dockerfile at ``path``. The engine checks its syntax.

    :raises UserError: if it does not exist, or cannot be read.
    """
    if not has_file(path):
        raise UserError(
            f"there is no {path.name} in {path.parent}",
            hint=f"start with the standard one: cp {STANDARD} {path}",
        )
    text = read_text(path)
    return Dockerfile(text, tuple(_instructions(text)))


def installs_requirements(project: Project) -> bool:
    """Return True unless the project's own Dockerfile does not name the requirements.

    :raises UserError: if the Dockerfile cannot be read.
    """
    own = project.dockerfile
    return not has_file(own) or "requirements" in read_text(own)


def _instructions(text: str) -> list[Instruction]:
    found = []
    start, parts, heredocs = 0, list[str](), list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if heredocs:
            if line.strip("\t") == heredocs[0]:
                heredocs.pop(0)
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # also within a continued instruction
        if not parts:
            start = number
        continued = line.rstrip().endswith("\\")
        parts.append(line.rstrip().removesuffix("\\").strip())
        if not continued:
            found.append(_instruction(start, " ".join(parts)))
            if found[-1].keyword in {"RUN", "COPY", "ADD"}:
                heredocs = _HEREDOC.findall(found[-1].value)
            parts = []
    if parts:
        found.append(_instruction(start, " ".join(parts)))
    return found


def _instruction(line: int, text: str) -> Instruction:
    match = _INSTRUCTION.match(text)
    if match is None:
        return Instruction(line, "", text)
    return Instruction(line, match["keyword"].upper(), (match["value"] or "").strip())


def _image_words(instruction: Instruction) -> list[str]:
    """Return ``image AS name`` of a ``FROM``."""
    return [word for word in _words(instruction.value) if not word.startswith("--")]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote, which the engine reports
        return text.split()


def build_args(project: Project, settings: ImageSettings, dockerfile: Dockerfile) -> dict[str, str]:
    """Return the values of the Dockerfile's ``ARG``: all of the user's, and ours that it declares.

    :raises UserError: if the Dockerfile does not declare a value of the user. The engine would only
        warn, and build another image.
    """
    given = dict(settings.build_args)
    if settings.base_image is not None:
        given["BASE_IMAGE"] = settings.base_image
    declared = dockerfile.arguments
    if settings.base_image is not None and "BASE_IMAGE" not in declared:
        raise UserError(
            "the Dockerfile has no ARG BASE_IMAGE, so base-image (in [tool.bigflow.image], or "
            "--base-image) has no effect",
            hint="remove base-image, or write `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}` there",
        )
    for name in given:
        if name not in declared and name.upper() not in _PREDEFINED:
            near = did_you_mean(name, declared) if declared else f"write `ARG {name}` there"
            raise UserError(
                f"{place_of('image.build-args')} has {name}, which is not an ARG of the Dockerfile",
                hint=near,
            )
    if settings.secrets and "type=secret" not in dockerfile.text:
        raise UserError(
            "the Dockerfile uses no secret, so secrets (in [tool.bigflow.image], or --secret) have"
            " no effect on it",
            hint="remove them, or write `RUN --mount=type=secret,id=ID ...` in your own Dockerfile",
        )
    _check_base(given.get("BASE_IMAGE"))
    created = datetime.fromtimestamp(source_date_epoch(), timezone.utc)
    ours = {
        "VERSION": project.version.text,
        "REVISION": project.version.commit or "",
        "SOURCE": project_source(project),
        "CREATED": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    arguments = {name: value for name, value in ours.items() if name in declared} | given
    _check_python(dockerfile.base_image(arguments))
    return arguments


_OLDEST_PYTHON = (3, 10)
_PYTHON_IMAGE = re.compile(r"(?:.*/)?python:(?P<major>\d+)(?:\.(?P<minor>\d+))?(?![\w])[^/]*")


def _check_python(base: str | None) -> None:
    """Report an image ``python`` of an old Python. The Dockerfiles of BigFlow 1.x name 3.7 or 3.8.

    pip in that image would refuse the wheel of bigflow-backend, after minutes.
    """
    found = base and _PYTHON_IMAGE.fullmatch(base)
    if not found:
        return
    version = (int(found["major"]), int(found["minor"] or _OLDEST_PYTHON[1]))
    if version < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        raise UserError(
            f"the base image {base} is too old: bigflow-backend needs Python {oldest} or later",
            hint="write `FROM python:3.12-slim-bookworm` into the Dockerfile, or delete the"
            " Dockerfile to use the standard one",
        )


def _check_base(name: str | None) -> None:
    """Report an invalid name with its setting. An engine would report the Dockerfile."""
    if name is None or is_file_name(name):
        return
    check_transport(name)
    with naming("image.base-image", option="--base-image"):
        remote_name(name)


# https://docs.docker.com/reference/dockerfile/#predefined-args
_PREDEFINED = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}


def project_source(project: Project) -> str:
    """Return the URL of the project's source in ``[project.urls]``, or nothing."""
    stated = project.pyproject.get("project", {}).get("urls", {})
    urls = {k.casefold(): v for k, v in stated.items()} if isinstance(stated, dict) else {}
    return next((urls[k] for k in ("source", "repository", "homepage") if k in urls), "")
