"""Names and quantities of Kubernetes, and generated names."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.dags.rules.kubernetes import (
    is_dns_label,
    is_dns_subdomain,
    is_label_value,
    is_qualified_name,
    label_value,
    pod_name,
    quantity,
)

IDS = st.from_regex(r"\A\w[\w-]{0,80}\Z")


@given(workflow=IDS, job=IDS)
def test_every_pair_of_ids_gives_the_name_of_a_pod(workflow: str, job: str) -> None:
    name = pod_name(workflow, job)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,52}[a-z0-9])?", name)
    assert name == pod_name(workflow, job)


def test_short_ids_are_readable_in_the_name_of_a_pod() -> None:
    assert pod_name("daily_Weather", "load-csv") == "daily-weather--load-csv"


def test_ids_that_are_cut_or_not_ascii_keep_names_of_their_own() -> None:
    long = "x" * 60
    names = {
        pod_name(long, "a"),
        pod_name(long, "b"),
        pod_name("żółw", "a"),
        pod_name("żółć", "a"),
        pod_name("_", "a"),
        pod_name("__", "a"),
    }
    assert len(names) == 6


def test_pairs_of_ids_with_equal_text_have_different_names() -> None:
    assert pod_name("a_b", "c") != pod_name("a", "b_c")


@given(text=st.text(min_size=1))
def test_every_text_gives_the_value_of_a_label(text: str) -> None:
    assert is_label_value(label_value(text))


def test_a_label_keeps_the_valid_part_of_a_text() -> None:
    assert label_value("1.2.0-dev1") == "1.2.0-dev1"
    assert re.fullmatch(r"1\.2-\w{9}", label_value("1.2+ż"))
    assert label_value("a" * 64) != label_value("a" * 65)


@pytest.mark.parametrize("text", ["", "a", "A.b-c_9", "0" * 63])
def test_values_of_labels(text: str) -> None:
    assert is_label_value(text)


@pytest.mark.parametrize("text", ["a b", "-a", "a_", "ż", "0" * 64, "a\n", "\u0663"])
def test_no_values_of_labels(text: str) -> None:
    assert not is_label_value(text)


@pytest.mark.parametrize("text", ["app", "example.com/team", "a.b-c/D_e.f"])
def test_keys_of_labels(text: str) -> None:
    assert is_qualified_name(text)


@pytest.mark.parametrize("text", ["", "/a", "a/", "a/b/c", "Example.com/a", "a b", "é", "a\n"])
def test_no_keys_of_labels(text: str) -> None:
    assert not is_qualified_name(text)


def test_names_of_objects() -> None:
    assert is_dns_label("a-1")
    assert is_dns_subdomain("runner.team-1")
    for text in ("", "-a", "a-", "A", "a_b", "a" * 64, "a\n"):
        assert not is_dns_label(text)
    for text in ("", "a..b", ".a", "a.", "a\n", "a." * 126 + "ab"):
        assert not is_dns_subdomain(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("2.", 2),
        ("500m", Fraction(1, 2)),
        ("512Mi", 512 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("2k", 2000),
        ("3E", 3 * 10**18),
        ("1e3", 1000),
        ("1E-2", Fraction(1, 100)),
        ("7n", Fraction(7, 10**9)),
    ],
)
def test_quantities(text: str, value: object) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "1 Gi", "1GB", "1K", "1gi", "Mi", "-1", "1e", "1e999", "½", "\u0663", "1\n", "1,5"]
)
def test_no_quantities(text: str) -> None:
    assert quantity(text) is None
