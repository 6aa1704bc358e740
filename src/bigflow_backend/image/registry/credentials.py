"""Credentials for a registry from Docker's configuration.

https://docs.docker.com/reference/cli/docker/login/ and, for the helpers' protocol,
https://github.com/docker/docker-credential-helpers . No message contains them.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.foreign.text import quoted, system_reason
from bigflow_backend.ground.limits import DOCKER_FILE
from bigflow_backend.image.reference import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_HINT = "run it by hand, or log in again: docker login"
_HELPER_SECONDS = 60
_TOKEN_USER = "<token>"  # noqa: S105 - the helpers' mark of an identity token, not a secret


class _Entry(TypedDict, total=False):
    """The credentials of one registry in config.json."""

    auth: str | None
    username: str | None
    password: str | None
    identitytoken: str | None
    registrytoken: str | None


class _Configuration(TypedDict, total=False):
    """The part of config.json that is about credentials."""

    auths: dict[str, _Entry | None] | None
    credHelpers: dict[str, str] | None
    credsStore: str | None


class _HelperAnswer(TypedDict):
    Username: str
    Secret: str


@dataclass(frozen=True)
class Credentials:
    """A name and password, or one of the tokens."""

    source: str
    """Their origin, for messages."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """A refresh token of OAuth2, which is exchanged for a bearer token."""
    registry_token: str = field(default="", repr=False)
    """A bearer token."""
    known_hosts: frozenset[str] = frozenset()
    """The registries and token servers that the configuration names."""

    @property
    def basic(self) -> str:
        """Name and password in the form of basic authentication."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no output may contain; empty if these are not valid credentials."""
        password = (self.password, self.basic) if self.password else ()
        return (*password, *filter(None, (self.identity_token, self.registry_token)))


def docker_credentials(registry: str) -> Credentials | None:
    """Return the credentials of ``config.json`` in ``$DOCKER_CONFIG``, else in ``~/.docker``.

    As in Docker, a credential helper has priority over the entries of the file.

    :raises UserError: if the file cannot be read, or its helper fails.
    """
    directory = os.environ.get("DOCKER_CONFIG")
    path = (Path(directory) if directory else Path.home() / ".docker") / "config.json"
    configuration = _configuration(path)
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    found = _find(configuration, registry, key, path)
    if found is None:
        return None
    names = (*(configuration.get("auths") or ()), *(configuration.get("credHelpers") or ()))
    return dataclasses.replace(found, known_hosts=frozenset(map(_host, names)))


def _find(configuration: _Configuration, registry: str, key: str, path: Path) -> Credentials | None:
    helpers = configuration.get("credHelpers") or {}
    helper = helpers.get(registry) or helpers.get(key) or configuration.get("credsStore")
    if helper:
        found = _from_helper(helper, key, path)
        if found is not None:
            return found
    for name, entry in (configuration.get("auths") or {}).items():
        if _host(name) == _host(key) and entry:
            found = _from_file(entry, f"the entry {quoted(name)!r} of {path}")
            if found is not None:
                return found
    return None


def _configuration(path: Path) -> _Configuration:
    if not os.path.lexists(path):
        return {}
    try:
        return read_json(read_bounded(path, DOCKER_FILE), _Configuration)
    except DocumentError as error:
        raise UserError(f"{path} {error}", hint="fix it, or log in again: docker login") from error


def _host(key: str) -> str:
    # Old entries are URLs: https://registry.example.com/v1/
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_file(entry: _Entry, source: str) -> Credentials | None:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if encoded := entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            # `from None`: a traceback of the cause would contain the secret.
            raise UserError(
                f"{source} has no valid 'auth'", hint="log in again: docker login"
            ) from None
    found = Credentials(
        source=source,
        username=username,
        password=password.rstrip("\0"),  # as Docker does: old versions padded the password
        identity_token=entry.get("identitytoken") or "",
        registry_token=entry.get("registrytoken") or "",
    )
    return found if found.secrets else None


def _from_helper(helper: str, key: str, path: Path) -> Credentials | None:
    command = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [command, "get"],
            input=key.encode(),
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{path} names the credential helper {command}, which is not installed",
            hint=f"install it, or remove {helper!r} from that file",
        ) from error
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        raise UserError(
            f"cannot run {quoted(command)}: {system_reason(error)}", hint=_HELPER_HINT
        ) from error
    except subprocess.TimeoutExpired:
        raise UserError(
            f"the credential helper {command} did not answer within {_HELPER_SECONDS} seconds",
            hint=_HELPER_HINT,
        ) from None
    if done.returncode:
        # The protocol has no other way to report missing credentials.
        if b"credentials not found" in done.stdout:
            return None
        raise UserError(
            f"the credential helper {command} failed for {_host(key)} "
            f"with exit status {done.returncode}",
            hint=_HELPER_HINT,
        )
    try:
        answer = read_json(done.stdout, _HelperAnswer)
    except DocumentError:
        raise UserError(
            f"the credential helper {command} printed no valid answer for {_host(key)}",
            hint=_HELPER_HINT,
        ) from None
    username, secret = answer["Username"], answer["Secret"]
    if not secret:
        return None
    if username == _TOKEN_USER:
        return Credentials(source=command, identity_token=secret)
    return Credentials(source=command, username=username, password=secret)
