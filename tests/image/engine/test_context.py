"""The build context: the files that the image needs, and no secrets by accident."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.engine.context import context_files, write_context
from bigflow_backend.project.project import Project, read_project

_EPOCH = 1_600_000_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    for name, text in {
        "Dockerfile": "FROM scratch\n",
        "demo/__init__.py": "",
        "deployment_config.py": "SECRET\n",
        "project_setup.py": 'PROJECT_NAME = "demo"\n',
        "resources/requirements.txt": "six\n",
        "resources/tables/weather.csv": "1\n",
        "resources/.env": "PASSWORD=1\n",
        ".env": "PASSWORD=1\n",
        ".git/config": "",
        "dist/demo-0.9-py3-none-any.whl": "stale",
        "dist/demo-1.0-py3-none-any.whl": "wheel",
        "extra/tool.sh": "true\n",
        "extra/.git/config": "",
        "extra/deployment_config.py": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_project(root)


def names(project: Project, *additions: str, find_links: tuple[Path, ...] = ()) -> dict[str, Path]:
    wheel = project.root / "dist/demo-1.0-py3-none-any.whl"
    return context_files(
        project,
        wheel,
        dockerfile=project.dockerfile,
        find_links=find_links,
        additions=additions,
    )


def test_it_holds_the_dockerfile_the_wheel_and_resources(project: Project) -> None:
    assert sorted(names(project)) == [
        "Dockerfile",
        "dist/demo-1.0-py3-none-any.whl",
        "resources/requirements.txt",
        "resources/tables/weather.csv",
    ]


def test_additions_add_no_secrets_by_accident(project: Project) -> None:
    assert sorted(set(names(project, "extra", "./demo")) - set(names(project))) == [
        "demo/__init__.py",
        "extra/tool.sh",
    ]
    everything = names(project, ".")
    assert not {n for n in everything if ".env" in n or ".git/" in n or "deployment" in n}


def test_a_secret_that_is_named_is_added(project: Project) -> None:
    assert "deployment_config.py" in names(project, "deployment_config.py")


def test_dockerignore_excludes_files_of_the_project(project: Project) -> None:
    ignore = "# comment\n\ndist\nDockerfile\n**/*.csv\nextra\n!extra/tool.sh\n"
    (project.root / ".dockerignore").write_text(ignore)
    assert sorted(names(project, "extra", "demo")) == [
        "Dockerfile",
        "demo/__init__.py",
        "dist/demo-1.0-py3-none-any.whl",
        "extra/tool.sh",
        "resources/requirements.txt",
    ]


def test_find_links(project: Project, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("a-1-py3-none-any.whl", "b-1.tar.gz", "notes.txt"):
        (wheels / name).write_text(name)
    (project.root / "own").mkdir()
    (project.root / "own/a-1-py3-none-any.whl").write_text("a-1-py3-none-any.whl")
    found = names(project, find_links=(wheels, Path("own")))
    assert {n for n in found if n.startswith("wheels/")} == {
        "wheels/a-1-py3-none-any.whl",
        "wheels/b-1.tar.gz",
    }


def test_two_different_wheels_of_one_name(project: Project, tmp_path: Path) -> None:
    for directory in ("one", "two"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "a-1-py3-none-any.whl").write_text(directory)
    with pytest.raises(UserError, match=r"two different files a-1-py3-none-any\.whl"):
        names(project, find_links=(tmp_path / "one", tmp_path / "two"))


@pytest.mark.parametrize(
    ("find_links", "message"),
    [("nowhere", "names nowhere, which is not a directory"), ("demo", "demo, which has no wheels")],
)
def test_find_links_without_wheels(project: Project, find_links: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        names(project, find_links=(Path(find_links),))


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("../x", "outside the project"),
        ("/etc/passwd", "outside the project"),
        ("demo/../../x", "outside the project"),
        ("nowhere", "'nowhere', which does not exist"),
    ],
)
def test_wrong_additions(project: Project, addition: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        names(project, addition)
    assert "tool.bigflow.image.context" in raised.value.message


def test_links_and_pipes(project: Project, tmp_path: Path) -> None:
    (project.root / "resources/link.csv").symlink_to(project.root / "resources/tables/weather.csv")
    assert "resources/link.csv" in names(project)
    (project.root / "resources/tree").symlink_to(tmp_path)
    with pytest.raises(UserError, match="have resources/tree: it is a link to a directory"):
        names(project)
    (project.root / ".dockerignore").write_text("resources/tree\n")
    assert "resources/link.csv" in names(project)
    os.mkfifo(project.root / "resources/pipe")
    with pytest.raises(UserError, match="have resources/pipe: it is not a regular file"):
        names(project)


def test_no_resources(project: Project) -> None:
    for path in sorted(project.resources.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    project.resources.rmdir()
    assert not {n for n in names(project) if n.startswith("resources")}


def archived(files: dict[str, Path]) -> bytes:
    output = io.BytesIO()
    write_context(files, output, epoch=_EPOCH)
    return output.getvalue()


def test_the_same_files_give_the_same_bytes(project: Project) -> None:
    before = archived(names(project, "extra"))
    for path in project.root.rglob("*"):
        os.utime(path, (0, 0))
        os.chown(path, os.getuid(), os.getgid())
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert archived(dict(reversed(names(project, "extra").items()))) == before


def test_members(project: Project) -> None:
    (project.root / "extra/tool.sh").chmod(0o777)
    with tarfile.open(fileobj=io.BytesIO(archived(names(project, "extra")))) as archive:
        members = {m.name: (m.mode, m.mtime, m.uid, m.uname) for m in archive.getmembers()}
    assert members["extra/tool.sh"] == (0o755, _EPOCH, 0, "")
    assert members["Dockerfile"] == (0o644, _EPOCH, 0, "")
    # COPY of a directory that is not there fails.
    assert {"dist", "resources", "resources/tables", "wheels"} <= members.keys()


def test_a_file_that_vanishes(project: Project) -> None:
    files = names(project)
    (project.root / "resources/tables/weather.csv").unlink()
    with pytest.raises(UserError, match=r"cannot read .*weather.csv: No such file"):
        archived(files)
