"""Where an image is: ``[registry[:port]/]path[:tag][@digest]``, as Docker reads it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import is_digest
from bigflow_backend.image.reference import (
    NO_PORT_HINT,
    image_reference,
    names_no_port,
    without_credentials,
)

DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class RemoteName:
    """The place of an image, with nothing left out."""

    registry: str
    """Its host and port; ``docker.io`` where the user named none."""
    path: str
    tag: str
    """``latest`` where the user named neither a tag nor a digest."""
    digest: str | None = None
    """Of the manifest; where it is given, the tag is but a comment."""

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def reference(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}{f'@{self.digest}' if self.digest else f':{self.tag}'}"


def remote_name(text: str) -> RemoteName:
    """Reads the name of an image in a registry.

    :raises UserError: when it is none; the message starts with it, less credentials.
    """
    if (shown := without_credentials(text)) != text:
        raise UserError(
            f"{shown!r} is no valid name of an image: what stands after '@' is not a digest",
            hint="a digest is 'sha256:' and 64 hexadecimal digits; credentials belong not there, "
            "but to docker login",
        )
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise UserError(
            f"{text!r} is no valid name of an image: {digest!r} is not a digest",
            hint="a digest is 'sha256:' and 64 hexadecimal digits",
        )
    directory, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    repository = f"{directory}{slash}{last}"
    tag = tag if colon else "latest"
    if names_no_port(repository):
        raise UserError(
            f"{text!r} is no valid name of an image: its port does not exist", hint=NO_PORT_HINT
        )
    try:
        image_reference(repository, tag)
    except UserError as error:
        raise UserError(
            f"{text!r} is no valid name of an image",
            hint="it is like 'registry.example.com/team/python:3.12', in lower case",
        ) from error
    registry, slash, path = repository.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, path = DOCKER_HUB, repository
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"  # where the official images stand, whose names have one part
    return RemoteName(registry, path, tag, digest or None)


def registry_name(text: str) -> str:
    """Reads the name of a registry, ``host[:port]``.

    :raises UserError: when it is none.
    """
    try:
        if remote_name(f"{text}/image").registry == text:
            return text
    except UserError:
        pass
    raise UserError(
        f"{text!r} is no name of a registry",
        hint="write its host and port alone, such as 'registry.internal:5000'",
    )


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine, where plain HTTP is as good as TLS."""
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
