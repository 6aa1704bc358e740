"""requirements.txt is read as pip reads it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.project.requirements import (
    Requirements,
    installable,
    is_bigflow,
    ours,
    read_requirements,
)
from support.projects import write_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resources")


def read(directory: Path, text: str | bytes, **others: str) -> Requirements:
    for name, content in others.items():
        (directory / f"{name}.txt").write_text(content, "utf-8")
    path = directory / "requirements.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_requirements(path)


@pytest.mark.parametrize(
    ("text", "specifiers"),
    [
        ("", []),
        ("# only a comment\n\n", []),
        ("six", ["six"]),
        ("six # why\nattrs", ["six", "attrs"]),
        ("six\nsix\n", ["six"]),
        ("requests[security,socks] >= 2.0, <3", ["requests[security,socks]<3,>=2.0"]),
        ('six ; python_version < "3.9"', ['six; python_version < "3.9"']),
        ("six==1.16.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n", ["six==1.16.0"]),
        ("six==1.16.0 --hash sha256:aa\n", ["six==1.16.0"]),
        ("--require-hashes\nsix==1.16.0 --hash=sha256:aa", ["six==1.16.0"]),
        ("si\\\nx", ["six"]),
        ("six \\\n# a comment ends the line\nattrs", ["six", "attrs"]),
        (
            "six @ https://example.org/six.whl#sha256=aa",
            ["six@ https://example.org/six.whl#sha256=aa"],
        ),
        ("-r base.txt\nsix", ["base-one", "six"]),
        ("--requirement=base.txt", ["base-one"]),
        ("-r 'base.txt'", ["base-one"]),
        ("--requirement base.txt", ["base-one"]),
        ("-rbase.txt", ["base-one"]),
        (b"\xef\xbb\xbfsix\r\nattrs\r\n", ["six", "attrs"]),
        ("six\\", ["six"]),
        ("six # caf\xe9".encode("utf-16"), ["six"]),
        (b"# -*- coding: latin-1 -*-\nsix # caf\xe9", ["six"]),
        (b"# note\n# vim: set fileencoding=cp1250 :\nsix # \xb3", ["six"]),
    ],
)
def test_valid_files(directory: Path, text: str | bytes, specifiers: list[str]) -> None:
    found = read(directory, text, base="base-one\n")
    assert [str(Requirement(s)) for s in found.specifiers] == [
        str(Requirement(s)) for s in specifiers
    ]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("--index-url https://ada:secret@example.org/simple", "--index-url is for the installer"),
        ("-i https://example.org/simple", "-i is for the installer"),
        ("--extra-index-url=https://example.org", "--extra-index-url is for the installer"),
        ("-f wheels", "-f is for the installer"),
        ("-c constraints.txt", "-c is for the installer"),
        ("--pre", "--pre is for the installer"),
        ("-fhttps://ada:secret@example.org/", "-f is for the installer"),
        ('attrs --config-settings="a=b"', "--config-settings is for the installer"),
    ],
)
def test_a_warning_for_what_metadata_cannot_contain(
    directory: Path, line: str, warning: str
) -> None:
    found = read(directory, f"six\n{line}\n")
    (only,) = found.warnings
    assert only.startswith(f"requirements.txt, line 2: {warning}")
    assert "secret" not in only
    assert "six" in found.specifiers


def test_options(directory: Path) -> None:
    found = read(directory, "--pre -i 'https://a.example' # c\n--find-links=wheels\n-fhttps://b\n")
    assert [(option.name, option.value) for option in found.options] == [
        ("--pre", ""),
        ("-i", "https://a.example"),
        ("--find-links", "wheels"),
        ("-f", "https://b"),
    ]


def test_lines(directory: Path) -> None:
    text = "Six_One==1 \\\n  --hash=sha256:aa # c\n-r 'base.txt'\n"
    found = read(directory, text, base="\nb @ file:///b\n")
    assert [(line.name, line.text, line.where, line.is_local) for line in found.lines] == [
        ("six-one", "Six_One==1   --hash=sha256:aa", "requirements.txt, line 1", False),
        ("b", "b @ file:///b", "base.txt, line 2", True),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-e .", "line 1: an editable requirement"),
        ("--editable=git+https://example.org/x#egg=x", "line 1: an editable requirement"),
        ("-egit+https://example.org/x#egg=x", "line 1: an editable requirement"),
        ("-e.", "line 1: an editable requirement"),
        ("--editible .", "line 1: --editible is not an option of a requirements file"),
        ("--req base.txt", "line 1: --req is not an option of a requirements file"),
        ("six --hahs=sha256:aa", "line 1: --hahs is not an option of a requirements file"),
        (b"# coding: klingon\nsix", "line 1: 'klingon' is not a known encoding"),
        ("six\n./wheels/six.whl", "line 2: './wheels/six.whl' is not a valid requirement"),
        (
            "https://ada:secret@example.org/six.whl",
            "'https://example.org/six.whl' is not a valid requirement",
        ),
        ("six @ https://${TOKEN}@example.org/six.whl", "an environment variable"),
        ("six==", "line 1: 'six==' is not a valid requirement"),
        ("yarn===!!", "line 1: 'yarn===!!' is not a valid requirement: Invalid version: '!!'"),
        ("attrs \\\n >= 1\nsix==", "line 3: 'six==' is not a valid requirement"),
        ("-r ../outside.txt", "is outside resources/"),
        ("-r /etc/hostname", "is outside resources/"),
        (b"caf\xe9\n", "line 1: not UTF-8"),
        ("six\n\n" + "b\xe4d", "line 3"),
    ],
)
def test_invalid_lines(directory: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(directory, text)
    assert message in caught.value.message.replace(directory.name, "resources")
    assert caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {
                "resources/requirements.txt": "-r base.txt\n",
                "resources/base.txt": "BigFlow[log]==1.11\n",
            },
            (
                "bigflow-backend into resources/base.txt, line 1, and instead of its extras "
                "(log) the libraries that you import"
            ),
        ),
        (
            {
                "resources/requirements.txt": None,
                "pyproject.toml": "[project]\nname = 'pipelines'\ndynamic = ['version']\n"
                "dependencies = ['bigflow[log, bigquery] == 1.11', 'requests']\n",
            },
            (
                'dependencies = ["bigflow-backend", "requests"] into [project] of pyproject.toml, '
                "and instead of its extras (bigquery, log) the libraries that you import"
            ),
        ),
    ],
)
def test_bigflow_means_bigflow_backend(
    tmp_path: Path, files: dict[str, str | None], line: str
) -> None:
    project = write_project(tmp_path / "project", files)
    with pytest.warns(BigflowWarning) as caught:
        name = project.hook("build_wheel", str(tmp_path))
    assert [str(w.message) for w in caught] == [f"bigflow means bigflow-backend here: write {line}"]
    with zipfile.ZipFile(tmp_path / name) as archive:
        metadata = archive.read("pipelines-1.2.0.dist-info/METADATA").decode().splitlines()
    assert "Requires-Dist: bigflow-backend" in metadata
    assert not any("bigflow[" in line.lower() for line in metadata)


@pytest.mark.parametrize(
    ("written", "required"),
    [
        ("bigflow", "bigflow-backend"),
        ("BigFlow [ bigquery , log ] >= 1.11, < 2", "bigflow-backend"),
        ("bigflow==1.11.3;python_version<'3.12'", "bigflow-backend; python_version<'3.12'"),
        ("bigflow @ https://a.b/c.zip ; os_name == 'x'", "bigflow-backend; os_name == 'x'"),
        ("bigflow @ git+ssh://a.b/c;d", "bigflow-backend"),
        *[(name, name) for name in ("bigflow-backend", "bigflow.tools", "bigflows", "mybigflow")],
    ],
)
def test_what_stands_for_a_requirement_of_bigflow(written: str, required: str) -> None:
    assert ours(written) == required
    assert is_bigflow(written) is (written != required)


def test_a_file_to_install_requires_bigflow_backend(tmp_path: Path) -> None:
    texts = {"a.txt": "-c c.txt\n-r b.txt\nrequests\n", "b.txt": "bigflow==1 ; os_name == 'x'\n"}
    for name, text in {**texts, "c.txt": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "new").mkdir()
    found = installable(tmp_path / "a.txt", tmp_path / "new", absolute=True)
    assert found.read_text().splitlines() == [
        f"-c {tmp_path / 'c.txt'}",
        "bigflow-backend; os_name == 'x'",
        "requests",
    ]
    assert installable(tmp_path / "c.txt", tmp_path / "new", absolute=True) == tmp_path / "c.txt"


names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9]{0,8}([-_.][A-Za-z0-9]{1,4})?\Z")
versions = st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,2}\Z")
markers = st.sampled_from(["", ' ; python_version < "3.12"', ' ; sys_platform == "linux"'])
extras = st.sampled_from(["", "[one]", "[one,two]"])
blanks = st.sampled_from(["", "\n", "# note\n", "   \n", "\t# six==1\n"])
hashes = st.sampled_from(["", " --hash=sha256:" + "a" * 64, " \\\n  --hash=sha256:" + "b" * 64])


@given(
    lines=st.lists(
        st.tuples(blanks, names, extras, versions, markers, hashes, st.sampled_from(["", "  # c"])),
        max_size=6,
    )
)
def test_every_requirement_is_read(
    directory: Path, lines: list[tuple[str, str, str, str, str, str, str]]
) -> None:
    text, expected = "", []
    for blank, name, extra, version, marker, digest, comment in lines:
        requirement = f"{name}{extra}=={version}{marker}"
        text += f"{blank}{requirement}{digest}{comment}\n"
        expected.append(str(Requirement(requirement)))
    assert list(read(directory, text).specifiers) == list(dict.fromkeys(expected))


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_line(directory: Path, text: str) -> None:
    try:
        found = read(directory, text.encode("utf-8", "surrogatepass"))
    except UserError as error:
        assert "requirements.txt, line " in error.message  # noqa: PT017
        assert "\n" not in error.message  # noqa: PT017
    else:
        for specifier in found.specifiers:
            Requirement(specifier)
