"""The one grammar of image names: ``[registry[:port]/]path[:tag][@digest]``.

https://pkg.go.dev/github.com/distribution/reference
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.settings.places import place_of
from bigflow_backend.image.oci import is_digest

DOCKER_HUB = "docker.io"

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::(?P<port>[0-9]+))?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_NAME = 255
_HIGHEST_PORT = 65535

_PORT_HINT = f"a port is a number from 1 to {_HIGHEST_PORT}"
_DIGEST_HINT = "a digest is 'sha256:' and 64 hexadecimal digits"
_EXAMPLE = "docker_repository is like 'registry.example.com/team/project', without a tag"


@dataclass(frozen=True)
class ImageReference:
    """The name of an image that we build: a repository as the user wrote it, and a tag."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class RemoteName:
    """The full name of an image in a registry."""

    registry: str
    """Host and port; ``docker.io`` if the user gave none."""
    path: str
    tag: str
    """``latest`` if the user gave neither a tag nor a digest."""
    digest: str | None = None
    """The digest of the manifest. If it is given, the tag has no effect."""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def reference(self) -> str:
        """The tag or digest for requests to the registry."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}{f'@{self.digest}' if self.digest else f':{self.tag}'}"


def image_reference(repository: str, tag: str) -> ImageReference:
    """Return the reference of an image.

    :raises UserError: if an engine or a registry would refuse ``repository`` or ``tag``.
    """
    if not repository:
        raise UserError("docker_repository is empty", hint=_EXAMPLE)
    if (shown := without_credentials(repository)) != repository:
        raise UserError(
            f"docker_repository {shown!r} is not a valid image name: it holds credentials",
            hint="remove the part before the '@', and log in: docker login",
        )
    registry, path = _split(repository)
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        good = f"{registry}/{path.lower()}" if registry else path.lower()
        raise UserError(
            f"docker_repository {repository!r} has upper-case letters, which registries refuse",
            hint=f"write {good!r}",
        )
    name, colon, old_tag = path.partition(":")
    if colon and _PATH.fullmatch(name):
        raise UserError(
            f"docker_repository {repository!r} has a tag; the project's version is the tag",
            hint=f"remove {':' + old_tag!r}",
        )
    if not _is_repository(registry, path):
        raise UserError(
            f"docker_repository {repository!r} is not a valid image name", hint=_EXAMPLE
        )
    if not _has_valid_port(registry):
        raise UserError(f"docker_repository {repository!r} has an invalid port", hint=_PORT_HINT)
    if len(repository) > _LONGEST_NAME:
        raise UserError(
            f"docker_repository has {len(repository)} characters: {repository!r}",
            hint=f"registries accept at most {_LONGEST_NAME}",
        )
    if not _TAG.fullmatch(tag):
        raise UserError(
            f"the version gives the image the tag {tag!r}, which is not valid",
            hint="a tag has at most 128 letters, digits, '_', '.' and '-'; choose another version",
        )
    return ImageReference(repository, tag)


def all_references(reference: ImageReference, tags: Sequence[str]) -> tuple[ImageReference, ...]:
    """Return the reference, and one for each other of the ``tags``.

    :raises UserError: if a tag is not valid.
    """
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise UserError(
                f"{place_of('image.tags', option='--tag')} must be tags of an image:"
                f" got {quoted(tag)!r}",
                hint="a tag has at most 128 letters, digits, '_', '.' and '-', such as latest",
            )
    names = dict.fromkeys((reference.tag, *tags))
    return tuple(ImageReference(reference.repository, tag) for tag in names)


def remote_name(text: str) -> RemoteName:
    """Return the full name of an image in a registry.

    :raises UserError: if ``text`` is not a valid name. The message shows it without credentials.
    """
    problem = f"{without_credentials(text)!r} is not a valid image name"
    if without_credentials(text) != text:
        raise UserError(
            f"{problem}: a digest must follow the '@'",
            hint=f"{_DIGEST_HINT}; to give credentials, run docker login",
        )
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise UserError(f"{problem}: {digest!r} is not a digest", hint=_DIGEST_HINT)
    registry, path = _split(name)
    path, colon, tag = path.partition(":")
    if not _has_valid_port(registry):
        raise UserError(f"{problem}: its port is not valid", hint=_PORT_HINT)
    valid = _is_repository(registry, path) and len(name) <= _LONGEST_NAME
    if not valid or (colon and not _TAG.fullmatch(tag)):
        raise UserError(
            problem, hint="write it like 'registry.example.com/team/python:3.12', in lower case"
        )
    registry = registry or DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"  # Docker Hub keeps the official images there
    return RemoteName(registry, path, tag or "latest", digest or None)


def registry_name(text: str) -> str:
    """Return the name of a registry, ``host[:port]``.

    :raises UserError: if ``text`` is not a valid name.
    """
    if _split(f"{text}/x") == (text, "x") and _REGISTRY.fullmatch(text) and _has_valid_port(text):
        return text
    raise UserError(
        f"{without_credentials(text)!r} is not a valid registry name",
        hint="write only host and port, such as 'registry.internal:5000'",
    )


def mirror_name(text: str) -> str:
    """Return the name of a mirror: ``host[:port]``, and the start of its paths.

    :raises UserError: if ``text`` is not a valid name.
    """
    host, slash, path = text.partition("/")
    if slash and not _PATH.fullmatch(path):
        raise UserError(
            f"{without_credentials(text)!r} is not a valid mirror of a registry",
            hint="write host, port and path, such as 'mirror.internal:5000/docker'",
        )
    return f"{registry_name(host)}{slash}{path}"


def is_loopback(registry: str) -> bool:
    """Return whether a registry is on this machine, where plain HTTP is as safe as TLS."""
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def without_credentials(name: str) -> str:
    """Return an image name for messages: ``user:password@`` is replaced by ``***@``."""
    _user, at, rest = name.rpartition("@")
    return name if not at or rest.startswith(("sha256:", "sha512:")) else f"***@{rest}"


def _split(repository: str) -> tuple[str, str]:
    """Return the registry, which may be empty, and the rest, as Docker separates them."""
    head, slash, path = repository.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return head, path
    return "", repository


def _is_repository(registry: str, path: str) -> bool:
    return bool(_PATH.fullmatch(path) and (not registry or _REGISTRY.fullmatch(registry)))


def _has_valid_port(registry: str) -> bool:
    """Return whether the port exists. The grammar itself has no limit for it."""
    match = _REGISTRY.fullmatch(registry)
    return match is None or not match["port"] or 0 < int(match["port"]) <= _HIGHEST_PORT
