"""One deployment of a project at a time.

Whoever deploys writes a file of its own, and then lists all of them. Of two at once, at least one
sees the other and withdraws. This needs no condition on a write, which not every store has. It
needs a list of all finished writes: a directory, Amazon S3, Google Cloud Storage and Azure have it.
The lock of a killed process ends with it on the same machine, elsewhere at its expiry.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.deployment.folder import STATE
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import KIB

if TYPE_CHECKING:
    from bigflow_backend.deployment.folder import Folder

MINUTES = 10
"""The expiry of a lock. A deployment of a hundred files takes seconds."""
_LIMIT = 16 * KIB
_FILE = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{12}\.json")
_POLL_SECONDS = 0.2
_TIE_SECONDS = 3.0
"""Two that begin at once see each other. The later one withdraws in this time."""


class _Document(TypedDict):
    owner: str
    since: str
    until: str
    machine: str
    process: str


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A deployment that is under way."""

    owner: str
    since: str
    """UTC."""
    until: str
    """UTC. After this time nobody respects the lock."""
    machine: str
    """The host, and the processes that it can see."""
    process: str
    """The number and the start of the process."""


class Lock:
    """A lock that this process holds."""

    def __init__(self, folder: Folder, expires: float) -> None:
        self._folder = folder
        self._expires = expires

    def check(self) -> None:
        """Check that the lock has not expired, as after a suspended machine.

        :raises UserError: if it has: another deployment may be under way.
        """
        if time.time() > self._expires:
            raise UserError(
                f"this deployment took more than {MINUTES} minutes in {self._folder.url}",
                hint="deploy again: it finishes what this one has begun",
            )


@contextlib.contextmanager
def locked(folder: Folder, package: str, *, wait: float) -> Iterator[Lock]:
    """Hold the project's lock in the block. Another deployment is waited for, ``wait`` seconds.

    :raises UserError: if another deployment holds it.
    """
    directory = f"{STATE}/{package}/locks"
    give_up = time.monotonic() + wait
    while True:
        now = datetime.now(timezone.utc)
        name = f"{now:%Y%m%dT%H%M%S%f}Z-{os.urandom(6).hex()}.json"
        expires = now + timedelta(minutes=MINUTES)
        holder = Holder(
            owner=owner(),
            since=f"{now:%Y-%m-%d %H:%M:%S}",
            until=f"{expires:%Y-%m-%d %H:%M:%S}",
            machine=_machine(),
            process=_process(os.getpid()),
        )
        try:
            folder.write(f"{directory}/{name}", json.dumps(asdict(holder)).encode())
            other = _other(folder, directory, name)
            if other is None:
                yield Lock(folder, expires.timestamp())
                return
        finally:
            with contextlib.suppress(UserError):  # it ends with this process, or at its expiry
                folder.remove(f"{directory}/{name}")
        if time.monotonic() >= give_up:
            raise _taken(folder, other)
        time.sleep(min(1.0, max(0.05, give_up - time.monotonic())))


def holder(folder: Folder, package: str) -> Holder | None:
    """Return the deployment that is under way, if there is one."""
    directory = f"{STATE}/{package}/locks"
    return next(iter(_holders(folder, directory, remove=False).values()), None)


def owner() -> str:
    """Return ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container with an arbitrary user id
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _other(folder: Folder, directory: str, own: str) -> Holder | None:
    """Return another holder. Of two that begin at once, the first waits for the other one to go."""
    give_up = time.monotonic() + _TIE_SECONDS
    while True:
        found = _holders(folder, directory, remove=True)
        others = {name: holder for name, holder in found.items() if name != own}
        if not others:
            return None
        if min(others) < own or time.monotonic() > give_up:
            return others[min(others)]
        time.sleep(_POLL_SECONDS)


def _holders(folder: Folder, directory: str, *, remove: bool) -> dict[str, Holder]:
    """Return the holders that live, by the names of their files. Those of dead ones may go."""
    found = {}
    for name in folder.names(directory):
        if not _FILE.fullmatch(name):
            continue
        content = folder.read(f"{directory}/{name}", _LIMIT)
        if content is None:  # it has ended just now
            continue
        try:
            document = read_json(content, _Document)
            one = Holder(
                owner=document["owner"],
                since=document["since"],
                until=document["until"],
                machine=document["machine"],
                process=document["process"],
            )
            lives = _lives(one)
        except (DocumentError, ValueError) as error:
            raise UserError(
                f"{folder.url}/{directory}/{name} is not a lock: {quoted(str(error))}",
                hint="if no deployment is under way, remove that file",
            ) from error
        if lives:
            found[name] = one
        elif remove:
            folder.remove(f"{directory}/{name}")
    return found


def _lives(one: Holder) -> bool:
    until = datetime.fromisoformat(one.until).replace(tzinfo=timezone.utc)
    if until < datetime.now(timezone.utc):
        return False
    if one.machine != _machine():
        return True
    number = one.process.partition(" ")[0]
    return number.isdigit() and _process(int(number)) == one.process


def _taken(folder: Folder, one: Holder) -> UserError:
    return UserError(
        f"{quoted(one.owner)} is deploying to {folder.url} since {quoted(one.since)} UTC",
        hint=f"wait for it: --wait 600; if it was killed, its lock ends at {quoted(one.until)} UTC",
    )


def _machine() -> str:
    """Return the host and its namespace of processes: a container has its own numbers."""
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _process(number: int) -> str:
    """Return the number of a process and its start; an empty text if it does not run."""
    try:
        # The name of the program is in parentheses, and may have spaces. Field 22 is the start.
        fields = (
            Path(f"/proc/{number}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        )
        return "" if fields[0] == "Z" else f"{number} {fields[19]}"
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return str(number)
