"""The grammar of image names."""

from __future__ import annotations

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import (
    RemoteName,
    image_reference,
    is_loopback,
    registry_name,
    remote_name,
)
from bigflow_backend.image.registry import Access

_DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    "repository",
    [
        "demo",
        "team/demo",
        "registry.example.com/team/demo",
        "registry.example.com:5000/team/my_demo-x.y",
        "localhost/demo",
        "localhost:5000/demo",
        "Registry.Example.com/demo",
        "[::1]:5000/demo",
        "localhost:65535/demo",
        "a" * 255,
    ],
)
def test_valid_repository(repository: str) -> None:
    assert str(image_reference(repository, "1.2.0")) == f"{repository}:1.2.0"


@pytest.mark.parametrize(
    ("repository", "message", "hint"),
    [
        ("", "docker_repository is empty", "without a tag"),
        ("Team/Demo", "upper-case letters", "write 'team/demo'"),
        ("registry.example.com/Team/Demo", "upper-case", "'registry.example.com/team/demo'"),
        ("team/demo:latest", "has a tag", "remove ':latest'"),
        ("localhost:5000/demo:1", "has a tag", "remove ':1'"),
        ("demo:1", "has a tag", "remove ':1'"),
        ("team//demo", "not a valid", "without a tag"),
        ("team/demo/", "not a valid", "without a tag"),
        ("https://registry.example.com/demo", "not a valid", "without a tag"),
        ("team/de mo", "not a valid", "without a tag"),
        ("team/demo\n", "not a valid", "without a tag"),
        ("-registry.example.com/demo", "not a valid", "without a tag"),
        ("localhost:99999/demo", "has an invalid port", "1 to 65535"),
        ("[::1]:65536/demo", "has an invalid port", "1 to 65535"),
        ("registry.example.com:0/demo", "has an invalid port", "1 to 65535"),
        ("user:Hidden@host.example.com/demo", "'***@host.example.com/demo' is not", "docker login"),
        ("https://user:Hidden@host/demo", "it holds credentials", "before the '@'"),
        ("user:Hid@den@host/demo", "'***@host/demo' is not", "before the '@'"),
        ("a" * 256, "256 characters", "255"),
    ],
)
def test_refused_repository(repository: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as raised:
        image_reference(repository, "1.2.0")
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert "Hid" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize("tag", ["", "1.0+local", "-1", "a" * 129, "1;id"])
def test_refused_tag(tag: str) -> None:
    with pytest.raises(UserError, match="the tag") as raised:
        image_reference("team/demo", tag)
    assert "another version" in raised.value.hint


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


def test_official_images_of_docker_hub() -> None:
    assert remote_name("docker.io/python:3").path == "library/python"


@pytest.mark.parametrize(
    "text",
    ["", "Python:3", "python:", "python:a b", "python@sha256:12", "a//b:1", "https://gcr.io/x:1"],
)
def test_invalid_remote_names(text: str) -> None:
    with pytest.raises(UserError) as caught:
        remote_name(text)
    assert caught.value.message.startswith(f"{text!r} is not a valid image name")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["localhost:99999/x", "[::1]:65536/x:1", "a.b:0/x@" + _DIGEST])
def test_invalid_ports(name: str) -> None:
    with pytest.raises(UserError, match="is not a valid image name: its port") as caught:
        remote_name(name)
    assert caught.value.hint == "a port is a number from 1 to 65535"


@pytest.mark.parametrize("name", ["user:hidden@a.b/x:1", "hidden@a.b/x", "user:hid@den@localhost"])
def test_credentials_are_not_repeated(name: str) -> None:
    with pytest.raises(UserError, match=r"'\*\*\*@.* is not a valid image name: ") as caught:
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
def test_loopback_registries(registry: str, *, expected: bool) -> None:
    assert is_loopback(registry) == expected
    assert Access().allows_plain_http(registry) == expected


@pytest.mark.parametrize("text", ["registry.example.com", "registry:5000", "10.0.0.1", "docker.io"])
def test_valid_registry_names(text: str) -> None:
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
def test_invalid_registry_names(text: str) -> None:
    with pytest.raises(UserError, match="is not a valid registry name"):
        registry_name(text)


def test_plain_http_where_it_is_allowed() -> None:
    access = Access(plain_http=frozenset({"registry.example.com:5000"}))
    assert access.allows_plain_http("registry.example.com:5000")
    assert not access.allows_plain_http("registry.example.com")
