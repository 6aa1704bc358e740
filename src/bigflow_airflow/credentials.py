"""User and password of a registry: Docker's ``config.json``, and the helpers that it names."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigflow_airflow.errors import RegistryError

_LARGEST_FILE = 1024 * 1024
_HELPER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HELPER_SECONDS = 30
_DOCKER_HUB = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """A user's name and password. ``password`` may be a token that works as one."""

    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of the header ``Authorization``."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class DockerConfiguration:
    """``config.json`` in ``$DOCKER_CONFIG``, else in ``~/.docker``. Without it, all is empty.

    :raises RegistryError: if it cannot be read.
    """

    def __init__(self) -> None:
        directory = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
        self._document = _read(Path(directory) / "config.json")

    def credentials(self, registry: str) -> Credentials | None:
        """Return the credentials for a registry, from its helper or from ``auths``.

        :raises RegistryError: if they cannot be read.
        """
        keys = [
            registry,
            f"https://{registry}",
            f"https://{registry}/v1/",
            f"https://{registry}/v2/",
        ]
        if registry == "docker.io":
            keys = [_DOCKER_HUB, *keys]
        helpers = _table(self._document.get("credHelpers"))
        helper = next((helpers[key] for key in keys if key in helpers), None)
        helper = helper or self._document.get("credsStore")
        if helper and (found := _ask_helper(helper, keys[0])):
            return found
        entries = _table(self._document.get("auths"))
        entry = next((_table(entries[key]) for key in keys if key in entries), {})
        return _decoded(entry.get("auth")) if entry.get("auth") else None

    @property
    def hosts(self) -> set[str]:
        """The servers that it names: host and port."""
        names = [
            *_table(self._document.get("auths")),
            *_table(self._document.get("credHelpers")),
        ]
        return {name.partition("://")[2].partition("/")[0] or name for name in names}


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise RegistryError(f"{path} is larger than {_LARGEST_FILE} bytes")
    try:
        return _table(json.loads(content))
    except (ValueError, RecursionError):
        raise RegistryError(f"{path} is not valid JSON") from None


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _decoded(text: Any) -> Credentials:
    try:
        user, colon, password = base64.b64decode(str(text)).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = colon = password = ""
    if not colon:
        raise RegistryError("an 'auth' in Docker's config.json is not base64 of user:password")
    return Credentials(user, password.rstrip("\0"))


def _ask_helper(name: Any, server: str) -> Credentials | None:
    """Return what ``docker-credential-NAME get`` prints, or None if it has nothing for the server.

    https://github.com/docker/docker-credential-helpers
    """
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise RegistryError("a credential helper in Docker's config.json has an invalid name")
    try:
        done = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=server.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_HELPER_SECONDS,
            check=False,
        )
        answer = _table(json.loads(done.stdout)) if done.returncode == 0 else {}
    except FileNotFoundError:
        raise RegistryError(f"docker-credential-{name} is not installed") from None
    except subprocess.TimeoutExpired:
        raise RegistryError(f"docker-credential-{name} does not answer") from None
    except (ValueError, RecursionError, OSError):
        raise RegistryError(f"docker-credential-{name} fails") from None
    user, password = answer.get("Username"), answer.get("Secret")
    if not isinstance(user, str) or not isinstance(password, str):
        return None
    if user == "<token>":
        raise RegistryError(
            f"docker-credential-{name} gives an identity token, which the bundle does not support"
        )
    return Credentials(user, password)
