"""The bill of materials in the wheel of a project with a lock (PEP 770)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from uv import find_uv_bin

from bigflow_backend.ground.files import unpack_tar
from support.distribution import make_wheel
from support.projects import copy_project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects import Project

_HASHES = ("a" * 64, "b" * 64)
_LOCKED = "".join(
    f"library=={version} {marker} --hash=sha256:{_HASHES[0]} --hash=sha256:{_HASHES[1]}\n"
    for version, marker in (
        ("1.0", "; python_version < '3'"),
        ("2.0", "; python_version >= '3'"),
    )
)
_NAME = "sboms/bigflow-dependencies.cdx.json"


@pytest.mark.parametrize("kind", ["plain", "pep621", "extension"])
def test_a_wheel_with_locked_requirements(tmp_path: Path, kind: str) -> None:
    project = copy_project(kind, tmp_path / "project")
    plain = _members(_built(project, "build_wheel", tmp_path / "plain"))
    project.write({"resources/requirements.txt": _LOCKED})
    pyproject = project.root / "pyproject.toml"
    if kind != "plain":
        text = pyproject.read_text("utf-8")
        pyproject.write_text(_without_dependencies(text), "utf-8")
    wheel = _built(project, "build_wheel", tmp_path / "locked")
    found = _members(wheel)
    (name,) = found.keys() - plain.keys()
    dist_info = next(n for n in found if n.endswith(".dist-info/WHEEL")).rpartition("/")[0]
    assert name == f"{dist_info}/{_NAME}"
    bill = _valid(found[name])
    assert [(c["name"], c["version"]) for c in bill["components"]] == [
        ("library", "1.0"),
        ("library", "2.0"),
    ]
    (reference,) = bill["components"][0]["externalReferences"]
    assert [entry["content"] for entry in reference["hashes"]] == list(_HASHES)
    recorded = {row[0]: row[1] for row in csv.reader(io.StringIO(found[f"{dist_info}/RECORD"]))}
    digest = base64.urlsafe_b64encode(hashlib.sha256(found[name].encode()).digest())
    assert recorded[name] == f"sha256={digest.rstrip(b'=').decode()}"
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    project.hook("prepare_metadata_for_build_wheel", str(prepared))
    assert (prepared / name).read_text("utf-8") == found[name]


def test_a_wheel_without_a_lock_has_none(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    project.write({"resources/requirements.txt": "library==1.0\n"})
    assert not [n for n in _members(_built(project, "build_wheel", tmp_path)) if "sboms" in n]
    project.write({"resources/requirements.txt": _LOCKED})
    assert not [n for n in _members(_built(project, "build_editable", tmp_path)) if "sboms" in n]


def test_a_workspace_lists_what_the_project_needs(tmp_path: Path) -> None:
    """The lock is above the project, and has distributions of other projects."""
    wheels = tmp_path / "wheels"
    extra = "Provides-Extra: more\nRequires-Dist: extra-of-second; extra == 'more'\n"
    for name, requires, metadata in (
        ("first", ["second[more]"], ""),
        ("second", [], extra),
        ("extra-of-second", [], ""),
        ("of-the-group", [], ""),
        ("of-another-project", [], ""),
    ):
        make_wheel(wheels, name, "1.0", {}, requires=requires, metadata=metadata)
    repository = tmp_path / "repository"
    project = write_project(repository / "reports")
    project.write(
        {
            "resources/requirements.txt": None,
            "pyproject.toml": _PYPROJECT.format(name="pipelines", dependencies='"first", "other"')
            + '[dependency-groups]\nimage = ["of-the-group"]\n'
            + '[tool.bigflow.image]\ngroups = ["image"]\n'
            + "[tool.uv.sources]\nother = { workspace = true }\n",
            "../pyproject.toml": '[tool.uv.workspace]\nmembers = ["reports", "other", "third"]\n',
            "../other/pyproject.toml": _PLAIN.format(name="other", dependencies=""),
            "../third/pyproject.toml": _PLAIN.format(
                name="third", dependencies='"of-another-project"'
            ),
        }
    )
    subprocess.run(
        [find_uv_bin(), "lock", "--quiet", "--offline", "--no-index", "--find-links", wheels],
        cwd=project.root,
        check=True,
    )
    wheel = _built(project, "build_wheel", tmp_path / "tree")
    (text,) = (text for name, text in _members(wheel).items() if name.endswith(_NAME))
    names = [component["name"] for component in _valid(text)["components"]]
    assert names == ["extra-of-second", "first", "of-the-group", "other", "second"]
    # The lock is not in the sdist.
    sdist = _built(project, "build_sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        unpack_tar(archive, tmp_path / "unpacked")
    (root,) = (tmp_path / "unpacked").iterdir()
    again = _built(type(project)(root, {}), "build_wheel", tmp_path / "again")
    (name,) = (name for name in _members(wheel) if name.endswith(_NAME))
    assert _members(again)[name] == text


@pytest.mark.parametrize(
    ("text", "bills"),
    [
        ("not = [valid", 0),
        ("package = 1\n", 0),
        ('package = [{name = "other"}]\n', 0),
        ('package = [1, {name = "pipelines", dependencies = [{name = 1}, 2, {extra = 3}]}]\n', 1),
        ('package = [{name = "pipelines", dependencies = [{name = "pipelines"}]}]\n', 1),
    ],
)
def test_a_lock_that_is_not_valid(tmp_path: Path, text: str, bills: int) -> None:
    project = write_project(tmp_path / "project")
    pyproject = _PYPROJECT.format(name="pipelines", dependencies="")
    project.write({"uv.lock": text, "pyproject.toml": pyproject})
    wheel = _built(project, "build_wheel", tmp_path / "out")
    found = [text for name, text in _members(wheel).items() if name.endswith(_NAME)]
    assert [_valid(text)["components"] for text in found] == [[]] * bills


_PLAIN = """\
[project]
name = "{name}"
version = "1.2.0"
requires-python = ">=3.10"
dependencies = [{dependencies}]
"""
_PYPROJECT = f"""\
{_PLAIN}
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"
"""


def _without_dependencies(text: str) -> str:
    table, _, rest = text.partition("dependencies = [")
    return table + 'dynamic = ["dependencies"]' + rest.partition("]")[2] if rest else text


def _built(project: Project, hook: str, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    name: str = project.hook(hook, str(directory))
    return directory / name


def _members(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if not n.endswith(".so")]
        assert names[-1].endswith(".dist-info/RECORD")
        return {name: archive.read(name).decode("utf-8") for name in names}


def _valid(text: str) -> Any:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)
