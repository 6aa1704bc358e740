"""Requests of the bundle to registries: credentials, TLS, redirects, and ends of waits."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bigflow_airflow import registry as client
from bigflow_airflow.credentials import Credentials, DockerConfiguration
from bigflow_airflow.errors import RegistryError
from bigflow_airflow.registry import Repository, split_name
from bigflow_backend.image.registry import Registries, push_image
from support.faulty_registry import Failure, faulty
from support.images import make_image
from support.registry import started_registry
from support.token_server import token_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore
    from support.registry import Registry

ADA = Credentials("ada", "s3cret-of-the-test")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration, with nothing in it so far."""
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def repository(name: str, credentials: Credentials | None = None, **options: Any) -> Repository:
    docker = DockerConfiguration()
    return Repository(
        name,
        credentials=lambda: credentials or docker.credentials(name.partition("/")[0]),
        known_hosts=lambda: docker.hosts,
        **options,
    )


def logged_in(registry: str, user: str, password: str) -> dict[str, Any]:
    return {registry: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}}


def test_a_password_of_dockers_configuration(
    registry_with_password: Registry, store: BlobStore, config: Path
) -> None:
    place = registry_with_password
    name = f"{place.address}/team/rides"
    with pytest.raises(RegistryError, match="requires credentials"):
        repository(name).digest("dags")
    config.write_text(json.dumps({"auths": logged_in(place.address, "ada", place.password)}))
    image = make_image(store, b"layer")
    with Registries() as registries:
        push_image(image, f"{name}:dags", store=store, registries=registries)
    assert repository(name).digest("dags") == image.digest
    with pytest.raises(RegistryError, match=r"answered 404 to HEAD .*: it is not there"):
        repository(name).digest("other")
    with pytest.raises(RegistryError, match="answered 401") as refused:
        repository(name, ADA).digest("dags")
    assert ADA.password not in str(refused.value)


def test_a_credential_helper(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread server\necho "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"x\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config.write_text(json.dumps({"credHelpers": {"registry.example.com": "test"}}))
    docker = DockerConfiguration()
    assert docker.credentials("registry.example.com") == Credentials("registry.example.com", "x")
    assert docker.credentials("other.example.com") is None
    for name in ("absent", "../test", 1):
        config.write_text(json.dumps({"credsStore": name}))
        with pytest.raises(RegistryError, match="credential"):
            DockerConfiguration().credentials("registry.example.com")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": []}', '{"auths": {"r.example.com": 1}}', "[" * 100_000]
)
def test_a_strange_configuration(config: Path, text: str) -> None:
    config.write_text(text)
    with contextlib.suppress(RegistryError):
        assert DockerConfiguration().credentials("r.example.com") is None


@pytest.fixture
def private(tmp_path: Path, store: BlobStore, config: Path) -> Iterator[tuple[str, str, Any]]:
    """A repository that only Ada can read, the digest of its tag, and its token server."""
    with token_server(tmp_path) as tokens:
        tokens.passwords[ADA.user] = ADA.password
        with started_registry(tmp_path, auth=tokens.auth) as registry, Registries() as registries:
            known: dict[str, Any] = {tokens.url.split("/")[2]: {}}
            auths = logged_in(registry.address, ADA.user, ADA.password) | known
            config.write_text(json.dumps({"auths": auths}))
            name = f"{registry.address}/team/rides"
            image = make_image(store, b"layer")
            push_image(image, f"{name}:dags", store=store, registries=registries)
            yield name, image.digest, tokens


def test_a_token_server(private: tuple[str, str, Any], config: Path) -> None:
    name, digest, tokens = private
    tokens.scopes.clear()
    assert repository(name).digest("dags") == digest
    assert tokens.scopes == ["repository:team/rides:pull"]
    config.write_text("{}")
    issued = len(tokens.issued)
    with pytest.raises(RegistryError, match=r"which Docker's config\.json does not name"):
        repository(name, ADA).digest("dags")
    assert len(tokens.issued) == issued
    with pytest.raises(RegistryError, match="answered 401"):
        repository(name).digest("dags")


def test_redirects_do_not_give_credentials_to_another_server(
    private: tuple[str, str, Any], registry: Registry
) -> None:
    name, digest, tokens = private
    address, _, path = name.partition("/")
    with faulty(address) as here, faulty(registry.address) as there:
        moved = {"Location": f"http://{there.address}/v2/{path}/manifests/dags"}
        here.failures.append(Failure("HEAD", "dags", status=307, headers=moved, after=1))
        reader = Repository(
            f"{here.address}/{path}",
            credentials=lambda: ADA,
            known_hosts=lambda: {tokens.url.split("/")[2]},
        )
        there.failures.append(
            Failure("HEAD", "dags", status=200, headers={"Docker-Content-Digest": digest})
        )
        assert reader.digest("dags") == digest
        assert [("Authorization" in r.headers) for r in here.requests] == [False, True]
        assert [("Authorization" in r.headers) for r in there.requests] == [False]


@pytest.mark.parametrize(
    ("registry", "server", "may"),
    [
        ("registry.example.com", "registry.example.com", True),
        ("registry.example.com", "auth.example.com", True),
        ("registry.example.com", "example.com", True),
        ("registry.example.com:5000", "registry.example.com", True),
        ("docker.io", "auth.docker.io", True),
        ("registry.example.com", "example.com.evil.net", False),
        ("registry.example.com", "evilexample.com", False),
        ("shop.co.uk", "evil.co.uk", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("localhost:5000", "localhost:5001", False),
    ],
)
def test_servers_that_may_have_the_password(registry: str, server: str, may: bool) -> None:
    assert repository(f"{registry}/team/rides", ADA)._may_receive(server) is may


@pytest.mark.parametrize(
    "url", ["http://x.example.com/", "file:///etc/passwd", "//[", "", "https:"]
)
def test_urls_without_tls(url: str) -> None:
    with pytest.raises(RegistryError, match="without TLS"):
        repository("registry.example.com/team/rides")._check_url(url)


def test_tls(tmp_path: Path, store: BlobStore) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    tls = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}
    ca_file = str(tmp_path / "authority.pem")
    with started_registry(tmp_path, tls=tls) as registry:
        name = f"{registry.address}/team/rides"
        with pytest.raises(RegistryError, match="404"):
            repository(name, plain_http=False, ca_file=ca_file).digest("dags")
        with pytest.raises(RegistryError, match="the certificate of localhost is not valid"):
            repository(name, plain_http=False).digest("dags")


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["nothing", "headers", "body"],
)
def test_a_server_that_sends_one_byte_at_a_time(start: bytes) -> None:
    """Without a deadline for the whole request, this test would not end."""
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(start)
                    while not ended.wait(0.01):
                        connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        name = f"localhost:{server.getsockname()[1]}/team/rides"
        try:
            with pytest.raises(RegistryError):
                repository(name, timeout=0.5).manifest("sha256:" + "0" * 64)
        finally:
            ended.set()


def test_a_registry_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RegistryError, match="localhost cannot be reached: Connection refused"):
        repository(f"localhost:{port}/team/rides").digest("dags")


@pytest.mark.parametrize(
    "name",
    ["", "rides", "team", "r.example.com/rides:1", "r.example.com/../x", "a@b/c", "http://r/x"],
)
def test_names_that_are_not_valid(name: str) -> None:
    with pytest.raises(ValueError, match="the image must be like"):
        split_name(name)
