"""No secret of a URL is left in a text."""

from __future__ import annotations

import re
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.ground.foreign.urls import redacted

_SECRET = st.text(
    string.ascii_letters + string.digits + "/@:%?#&=,;+!$*~^|\\[]{}._-äß€", min_size=8
)
_HOST = st.sampled_from(["index.example.com", "127.0.0.1:8080", "[::1]:80", "localhost"])
_USER = st.sampled_from(["ada", "__token__", "me%40example.com", ""])
_FORMS = {
    "in the text": "error: cannot read '{}': refused",
    "at its end": "see {}",
    "with a file": "Failed to fetch: `{}/thing/thing-1.0.whl`",
    "twice": "{} and ({})",
}


@given(secret=_SECRET, host=_HOST, user=_USER, form=st.sampled_from([*_FORMS]), data=st.data())
def test_no_part_of_a_configured_url(
    secret: str, host: str, user: str, form: str, data: st.DataObject
) -> None:
    marked = f"s3cr3t{secret}s3cr3t"
    url = data.draw(
        st.sampled_from(
            [
                f"https://{user}:{marked}@{host}/simple",
                f"{user}:{marked}@{host}/simple",
                f"https://{marked}@{host}/simple",
                f"private=https://{user}:{marked}@{host}/simple",
                f"https://{host}/{marked.translate(dict.fromkeys(map(ord, '/?#@:')))}/simple",
                f"https://{host}/simple?token={marked}",
                f"{host}/simple?{marked}",
                f"https://{host}/simple#{marked}",
            ]
        )
    )
    shown = redacted(_FORMS[form].format(url, url), [url])
    assert "s3cr3t" not in shown


@given(password=st.text(string.printable, min_size=8).filter(lambda text: "s3cr3t" not in text))
def test_a_password_in_percent_encoding(password: str) -> None:
    marked = f"s3cr3t{password}".translate(dict.fromkeys(map(ord, string.whitespace)))
    url = f"https://ada:{quote(marked, safe='')}@index.example.com/simple"
    lower = re.sub("%..", lambda escape: escape[0].lower(), quote(marked, safe="/@"))
    for text in (marked, quote(marked), quote(marked, safe=""), lower):
        assert "s3cr3t" not in redacted(f"refused: {text} is wrong", [url])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("get https://me:pw@example.com/simple/x", "get https://***@example.com/simple/x"),
        ("and https://t0ken@e.com/y.", "and https://***@e.com/y."),
        ("https://me:p/w@x@e.com/y", "https://***@e.com/y"),
        ("https://e.com/x?sig=abc&b=c d", "https://e.com/x?*** d"),
        ("git+ssh://git@e.com/x", "git+ssh://***@e.com/x"),
        ("no URL: me@example.com: 1/2", "no URL: me@example.com: 1/2"),
    ],
)
def test_urls_that_nobody_configured(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_common_path_stays() -> None:
    url = "https://index.example.com/api/v4/projects/123/packages/pypi/simple/"
    assert redacted(f"no thing on {url}", [url]) == f"no thing on {url}"
    url = "https://index.example.com/team-t0ken/simple"
    assert redacted(f"{url}/thing is not steam-t0ken", [url]) == (
        "https://index.example.com/***/simple/thing is not steam-t0ken"
    )
