"""The hooks of PEP 517 and PEP 660, on every kind of project."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import BytesParser
from typing import TYPE_CHECKING

import pytest
from packaging.metadata import Metadata

from bigflow_backend.ground.files import unpack_tar
from support.projects import copy_project, write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.projects import Project

KINDS = ("plain", "pep621", "both", "extension")


@pytest.fixture(params=KINDS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    return copy_project(request.param, tmp_path / "project")


def build(project: Project, hook: str, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    name: str = project.hook(hook, str(directory))
    return directory / name


def metadata_of(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return archive.read(name)


def pure_members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = (n for n in archive.namelist() if not n.endswith((".so", "/RECORD")))
        return {n: archive.read(n) for n in names}


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_prepared_metadata_are_those_of_the_wheel(
    project: Project, tmp_path: Path, kind: str
) -> None:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    name = project.hook(f"prepare_metadata_for_build_{kind}", str(prepared))
    wheel = build(project, f"build_{kind}", tmp_path / "out")
    assert (prepared / name / "METADATA").read_bytes() == metadata_of(wheel)
    assert name == wheel.name.split("-")[0] + "-1.2.0.dist-info"
    Metadata.from_email(metadata_of(wheel), validate=True)


def test_a_wheel_from_the_sdist_is_the_wheel_from_the_tree(
    project: Project, tmp_path: Path
) -> None:
    wheel = build(project, "build_wheel", tmp_path / "tree")
    sdist = build(project, "build_sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        unpack_tar(archive, tmp_path / "unpacked")
    (root,) = (tmp_path / "unpacked").iterdir()
    # There the version comes from PKG-INFO, without a variable and git.
    unpacked = type(project)(root, {})
    again = build(unpacked, "build_wheel", tmp_path / "again")
    assert again.name == wheel.name
    if "none-any" in wheel.name:
        assert again.read_bytes() == wheel.read_bytes()
    # A compiler writes its directory into an extension module.
    assert pure_members(again) == pure_members(wheel)


def test_the_source_tree_is_unchanged(project: Project, tmp_path: Path) -> None:
    before = project.files()
    for hook in ("build_wheel", "build_sdist", "build_editable"):
        build(project, hook, tmp_path / "out")
    # An editable install imports extension modules from the tree.
    after = {n: data for n, data in project.files().items() if not n.endswith(".so")}
    assert after.keys() == before.keys()
    assert after == before


def test_the_wheel_is_well_formed(project: Project, tmp_path: Path) -> None:
    wheel = build(project, "build_wheel", tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        # .dist-info is last, as the specification recommends.
        assert names[-1].endswith(".dist-info/RECORD")
        assert archive.testzip() is None
        modes = {info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes <= {0o644, 0o755}


def test_requirements_of_the_build(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    for kind in ("wheel", "sdist", "editable"):
        required = project.hook(f"get_requires_for_build_{kind}")
        assert any(r.startswith("setuptools>=77") for r in required)


def test_get_requires_does_not_import_setuptools(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    done = project.run(
        "-c",
        "import sys, bigflow_backend as b; b.get_requires_for_build_wheel();"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('setuptools', 'packaging')))",
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_metadata_of_a_project_table(tmp_path: Path) -> None:
    project = copy_project("pep621", tmp_path / "project")
    wheel = build(project, "build_wheel", tmp_path / "out")
    metadata = Metadata.from_email(metadata_of(wheel), validate=True)
    assert metadata.name == "Ride-Pipelines"
    assert str(metadata.version) == "1.2.0"
    assert metadata.summary == "Rides, counted"
    assert metadata.description == "# Żółw pipelines\n"
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE", "licenses/third.txt"]
    assert metadata.author == "Grace"
    assert metadata.author_email == "Ada <ada@example.org>"
    assert metadata.maintainer_email == "team@example.org"
    assert metadata.keywords == ["rides", "airflow"]
    assert metadata.classifiers == ["Programming Language :: Python :: 3"]
    assert metadata.project_urls == {
        "Homepage": "https://example.org",
        "Bug Tracker": "https://example.org/bugs",
    }
    assert [str(r) for r in metadata.requires_dist or ()] == [
        "packaging>=20",
        'orjson>=3; python_version >= "3.10" and extra == "fast"',
    ]
    with zipfile.ZipFile(wheel) as archive:
        info = "ride_pipelines-1.2.0.dist-info"
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        assert {f"{info}/licenses/LICENSE", f"{info}/licenses/licenses/third.txt"} <= set(
            archive.namelist()
        )
    assert entry_points.split("\n\n") == [
        "[console_scripts]\nride = pipelines:main",
        "[example.plugins]\nride = pipelines:main",
        "[gui_scripts]\nride-gui = pipelines:main\n",
    ]


def test_the_metadata_are_setuptools_own(tmp_path: Path) -> None:
    """Setuptools itself gives the same metadata for the same tables."""
    ours = copy_project("pep621", tmp_path / "ours")
    theirs = copy_project("pep621", tmp_path / "theirs")
    text = (theirs.root / "pyproject.toml").read_text("utf-8")
    text = text.replace('dynamic = ["version", "dependencies"]', 'version = "1.2.0"')
    text = text.replace(
        "description =", 'dependencies = ["packaging>=20"]\ndescription =', 1
    ).replace("[tool.bigflow]\npackage", "[tool.setuptools]\npackages")
    text = text.replace('packages = "pipelines"', 'packages = ["pipelines"]')
    (theirs.root / "pyproject.toml").write_text(text, "utf-8")
    wheel = build(ours, "build_wheel", tmp_path / "out")
    name = theirs.run(
        "-c",
        "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))",
        str(tmp_path),
    )
    other = tmp_path / name.stdout.split()[-1]

    def fields(path: Path) -> list[tuple[str, str]]:
        message = BytesParser().parsebytes(metadata_of(path))
        return sorted((k, v) for k, v in message.items() if k != "Dynamic")

    assert fields(wheel) == fields(other)


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        (
            "plain",
            {
                "pipelines/__init__.py",
                "pipelines/workflow.py",
                "pipelines/jobs/__init__.py",
                "pipelines/jobs/load.py",
                "pipelines/resources/query.sql",
                "pipelines/resources/requirements.txt",
            },
        ),
        (
            "pep621",
            {
                "pipelines/__init__.py",
                "pipelines/py.typed",
                "pipelines/resources/requirements.txt",
                "pipelines/stubs.pyi",
            },
        ),
        (
            "both",
            {
                "helpers/__init__.py",
                "pipelines/__init__.py",
                "pipelines/resources/table.csv",
                "pipelines/workflow.py",
            },
        ),
    ],
)
def test_the_wheel_has_packages_and_resources_only(
    tmp_path: Path, kind: str, files: set[str]
) -> None:
    wheel = build(copy_project(kind, tmp_path / "project"), "build_wheel", tmp_path / "out")
    with zipfile.ZipFile(wheel) as archive:
        assert {n for n in archive.namelist() if ".dist-info/" not in n} == files


def test_the_sdist_has_the_sources_of_the_wheel(tmp_path: Path) -> None:
    sdist = build(copy_project("plain", tmp_path / "project"), "build_sdist", tmp_path / "out")
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    assert names == {
        "PKG-INFO",
        "pipelines/__init__.py",
        "pipelines/jobs/__init__.py",
        "pipelines/jobs/load.py",
        "pipelines/workflow.py",
        "project_setup.py",
        "pyproject.toml",
        "resources/query.sql",
        "resources/requirements.txt",
    }


def test_setuptools_builds_extension_modules(tmp_path: Path) -> None:
    project = copy_project("extension", tmp_path / "project")
    # An editable install leaves this file. Warnings are errors here, so there is no warning of it.
    project.write({"pipelines/_fast.cpython-310-x86_64-linux-gnu.so": "of another Python"})
    wheel = build(project, "build_wheel", tmp_path / "out")
    assert "none-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        script = archive.getinfo("pipelines-1.2.0.data/scripts/ride")
    assert sum(n.startswith("pipelines/_fast.") and n.endswith(".so") for n in names) == 1
    assert not any(n.endswith(".c") for n in names)
    assert "pipelines/resources/requirements.txt" in names
    assert script.external_attr >> 16 & 0o777 == 0o755


def test_options_of_setuptools(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    directory = tmp_path / "out"
    directory.mkdir()
    settings = {"--build-option": ["--python-tag=py310", "--build-number=7"]}
    assert (
        project.hook("build_wheel", str(directory), settings)
        == "pipelines-1.2.0-7-py310-none-any.whl"
    )
