"""``bigflow rerun`` and ``bigflow run --image``: a job in a container of its image.

The command `docker`, or `podman`, runs it: they pull the image with the user's credentials.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow.errors import BigflowError
from bigflow.job import parse_runtime
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.processes import run
from bigflow_backend.ground.progress import print_progress
from bigflow_backend.image.reference import remote_name
from bigflow_backend.project.project import find_project

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call

_PROGRAMS = ("docker", "podman")
_LINE = re.compile(r"bigflow: (?P<what>job|workflow) (?P<id>[^\s,]+),\s+(?P<facts>.*)", re.DOTALL)
_FACT = re.compile(r"(\S*)\s*(.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(=.*)?", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Run:
    """The run of a job or a workflow, as the first line of a pod names it."""

    option: str
    """``--job`` or ``--workflow``."""
    id: str
    runtime: str
    config: str | None
    package: str
    commit: str | None
    image: str

    @property
    def arguments(self) -> list[str]:
        """The arguments of `bigflow run`."""
        config = [] if self.config is None else [f"--config={self.config}"]
        return [
            f"{self.option}={self.id}",
            f"--runtime={self.runtime}",
            *config,
            f"--project-package={self.package}",
        ]


def rerun(call: Call) -> int:
    """Run the job that the first line of a pod names. Return the job's exit status."""
    values = call.values
    found = parse_line(values.line)
    variables = {} if found.commit is None else {"BIGFLOW_COMMIT": found.commit}
    return _run(found.image, found.arguments, variables, values.env, dry_run=values.dry_run)


def run_in_image(options: Any, arguments: Sequence[str]) -> int:
    """Run ``bigflow run ARGUMENTS`` in a container of ``options.image``; return its exit status.

    :raises UserError: if the package is not known, or no engine's command is there.
    """
    package = []
    if options.project_package is None:
        package = [f"--project-package={find_project(Path.cwd()).package}"]
    return _run(options.image, [*package, *_without_ours(arguments)], {}, options.env)


def parse_line(text: str) -> Run:
    """Return the run of a line that `bigflow run` prints first; a log may have a prefix.

    :raises UserError: if it is another line, or does not name an image.
    """
    match = _LINE.search(text)
    if match is None:
        raise UserError(
            f"not the first line of a pod: got {text[:100]!r}",
            hint="give the line of its log that begins with `bigflow: job`, in quotes",
        )
    facts = {"package": ""}
    # A terminal may have wrapped the line; and more lines of the log may follow it.
    for fact in re.split(r",\s+", match["facts"]):
        key, value = _FACT.fullmatch(fact.strip()).groups()  # type: ignore[union-attr]
        if key in {"runtime", "config", "commit", "image"}:
            facts[key] = value.replace("\n", " ") if key == "runtime" else value.partition("\n")[0]
            if key == "image":
                break
        else:
            facts["package"] = key
    _check(facts)
    option, package = f"--{match['what']}", facts["package"]
    if "image" not in facts:
        commit = f"git checkout {facts['commit']} && " if "commit" in facts else ""
        raise UserError(
            "the line does not name an image: the run was not in a pod",
            hint=f"{commit}bigflow run {option} {match['id']} --runtime '{facts['runtime']}'",
        )
    return Run(
        option=option,
        id=match["id"],
        runtime=facts["runtime"],
        config=facts.get("config"),
        package=package,
        commit=facts.get("commit"),
        image=facts["image"],
    )


def _check(facts: Mapping[str, str]) -> None:
    """Check what a line of a log states: it may come from anywhere.

    :raises UserError: if a value is not valid.
    """
    try:
        parse_runtime(facts.get("runtime", ""))
    except BigflowError as error:
        raise UserError(
            f"the line has no valid runtime: got {facts.get('runtime', '')!r}",
            hint="give the whole line, in quotes",
        ) from error
    if not facts["package"].isidentifier():
        raise UserError(
            f"the line has no valid package: got {facts['package']!r}",
            hint="give the whole line, in quotes",
        )
    if "commit" in facts and not _COMMIT.fullmatch(facts["commit"]):
        raise UserError(
            f"the line has no valid commit: got {facts['commit']!r}",
            hint="give the whole line, in quotes",
        )


def _run(
    image: str,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    given: Sequence[str] | None,
    *,
    dry_run: bool = False,
) -> int:
    name, at, digest = image.partition("@")
    remote_name(image)  # only a valid name is an argument of the engine's command
    # Docker does not look up a name that has both a tag and a digest.
    path, colon, tag = name.rpartition(":")
    pulled = f"{path if colon and '/' not in tag else name}@{digest}" if at else image
    options = [f"{key}={value}" for key, value in {**variables, "BIGFLOW_IMAGE": image}.items()]
    for variable in given or ():
        if not _VARIABLE.fullmatch(variable):
            raise UserError(
                f"--env must be NAME or NAME=VALUE: got {variable.partition('=')[0]!r}",
                hint="write --env DB_PASSWORD for the variable of this shell",
            )
        options.append(variable)
    command = [
        _program(),
        *("run", "--rm", "--entrypoint", "python"),
        *(word for option in options for word in ("--env", option)),
        *(pulled, "-m", "bigflow", "run", *arguments),
    ]
    if dry_run:
        print(shlex.join(command))
        return 0
    print_progress(f"running in {image}")
    status = run(command)
    return status if status >= 0 else 128 - status


def _program() -> str:
    found = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise UserError(
            "a job in its image needs the command docker or podman, which is not on PATH",
            hint="install Docker: https://docs.docker.com/engine/install/",
        )
    return os.fspath(found)


def _without_ours(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without ``--image`` and ``--env``, which the container does not need."""
    kept, rest = [], list(arguments)
    while rest and rest[0] != "--":
        name, equals, _ = (word := rest.pop(0)).partition("=")
        if name in {"--image", "--env"}:
            del rest[: 0 if equals else 1]
        else:
            kept.append(word)
    return [*kept, *rest]
