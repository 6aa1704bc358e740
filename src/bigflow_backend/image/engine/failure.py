"""Explain a failed build: the output of the command -> one error with line, reason and fix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line

if TYPE_CHECKING:
    from bigflow_backend.image.dockerfile import Dockerfile, Instruction
    from bigflow_backend.image.engine.build_command import BuildOptions

# BuildKit: `#5 [2/2] RUN x`, `#5 0.05 output`, `#5 ERROR: reason`, ` > [2/2] RUN x:`
_BUILDKIT_ERROR = re.compile(r"#(?P<step>\d+) ERROR: (?P<reason>.*)")
_BUILDKIT_STEP = re.compile(r" > \[[^]]*\] (?P<instruction>.*):$")
_BASE = re.compile(r"(?:load metadata for|FROM(?: --\S+)*) (?P<name>\S+)", re.IGNORECASE)
# Podman: `[1/2] STEP 2/2: RUN x`, output, `Error: building at STEP "RUN x": reason`
_PODMAN_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (?P<instruction>.*)")
_PODMAN_ERROR = re.compile(
    r'Error: (?:building at STEP ".*": )?(?P<reason>.*?)(?: &imagebuilder.*)?$'
)
_STATUS = re.compile(r"exit (?:code|status):? (?P<status>\d+)")
# The exit statuses of a shell after SIGKILL and SIGTERM.
_KILLED = {137, 143}
_NO_NETWORK = re.compile(
    r"temporary failure in name resolution|name or service not known|network is unreachable"
    r"|could not resolve host|newconnectionerror|nameresolutionerror|network bridge not found",
    re.IGNORECASE,
)
_HOST_NETWORK = (
    "if RUN steps have no network on this engine, use the host's: --network host, or"
    ' network = "host" in [tool.bigflow.image]'
)
OTHER_PLATFORM = (
    "the image is for another platform than the engine's machine: install QEMU's handlers there"
    ' (binfmt), or use builder = "layered"'
)
# pip prints it for a file, and for a name.
_OTHER_PYTHON = re.compile(r"requires? a different python(?: version)?:", re.IGNORECASE)
_RUN_HINTS = (
    (_OTHER_PYTHON, "use a base image with a Python that fits, or correct requires-python"),
    (
        re.compile(r"unable to find (?:user|group)|unknown user"),
        "create that user in a step before, or name it by its number: USER 10001",
    ),
    (re.compile("exec format error"), OTHER_PLATFORM),
    (
        re.compile(r"secret (\S+) not found|secret .*id (\S+)"),
        r"pass it to the build: --secret id=\1\2,src=FILE",
    ),
)
_FIX = "fix that line of the Dockerfile"
_SHOWN = 80


@dataclass(frozen=True)
class _Step:
    """The step that failed."""

    instruction: str
    reason: str
    output: Sequence[str]
    """The lines that it printed."""


def build_error(lines: Sequence[str], dockerfile: Dockerfile, options: BuildOptions) -> UserError:
    """Return the error for a failed build that printed ``lines``."""
    step = _buildkit_step(lines) or _podman_step(lines)
    if step is None:
        return _refusal(lines, dockerfile)
    if base := _BASE.match(step.instruction):
        instruction = _from_line(dockerfile, base["name"], options.arguments)
        name = dockerfile.image_of(instruction, options.arguments) if instruction else base["name"]
        exists = f"that it exists for {options.platform}" if options.platform else "its platforms"
        return UserError(
            f"{_where(instruction)}: cannot get the base image {name}: {step.reason}",
            hint=f"check its name, {exists} and the access to its registry, or use another base"
            " image",
        )
    instruction = _find(dockerfile, step.instruction)
    where = f"{_where(instruction)}: {_shortened(step.instruction)} failed"
    if step.instruction.upper().startswith("RUN "):
        status = int(match["status"]) if (match := _STATUS.search(step.reason)) else 0
        return UserError(
            f"{where}: {_cause(step, status)}",
            hint=_run_hint(step, status, network=options.network),
        )
    return UserError(f"{where}: {step.reason}", hint=_FIX)


def _buildkit_step(lines: Sequence[str]) -> _Step | None:
    error = next((match for line in lines if (match := _BUILDKIT_ERROR.search(line))), None)
    step = next((match for line in lines if (match := _BUILDKIT_STEP.match(line))), None)
    if error is None or step is None:
        return None
    output = re.compile(rf"#{error['step']} \d+\.\d+ (.*)")
    printed = [match[1] for line in lines if (match := output.match(line))]
    return _Step(step["instruction"], one_line(error["reason"]), printed)


def _podman_step(lines: Sequence[str]) -> _Step | None:
    step, reason, output = None, "", list[str]()
    for line in lines:
        if match := _PODMAN_STEP.match(line):
            step, output = match["instruction"], []
        elif match := _PODMAN_ERROR.match(line):
            reason = match["reason"]
        else:
            output.append(line)
    return None if step is None else _Step(step, one_line(reason), output)


def _refusal(lines: Sequence[str], dockerfile: Dockerfile) -> UserError:
    """Return the error of a build in which no step failed."""
    text = one_line(lines[-1]) if lines else "the command printed no reason"
    if syntax := re.search(r"dockerfile parse error (?:on )?line (\d+): (.*)", text):
        hint = _FIX
        if "unknown instruction" in text and "<<" in dockerfile.text:
            hint = "for heredocs, write `# syntax=docker/dockerfile:1` in the first line"
        return UserError(f"Dockerfile, line {syntax[1]}: {syntax[2]}", hint=hint)
    reason = re.sub(
        "^(ERROR: )?failed to solve[^:]*: (failed to create LLB definition: )?", "", text
    )
    return UserError(
        f"the engine refused the build: {reason}", hint="check the Dockerfile and the engine's log"
    )


def _from_line(
    dockerfile: Dockerfile, name: str, arguments: Mapping[str, str]
) -> Instruction | None:
    """Return the FROM of a base image that BuildKit calls ``name``: in full, with its tag."""
    for instruction in dockerfile.instructions:
        image = dockerfile.image_of(instruction, arguments)
        if image and instruction.keyword == "FROM" and name.endswith((image, f"{image}:latest")):
            return instruction
    return None


def _find(dockerfile: Dockerfile, text: str) -> Instruction | None:
    """Return the last instruction with that text. In each stage the cache skips the others."""
    wanted = one_line(text).casefold()
    for instruction in reversed(dockerfile.instructions):
        if one_line(f"{instruction.keyword} {instruction.value}").casefold() == wanted:
            return instruction
    return None


def _where(instruction: Instruction | None) -> str:
    return "Dockerfile" if instruction is None else f"Dockerfile, line {instruction.line}"


def _cause(step: _Step, status: int) -> str:
    if status in _KILLED:
        return "it was killed"
    printed = [line for line in step.output if line.strip()]
    errors = [line for line in printed if re.match(r"\s*error\b", line, re.IGNORECASE)]
    if not status or not printed:
        return step.reason
    errors = [line for line in errors if _OTHER_PYTHON.search(line)] or errors
    return f"{one_line((errors or printed)[-1])} (exit status {status})"


def _run_hint(step: _Step, status: int, *, network: str | None) -> str:
    if status in _KILLED:
        return "give the engine's machine more memory, or check whether the engine was stopped"
    text = "\n".join((*step.output, step.reason))
    for pattern, hint in _RUN_HINTS:
        if match := pattern.search(text):
            return match.expand(hint)
    no_network = network in {None, "none"}
    if _NO_NETWORK.search(text):
        return _HOST_NETWORK if no_network else "check this machine's access to that server"
    if missing := re.search(r"No matching distribution found for (\S+)", text):
        hint = f"correct {missing[1]}, or add the directory of its wheel to find-links"
        return f"{hint}; {_HOST_NETWORK}" if no_network else hint
    return "read the lines above"


def _shortened(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
