"""Property: if tags increase along a line of history, versions increase, too."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigflow_backend.version import project_version
from bigflow_backend.version.scheme import Version
from support.git_repository import Repository, isolate_git, make_repository

number = st.integers(min_value=0, max_value=11)
# Releases and pre-releases. Post-releases break this property: 1.2.0.post1 sorts after 1.2.0, but
# before 1.2.1.devN. A note warns of them.
releases = st.builds(
    "{}.{}{}{}".format,
    number,
    number,
    st.one_of(st.just(""), st.builds(".{}".format, number)),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["a", "b", "rc"]), number)),
)
# For each commit: True if it merges a side branch, True if it has a tag.
histories = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=7)


def import_history(
    repository: Repository, history: list[tuple[bool, bool]], tags: list[str]
) -> list[str]:
    """Import commits with ``git fast-import``. Return the hashes of the main line, in order."""
    stream: list[str] = []
    marks = itertools.count(1)
    line: list[int] = []
    remaining = iter(tags)

    def commit(branch: str, *parents: int) -> int:
        mark = next(marks)
        stream.append(
            f"commit refs/heads/{branch}\nmark :{mark}\n"
            f"committer A <a@example.org> {1_700_000_000 + mark} +0000\ndata 1\nx\n"
            + "".join(
                f"{word} :{parent}\n"
                for word, parent in zip(["from", "merge"], parents, strict=False)
            )
            + "\n"
        )
        return mark

    for merges, is_tagged in history:
        parents = line[-1:]
        if merges and parents:
            parents = [*parents, commit("side", line[0])]
        line.append(commit("main", *parents))
        if is_tagged and (tag := next(remaining, None)):
            stream.append(f"reset refs/tags/{tag}\nfrom :{line[-1]}\n\n")
    exported = repository.path / "marks"
    repository.git("fast-import", "--quiet", f"--export-marks={exported}", stdin="".join(stream))
    hashes = dict(entry.split() for entry in exported.read_text().splitlines())
    return [hashes[f":{mark}"] for mark in line]


@pytest.fixture(scope="module", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as monkeypatch:
        isolate_git(monkeypatch, tmp_path_factory.mktemp("git"))
        yield


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, st.lists(releases, max_size=5, unique_by=Version), st.booleans())
def test_later_commits_never_sort_before_earlier_ones(
    history: list[tuple[bool, bool]], tags: list[str], with_v: bool
) -> None:
    names = [("v" if with_v else "") + tag for tag in sorted(tags, key=Version)]
    with tempfile.TemporaryDirectory() as directory:
        repository = make_repository(Path(directory) / "repository")
        commits = import_history(repository, history, names)
        versions = [
            Version(
                project_version(
                    repository.path,
                    distribution="demo",
                    static=None,
                    tag_prefix="",
                    revision=commit,
                ).text
            )
            for commit in commits
        ]
    assert all(one < other for one, other in itertools.pairwise(versions)), versions
