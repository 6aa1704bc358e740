"""Build a Dockerfile with the ``docker`` command, or with ``podman`` on an engine of Podman.

The commands have ``RUN --mount`` and secrets. The docker SDK has only the classic builder:
https://github.com/docker/docker-py/issues/2230
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import unpack_tar
from bigflow_backend.ground.processes import child
from bigflow_backend.image.dockerfile import STANDARD

_SECONDS_TO_ANSWER = 30
# Older commands have BuildKit inside; newer ones need the buildx plugin.
# https://docs.docker.com/engine/release-notes/23.0/
_FIRST_WITH_BUILDX = 23
_WITH_BUILDKIT = {
    "DOCKER_BUILDKIT": "1",
    # The builder of the engine itself: the image of another one is not in the engine.
    "BUILDX_BUILDER": "default",
    # Attestations contain the time of the build, and change the id of the image.
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
}


@dataclass(frozen=True)
class BuildOptions:
    """The options of one build."""

    arguments: Mapping[str, str]
    """The values of the Dockerfile's ``ARG``."""
    network: str | None
    """The network of RUN steps; None is the engine's default."""
    platform: str | None
    """``linux/amd64`` or ``linux/arm64``; None is the engine's."""
    secrets: Sequence[str]
    """Secrets for ``RUN --mount=type=secret``, as ``docker build --secret`` reads them."""
    directory: Path
    """The directory of the files in ``secrets``."""
    timeout: int
    """Seconds for the whole build."""
    idle_timeout: int
    """Seconds without a line of output."""


class BuildFailedError(Exception):
    """A failed build. Its output contains the reason."""


@dataclass(frozen=True)
class BuildCommand:
    """A command that builds images on one engine."""

    words: Sequence[str]
    """The program and its options, up to ``build`` and the options of each build."""
    is_podman: bool = False

    def build(
        self, context: IO[bytes], options: BuildOptions, *, report: Callable[[str], None]
    ) -> str:
        """Build the Dockerfile of the context, a tar archive; return the id of the image.

        ``report`` receives the output line by line. The image has no name.

        :raises BuildFailedError: if the build fails.
        :raises UserError: if the build exceeds a timeout.
        """
        with (
            tempfile.TemporaryDirectory(prefix="bigflow-") as name,
            contextlib.ExitStack() as stack,
        ):
            id_file = Path(name, "id")
            words = [*self.words, "--iidfile", str(id_file), *_options(options)]
            if self.is_podman:  # it cannot read an archive from stdin
                directory = Path(name, "context")
                with tarfile.open(fileobj=context) as archive:
                    unpack_tar(archive, directory)
                words += ["--file", str(directory / "Dockerfile"), str(directory)]
                context = stack.enter_context(Path(os.devnull).open("rb"))
            status = _run([*words] if self.is_podman else [*words, "-"], context, options, report)
            if status or not id_file.is_file():
                raise BuildFailedError
            return id_file.read_text("utf-8").strip()


def docker_command() -> BuildCommand:
    """Return the first ``docker`` command on PATH that has BuildKit.

    :raises UserError: if PATH has no such command.
    """
    without_buildx = None
    for program in _programs("docker"):
        version = _output([program, "--version"])
        match = re.match(r"Docker version (\d+)", version)
        if match is None:  # Podman's package podman-docker has a command of that name, too
            continue
        if int(match[1]) < _FIRST_WITH_BUILDX or _output([program, "buildx", "version"]):
            return BuildCommand([program, "build", "--progress", "plain"])
        without_buildx = without_buildx or f"{program} ({version.partition(',')[0]})"
    standard = f"or use the standard Dockerfile: {STANDARD}"
    if without_buildx:
        raise UserError(
            f"{without_buildx} cannot build the Dockerfile: its buildx plugin is missing",
            hint=f"install buildx: https://docs.docker.com/go/buildx/; {standard}",
        )
    raise UserError(
        "a build on the Docker Engine needs the `docker` command, which is not on PATH",
        hint=f"install it: https://docs.docker.com/engine/install/; {standard}",
    )


def podman_command(address: str) -> BuildCommand:
    """Return the ``podman`` command for the service at ``address``.

    :raises UserError: if it is not on PATH.
    """
    program = shutil.which("podman")
    if program is None:
        raise UserError(
            "a build on Podman needs the `podman` command, which is not on PATH",
            hint="install it: https://podman.io/docs/installation; or use the standard"
            f" Dockerfile: {STANDARD}",
        )
    # Podman's own format of images has no HEALTHCHECK and SHELL.
    words = [program, "--remote", "--url", address, "build", "--format", "docker"]
    return BuildCommand(words, is_podman=True)


def _programs(name: str) -> Iterator[str]:
    for directory in os.get_exec_path():
        if program := shutil.which(name, path=directory):
            yield program


def _output(command: Sequence[str]) -> str:
    """Return what the command prints; an empty text if it fails."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS_TO_ANSWER,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace").strip()
    return ""


def _options(options: BuildOptions) -> list[str]:
    words = []
    for name, value in options.arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    for secret in options.secrets:
        words += ["--secret", secret]
    if options.network is not None:
        words += ["--network", options.network]
    if options.platform is not None:
        words += ["--platform", options.platform]
    return words


def _run(
    command: Sequence[str],
    stdin: IO[bytes],
    options: BuildOptions,
    report: Callable[[str], None],
) -> int:
    deadline = time.monotonic() + options.timeout
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # Docker 20.10 does not cancel a build at SIGTERM.
    with child(
        command,
        stop=signal.SIGINT,
        cwd=options.directory,
        env={**os.environ, **_WITH_BUILDKIT},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        output = cast("IO[bytes]", process.stdout)
        threading.Thread(target=_read, args=(output, lines), daemon=True).start()
        while True:
            left = deadline - time.monotonic()
            try:
                line = lines.get(timeout=max(0, min(options.idle_timeout, left)))
            except queue.Empty:
                raise _timeout(options, is_over=left < options.idle_timeout) from None
            if line is None:
                return process.wait()
            if left <= 0:
                raise _timeout(options, is_over=True)
            report(line)


def _read(stream: IO[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    """Put each line of the output into ``lines``, and None at the end."""
    with io.TextIOWrapper(cast("BinaryIO", stream), "utf-8", errors="replace") as output:
        for line in output:
            text = _NOISE.sub("", line).rstrip()
            if text:
                lines.put(text)
    lines.put(None)


# Terminal colours, and the digest that Docker 20.10 prints for each step.
_NOISE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|^#\d+ sha256:[0-9a-f]{64}.*")


def _timeout(options: BuildOptions, *, is_over: bool) -> UserError:
    if is_over:
        return UserError(
            f"the build took longer than {options.timeout} seconds",
            hint="raise timeout in [tool.bigflow.image]",
        )
    return UserError(
        f"the build printed nothing for {options.idle_timeout} seconds",
        hint="raise idle-timeout in [tool.bigflow.image], or check what the last step waits for",
    )
