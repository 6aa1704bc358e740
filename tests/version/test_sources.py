"""The sources of a version: variables, the project's files, PKG-INFO, git, git archives."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import unpack_tar
from bigflow_backend.version import ProjectVersion, project_version
from support.git_repository import Repository, make_repository

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVAL = """\
node: $Format:%H$
node-date: $Format:%cI$
describe-name: $Format:%(describe:tags=true)$
ref-names: $Format:%D$
"""
NODE = "0123456789abcdef0123456789abcdef01234567"
PYPROJECT = "pyproject.toml [project] version"
SCRIPT = "project_setup.py version"


def version(
    root: Path,
    *,
    static: tuple[str, str] | None = None,
    prefix: str = "",
    revision: str | None = None,
) -> ProjectVersion:
    return project_version(
        root,
        distribution="Demo-Project",
        static=static,
        tag_prefix=prefix,
        revision=revision,
    )


def pkg_info(root: Path, *, name: str = "demo_project", number: str = "3.0.0") -> None:
    (root / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {number}\n\nx")


def archival(root: Path, *, describe: str = "", refs: str = "", node: str = NODE) -> None:
    root.mkdir(exist_ok=True)
    (root / ".git_archival.txt").write_text(
        f"node: {node}\nnode-date: x\ndescribe-name: {describe}\nref-names: {refs}\n"
    )


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sources exist at first. Then they are removed one by one."""
    repository = make_repository(tmp_path / "repository")
    root = repository.path
    archival(root, describe="v2.0.0")
    repository.commit(file=".git_archival.txt")
    repository.tag("v4.0.0")
    pkg_info(root)
    static: tuple[str, str] | None = ("5.0.0", SCRIPT)
    monkeypatch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION", "6.0.0")
    monkeypatch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION_FOR_DEMO_PROJECT", "7.0.0")
    monkeypatch.setenv("BIGFLOW_VERSION", "8.0.0")

    found = [version(root, static=static)]
    monkeypatch.delenv("BIGFLOW_VERSION")
    found.append(version(root, static=static))
    monkeypatch.delenv("SETUPTOOLS_SCM_PRETEND_VERSION_FOR_DEMO_PROJECT")
    found.append(version(root, static=static))
    monkeypatch.setenv("SETUPTOOLS_SCM_PRETEND_VERSION", "")  # CI jobs set an empty variable
    found.append(version(root, static=static))
    static = None
    found.append(version(root, static=static))
    (root / "PKG-INFO").unlink()
    found.append(version(root, static=static))
    archival(root, describe="v2.0.0")
    (root / ".git").rename(tmp_path / "no-git")
    found.append(version(root, static=static))

    assert [(v.text, v.source) for v in found] == [
        ("8.0.0", "BIGFLOW_VERSION"),
        ("7.0.0", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_DEMO_PROJECT"),
        ("6.0.0", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("5.0.0", SCRIPT),
        ("3.0.0", "PKG-INFO"),
        ("4.0.0", "git tag v4.0.0"),
        ("2.0.0", ".git_archival.txt, tag v2.0.0"),
    ]


def test_the_version_of_a_revision_comes_from_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit()
    repository.tag("v4.0.0")
    monkeypatch.setenv("BIGFLOW_VERSION", "8.0.0")
    assert version(repository.path, revision="HEAD").text == "4.0.0"
    with pytest.raises(UserError, match="the version of 'HEAD' is not in git: it is set by "):
        version(repository.path, static=("5.0.0", PYPROJECT), revision="HEAD")


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("1.2", ("1.2", "1.2", "1_2")),
        ("v1.2.0-RC1", ("1.2.0rc1", "1.2.0rc1", "1_2_0rc1")),
        ("1.2.0+Ubuntu.1", ("1.2.0+ubuntu.1", "1.2.0-ubuntu.1", "1_2_0_ubuntu_1")),
        ("1!2.0", ("1!2.0", "1_2.0", "1_2_0")),
    ],
)
def test_an_override_is_normalised(
    text: str, forms: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", text)
    found = version(tmp_path)
    assert (str(found), found.image_tag, found.identifier) == forms
    assert found.commit is None


@pytest.mark.parametrize("text", ["latest", "1.0;id", "4.0/beta", " ", "1.2.0\n1.3.0", "0+BROKEN!"])
def test_an_invalid_override(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", text)
    with pytest.raises(
        UserError, match=r"BIGFLOW_VERSION is not a valid version \(PEP 440\): got"
    ) as caught:
        version(tmp_path)
    assert "1.2.0" in caught.value.hint
    assert len(str(caught.value).splitlines()) == 2


def test_a_version_too_long_for_an_image_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", "1.0+" + "x" * 124)
    assert len(version(tmp_path).image_tag) == 128
    monkeypatch.setenv("BIGFLOW_VERSION", "1.0+" + "x" * 125)
    with pytest.raises(UserError, match=r"BIGFLOW_VERSION: .* has 129 characters"):
        version(tmp_path)


def test_an_override_must_not_differ_from_the_project_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_VERSION", "1.3.0")
    with pytest.raises(UserError) as caught:
        version(tmp_path, static=("1.2.0", PYPROJECT))
    assert (
        caught.value.message
        == "BIGFLOW_VERSION is 1.3.0, but pyproject.toml [project] version is 1.2.0"
    )
    assert 'dynamic = ["version"]' in caught.value.hint
    monkeypatch.setenv("BIGFLOW_VERSION", "1.2")
    assert version(tmp_path, static=("1.2.0", PYPROJECT)).text == "1.2.0"


def test_an_invalid_static_version(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"project_setup\.py version is not a valid .*: got 'one'"):
        version(tmp_path, static=("one", SCRIPT))


def test_pkg_info_takes_precedence_over_a_repository_around_it(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.commit()
    repository.tag("v9.9.9")
    unpacked = repository.path / "demo_project-3.0.0"
    unpacked.mkdir()
    pkg_info(unpacked)
    assert version(unpacked).text == "3.0.0"


@pytest.mark.parametrize(
    ("name", "number", "error"),
    [
        ("other", "3.0.0", r"PKG-INFO belongs to 'other', not to 'Demo-Project'"),
        ("demo.project", "x", r"PKG-INFO: Version is not a valid version \(PEP 440\): got 'x'"),
        ("demo.project", "", r"PKG-INFO: Version is not a valid version \(PEP 440\): got ''"),
    ],
)
def test_a_wrong_pkg_info(name: str, number: str, error: str, tmp_path: Path) -> None:
    pkg_info(tmp_path, name=name, number=number)
    with pytest.raises(UserError, match=error):
        version(tmp_path)


def test_a_real_archive(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repository")
    repository.write("demo/.git_archival.txt", ARCHIVAL)
    repository.write("demo/.gitattributes", ".git_archival.txt export-subst\n")
    repository.git("add", "demo")
    repository.git("commit", "--quiet", "--message=archive")
    repository.tag("v1.2.0", "release-2026", "4.0/beta")

    def unpacked(name: str) -> Path:
        repository.git("archive", f"--output={tmp_path / name}.tar", "HEAD")
        with tarfile.open(tmp_path / f"{name}.tar") as archive:
            unpack_tar(archive, tmp_path / name)
        return tmp_path / name / "demo"

    assert version(repository.path / "demo").source == "git tag v1.2.0"
    exact = version(unpacked("exact"))
    assert (exact.text, exact.source) == ("1.2.0", ".git_archival.txt, tag v1.2.0")
    repository.tag("v1.2.1", "v1.10.0")
    assert version(unpacked("several")).text == "1.10.0"
    repository.git("tag", "--delete", "release-2026", "4.0/beta", "v1.2.0", "v1.2.1")
    repository.commit(3)
    after = version(unpacked("after"))
    assert after.text == version(repository.path).text == f"1.10.1.dev3+g{repository.head[:12]}"
    assert after.commit == repository.head


@pytest.mark.parametrize(
    ("describe", "refs", "prefix", "expected"),
    [
        ("v1.2.0", "", "", "1.2.0"),
        ("", "HEAD -> main, tag: v1.2.0, tag: v1.3.0, origin/main", "", "1.3.0"),
        ("release-2026", "tag: release-2026, tag: v1.2.0", "", "1.2.0"),
        ("v1.2.0-3-g0123456", "HEAD -> main", "", "1.2.1.dev3+g0123456789ab"),
        ("v1.2.0-rc1-3-g0123456", "", "", "1.2.0rc2.dev3+g0123456789ab"),
        ("reports-v1.2.0-3-g0123456", "", "reports-", "1.2.1.dev3+g0123456789ab"),
        ("%(describe:tags=true)", "tag: v1.2.0", "", "1.2.0"),  # git before 2.32 writes this
    ],
)
def test_versions_of_archives(
    describe: str, refs: str, prefix: str, expected: str, tmp_path: Path
) -> None:
    archival(tmp_path, describe=describe, refs=refs)
    found = version(tmp_path, prefix=prefix)
    assert (found.text, found.commit) == (expected, NODE)


@pytest.mark.parametrize(
    ("describe", "refs"),
    [("", "HEAD -> main"), ("release-2026-3-g0123456", ""), ("%(describe:tags=true)", "")],
)
def test_an_archive_without_a_version(describe: str, refs: str, tmp_path: Path) -> None:
    archival(tmp_path, describe=describe, refs=refs)
    with pytest.raises(UserError, match="has no version tag") as caught:
        version(tmp_path)
    assert "BIGFLOW_VERSION" in caught.value.hint


def test_an_archive_that_git_did_not_fill_in(tmp_path: Path) -> None:
    (tmp_path / ".git_archival.txt").write_text(ARCHIVAL)
    with pytest.raises(UserError, match=r"\.git_archival\.txt is not filled in") as caught:
        version(tmp_path)
    assert "export-subst" in caught.value.message
    assert "BIGFLOW_VERSION" in caught.value.hint


@pytest.mark.parametrize("around", ["foreign", "unborn", "broken"])
def test_an_archive_inside_another_repository(around: str, tmp_path: Path) -> None:
    outer = Repository(tmp_path / "outer")
    outer.path.mkdir()
    if around == "broken":
        (outer.path / ".git").write_text("gitdir: /nowhere/at/all\n")
    else:
        outer.git("init", "--quiet")
    if around == "foreign":
        outer.commit()
        outer.tag("v9.9.9")
    archival(outer.path / "unpacked", describe="v1.2.0")
    assert version(outer.path / "unpacked").text == "1.2.0"
