"""A real registry for tests: Debian's ``docker-registry``, on loopback, stopped after them.

Where it cannot be had the tests are skipped with the reason; with ``BIGFLOW_REQUIRE_ENGINE=1``
they fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import bcrypt
import pytest

from support.debian import DebianError, install

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Registry", "installed", "registry", "registry_with_password", "started_registry"]

_PROGRAM = "docker-registry"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(?P<port>\d+)")
_START_SECONDS = 120


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    address: str
    """``localhost:<port>``, as names of images have it."""
    storage: Path
    username: str = ""
    password: str = ""

    def blob_path(self, digest: str) -> Path:
        """Return the file with the content of a blob."""
        value = digest.removeprefix("sha256:")
        return self.storage / f"docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that everybody may read and write."""
    with started_registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture(scope="session")
def registry_with_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a name and a password (basic authentication)."""
    home = tmp_path_factory.mktemp("registry")
    username, password = "ada", "correct-horse-battery"
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    (home / "htpasswd").write_text(f"{username}:{hashed}\n", "utf-8")
    auth = {"htpasswd": {"realm": "tests", "path": str(home / "htpasswd")}}
    with started_registry(home, auth=auth) as started:
        yield Registry(started.address, started.storage, username, password)


@contextlib.contextmanager
def started_registry(
    home: Path,
    *,
    auth: Mapping[str, Any] | None = None,
    tls: Mapping[str, Any] | None = None,
) -> Iterator[Registry]:
    """A registry with its files below ``home``; ``auth`` and ``tls`` are of its configuration.

    https://distribution.github.io/distribution/about/configuration/
    """
    program = installed(_PROGRAM, package="docker-registry")
    storage = home / "storage"
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        # The kernel chooses a free port; the log names it.
        "http": {"addr": "127.0.0.1:0", "secret": "of the tests", **({"tls": tls} if tls else {})},
        **({"auth": auth} if auth else {}),
    }
    # YAML takes JSON as it is.
    (home / "config.yml").write_text(json.dumps(configuration), "utf-8")
    command = [program, "serve", str(home / "config.yml")]
    if setpriv := shutil.which("setpriv"):
        # Should this process be killed, the kernel stops the registry.
        command = [setpriv, "--pdeathsig", "TERM", *command]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Registry(f"localhost:{_port(process, home / 'log')}", storage)
    finally:
        process.terminate()
        process.wait()


def installed(program: str, *, package: str) -> str:
    """The path of a program, installed from Debian's package where it is missing."""
    if shutil.which(program) is None:
        try:
            install(package)
        except DebianError as error:
            _unavailable(f"no {program}: {error}")
    return shutil.which(program) or _unavailable(f"the package {package} brought no {program}")


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    tries_per_second = 20
    for _ in range(_START_SECONDS * tries_per_second):
        if listening := _LISTENING.search(log.read_text("utf-8")):
            return int(listening["port"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1 / tries_per_second)
            break
    raise AssertionError(f"{_PROGRAM} did not start: {log.read_text('utf-8')}")


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("BIGFLOW_REQUIRE_ENGINE") == "1":
        pytest.fail(f"BIGFLOW_REQUIRE_ENGINE=1, but {reason}")
    pytest.skip(reason)
