"""Passwords and tokens of indexes: uv gets them, and neither arguments nor messages have them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.image.dependencies import uv_process
from bigflow_backend.image.dependencies.uv_process import run_uv

if TYPE_CHECKING:
    from pathlib import Path

_TOKEN = "TOKmsg-q83x"
_URLS = {
    "a password": f"http://ada:{_TOKEN}@127.0.0.1:1/simple",
    "a slash": f"http://ada:x/{_TOKEN}@127.0.0.1:1/simple",
    "an at": f"http://ada:x@{_TOKEN}@127.0.0.1:1/simple",
    "a question mark": f"http://ada:x?{_TOKEN}@127.0.0.1:1/simple",
    "no scheme": f"ada:{_TOKEN}@127.0.0.1:1/simple",
    "a token as the user": f"http://{_TOKEN}@127.0.0.1:1/simple",
    "a query": f"http://127.0.0.1:1/simple?token={_TOKEN}",
    "a path": f"http://127.0.0.1:1/{_TOKEN}/simple",
    "a path without a scheme": f"127.0.0.1:1/{_TOKEN}/simple",
}


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (tmp_path / "requirements.in").write_text("some-private-thing\n", "utf-8")


_VARIABLES = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_INDEX",
    "UV_DEFAULT_INDEX", "uv.toml", "requirements",
)  # fmt: skip
_QUICK = {("PIP_FIND_LINKS", "a slash"), ("PIP_INDEX_URL", "a path"), ("uv.toml", "no scheme")}


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        pytest.param(variable, url, marks=() if (variable, url) in _QUICK else pytest.mark.slow)
        for variable in _VARIABLES
        for url in _URLS
    ],
)
def test_a_message_of_uv(
    variable: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    urls = []
    if variable == "uv.toml":
        (tmp_path / "uv.toml").write_text(f'index-url = "{_URLS[url]}"\n', "utf-8")
    elif variable == "requirements":
        (tmp_path / "requirements.in").write_text(f"--index-url {_URLS[url]}\nthing\n", "utf-8")
        urls = [_URLS[url]]
    else:
        monkeypatch.setenv(variable, _URLS[url])
    status, lines = run_uv(
        "pip", "compile", "requirements.in", project=tmp_path, find_links=[], urls=urls, timeout=60
    )
    assert status
    assert lines
    assert _TOKEN not in "\n".join(lines)


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of uv prints what it gets."""
    program = tmp_path / "uv"
    program.write_text('#!/bin/sh\necho "$@" >&2\necho "$UV_FIND_LINKS" > got\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(uv_process, "find_uv", lambda _purpose: str(program))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{_URLS['a slash']} https://b.example.com/x,y")
    monkeypatch.setenv("UV_FIND_LINKS", f"{_URLS['a password']},/directory")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    places = [tmp_path / "wheels", tmp_path / "a, b"]
    status, lines = run_uv(
        "pip", "compile", project=tmp_path, find_links=places, urls=[], timeout=60
    )
    assert (status, lines) == (0, ["pip compile --no-index"])
    assert (tmp_path / "got").read_text("utf-8").strip().split(",") == [
        str(tmp_path / "wheels"),
        (tmp_path / "a, b").as_uri().replace(",", "%2C"),
        _URLS["a password"],
        "/directory",
        _URLS["a slash"],
        "https://b.example.com/x%2Cy",
    ]
