"""Following a build on an engine: its output as lines, its error as one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line

if TYPE_CHECKING:
    from bigflow_backend.image.dockerfile import Dockerfile, Instruction

_STEP = re.compile(r"(?:\[\d+/\d+\] )?step \d+/\d+ ?: ?(?P<instruction>.*)", re.IGNORECASE)
_STEP_IMAGE = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})$")
_BUILT = re.compile(r"Successfully built (?P<id>[0-9a-f]{12,64})$")
_NARRATION = re.compile(r" ---> |Removing intermediate container ")
_NO_NETWORK = re.compile(
    r"temporary failure in name resolution|name or service not known|network is unreachable"
    r"|nodename nor servname|could not resolve host|newconnectionerror|nameresolutionerror",
    re.IGNORECASE,
)
_NO_USER = re.compile(r"unable to find (?:user|group) ")
_NO_BASE = re.compile(
    r"pull access denied|manifest (for .* not found|unknown)|no such (host|image)|not found"
    r"|dial tcp|connection refused|unauthorized|timeout",
    re.IGNORECASE,
)
_OTHER_PLATFORM = re.compile(
    r"not match the specified platform: wanted (?P<wanted>[^\s,]+), actual: (?P<actual>[^\s,]+)"
)
_NO_PLATFORM = re.compile(r"no match(?:ing manifest)? for (?:platform|\w+/\w+)")
# What the steps before have made has no name, but a digest.
_VANISHED = re.compile(r"(?:unable to find image|no such image:?) \"?sha256:", re.IGNORECASE)
# The exit statuses of a shell that SIGKILL and SIGTERM end.
_KILLED = {137, 143}
_LINES_KEPT = 400
_SHOWN = 80


class DisturbedError(UserError):
    """Another build has cleared away what this one had from the engine's cache."""


class BuildOutput:
    """Reads the events of one build, as the engine's API streams them.

    https://docs.docker.com/reference/api/engine/ (ImageBuild)
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        arguments: Mapping[str, str],
        *,
        network: str | None,
        say: Callable[[str], None],
    ) -> None:
        self.image_id: str | None = None
        """The image that came out, once it has."""
        self.step_images: set[str] = set()
        """The short ids of the images that the steps made."""
        self._dockerfile = dockerfile
        self._arguments = arguments
        self._network = network
        self._say = say
        self._position = 0
        self._step: Instruction | None = None
        self._step_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._unfinished = ""

    def feed(self, event: Mapping[str, Any]) -> None:
        """Takes one event.

        :raises UserError: when it tells that the build failed.
        """
        if "error" in event or "errorDetail" in event:
            self._flush()
            raise self._failure(event)
        if "stream" in event:
            *lines, self._unfinished = (self._unfinished + event["stream"]).split("\n")
            for line in lines:
                self._line(line)
        elif "status" in event and not event.get("progressDetail"):
            # The progress of a pull comes many times a second; what is kept is each new state.
            self._line(" ".join(filter(None, (event.get("id"), event["status"]))))
        elif "aux" in event and "ID" in event["aux"]:
            self.image_id = event["aux"]["ID"]

    def end(self) -> str:
        """The id of the image.

        :raises UserError: when the stream ended without one.
        """
        self._flush()
        if self.image_id is None:
            raise UserError(
                "the Docker Engine ended the build without an image",
                hint="see the engine's log; it may have been stopped",
            )
        return self.image_id

    def _flush(self) -> None:
        if self._unfinished:
            self._line(self._unfinished)
            self._unfinished = ""

    def _line(self, text: str) -> None:
        line = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).rstrip("\r")
        if not line.strip():
            return
        narrated = _NARRATION.match(line) is not None
        if not narrated or line.endswith("Using cache"):
            self._say(line)
        if step := _STEP.match(line):
            self._begin(step["instruction"])
        elif built := _BUILT.match(line):
            self.image_id = self.image_id or built["id"]
        elif made := _STEP_IMAGE.match(line):
            self.step_images.add(made["id"])
        elif not narrated:
            self._step_lines.append(line)

    def _begin(self, instruction: str) -> None:
        # Engines count the steps in different ways, but all of them quote the instruction.
        self._step_lines.clear()
        wanted = one_line(instruction).casefold()
        for position in range(self._position, len(self._dockerfile.instructions)):
            candidate = self._dockerfile.instructions[position]
            if one_line(f"{candidate.keyword} {candidate.value}").casefold() == wanted:
                self._position, self._step = position + 1, candidate
                return
        self._step = None

    def _failure(self, event: Mapping[str, Any]) -> UserError:
        detail = event.get("errorDetail") or {}
        message = one_line(str(detail.get("message") or event.get("error")))
        step = self._step
        if _VANISHED.search(message):
            return DisturbedError(
                f"another build on this engine has removed what this one was built on: {message}",
                hint="build again",
            )
        if step is None:
            return UserError(f"the Docker Engine refused the build: {message}", hint=_MEND)
        if step.keyword == "FROM":
            return self._no_base(step, message)
        where = f"Dockerfile, line {step.line}: {_shortened(f'{step.keyword} {step.value}')}"
        if step.keyword == "RUN":
            code = detail.get("code") or 0
            return UserError(
                f"{where} failed: {self._cause(message, code)}", hint=self._hint(code, message)
            )
        return UserError(f"{where} failed: {message}", hint=_MEND)

    def _no_base(self, step: Instruction, message: str) -> UserError:
        if other := _OTHER_PLATFORM.search(message):
            return UserError(
                f"Dockerfile, line {step.line}: the base image is for {other['actual']}, not for"
                f" {other['wanted']}",
                hint="name another base image, or build for its platform",
            )
        hint = _MEND
        if _NO_PLATFORM.search(message):
            hint = "name another base image, or build for one of its platforms"
        elif _NO_BASE.search(message):
            hint = "check its name and the way to its registry, or name another base image"
        name = self._dockerfile.image_of(step, self._arguments)
        return UserError(
            f"Dockerfile, line {step.line}: no base image {name}: {message}", hint=hint
        )

    def _cause(self, message: str, code: int) -> str:
        if code in _KILLED:
            return "it was killed"
        errors = [line for line in self._step_lines if re.match(r"\s*(ERROR|error)\b", line)]
        said = (errors or list(self._step_lines) or [message])[-1]
        status = f" (exit status {code})" if code else ""
        return one_line(said) + status

    def _hint(self, code: int, message: str) -> str:
        if code in _KILLED:
            return "the engine's machine ran out of memory, or the engine was stopped"
        if _NO_USER.search(message):
            return "create that user in a step before, or name it by its number: USER 10001"
        isolated = self._network in {None, "none"}
        said = "\n".join((*self._step_lines, message))
        if "exec format error" in said:
            return OTHER_PLATFORM
        if _NO_NETWORK.search(said):
            return _HOST_NETWORK if isolated else "check this machine's way to that server"
        if missing := re.search(r"No matching distribution found for (\S+)", said):
            hint = f"correct {missing[1]}, or bring its wheel by find-links"
            return f"{hint}; {_HOST_NETWORK}" if isolated else hint
        return "the lines above tell more"


_HOST_NETWORK = (
    "if RUN steps have no network on this engine, lend them the host's: --network host, or "
    'network = "host" in [tool.bigflow.image]'
)
OTHER_PLATFORM = (
    "the image is for another platform than the engine's machine: install QEMU's handlers there "
    '(binfmt), or take builder = "layered"'
)
_MEND = "mend that line of the Dockerfile"


def _shortened(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
