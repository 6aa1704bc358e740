"""Credentials of Docker's configuration, and errors in it."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.registry.credentials import Credentials, docker_credentials

if TYPE_CHECKING:
    from pathlib import Path

_SECRET = "s3cret-of-the-test"
_AUTH = base64.b64encode(f"ada:{_SECRET}".encode()).decode()
_HUB = "https://index.docker.io/v1/"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of Docker's configuration; its helpers are in ``bin``."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example.com", "registry.example.com"),
        ("https://registry.example.com/v1/", "registry.example.com"),
        ("http://registry.example.com:5000", "registry.example.com:5000"),
        (_HUB, "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_the_keys_of_auths(home: Path, key: str, registry: str) -> None:
    _write(home, {"auths": {"other.example.com": {"auth": "x"}, key: {"auth": _AUTH}}})
    found = docker_credentials(registry)
    assert found is not None
    assert (found.username, found.password) == ("ada", _SECRET)
    assert docker_credentials("third.example.com") is None


def test_a_colon_in_the_password(home: Path) -> None:
    auth = base64.b64encode(b"ada:a:b").decode()
    _write(home, {"auths": {"registry.example.com": {"auth": auth}}})
    found = docker_credentials("registry.example.com")
    assert found is not None
    assert found.password == "a:b"


def test_name_and_password_in_clear(home: Path) -> None:
    entry = {"username": "ada", "password": _SECRET}
    _write(home, {"auths": {"registry.example.com": entry}})
    found = docker_credentials("registry.example.com")
    assert found is not None
    assert (found.username, found.password) == ("ada", _SECRET)


def test_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert docker_credentials("registry.example.com") is None
    (tmp_path / ".docker").mkdir()
    _write(tmp_path / ".docker", {"auths": {"registry.example.com": {"auth": _AUTH}}})
    assert docker_credentials("registry.example.com") is not None


def test_an_entry_without_credentials(home: Path) -> None:
    # `docker login` with a helper leaves empty entries behind.
    _write(home, {"auths": {"registry.example.com": {}}})
    assert docker_credentials("registry.example.com") is None


def test_a_helper_of_one_registry_comes_before_that_of_all(home: Path) -> None:
    _helper(home, "one", username="from-one")
    _helper(home, "all", username="from-all")
    _write(
        home,
        {
            "credHelpers": {"registry.example.com": "one"},
            "credsStore": "all",
            "auths": {"registry.example.com": {"auth": _AUTH}},
        },
    )
    one = docker_credentials("registry.example.com")
    other = docker_credentials("other.example.com")
    hub = docker_credentials("docker.io")
    assert one is not None
    assert other is not None
    assert hub is not None
    assert (one.username, other.username) == ("from-one", "from-all")
    assert (home / "asked-all").read_text("utf-8").splitlines() == ["other.example.com", _HUB]


def test_a_helper_that_gives_an_identity_token(home: Path) -> None:
    _helper(home, "tests", username="<token>")
    _write(home, {"credsStore": "tests"})
    assert docker_credentials("registry.example.com") == Credentials(
        source="docker-credential-tests", identity_token=_SECRET
    )


def test_a_helper_that_has_none_leaves_it_to_the_file(home: Path) -> None:
    _script(home, "tests", "echo 'credentials not found in native keychain'; exit 1")
    _write(home, {"credsStore": "tests", "auths": {"registry.example.com": {"auth": _AUTH}}})
    found = docker_credentials("registry.example.com")
    assert found is not None
    assert found.password == _SECRET
    assert docker_credentials("other.example.com") is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"echo {_SECRET}; echo {_SECRET} >&2; exit 3", "failed for registry.example.com"),
        (f"echo {_SECRET}", "printed no valid answer for registry.example.com"),
        (f'echo \'{{"Secret": "{_SECRET}"}}\'', "printed no valid answer for registry.example.com"),
        (None, "which is not installed"),
    ],
)
def test_a_helper_that_fails(home: Path, script: str | None, message: str) -> None:
    if script is not None:
        _script(home, "tests", script)
    _write(home, {"credsStore": "tests"})
    error = _failure()
    assert "docker-credential-tests" in error.message
    assert message in error.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "config.json is not valid JSON"),
        ("[]", "config.json must be an object"),
        ('{"auths": []}', "config.json has auths, which is not an object"),
        ('{"auths": {"x": 1}}', "config.json has auths.x, which is not an object"),
        (
            json.dumps({"auths": {"registry.example.com": {"auth": _SECRET}}}),
            "the entry 'registry.example.com' of",
        ),
        (
            json.dumps({"auths": {"registry.example.com": {"auth": 5}}}),
            "config.json has auths.registry.example.com.auth, which is not a string",
        ),
    ],
)
def test_a_configuration_that_is_wrong(home: Path, content: str, message: str) -> None:
    (home / "config.json").write_text(content, "utf-8")
    assert message in _failure().message


def test_a_configuration_that_is_a_directory(home: Path) -> None:
    (home / "config.json").mkdir()
    assert f"{home / 'config.json'} is not a regular file" in _failure().message


def test_credentials_do_not_show_themselves(home: Path) -> None:
    _write(home, {"auths": {"registry.example.com": {"auth": _AUTH, "identitytoken": "t0ken"}}})
    shown = repr(docker_credentials("registry.example.com"))
    assert "registry.example.com" in shown
    assert "ada" not in shown
    assert _SECRET not in shown
    assert "t0ken" not in shown


def _failure() -> UserError:
    with pytest.raises(UserError) as caught:
        docker_credentials("registry.example.com")
    message = caught.value.message + caught.value.hint
    assert caught.value.hint
    assert "\n" not in message
    assert _SECRET not in message
    return caught.value


def _write(home: Path, document: object) -> None:
    (home / "config.json").write_text(json.dumps(document), "utf-8")


def _helper(home: Path, name: str, *, username: str) -> None:
    answer = json.dumps({"ServerURL": "x", "Username": username, "Secret": _SECRET})
    asked = f'read server; echo "$server" >> {home}/asked-{name}'
    _script(home, name, f"[ $1 = get ] || exit 9; {asked}; echo '{answer}'")


def _script(home: Path, name: str, script: str) -> None:
    path = home / "bin" / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
