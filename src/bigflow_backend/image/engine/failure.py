"""Explain a failed build: the output of the command -> one error with line, reason and fix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line

if TYPE_CHECKING:
    from bigflow_backend.image.dockerfile import Dockerfile, Instruction

# BuildKit: `#5 [2/2] RUN x`, `#5 0.05 output`, `#5 ERROR: reason`, ` > [2/2] RUN x:`
_BUILDKIT_ERROR = re.compile(r"#(?P<step>\d+) ERROR: (?P<reason>.*)")
_BUILDKIT_STEP = re.compile(r" > \[[^]]*\] (?P<instruction>.*):$")
_BASE = "load metadata for "
# Podman: `[1/2] STEP 2/2: RUN x`, output, `Error: building at STEP "RUN x": reason`
_PODMAN_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (?P<instruction>.*)")
_PODMAN_ERROR = re.compile(r'Error: (?:building at STEP ".*": )?(?P<reason>.*)')
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
_FIX = "fix that line of the Dockerfile"
_SHOWN = 80


@dataclass(frozen=True)
class _Step:
    """The step that failed."""

    instruction: str
    reason: str
    output: Sequence[str]
    """The lines that it printed."""


def build_error(
    lines: Sequence[str],
    dockerfile: Dockerfile,
    arguments: Mapping[str, str],
    *,
    network: str | None,
) -> UserError:
    """Return the error for a failed build that printed ``lines``."""
    step = _buildkit_step(lines) or _podman_step(lines)
    if step is None:
        return _refusal(lines, dockerfile)
    if step.instruction.startswith(_BASE):
        name = step.instruction.removeprefix(_BASE)
        return _base_error(step, name, _from_line(dockerfile, name, arguments))
    instruction = _find(dockerfile, step.instruction)
    if instruction is not None and instruction.keyword == "FROM":
        name = dockerfile.image_of(instruction, arguments) or instruction.value
        return _base_error(step, name, instruction)
    where = f"{_where(instruction)}: {_shortened(step.instruction)} failed"
    if step.instruction.upper().startswith("RUN "):
        status = int(match["status"]) if (match := _STATUS.search(step.reason)) else 0
        return UserError(
            f"{where}: {_cause(step, status)}", hint=_run_hint(step, status, network=network)
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
    """Return the error of a build in which no step ran."""
    reason = one_line(lines[-1]) if lines else "the command printed no reason"
    reason = re.sub(r"^(ERROR: )?failed to solve[^:]*: (failed to create LLB definition: )?", "", reason)
    hint = "fix that line of the Dockerfile, or check the engine's log"
    if "unknown instruction" in reason and any("<<" in i.value for i in dockerfile.instructions):
        hint = "for heredocs, write `# syntax=docker/dockerfile:1` in the first line"
    return UserError(f"the engine refused the build: {reason}", hint=hint)


def _base_error(step: _Step, name: str, line: Instruction | None) -> UserError:
    return UserError(
        f"{_where(line)}: cannot get the base image {name}: {step.reason}",
        hint="check its name, its platforms and the access to its registry, or use another base"
        " image",
    )


def _from_line(
    dockerfile: Dockerfile, name: str, arguments: Mapping[str, str]
) -> Instruction | None:
    """Return the FROM of a base image that BuildKit calls ``name``: in full, with its tag."""
    for instruction in dockerfile.instructions:
        image = dockerfile.image_of(instruction, arguments)
        if instruction.keyword == "FROM" and image:
            if name.endswith((image, f"{image}:latest")):
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
    return f"{one_line((errors or printed)[-1])} (exit status {status})"


def _run_hint(step: _Step, status: int, *, network: str | None) -> str:
    if status in _KILLED:
        return "give the engine's machine more memory, or check whether the engine was stopped"
    text = "\n".join((*step.output, step.reason))
    isolated = network in {None, "none"}
    if re.search(r"unable to find (user|group)|unknown user", text):
        return "create that user in a step before, or name it by its number: USER 10001"
    if "exec format error" in text:
        return OTHER_PLATFORM
    if secret := re.search(r"secret (\S+) not found|secret .*id (\S+)", step.reason):
        return f"pass it to the build: --secret id={secret[1] or secret[2]},src=FILE"
    if _NO_NETWORK.search(text):
        return _HOST_NETWORK if isolated else "check this machine's access to that server"
    if missing := re.search(r"No matching distribution found for (\S+)", text):
        hint = f"correct {missing[1]}, or add the directory of its wheel to find-links"
        return f"{hint}; {_HOST_NETWORK}" if isolated else hint
    return "read the lines above"


def _shortened(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
