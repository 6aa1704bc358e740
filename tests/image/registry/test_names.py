"""The names of images in registries, as Docker reads them."""

from __future__ import annotations

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.registry import Access, RemoteName, registry_name, remote_name
from bigflow_backend.image.registry.names import is_loopback

_DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", RemoteName("docker.io", "library/python", "latest")),
        ("python:3.12-slim", RemoteName("docker.io", "library/python", "3.12-slim")),
        ("team/base:1", RemoteName("docker.io", "team/base", "1")),
        ("docker.io/library/python:3", RemoteName("docker.io", "library/python", "3")),
        ("localhost/base:1", RemoteName("localhost", "base", "1")),
        ("localhost:5000/a/b", RemoteName("localhost:5000", "a/b", "latest")),
        ("gcr.io/p/i/x:1", RemoteName("gcr.io", "p/i/x", "1")),
        ("[::1]:5000/base:1", RemoteName("[::1]:5000", "base", "1")),
        (f"python@{_DIGEST}", RemoteName("docker.io", "library/python", "latest", _DIGEST)),
        (f"a.b/c:1@{_DIGEST}", RemoteName("a.b", "c", "1", _DIGEST)),
    ],
)
def test_a_name_is_completed(text: str, expected: RemoteName) -> None:
    assert remote_name(text) == expected
    assert remote_name(str(expected)).reference == expected.reference


def test_what_docker_hub_calls_an_official_image() -> None:
    assert remote_name("docker.io/python:3").path == "library/python"


@pytest.mark.parametrize(
    "text",
    ["", "Python:3", "python:", "python:a b", "python@sha256:12", "a//b:1", "https://gcr.io/x:1"],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UserError) as caught:
        remote_name(text)
    assert caught.value.message.startswith(f"{text!r} is no valid name of an image")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["localhost:99999/x", "[::1]:65536/x:1", "a.b:0/x@" + _DIGEST])
def test_a_port_that_does_not_exist(name: str) -> None:
    with pytest.raises(UserError, match="is no valid name of an image: its port") as caught:
        remote_name(name)
    assert caught.value.hint == "a port is a number from 1 to 65535"


@pytest.mark.parametrize("name", ["user:hidden@a.b/x:1", "hidden@a.b/x", "user:hid@den@localhost"])
def test_credentials_are_not_repeated(name: str) -> None:
    with pytest.raises(UserError, match=r"'\*\*\*@.* is no valid name of an image: ") as caught:
        remote_name(name)
    assert "hid" not in caught.value.message
    assert "docker login" in caught.value.hint


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.8.8.8", True),
        ("[::1]:5000", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1:5000", False),
        ("docker.io", False),
    ],
)
def test_what_is_on_this_machine(registry: str, *, expected: bool) -> None:
    assert is_loopback(registry) == expected
    assert Access().allows_plain_http(registry) == expected


@pytest.mark.parametrize("text", ["registry.example.com", "registry:5000", "10.0.0.1", "docker.io"])
def test_the_name_of_a_registry(text: str) -> None:
    assert registry_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://registry:5000",
        "registry.example.com/team",
        "registry",
        "Registry:x",
        "a.b:",
        "a.b:65536",
        "*",
    ],
)
def test_what_is_no_name_of_a_registry(text: str) -> None:
    with pytest.raises(UserError, match="is no name of a registry"):
        registry_name(text)


def test_plain_http_where_it_is_allowed() -> None:
    access = Access(plain_http=frozenset({"registry.example.com:5000"}))
    assert access.allows_plain_http("registry.example.com:5000")
    assert not access.allows_plain_http("registry.example.com")
