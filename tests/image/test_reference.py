"""The name of an image, checked before anything is built."""

from __future__ import annotations

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import image_reference


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
        ("team/demo:latest", "has a tag", "leave ':latest' out"),
        ("localhost:5000/demo:1", "has a tag", "leave ':1' out"),
        ("demo:1", "has a tag", "leave ':1' out"),
        ("team//demo", "no valid name", "without a tag"),
        ("team/demo/", "no valid name", "without a tag"),
        ("https://registry.example.com/demo", "no valid name", "without a tag"),
        ("team/de mo", "no valid name", "without a tag"),
        ("team/demo\n", "no valid name", "without a tag"),
        ("-registry.example.com/demo", "no valid name", "without a tag"),
        ("localhost:99999/demo", "names a port that does not exist", "1 to 65535"),
        ("[::1]:65536/demo", "names a port that does not exist", "1 to 65535"),
        ("registry.example.com:0/demo", "names a port that does not exist", "1 to 65535"),
        ("user:Hidden@host.example.com/demo", "'***@host.example.com/demo' is no", "docker login"),
        ("https://user:Hidden@host/demo", "it holds credentials", "before the '@'"),
        ("user:Hid@den@host/demo", "'***@host/demo' is no", "before the '@'"),
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
