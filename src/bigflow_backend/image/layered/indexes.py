"""Where dependencies come from: the indexes of pip's configuration, told to uv in its own words.

uv does not read pip's configuration, https://docs.astral.sh/uv/pip/compatibility/ , but whoever
has a private index has often told pip alone.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_UV_KEYS = {"index", "index-url", "extra-index-url", "no-index", "find-links"}
_SECTIONS = ("global", "install")


@dataclass(frozen=True)
class Indexes:
    """What uv is told beside its own configuration."""

    environment: Mapping[str, str]
    """Its variables; they may hold credentials, so they are for that process only."""
    find_links: tuple[str, ...]
    """Directories and pages of distributions."""
    no_index: bool
    """Whether only those count."""


def configured_indexes(project: Path) -> Indexes:
    """What lets uv find what pip would find.

    When uv has been told of indexes itself, by a variable or a file, that counts and pip's
    configuration does not.

    :raises UserError: for a file of pip's that cannot be read.
    """
    own = tuple(filter(None, os.environ.get("UV_FIND_LINKS", "").split(",")))
    trust = {}
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        trust = {"SSL_CERT_FILE": bundle}  # pip reads the one, uv the other
    if any(os.environ.get(name) for name in _UV_INDEXES) or _uv_files_name_an_index(project):
        return Indexes(_unless_set(trust), own, no_index=False)
    pip = _pip_configuration()
    found = trust
    if url := pip.get("index-url"):
        found["UV_DEFAULT_INDEX"] = url.strip()
    if urls := pip.get("extra-index-url"):
        found["UV_INDEX"] = " ".join(urls.split())
        # pip takes the best version of all indexes; uv by itself that of the first that has any.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if hosts := pip.get("trusted-host"):
        found["UV_INSECURE_HOST"] = " ".join(hosts.split())
    if bundle := pip.get("cert"):
        found["SSL_CERT_FILE"] = bundle
    return Indexes(
        _unless_set(found),
        (*own, *pip.get("find-links", "").split()),
        no_index=pip.get("no-index", "").lower() in {"1", "true", "yes", "on", "y", "t"},
    )


def uv_settings(project: Path) -> list[object]:
    """All that uv is told by variables and files: what is installed may depend on it.

    It may hold credentials.
    """
    told = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("UV_") and name not in _WITHOUT_EFFECT
    }
    return [told, *_uv_tables(project)]


def uv_index_urls(environment: Mapping[str, str], project: Path) -> list[str]:
    """The indexes that uv asks with that environment, by variables and files; with credentials.

    https://docs.astral.sh/uv/concepts/indexes/
    """
    words = [word for name in _UV_INDEXES for word in environment.get(name, "").split()]
    found: list[object] = [_NAMED.sub("", word) for word in words]
    for table in _uv_tables(project):
        for place in (table, table.get("pip", {})):
            for entry in place.get("index", []):
                found += [entry["url"]] if isinstance(entry, dict) and "url" in entry else []
            extra = place.get("extra-index-url", [])
            found += [place.get("index-url"), *(extra if isinstance(extra, list) else [])]
    return [url for url in found if isinstance(url, str)]


_NAMED = re.compile(r"\A[\w.-]+=(?=https?://)")
_WITHOUT_EFFECT = {"UV_CACHE_DIR", "UV_CONCURRENT_DOWNLOADS", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES"}


def _unless_set(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in os.environ}


def _uv_files_name_an_index(project: Path) -> bool:
    keys = {key for t in _uv_tables(project) for key in (*t, *t.get("pip", {}))}
    return any(key in _UV_KEYS for key in keys)


def _uv_tables(project: Path) -> list[dict[str, Any]]:
    """uv's settings in files, the strongest first.

    https://docs.astral.sh/uv/concepts/configuration-files/
    """
    if os.environ.get("UV_NO_CONFIG", "").lower() in {"1", "true"}:
        return []
    if own := os.environ.get("UV_CONFIG_FILE"):
        return [_toml(project / own)]
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    nearest = next(filter(None, map(_of_project, (project, *project.parents))), {})
    return [nearest, *map(_toml, (home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")))]


def _of_project(directory: Path) -> dict[str, Any]:
    own = _toml(directory / "uv.toml")
    return own or _toml(directory / "pyproject.toml").get("tool", {}).get("uv") or {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # uv itself says what is wrong with it


def _pip_configuration() -> Mapping[str, str]:
    """pip's settings for ``install``: its files, and the environment over them.

    They are read here, not asked of pip: it need not be there, and takes half a second to answer.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text("utf-8"))
        except OSError:
            continue
        except (configparser.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"pip's configuration {path} cannot be read", hint="mend that file"
            ) from error
        for section in _SECTIONS:
            if parser.has_section(section):
                found[section] |= {k.replace("_", "-"): v for k, v in parser.items(section)}
    environment = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }
    return {**found["global"], **found["install"], **environment}


def _pip_files() -> list[Path]:
    """The files that may be there, the strongest last.

    https://pip.pypa.io/en/stable/topics/configuration/#location
    """
    own = os.environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path.home()
    if sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip")]
        user = home / "Library" / "Application Support" / "pip"
        user = user if user.is_dir() else home / ".config" / "pip"
    else:
        directories = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        shared = [Path(d, "pip") for d in directories.split(os.pathsep)] + [Path("/etc")]
        user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")
    places = [*shared, home / ".pip", user, Path(sys.prefix)]
    return [place / "pip.conf" for place in places] + ([Path(own)] if own else [])
