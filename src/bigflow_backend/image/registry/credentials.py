"""The credentials that Docker's configuration has for a registry.

https://docs.docker.com/reference/cli/docker/login/ and, for the helpers' protocol,
https://github.com/docker/docker-credential-helpers . What is read here appears in no message.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 60
_TOKEN_USER = "<token>"  # noqa: S105 - the helpers' mark for an identity token, no secret


@dataclass(frozen=True)
class Credentials:
    """What proves to a registry who the user is: a name and password, or one of the tokens."""

    source: str
    """Where they are from, for messages."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Exchanged for a bearer token (OAuth2's refresh token)."""
    registry_token: str = field(default="", repr=False)
    """A bearer token as it is."""

    @property
    def basic(self) -> str:
        """Name and password as basic authentication sends them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be shown to nobody; nothing when there is nothing to prove who the user is."""
        password = (self.password, self.basic) if self.password else ()
        return (*password, *filter(None, (self.identity_token, self.registry_token)))


def docker_credentials(registry: str) -> Credentials | None:
    """The credentials of ``config.json`` in ``$DOCKER_CONFIG``, else in ``~/.docker``.

    A credential helper comes before what the file itself has, as with Docker.

    :raises UserError: when the file cannot be read, or a helper that it names fails.
    """
    directory = os.environ.get("DOCKER_CONFIG")
    path = (Path(directory) if directory else Path.home() / ".docker") / "config.json"
    configuration = _configuration(path)
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    helpers = configuration.get("credHelpers") or {}
    helper = helpers.get(registry) or helpers.get(key) or configuration.get("credsStore")
    if isinstance(helper, str) and helper:
        found = _from_helper(helper, key, path)
        if found is not None:
            return found
    for name, entry in (configuration.get("auths") or {}).items():
        if _host(name) == _host(key) and isinstance(entry, dict):
            found = _from_file(entry, f"the entry {name!r} of {path}")
            if found is not None:
                return found
    return None


def _configuration(path: Path) -> dict[str, Any]:
    hint = "mend it, or log in again: docker login"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}", hint=hint) from error
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key) or {}, dict) for key in ("auths", "credHelpers")
    ):
        raise UserError(f"{path} is not a configuration of Docker", hint=hint)
    return document


def _host(key: str) -> str:
    # Old entries are URLs: https://registry.example.com/v1/
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_file(entry: dict[str, Any], source: str) -> Credentials | None:
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if encoded := entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, TypeError):
            colon = ""
        if not colon:
            # `from None`: the cause would carry the secret into a traceback.
            raise UserError(
                f"{source} has no valid 'auth'", hint="log in again: docker login"
            ) from None
    found = Credentials(
        source=source,
        username=username,
        password=password.rstrip("\0"),  # as Docker does: old versions padded it
        identity_token=str(entry.get("identitytoken", "")),
        registry_token=str(entry.get("registrytoken", "")),
    )
    return found if found.secrets else None


def _from_helper(helper: str, key: str, path: Path) -> Credentials | None:
    command = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [command, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise UserError(
            f"{path} names the credential helper {command}, which is not installed",
            hint=f"install it, or take {helper!r} out of that file",
        ) from error
    except OSError as error:
        raise UserError(f"cannot run {command}: {error.strerror}", hint=_HELPER_HINT) from error
    except subprocess.TimeoutExpired:
        raise UserError(
            f"the credential helper {command} did not answer within {_HELPER_SECONDS} seconds",
            hint=_HELPER_HINT,
        ) from None
    if done.returncode:
        # The protocol has no other way to say that there are none.
        if "credentials not found" in done.stdout:
            return None
        raise UserError(
            f"the credential helper {command} failed for {_host(key)} "
            f"with exit status {done.returncode}",
            hint=_HELPER_HINT,
        )
    try:
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"the credential helper {command} gave no valid answer for {_host(key)}",
            hint=_HELPER_HINT,
        ) from None
    if not secret:
        return None
    if username == _TOKEN_USER:
        return Credentials(source=command, identity_token=secret)
    return Credentials(source=command, username=username, password=secret)


_HELPER_HINT = "try it by hand, or log in again: docker login"
