"""Registries that want to know who we are: by a password, or by a token of another server."""

from __future__ import annotations

import base64
import json
import logging
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.registry.auth import may_receive
from bigflow_backend.image.registry.credentials import Credentials
from bigflow_backend.image.registry.retry import Access
from bigflow_backend.image.store.blobs import open_store
from support.faulty_registry import Failure, faulty
from support.images import make_image
from support.registry import started_registry
from support.token_server import token_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from support.registry import Registry
    from support.token_server import TokenServer

_PASSWORD = "s3cret-of-the-test"
_IDENTITY = "identity-token-of-the-test"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration, with nothing in it so far."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}", "utf-8")
    return tmp_path / "config.json"


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    with token_server(tmp_path) as server:
        server.passwords["ada"] = _PASSWORD
        server.identity_tokens.add(_IDENTITY)
        yield server


@pytest.fixture
def token_registry(tmp_path: Path, config: Path, tokens: TokenServer) -> Iterator[Registry]:
    """A registry that takes the tokens of that server, which the configuration names."""
    _write_auths(config, {urlsplit(tokens.url).netloc: {}})
    home = tmp_path / "registry"
    home.mkdir()
    with started_registry(home, auth=tokens.auth) as started:
        yield started


def test_a_password(registry_with_password: Registry, config: Path, store: BlobStore) -> None:
    given = registry_with_password
    _login(config, given.address, given.username, given.password)
    _push_and_pull(f"{given.address}/team/basic:1", store)


def test_no_password(registry_with_password: Registry, config: Path, store: BlobStore) -> None:
    address = registry_with_password.address
    error = _failure(f"{address}/team/basic:1", store)
    assert error.message.startswith(f"the registry {address} requires credentials: it answered ")
    assert "401 (Unauthorized)" in error.message
    assert error.hint == f"log in: docker login {address}"


def test_a_wrong_password(registry_with_password: Registry, config: Path, store: BlobStore) -> None:
    address = registry_with_password.address
    _login(config, address, "ada", _PASSWORD)
    error = _failure(f"{address}/team/basic:1", store)
    assert f"refuses the credentials from the entry {address!r} of {config}" in error.message
    assert _PASSWORD not in str(error)


def test_a_password_for_a_token(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    _login(config, token_registry.address, "ada", _PASSWORD)
    _push_and_pull(f"{token_registry.address}/team/token:1", store)
    # One token to push, one to pull, each for all the requests.
    assert tokens.scopes == ["repository:team/token:pull,push", "repository:team/token:pull"]


def test_an_identity_token(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    entry = {
        "auth": _encoded("00000000-0000-0000-0000-000000000000", ""),
        "identitytoken": _IDENTITY,
    }
    _write_auths(config, {token_registry.address: entry})
    _push_and_pull(f"{token_registry.address}/team/identity:1", store)


def test_a_registry_token(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    _login(config, token_registry.address, "ada", _PASSWORD)
    name = f"{token_registry.address}/team/registrytoken:1"
    _push_and_pull(name, store)
    entry = {"registrytoken": tokens.issued[-1]}
    _write_auths(config, {token_registry.address: entry})
    asked = len(tokens.scopes)
    with Registries() as registries:
        _read(name, store, registries)
    assert len(tokens.scopes) == asked


def test_everybody_may_pull_what_is_public(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    _login(config, token_registry.address, "ada", _PASSWORD)
    name = f"{token_registry.address}/public/base:1"
    _push_and_pull(name, store)
    config.write_text("{}", "utf-8")
    with Registries() as registries:
        _read(name, store, registries)
    error = _failure(f"{token_registry.address}/team/private:1", store)
    assert "requires credentials: it answered" in error.message


def test_layers_are_mounted_with_a_token_for_both_repositories(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore, tmp_path: Path
) -> None:
    _login(config, token_registry.address, "ada", _PASSWORD)
    name = f"{token_registry.address}/public/base:1"
    _push_and_pull(name, store)
    with open_store(tmp_path / "elsewhere") as other, Registries() as registries:
        base = _read(name, other, registries)
        image = make_image(store, b"hello")
        for blob in json.loads(store.read(image.digest))["layers"]:
            assert not other.has(blob["digest"])
        push_image(
            image,
            f"{token_registry.address}/team/mounted:1",
            store=store,
            registries=registries,
            bases=[base],
        )
    assert tokens.scopes[-2:] == [
        "repository:team/mounted:pull,push",
        "repository:public/base:pull",
    ]


def test_a_push_does_not_need_the_repository_that_has_the_layers(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    """Another user of this machine's account may push to production only."""
    _login(config, token_registry.address, "ada", _PASSWORD)
    image = make_image(store, b"for both")
    for name, asked in (("dev/both", []), ("prod/both", ["repository:dev/both:pull"])):
        tokens.scopes.clear()
        tokens.closed = {"dev/both"} - {name}
        with Registries() as registries:
            target = f"{token_registry.address}/{name}:1"
            assert push_image(image, target, store=store, registries=registries).sent > image.size
        # Blobs that are pushed at once ask at once.
        assert sorted({s for s in tokens.scopes if name not in s}) == asked


def test_a_token_that_is_over_is_renewed(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    _login(config, token_registry.address, "ada", _PASSWORD)
    image = make_image(store, b"renewed")
    with faulty(token_registry.address) as proxy, Registries() as registries:
        _login(config, proxy.address, "ada", _PASSWORD)
        challenge = f'Bearer realm="{tokens.url}",service="registry of the tests"'
        for method, path in (("PUT", "/uploads/"), ("PUT", "/manifests/")):
            headers = {"WWW-Authenticate": challenge}
            proxy.failures.append(Failure(method, path, status=401, headers=headers))
        name = f"{proxy.address}/team/renewed:1"
        assert push_image(image, name, store=store, registries=registries).sent
    assert len(tokens.issued) == 3


def test_a_server_of_tokens_that_refuses(
    token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    _login(config, token_registry.address, "ada", "wr0ng")
    error = _failure(f"{token_registry.address}/team/token:1", store)
    assert "the token server of the registry" in error.message
    assert "answered 401 (Unauthorized)" in error.message
    # This one sends the header back that it was sent.
    assert _encoded("ada", "wr0ng") not in str(error)
    assert error.hint == f"log in again: docker login {token_registry.address}"


@pytest.mark.parametrize("status", [429, 500])
def test_a_server_of_tokens_that_fails(
    status: int, token_registry: Registry, tokens: TokenServer, config: Path, store: BlobStore
) -> None:
    tokens.fail_with = status
    error = _failure(f"{token_registry.address}/team/token:1", store)
    assert f"answered {status} (" in error.message
    assert "5 times" in error.message


def test_a_server_of_tokens_that_is_gone(
    token_registry: Registry, config: Path, store: BlobStore
) -> None:
    with faulty(token_registry.address) as proxy:
        headers = {"WWW-Authenticate": 'Bearer realm="http://localhost:1/token",service="x"'}
        proxy.failures.append(Failure("GET", "/manifests/", status=401, headers=headers))
        error = _failure(f"{proxy.address}/team/token:1", store)
    assert error.message == (
        f"no server answers at localhost:1, to which the registry {proxy.address} redirects: "
        "Connection refused"
    )


@pytest.mark.parametrize("realm", ["http://localhost:99999/token", "http://[::1/token"])
def test_a_server_of_tokens_at_no_address(
    realm: str, registry: Registry, config: Path, store: BlobStore
) -> None:
    with faulty(registry.address) as proxy:
        headers = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
        proxy.failures.append(Failure("GET", "/manifests/", status=401, headers=headers))
        error = _failure(f"{proxy.address}/team/token:1", store)
    assert error.message == f"the registry {proxy.address} redirects to an invalid URL"


def test_credentials_do_not_leave_without_tls(
    registry: Registry, config: Path, store: BlobStore
) -> None:
    with faulty(registry.address) as proxy:
        _login(config, proxy.address, "ada", _PASSWORD)
        realm = "ftp://tokens.example.com/token"
        headers = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
        proxy.failures.append(Failure("GET", "/manifests/", status=401, headers=headers))
        error = _failure(f"{proxy.address}/team/token:1", store)
    assert "names the token server 'ftp://tokens.example.com', which has no TLS" in error.message


@pytest.mark.parametrize("known", [True, False])
def test_a_third_party_gets_no_password(
    *, known: bool, registry: Registry, config: Path, store: BlobStore
) -> None:
    with faulty(registry.address) as proxy, faulty(registry.address) as other:
        _login(config, proxy.address, "ada", _PASSWORD)
        if known:
            _write_auths(config, {other.address: {}})
        headers = {"WWW-Authenticate": f'Bearer realm="http://{other.address}/token",service="x"'}
        proxy.failures.append(Failure("GET", "/manifests/", status=401, headers=headers))
        error = _failure(f"{proxy.address}/team/token:1", store)
        assert bool(other.requests) is known
    expected = f"{other.address} sent no token" if known else f"the token server {other.address}"
    assert expected in error.message or "404" in error.message


@pytest.mark.parametrize(
    ("registry_name", "server", "expected"),
    [
        ("docker.io", "auth.docker.io", True),
        ("docker.io", "auth.example.com", False),
        ("registry.gitlab.com", "gitlab.com", True),
        ("ghcr.io", "ghcr.io", True),
        ("registry.example.com", "gitlab.example.com", True),
        ("registry.example.com:5050", "registry.example.com", True),
        ("registry.example.com", "example.com:8443", True),
        ("registry.example.com", "example.org", False),
        ("registry.example.com", "registry.example.com.evil.org", False),
        ("registry.example.com", "evilexample.com", False),
        ("example.com", "auth.example.com", True),
        ("example.com", "other.com", False),
        ("example.co.uk", "other.co.uk", False),
        ("registry.example.co.uk", "auth.example.co.uk", True),
        ("10.0.0.5:5000", "10.0.0.6:5000", False),
        ("10.0.0.5:5000", "10.0.0.5", True),
        ("registry", "auth", False),
        ("localhost:5000", "localhost:5001", False),
        ("localhost:5000", "localhost:5000", True),
        ("registry.example.com", "localhost", False),
    ],
)
def test_who_may_receive_a_password(registry_name: str, server: str, expected: bool) -> None:
    assert may_receive(server, registry_name, Credentials(source="here")) is expected
    named = Credentials(source="here", known_hosts=frozenset({server}))
    assert may_receive(server, registry_name, named)


def test_credentials_do_not_follow_a_redirection(
    registry: Registry, registry_with_password: Registry, config: Path, store: BlobStore
) -> None:
    given = registry_with_password
    _login(config, given.address, given.username, given.password)
    name = f"{given.address}/team/redirected:1"
    _push_and_pull(name, store)
    layer = json.loads(store.read(make_image(store, b"hello").digest))["layers"][0]["digest"]
    with faulty(given.address) as proxy, faulty(registry.address) as elsewhere:
        _login(config, proxy.address, given.username, given.password)
        store.path(layer).unlink()
        there = {"Location": f"http://{elsewhere.address}/v2/x/blobs/{layer}?signature=1"}
        proxy.failures += [
            Failure("GET", "/manifests/", without="nothing"),
            Failure("GET", "/blobs/", status=307, headers=there),
        ]
        with Registries() as registries:
            base = _read(f"{proxy.address}/team/redirected:1", store, registries)
            with pytest.raises(UserError, match="404") as caught:
                fetch_layers(base, store=store, registries=registries)
        assert "signature" not in str(caught.value)
        (followed,) = elsewhere.requests
        assert "Authorization" not in followed.headers


def test_the_netrc_is_not_read(
    registry_with_password: Registry,
    config: Path,
    store: BlobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = registry_with_password
    netrc = tmp_path / "netrc"
    netrc.write_text(
        f"machine localhost login {given.username} password {given.password}\n", "utf-8"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert "requires credentials" in _failure(f"{given.address}/team/basic:1", store).message


def test_a_helper(
    registry_with_password: Registry,
    config: Path,
    store: BlobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = registry_with_password
    answer = {
        "ServerURL": given.address,
        "Username": given.username,
        "Secret": given.password,
    }
    helper = tmp_path / "bin/docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text(
        f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {given.address}' ] || exit 1\n"
        f"echo '{json.dumps(answer)}'\n",
        "utf-8",
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    config.write_text(json.dumps({"credHelpers": {given.address: "tests"}}), "utf-8")
    _push_and_pull(f"{given.address}/team/helper:1", store)


def test_no_secret_is_logged(
    token_registry: Registry,
    tokens: TokenServer,
    config: Path,
    store: BlobStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    _login(config, token_registry.address, "ada", _PASSWORD)
    _push_and_pull(f"{token_registry.address}/team/logged:1", store)
    assert "/v2/team/logged/" in caplog.text
    secrets = [_PASSWORD, _encoded("ada", _PASSWORD), *tokens.issued]
    assert [secret for secret in secrets if secret in caplog.text] == []
    kept = b"".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret.encode() in kept] == []


def _push_and_pull(name: str, store: BlobStore) -> None:
    image = make_image(store, b"hello")
    with Registries() as registries:
        push_image(image, name, store=store, registries=registries)
    with Registries() as registries, open_store(store.root.with_name("pulled")) as pulled:
        base = _read(name, pulled, registries)
        fetch_layers(base, store=pulled, registries=registries)
        assert base.digest == image.digest
        pulled.clear()


def _read(name: str, store: BlobStore, registries: Registries) -> BaseImage:
    return read_base(
        name, architecture="amd64", root=store.root, store=store, registries=registries
    )


def _failure(name: str, store: BlobStore) -> UserError:
    with (
        Registries(Access(pause=lambda _seconds: None)) as registries,
        pytest.raises(UserError) as caught,
    ):
        _read(name, store, registries)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def _login(config: Path, address: str, username: str, password: str) -> None:
    """The entry that `docker login` writes without a helper."""
    _write_auths(config, {address: {"auth": _encoded(username, password)}})


def _write_auths(config: Path, auths: dict[str, Any]) -> None:
    """Add entries to the configuration."""
    document: dict[str, Any] = json.loads(config.read_text("utf-8"))
    document.setdefault("auths", {}).update(auths)
    config.write_text(json.dumps(document), "utf-8")


def _encoded(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()
