"""Object stores on this machine: moto's server, gcp-storage-emulator and Azurite.

Each runs in a process of its own, which ends with the tests. Azurite comes from npm.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.registry import installed
from support.shared import made_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ObjectStore", "azure_store", "gcs_store", "object_store", "s3_store"]

_SECONDS = 120
_TRIES_PER_SECOND = 20
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(?P<port>[0-9]+)")
_GCS = """\
import time
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True)
server.start()
print(f"http://127.0.0.1:{server._api._httpd.socket.getsockname()[1]}", flush=True)
time.sleep(1 << 20)
"""
# The account and the key of every emulator: they are public.
_AZURE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlm"
    "EtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint={address}/devstoreaccount1;"
)


@dataclass
class ObjectStore:
    """A store that runs."""

    scheme: str
    address: str
    environment: Mapping[str, str]
    """The variables by which its library finds the store and the credentials."""
    buckets: list[str] = field(default_factory=list)

    def new_bucket(self) -> str:
        """Create a bucket; return the URL of a DAGs folder in it."""
        name = f"bucket{len(self.buckets)}"
        self.buckets.append(name)
        script = f"import fsspec; fsspec.filesystem({self.scheme!r}).mkdir({name!r})"
        environment = {**os.environ, **self.environment, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "0"}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        return f"{self.scheme}://{name}/dags"


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Amazon S3, by moto."""
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
    with _started(command, tmp_path_factory.mktemp("s3")) as address:
        yield ObjectStore("s3", address, s3_environment(address))


def s3_environment(address: str) -> dict[str, str]:
    """Return the variables for an S3 server at that address."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def gcs_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Google Cloud Storage, by gcp-storage-emulator."""
    command = [sys.executable, "-c", _GCS]
    with _started(command, tmp_path_factory.mktemp("gcs")) as address:
        yield ObjectStore("gs", address, {"STORAGE_EMULATOR_HOST": address})


@pytest.fixture(scope="session")
def azure_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Azure Blob Storage, by Azurite."""
    home = made_once(tmp_path_factory, "azurite", _install_azurite)
    command = ["node", str(home / "node_modules/azurite/dist/src/blob/main.js")]
    command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--blobPort", "0"]
    with _started(command, tmp_path_factory.mktemp("azure")) as address:
        connection = _AZURE.format(address=address)
        yield ObjectStore("az", address, {"AZURE_STORAGE_CONNECTION_STRING": connection})


@pytest.fixture(params=["s3_store", "gcs_store", "azure_store"])
def object_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Each of the stores. This process finds it, and its credentials."""
    store: ObjectStore = request.getfixturevalue(request.param)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


def _install_azurite(home: Path) -> None:
    npm = installed("npm", package="npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "azurite"]
    subprocess.run(command, cwd=home, check=True, timeout=600)


@contextlib.contextmanager
def _started(command: Sequence[str], home: Path) -> Iterator[str]:
    """Yield the address that a server prints."""
    if setpriv := shutil.which("setpriv"):
        # Should this process be killed, the kernel stops the server.
        command = [setpriv, "--pdeathsig", "TERM", *command]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield _address(process, home / "log")
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(_SECONDS * _TRIES_PER_SECOND):
        if listening := _ADDRESS.search(log.read_text("utf-8")):
            return listening[0]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1 / _TRIES_PER_SECOND)
            break
    raise AssertionError(f"the server did not start: {log.read_text('utf-8')}")
