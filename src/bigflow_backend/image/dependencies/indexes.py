"""Package indexes: those of pip's configuration, as variables for uv; and a check of credentials.

uv does not read pip's configuration, https://docs.astral.sh/uv/pip/compatibility/ , but many users
have their private index only there.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file, read_text
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.ground.limits import PROJECT_FILE

if TYPE_CHECKING:
    from bigflow_backend.ground.foreign.http import Session
    from bigflow_backend.project.requirements import OptionLine

_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_UV_KEYS = {"index", "index-url", "extra-index-url", "no-index", "find-links"}
_WITHOUT_EFFECT = {"UV_CACHE_DIR", "UV_CONCURRENT_DOWNLOADS", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES"}
_NAMED = re.compile(r"\A[\w.-]+=(?=https?://)")
_SECTIONS = ("global", "install")

_CHECK_SECONDS = 15
_REFUSED = {401, 403}
_FOUND = 200
_WEB = ("http://", "https://")
_FILE = re.compile(rb"\.(?:whl|tar\.gz|zip)\b")
_QUESTIONS_AT_ONCE = 8
_INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url")
# A URL, also without its scheme.
_SERVER = re.compile(r"://|@|^[\w.-]+:[0-9]+(?:/|$)")
_LINK_OPTIONS = ("-f", "--find-links")
# https://pip.pypa.io/en/stable/reference/requirements-file-format/#using-environment-variables
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True)
class Indexes:
    """Settings for uv, besides those that it reads itself."""

    environment: Mapping[str, str]
    """Variables for uv's process only: they may contain credentials."""
    find_links: tuple[str, ...]
    """Directories and pages with distributions."""
    no_index: bool
    """True if only ``find_links`` count."""


def configured_indexes(project: Path) -> Indexes:
    """Return the settings with which uv finds what pip would find.

    If a variable or a file names an index for uv, pip's configuration does not count.

    :raises UserError: if a file of pip's configuration cannot be read.
    """
    own = tuple(filter(None, os.environ.get("UV_FIND_LINKS", "").split(",")))
    trust = {}
    if bundle := os.environ.get("REQUESTS_CA_BUNDLE"):
        trust = {"SSL_CERT_FILE": bundle}  # pip reads the first, uv the second
    if any(os.environ.get(name) for name in _UV_INDEXES) or _uv_files_name_an_index(project):
        return Indexes(_unless_set(trust), own, no_index=False)
    pip = _pip_configuration()
    found = trust
    if url := pip.get("index-url"):
        found["UV_DEFAULT_INDEX"] = url.strip()
    if urls := pip.get("extra-index-url"):
        found["UV_INDEX"] = " ".join(urls.split())
        # pip takes the best version of all indexes; uv's default is the first index with any.
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


def check_index_access(
    name: str, *, options: Iterable[OptionLine], environment: Mapping[str, str], project: Path
) -> None:
    """Ask each index for the distribution ``name``, to see that it accepts the credentials.

    uv treats an index that answers 401 or 403 as one without the package. Another index may have
    a package of that name, and uv would install this stranger's package without a warning. All
    other errors are left to uv.

    ``options`` are those of requirements.txt, ``environment`` is uv's.

    :raises UserError: if an index refuses the credentials of its URL or of the netrc file.
    """
    import requests
    import urllib3

    from bigflow_backend.ground.foreign.http import Session

    in_file = (
        expanded(option.value, environment) for option in options if option.name in _INDEX_OPTIONS
    )
    for url in dict.fromkeys([*_index_urls(environment, project), *in_file]):
        if not url.startswith(_WEB):
            continue
        place = f"{url.rstrip('/')}/{name}/"
        try:
            with (
                Session(time.monotonic() + _CHECK_SECONDS) as session,
                session.follow("GET", place, allow=_any_redirect, timeout=_CHECK_SECONDS) as answer,
            ):
                status, sent = answer.status_code, answer.request.headers
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            continue
        if status in _REFUSED and "Authorization" in sent:
            shown = redacted(url, [url]).replace("***@", "")
            raise UserError(
                f"the index {shown} answered {status}: it refuses the configured user name and "
                "password",
                hint="correct them in the URL or in the netrc file",
            )


def names_on_several_indexes(
    sources: Mapping[str, str],
    *,
    options: Iterable[OptionLine],
    environment: Mapping[str, str],
    project: Path,
) -> list[str]:
    """Return the sorted names that other indexes have, too. Any of these can decide the version.

    ``sources`` has the index, or the find-link, of each name that uv has chosen. The result is
    empty if uv takes a name from the first index that has it, as in uv's own configuration.
    https://docs.astral.sh/uv/concepts/indexes/#searching-across-multiple-indexes

    An index that does not answer within 15 seconds counts as one without the name.
    """
    if not _takes_best_of_all_indexes(environment, project):
        return []
    in_file = (
        expanded(option.value, environment) for option in options if option.name in _INDEX_OPTIONS
    )
    # The configured URLs have credentials, and uv names the default index.
    urls = {bare_url(url): url for url in (*sources.values(), *_index_urls(environment, project))}
    urls |= {bare_url(url): url for url in in_file}
    questions = [
        (name, f"{url.rstrip('/')}/{name}/")
        for name, source in sources.items()
        for bare, url in urls.items()
        if source.startswith(_WEB) and bare.startswith(_WEB) and bare != bare_url(source)
    ]
    if not questions:
        return []
    from bigflow_backend.ground.foreign.http import Session

    with (
        Session(time.monotonic() + _CHECK_SECONDS) as session,
        ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as pool,
    ):
        answers = pool.map(lambda question: _has_files(session, question[1]), questions)
        return sorted({name for (name, _), has in zip(questions, answers, strict=True) if has})


def _takes_best_of_all_indexes(environment: Mapping[str, str], project: Path) -> bool:
    stated = [environment.get("UV_INDEX_STRATEGY")]
    for table in tables_of_uv(project):
        stated += [place.get("index-strategy") for place in (_table(table, "pip"), table)]
    return str(next(filter(None, stated), "")).startswith("unsafe")


def _has_files(session: Session, url: str) -> bool:
    """Return True if a page of an index lists a file; some have an empty page for each name."""
    import requests
    import urllib3

    from bigflow_backend.ground.foreign.http import read_start

    try:
        with session.follow(
            "GET",
            url,
            headers={"Accept-Encoding": "identity"},  # the page is searched as it comes
            allow=_any_redirect,
            timeout=_CHECK_SECONDS,
        ) as answer:
            return answer.status_code == _FOUND and _FILE.search(read_start(answer)) is not None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
        return False


def bare_url(url: str) -> str:
    """Return a URL without user name and password, to compare it."""
    return re.sub(r"(?<=://)[^/]*@", "", url).rstrip("/")


def expanded(value: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a value of requirements.txt with its variables replaced."""
    return _VARIABLE.sub(lambda variable: environment.get(variable[1], variable[0]), value)


def stated_urls(options: Iterable[OptionLine]) -> list[str]:
    """Return the indexes and find-links of requirements.txt, which may contain credentials."""
    return [
        expanded(option.value)
        for option in options
        if option.name in _INDEX_OPTIONS
        or (option.name in _LINK_OPTIONS and _SERVER.search(option.value))
    ]


def configured_urls(project: Path) -> list[str]:
    """Return all indexes and find-links of the configuration, which may contain credentials."""
    indexes = configured_indexes(project)
    tables = [place for table in tables_of_uv(project) for place in (table, _table(table, "pip"))]
    links = [link for place in tables for link in _texts(place, "find-links")]
    # The others are directories.
    links = [link for link in (*indexes.find_links, *links) if _SERVER.search(link)]
    urls = _index_urls({**os.environ, **indexes.environment}, project, explicit=True)
    return [*urls, *links]


def _any_redirect(_before: str, _after: str) -> None:
    """Accept a redirect: uv and pip follow it as well."""


def uv_settings(project: Path) -> list[object]:
    """Return uv's settings from variables and files: the installed versions may depend on them.

    They may contain credentials.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("UV_") and name not in _WITHOUT_EFFECT
    }
    return [variables, *tables_of_uv(project)]


def _index_urls(
    environment: Mapping[str, str], project: Path, *, explicit: bool = False
) -> list[str]:
    """Return the indexes that uv asks with that environment; they may contain credentials.

    ``explicit`` adds those that uv asks only for names whose source they are.
    https://docs.astral.sh/uv/concepts/indexes/
    """
    words = [word for name in _UV_INDEXES for word in environment.get(name, "").split()]
    found = [_NAMED.sub("", word) for word in words]
    for table in tables_of_uv(project):
        for place in (table, _table(table, "pip")):
            entries = place.get("index")
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and (explicit or entry.get("explicit") is not True):
                    found += _texts(entry, "url")
            found += [*_texts(place, "index-url"), *_texts(place, "extra-index-url")]
    return found


def _unless_set(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in os.environ}


def _uv_files_name_an_index(project: Path) -> bool:
    keys = {key for t in tables_of_uv(project) for key in (*t, *_table(t, "pip"))}
    return any(key in _UV_KEYS for key in keys)


def tables_of_uv(project: Path) -> list[dict[str, Any]]:
    """Return uv's settings in files, the strongest first.

    https://docs.astral.sh/uv/concepts/configuration-files/
    """
    if os.environ.get("UV_NO_CONFIG", "").lower() in {"1", "true"}:
        return []
    if own := os.environ.get("UV_CONFIG_FILE"):
        return [_toml(project / own)]
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    nearest = next(filter(None, map(_of_directory, (project, *project.parents))), {})
    return [nearest, *map(_toml, (home / "uv" / "uv.toml", Path("/etc/uv/uv.toml")))]


def _of_directory(directory: Path) -> dict[str, Any]:
    own = _toml(directory / "uv.toml")
    return own or _table(_table(_toml(directory / "pyproject.toml"), "tool"), "uv")


def _toml(path: Path) -> dict[str, Any]:
    if not os.path.exists(path):  # noqa: PTH110  (False if it is inaccessible)
        return {}
    has_file(path, PROJECT_FILE)  # uv would wait for a FIFO
    try:
        return parse_toml(read_text(path))
    except (UserError, ValueError):
        return {}  # uv reports the error itself


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the table of that key; an empty one for a value that uv would refuse."""
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    """Return the text of that key, or those of its list; other values uv would refuse."""
    found = table.get(key)
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str)]


def _pip_configuration() -> Mapping[str, str]:
    """Return pip's settings for ``install``: those of its files, and the environment over them.

    pip itself would take half a second to print them, and need not be installed.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in _pip_files():
        parser = configparser.RawConfigParser()
        if not (path.is_file() and os.access(path, os.R_OK)):
            continue
        try:
            parser.read_string(read_text(path))
        except configparser.Error as error:
            raise UserError(
                f"pip's configuration {path} cannot be read: {str(error).splitlines()[0]}",
                hint="correct that file; `pip config debug` shows which files pip reads",
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
    """Return the files of pip's configuration, the strongest last; they need not exist.

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
