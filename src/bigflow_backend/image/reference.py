"""The name of an image: ``[registry[:port]/]path:tag``.

The grammar is that of https://pkg.go.dev/github.com/distribution/reference .
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bigflow_backend.ground.errors import UserError

NO_PORT_HINT = "a port is a number from 1 to 65535"

_REGISTRY = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]+))?"
)
_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha(?:256|512):")
_LONGEST_NAME = 255
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class ImageReference:
    """A repository and a tag, both valid."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


def image_reference(repository: str, tag: str) -> ImageReference:
    """The reference of an image.

    :raises UserError: when it is none that an engine or a registry takes.
    """
    registry, path = _split(repository)
    if not repository:
        raise UserError("docker_repository is empty", hint=_EXAMPLE)
    if (shown := without_credentials(repository)) != repository:
        raise UserError(
            f"docker_repository {shown!r} is no valid name of an image: it holds credentials",
            hint="leave out what stands before the '@', and log in: docker login",
        )
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        good = f"{registry}/{path.lower()}" if registry else path.lower()
        raise UserError(
            f"docker_repository {repository!r} has upper-case letters, which no registry takes",
            hint=f"write {good!r}",
        )
    name, colon, old_tag = path.partition(":")
    if colon and _PATH.fullmatch(name):
        raise UserError(
            f"docker_repository {repository!r} has a tag; the project's version is the tag",
            hint=f"leave {':' + old_tag!r} out",
        )
    if not _PATH.fullmatch(path) or (registry and not _REGISTRY.fullmatch(registry)):
        raise UserError(
            f"docker_repository {repository!r} is no valid name of an image", hint=_EXAMPLE
        )
    if names_no_port(repository):
        raise UserError(
            f"docker_repository {repository!r} names a port that does not exist", hint=NO_PORT_HINT
        )
    if len(repository) > _LONGEST_NAME:
        raise UserError(
            f"docker_repository has {len(repository)} characters: {repository!r}",
            hint=f"{_LONGEST_NAME} is the most that a registry takes",
        )
    if not _TAG.fullmatch(tag):
        raise UserError(
            f"the version gives the image the tag {tag!r}, which is not a valid one",
            hint="a tag has at most 128 letters, digits, '_', '.' and '-'; choose another version",
        )
    return ImageReference(repository, tag)


def names_no_port(repository: str) -> bool:
    """Whether its registry has a port that does not exist: the grammar has no limit for it."""
    registry = _REGISTRY.fullmatch(_split(repository)[0])
    if registry is None or registry["port"] is None:
        return False
    return not 0 < int(registry["port"]) <= _HIGHEST_PORT


def without_credentials(name: str) -> str:
    """The name of an image to be shown: in ``user:password@registry/path`` the user is ``***``."""
    _user, at, rest = name.rpartition("@")
    return name if not at or _DIGEST.match(rest) else f"***@{rest}"


_EXAMPLE = "docker_repository is like 'registry.example.com/team/project', without a tag"


def _split(repository: str) -> tuple[str, str]:
    """The registry, which may be missing, and the path: as Docker tells them apart."""
    head, slash, path = repository.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return head, path
    return "", repository
