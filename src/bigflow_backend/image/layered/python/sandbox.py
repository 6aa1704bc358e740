"""A sandbox for a program of a base image: bubblewrap with limits and a system call filter.

The program is not trusted. It sees a read-only directory and three open files. It has no network,
no capabilities, no other processes and no environment of this machine. Without bubblewrap, or where
bubblewrap refuses to work, nothing of a base image runs.

https://github.com/containers/bubblewrap
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.bytecode import Streams

_NOBODY = 65534
_LIMITS = {
    "as": 290 << 20,  # bytes of memory; a module of 1 MB takes 130 MB
    "cpu": 600,  # seconds
    "fsize": 256 << 20,  # bytes of output; 200 modules give about 10 MB
    "nofile": 64,
    "core": 0,
}
_OPTIONS = (
    "--unshare-all", "--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY),
    "--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv", "--chdir", "/",
)  # fmt: skip

# System calls that fail in the sandbox, by the machine and its AUDIT_ARCH: those that start
# processes, make namespaces, open sockets, read keys, take memory beyond the limit (memfd, shared
# memory, messages), or have had many holes. The numbers are in
# https://github.com/torvalds/linux/blob/master/arch/x86/entry/syscalls/syscall_64.tbl and
# https://github.com/torvalds/linux/blob/master/include/uapi/asm-generic/unistd.h
_REFUSED_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "clone": 56, "fork": 57, "vfork": 58, "clone3": 435, "unshare": 272, "setns": 308,
            "socket": 41, "socketpair": 53, "ptrace": 101, "add_key": 248, "request_key": 249,
            "keyctl": 250, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
            "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "semget": 64, "msgget": 68,
            "mq_open": 240, "perf_event_open": 298, "mount": 165, "fsopen": 430, "open_tree": 428,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "clone": 220, "clone3": 435, "unshare": 97, "setns": 268, "socket": 198,
            "socketpair": 199, "ptrace": 117, "add_key": 217, "request_key": 218, "keyctl": 219,
            "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
            "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "semget": 190, "msgget": 186,
            "mq_open": 180, "perf_event_open": 241, "mount": 40, "fsopen": 430, "open_tree": 428,
        },
    ),
}  # fmt: skip
_X32_CALLS = 0x40000000  # a second table of x86-64


class SandboxError(Exception):
    """The reason why programs of a base image cannot run here, in one line."""


@dataclass(frozen=True)
class Sandbox:
    """The commands that make the sandbox."""

    prlimit: str
    bwrap: str

    def start(
        self, root: Path, command: Sequence[str], environment: Mapping[str, str], streams: Streams
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` with ``root`` as its read-only root directory.

        Every user must be able to read ``root``: started by root, the sandbox runs as nobody.
        Kill the process to end everything in the sandbox at once.
        """
        is_root = os.geteuid() == 0
        with system_call_filter() as rules:
            return subprocess.Popen(
                [
                    *limits(self.prlimit),
                    *(self.bwrap, *_OPTIONS, "--seccomp", str(rules.fileno())),
                    *("--ro-bind", str(root), "/"),
                    *(word for item in environment.items() for word in ("--setenv", *item)),
                    *("--", *command),
                ],
                stdin=streams.input,
                stdout=streams.output,
                stderr=streams.errors,
                env={},
                cwd="/",
                pass_fds=[rules.fileno()],
                user=_NOBODY if is_root else None,
                group=_NOBODY if is_root else None,
                extra_groups=() if is_root else None,
            )


def limits(prlimit: str | None = None) -> list[str]:
    """Return the words that limit the command after them; none where they cannot.

    Every compiler gets them: what it compiles may be hostile, too.
    """
    prlimit = prlimit or shutil.which("prlimit")
    if prlimit is None:
        return []
    return [prlimit, *(f"--{name}={value}" for name, value in _LIMITS.items())]


def find_sandbox() -> Sandbox:
    """Return the commands of the sandbox; the first program in it shows that they work.

    :raises SandboxError: if a command is missing.
    """
    if sys.platform != "linux" or platform.machine() not in _REFUSED_CALLS:
        raise SandboxError(f"there is no sandbox for {sys.platform} on {platform.machine()}")
    prlimit, bwrap = map(shutil.which, ("prlimit", "bwrap"))
    if prlimit is None or bwrap is None:
        missing = "prlimit" if prlimit is None else "bwrap"
        raise SandboxError(f"the command {missing} is not installed")
    return Sandbox(prlimit, bwrap)


def system_call_filter(*, allowed: frozenset[str] = frozenset()) -> IO[bytes]:
    """Return an open file with the filter: a program for the kernel's classic BPF.

    The filter does not refuse the calls that are ``allowed``.

    https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
    """
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    kill, allow, refuse = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
    machine, calls = _REFUSED_CALLS[platform.machine()]
    numbers = sorted(number for name, number in calls.items() if name not in allowed)
    rules = [
        (load, 0, 0, 4),  # the machine
        (equal, 1, 0, machine),
        (end, 0, 0, kill),
        (load, 0, 0, 0),  # the number of the call
        (at_least, len(numbers) + 1, 0, _X32_CALLS),
        # A jump counts the rules to skip: all that follow up to `refuse`, the last.
        *((equal, len(numbers) - place, 0, number) for place, number in enumerate(numbers)),
        (end, 0, 0, allow),
        (end, 0, 0, refuse),
    ]
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    file.write(b"".join(struct.pack("<HBBI", *rule) for rule in rules))
    file.seek(0)
    return file
