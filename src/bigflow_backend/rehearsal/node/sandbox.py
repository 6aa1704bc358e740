"""Containers without an engine: bubblewrap on the files of the image.

The image is not trusted. A program sees the files of the image, which are read-only, and empty
directories that it can write. It has no capabilities, and no processes and, by default, no network
of this machine.

https://github.com/containers/bubblewrap
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.processes import child
from bigflow_backend.image.layered.python.interpreter import DEFAULT_PATH
from bigflow_backend.image.layered.python.sandbox import system_call_filter
from bigflow_backend.rehearsal.node.container_spec import check_user
from bigflow_backend.rehearsal.node.data import ContainerConfigError
from bigflow_backend.rehearsal.node.memory import MemoryLimit
from bigflow_backend.rehearsal.node.runtime import Exit, ImageMissingError, Mount

if TYPE_CHECKING:
    from bigflow_backend.rehearsal.image import BuiltImage, UnpackedImage
    from bigflow_backend.rehearsal.node.container_spec import ContainerSpec

_NOBODY = 65534
_OWN = ("dev", "proc", "sys", "tmp", "run")
"""Directories at the top that the sandbox makes itself."""
_COPIED = 64 << 20
"""The largest working directory that is copied, in bytes, so that the program can write in it."""
_PIECE = 1 << 16
_CANNOT_START = b"bwrap: "
"""The beginning of what bubblewrap prints if the program does not exist."""
# What programs of a job need, beside the compiler that runs in the sandbox of the builder.
_ALLOWED_CALLS = frozenset(
    {
        "clone", "clone3", "fork", "vfork", "socket", "socketpair", "memfd_create", "shmget",
        "semget", "msgget", "mq_open",
    }
)  # fmt: skip


class SandboxRuntime:
    """Sandboxes of one image. ``directory`` is for their files."""

    def __init__(
        self, bwrap: str, image: BuiltImage, files: UnpackedImage, directory: Path, *, network: bool
    ) -> None:
        self._bwrap = bwrap
        self._image = image
        self._files = files
        self._directory = directory
        self._network = network
        self._numbers = itertools.count()

    def create(self, spec: ContainerSpec, mounts: Sequence[Mount]) -> SandboxContainer:
        """Return a new sandbox, as :meth:`Runtime.create` does."""
        if spec.image not in self._image.names:
            raise ImageMissingError
        check_user(spec, self._files.settings.get("User") or "")
        # The mounts in a directory come after the mount of the directory.
        mounts = sorted(map(self._placed, mounts), key=lambda mount: mount.path)
        directory = self._directory / f"pod{next(self._numbers)}"
        directory.mkdir(0o755)
        memory = None
        if spec.memory_bytes is not None:
            (group := directory / "memory").mkdir(0o755)
            memory = MemoryLimit(spec.memory_bytes, group)
        words = [*self._options(spec, directory), *self._mounted(mounts)]
        if spec.read_only:  # after the mounts, which need places there
            words += ["--remount-ro", "/tmp", "--remount-ro", "/run"]  # noqa: S108
        if memory:
            words += ["--ro-bind", str(memory.directory), "/sys/fs/cgroup"]
        settings = self._files.settings
        command = _command(spec, settings.get("Entrypoint"), settings.get("Cmd"))
        return SandboxContainer(self._bwrap, words, command, directory, memory)

    def erase(self, directory: Path) -> None:
        """Do nothing: files of a sandbox belong to this process."""

    def _placed(self, mount: Mount) -> Mount:
        """Return the mount with a path that has no links, and is in the image's files."""
        path = self._files.resolved(mount.path)
        at = path and self._files.mount_point(path, file=mount.source.is_file())
        if not at:
            raise ContainerConfigError(f"cannot mount {mount.path}: a file is in its way")
        return dataclasses.replace(mount, path=at)

    def _options(self, spec: ContainerSpec, directory: Path) -> Iterator[str]:
        user, group = _user(spec.user or self._files.settings.get("User") or "0", self._files)
        yield from ("--unshare-all", "--unshare-user", "--disable-userns")
        yield from ("--uid", user, "--gid", group, "--cap-drop", "ALL")
        yield from ("--die-with-parent", "--new-session", "--as-pid-1")
        yield from ("--hostname", spec.hostname, "--clearenv")
        if self._network or spec.host_network:
            yield "--share-net"
        home = {"HOME": _home(user, self._files), "HOSTNAME": spec.hostname}
        variables = {"PATH": DEFAULT_PATH, **home, **self._files.environment, **spec.environment}
        for name, value in variables.items():
            yield from ("--setenv", name, value)
        at = spec.working_directory or self._files.settings.get("WorkingDir") or "/"
        writable = [] if spec.read_only else list(self._writable(at, directory))
        for entry in sorted(self._files.root.iterdir()):
            if entry.name in _OWN:
                continue
            if entry.is_symlink():
                yield from ("--symlink", str(entry.readlink()), f"/{entry.name}")
            else:
                yield from ("--ro-bind", str(entry), f"/{entry.name}")
        yield from ("--proc", "/proc", "--dev", "/dev", "--dir", "/sys/fs")
        yield from ("--perms", "1777", "--tmpfs", "/tmp", "--tmpfs", "/run")  # noqa: S108
        yield from writable
        if self._network:
            yield from ("--ro-bind-try", "/etc/resolv.conf", "/run/resolv.conf")
            if self._files.mount_point("/etc/resolv.conf", file=True):
                yield from ("--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf")
        yield from ("--chdir", at)

    def _writable(self, working_directory: str, directory: Path) -> Iterator[str]:
        for path in ("/var/tmp", working_directory):  # noqa: S108
            at = self._files.mount_point(path) if path.strip("/") else None
            if at is None or at.split("/")[1] in _OWN:
                continue
            if self._files.is_empty(at):
                yield from ("--tmpfs", at)
                continue
            inside = self._files.root / at.lstrip("/")
            sizes = (file.lstat().st_size for file in inside.rglob("*"))
            if sum(itertools.islice(sizes, 10_000)) <= _COPIED:
                copy = directory / "work"
                shutil.copytree(inside, copy, symlinks=True)
                for made in (copy, *copy.rglob("*")):
                    if not made.is_symlink():
                        made.chmod(0o777)
                yield from ("--bind", str(copy), at)

    def _mounted(self, mounts: Sequence[Mount]) -> Iterator[str]:
        is_root = os.geteuid() == 0
        for mount in mounts:
            if is_root:
                _give_to_nobody(mount.source)
            yield from ("--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.path)


class SandboxContainer:
    """One sandbox."""

    def __init__(
        self,
        bwrap: str,
        options: list[str],
        command: list[str],
        directory: Path,
        memory: MemoryLimit | None,
    ) -> None:
        self._bwrap = bwrap
        self._options = options
        self._command = command
        self._directory = directory
        self._memory = memory
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._first = b""
        self._has_ended = threading.Event()

    def start(self) -> None:
        """Start the program, as :meth:`Container.start` does."""
        is_root = os.geteuid() == 0
        reader, writer = os.pipe()
        with self._arguments() as arguments, system_call_filter(allowed=_ALLOWED_CALLS) as rules:
            fixed = ["--seccomp", str(rules.fileno()), "--info-fd", str(writer)]
            fixed += ["--args", str(arguments.fileno()), "--", *self._command]
            self._process = self._stack.enter_context(
                child(
                    [self._bwrap, *fixed],
                    stop=None,
                    supervised=False,  # --die-with-parent
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={},
                    cwd="/",
                    pass_fds=[rules.fileno(), arguments.fileno(), writer],
                    user=_NOBODY if is_root else None,
                    group=_NOBODY if is_root else None,
                    extra_groups=[] if is_root else None,
                )
            )
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            content = file.read(_PIECE)
        try:
            self._pid = int(json.loads(content)["child-pid"])
        except (ValueError, KeyError):
            self._pid = 0
        if self._memory and self._pid:
            self._memory.start(self._pid)

    def output(self) -> Iterator[bytes]:
        stream = self._running().stdout
        assert stream is not None  # noqa: S101
        while piece := os.read(stream.fileno(), _PIECE):
            self._first = self._first or piece
            yield piece

    def wait(self) -> Exit:
        process = self._running()
        code = process.wait()
        self._has_ended.set()
        if self._memory:
            self._memory.stop()
        exceeded = self._memory is not None and self._memory.was_exceeded
        if code == 1 and self._first.startswith(_CANNOT_START):
            text = self._first.decode("utf-8", "replace").splitlines()[0]
            return Exit(code, exceeded, text)
        return Exit(code if code >= 0 else 128 - code, exceeded)

    def stop(self, grace_seconds: float) -> None:
        # Until bubblewrap has set up the sandbox, the signal would only end bubblewrap.
        self._kill(signal.SIGTERM if grace_seconds else signal.SIGKILL)
        if not self._has_ended.wait(grace_seconds):
            self._kill(signal.SIGKILL)

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._kill(signal.SIGKILL)
        if self._memory:
            self._memory.stop()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._stack.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _kill(self, number: signal.Signals) -> None:
        if self._pid and not self._has_ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None  # noqa: S101
        return self._process

    @contextlib.contextmanager
    def _arguments(self) -> Iterator[IO[bytes]]:
        """Yield a file with the arguments: a command line is visible to all users."""
        from bigflow_backend.ground.directories import temporary_file

        with temporary_file() as file:
            file.write(b"".join(os.fsencode(word) + b"\0" for word in self._options))
            file.seek(0)
            yield file


def _give_to_nobody(source: Path) -> None:
    """Give a file, or a directory with its files, to the user of the sandboxes."""
    for path in (source, *source.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def find_bubblewrap() -> str | None:
    """Return the path of ``bwrap`` if it works here."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None
    is_root = os.geteuid() == 0
    try:
        done = subprocess.run(
            [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/",
             "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_NOBODY if is_root else None,
            group=_NOBODY if is_root else None,
            extra_groups=[] if is_root else None,
            timeout=60,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else bwrap


def _command(
    spec: ContainerSpec, entrypoint: str | list[str] | None, command: str | list[str] | None
) -> list[str]:
    """Return the command line: Kubernetes replaces entry point and command of the image."""
    if spec.command:
        return [*spec.command, *spec.arguments]
    words = [entrypoint] if isinstance(entrypoint, str) else entrypoint or []
    rest = [command] if isinstance(command, str) else command or []
    return [*words, *(spec.arguments or rest)]


def _user(text: str, files: UnpackedImage) -> tuple[str, str]:
    """Return the numbers of user and group. A name is looked up in the image's passwd."""
    user, _, group = text.partition(":")
    for line in _accounts(files):
        if user in {line[0], line[2]}:
            return line[2], group if group.isdecimal() else line[3]
    return user if user.isdecimal() else "0", group if group.isdecimal() else "0"


def _home(user: str, files: UnpackedImage) -> str:
    return next((line[5] for line in _accounts(files) if line[2] == user), "/")


def _accounts(files: UnpackedImage) -> list[list[str]]:
    """Return the valid lines of /etc/passwd: name, password, uid, gid, comment, home, shell."""
    from bigflow_backend.ground.limits import ACCOUNTS

    etc, passwd = files.root / "etc", files.root / "etc/passwd"
    if etc.is_symlink() or passwd.is_symlink() or not passwd.is_file():
        return []
    with passwd.open("rb") as file:
        text = file.read(ACCOUNTS).decode("utf-8", "replace")
    lines = (line.split(":") for line in text.splitlines())
    return [x for x in lines if len(x) == 7 and x[2].isdecimal() and x[3].isdecimal()]  # noqa: PLR2004
