"""Runs a program of an image, and lets it see nothing but the directory that it is given.

A script of its own, run by the interpreter of this machine, as a process with threads cannot do
this safely: ``python jail.py ROOT PROGRAM ARGUMENT...``. The program runs in ROOT as its root
directory, as nobody, and without a network: as root by ``chroot``, else in a user namespace. Where
it cannot be run so, it is not run at all, and the exit status is 77.

https://man7.org/linux/man-pages/man7/user_namespaces.7.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

NOT_ALLOWED = 77
_NOBODY = 65534
# https://github.com/torvalds/linux/blob/master/include/uapi/linux/sched.h
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000


def main(root: str, program: str, *arguments: str) -> int:
    try:
        _enter(root)
    except OSError as error:
        print(f"the image's Python cannot be shut in: {error}", file=sys.stderr)
        return NOT_ALLOWED
    # A process is in the new namespace of processes from its birth, not before.
    child = os.fork()
    if child == 0:
        try:
            os.execve(program, [program, *arguments], dict(os.environ))  # noqa: S606  (no shell)
        except OSError as error:
            os.write(2, f"{program}: {error.strerror}\n".encode())
            os._exit(NOT_ALLOWED)
    _child, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


def _enter(root: str) -> None:
    user, group = os.getuid(), os.getgid()
    if user == 0:
        # The root of a container may not do this; it is shut in already.
        with contextlib.suppress(OSError):
            _unshare(_CLONE_NEWPID | _CLONE_NEWNET)
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
        return
    _unshare(_CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET)
    # All rights within the namespace end with `exec`, as nobody is not its root.
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1", "ascii")
    os.chroot(root)
    os.chdir("/")


def _unshare(flags: int) -> None:
    # os.unshare() is there from Python 3.12 on.
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
