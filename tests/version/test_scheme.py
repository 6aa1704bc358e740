"""Arithmetic of PEP 440."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow_backend.version.scheme import Version, bump, following, tagged


@pytest.mark.parametrize(
    ("tag", "prefix", "version"),
    [
        ("1.2.0", "", "1.2.0"),
        ("v1.2.0", "", "1.2.0"),
        ("V1.2", "", "1.2"),
        ("1.2.3.4", "", "1.2.3.4"),
        ("v1.2.0-rc.1", "", "1.2.0rc1"),
        ("1.2.0.post1", "", "1.2.0.post1"),
        ("1!2.0", "", "1!2.0"),
        ("1.2.0+ubuntu1", "", "1.2.0+ubuntu1"),
        ("reports-v1.2.0", "reports-", "1.2.0"),
        ("reports/1.2.0", "reports/", "1.2.0"),
        ("v1.2.0", "reports-", None),
        ("reports-v1.2.0", "", None),
        ("4.0/beta", "", None),
        ("foo/1.0", "", None),
        ("release-2026", "", None),
        ("2026", "", None),
        ("v1", "", None),
        ("v.1.2", "", None),
        ("vv1.2", "", None),
        ("1.0;id", "", None),
        ("latest", "", None),
    ],
)
def test_tags_that_are_versions(tag: str, prefix: str, version: str | None) -> None:
    found = tagged(tag, prefix)
    assert (str(found) if found else None) == version


@pytest.mark.parametrize(
    ("base", "after"),
    [
        (None, "0.0.dev3+gabc"),
        ("1.2.0", "1.2.1.dev3+gabc"),
        ("1.2", "1.2.1.dev3+gabc"),
        ("1.9.9", "1.9.10.dev3+gabc"),
        ("1.2.0.4", "1.2.0.5.dev3+gabc"),
        ("1.2.0a1", "1.2.0a2.dev3+gabc"),
        ("1.2rc1", "1.2rc2.dev3+gabc"),
        ("1.2.0.post1", "1.2.0.post2.dev3+gabc"),
        ("1.2.0rc1.post2", "1.2.0rc1.post3.dev3+gabc"),
        ("1.3.0.dev1", "1.3.0.dev1+3.gabc"),
        ("1!2.0", "1!2.0.1.dev3+gabc"),
        ("1.2.0+local", "1.2.1.dev3+gabc"),
    ],
)
def test_the_version_of_later_commits(base: str | None, after: str) -> None:
    assert following(Version(base) if base else None, 3, "gabc") == after


@pytest.mark.parametrize(
    ("base", "major", "minor", "patch"),
    [
        (None, "1.0.0", "0.1.0", "0.0.1"),
        ("1.2.3", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2", "2.0.0", "1.3.0", "1.2.1"),
        ("1.2.3.4", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2.3.post1", "2.0.0", "1.3.0", "1.2.4"),
        ("1.2.3rc1", "2.0.0", "1.3.0", "1.2.3"),
        ("1.3.0rc1", "2.0.0", "1.3.0", "1.3.0"),
        ("2.0.0b2", "2.0.0", "2.0.0", "2.0.0"),
        ("1.3.0.dev4", "2.0.0", "1.3.0", "1.3.0"),
        ("1!2.3.0", "1!3.0.0", "1!2.4.0", "1!2.3.1"),
    ],
)
def test_bumps(base: str | None, major: str, minor: str, patch: str) -> None:
    version = Version(base) if base else None
    assert [str(bump(version, level)) for level in ("major", "minor", "patch")] == [
        major,
        minor,
        patch,
    ]


numbers = st.integers(min_value=0, max_value=30)
versions = st.builds(
    lambda epoch, release, pre, post, dev: Version(
        f"{epoch}!" + ".".join(map(str, release)) + pre + post + dev
    ),
    st.sampled_from([0, 0, 1]),
    st.lists(numbers, min_size=2, max_size=5),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["a", "b", "rc"]), numbers)),
    st.one_of(st.just(""), st.builds(".post{}".format, numbers)),
    st.one_of(st.just(""), st.builds(".dev{}".format, numbers)),
)


@given(versions, st.integers(0, 2000), st.integers(0, 2000))
def test_later_commits_sort_after_the_base_and_by_distance(
    base: Version, one: int, other: int
) -> None:
    earlier, later = (Version(following(base, n, "gabc")) for n in sorted((one, other)))
    assert base < earlier <= later


@given(versions, st.integers(0, 2000))
def test_every_bump_sorts_after_later_commits(base: Version, distance: int) -> None:
    for level in ("major", "minor", "patch"):
        assert Version(following(base, distance, "gabc")) < bump(base, level)
