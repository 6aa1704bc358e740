"""Projects of BigFlow 1.x build unchanged, and warnings show the current form."""

from __future__ import annotations

import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.project.project import read_project
from bigflow_backend.project.workflows import describe_deployment
from support.projects import HookFailedError, Project, write_project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMS: dict[str, dict[str, str | None]] = {
    "bigflow.build.setup": {
        "project_setup.py": None,
        "setup.py": """\
#!/usr/bin/env python
import bigflow.build

bigflow.build.setup(
    name="pipelines",
    description="Rides",
    docker_repository="eu.gcr.io/project/repository",
    resources_dir="resources",
)
""",
    },
    "bigflow.build.default_project_setup": {
        "project_setup.py": """\
from bigflow.build import default_project_setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    default_project_setup(PROJECT_NAME, description="Rides")
""",
    },
    "bigflow.build.project_setup": {
        "project_setup.py": """\
import setuptools
from bigflow.build import auto_configuration, project_setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setuptools.setup(
        **project_setup(**auto_configuration(PROJECT_NAME), description="Rides")
    )
""",
    },
    "the table": {
        "project_setup.py": None,
        "pyproject.toml": """\
[build-system]
requires = ["bigflow-backend"]
build-backend = "bigflow_backend"

[bigflow-project]
name = "pipelines"
description = "Rides"
version = "1.2.0"
resources_dir = "resources"
""",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_old_forms_build(tmp_path: Path, form: str) -> None:
    project = write_project(tmp_path / "project", FORMS[form])
    wheel, warned = build(project, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("pipelines-1.2.0.dist-info/METADATA").decode()
    assert {"pipelines/workflow.py", "pipelines/resources/requirements.txt"} <= names
    assert not any(n.startswith(("test/", "resources/")) or ".data/" in n for n in names)
    assert "\nSummary: Rides\n" in metadata
    if form.startswith("bigflow"):
        assert " is deprecated and still works" in warned
        assert "from bigflow_backend import setup" in warned


@pytest.mark.parametrize("form", ["bigflow.build.setup", "bigflow.build.project_setup"])
def test_old_forms_build_without_pyproject(tmp_path: Path, form: str) -> None:
    """Frontends then use setuptools' own backend, which runs setup.py with its commands."""
    files = {"pyproject.toml": None, **FORMS[form]}
    if "setup.py" not in files:
        files |= {"setup.py": files["project_setup.py"], "project_setup.py": None}
    project = write_project(tmp_path / "project", files)
    pip = ["-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    done = project.run(*pip, "--wheel-dir", str(tmp_path), ".")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "pipelines-1.2.0-py3-none-any.whl") as archive:
        assert "pipelines/resources/requirements.txt" in archive.namelist()
    done = project.run("setup.py", "bdist_wheel", "--python-tag=py311", f"--dist-dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipelines-1.2.0-py311-none-any.whl").is_file()


@pytest.mark.parametrize("form", [f for f in FORMS if f != "the table"])
def test_old_scripts_have_the_commands(tmp_path: Path, form: str) -> None:
    project = write_project(tmp_path / "project", FORMS[form])
    script = "setup.py" if (project.root / "setup.py").exists() else "project_setup.py"
    done = project.run(script, "bdist_wheel")
    assert done.returncode == 0, done.stderr
    assert (project.root / "dist" / "pipelines-1.2.0-py3-none-any.whl").is_file()
    assert "build_project" in project.run(script, "--help-commands").stdout


def test_the_old_backend_name_has_the_hooks(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", FORMS["bigflow.build.setup"])
    done = project.run(
        "-c",
        "import sys, bigflow.build.meta as b; print(b.build_wheel(sys.argv[1]))",
        str(tmp_path),
    )
    assert done.stdout.split() == ["pipelines-1.2.0-py3-none-any.whl"], done.stderr


def legacy(root: Path, keywords: str, files: Mapping[str, str | None] | None = None) -> Project:
    """Write a project with the name ``rides`` and the package ``pipelines``."""
    script = (
        "from pathlib import Path\nfrom bigflow.build import setup\n"
        f"setup(name='rides', {keywords})\n"
    )
    plain: dict[str, str | None] = {"project_setup.py": None, "pyproject.toml": None}
    return write_project(root, {**plain, "setup.py": script, **(files or {})})


class TestKeywords:
    @pytest.mark.parametrize(
        "keywords",
        [
            "resources_dir='resources/', test_package='./test'",
            "resources_dir=Path('resources'), dags_dir=Path('.dags').absolute()",
            "deployment_config_file=Path(__file__).parent / 'deployment_config.py'",
            "deployment_config_file=Path(__file__).parent / 'link.py'",
            "project_requirements_file=Path('pipelines/../resources/requirements.txt')",
            "project_dir=Path(__file__).parent, build_dir=Path('build').resolve()",
            "root_package=Path(__file__).parent / 'pipelines', eggs_dir='rides.egg-info'",
            "version=None, url=None",
        ],
    )
    def test_the_paths_of_the_layout(self, tmp_path: Path, keywords: str) -> None:
        project = legacy(tmp_path, keywords, {"deployment_config.py": ""})
        (tmp_path / "link.py").symlink_to("deployment_config.py")
        found = read_project(project.root)
        assert (found.name, found.packages) == ("rides", ("pipelines",))
        build(project, tmp_path)

    @pytest.mark.parametrize(
        ("keywords", "reported"),
        [
            (
                "resources_dir='assets'",
                "resources_dir in setup.py must be 'resources': got 'assets'",
            ),
            ("dist_dir=Path('..')", "dist_dir in setup.py must be 'dist': got '..'"),
            ("project_requirements_file='\\0'", "project_requirements_file in setup.py must be"),
            ("test_framework='nose'", "test_framework in setup.py must be pytest or unittest: got"),
            ("export_image_tar='no'", "export_image_tar in setup.py must be true or false: got"),
            ("packages='pipelines'", "packages in setup.py must be a list of strings: got"),
            ("packages=['other']", "has no package 'other'"),
            ("root_package='other'", "has no package 'other'"),
        ],
    )
    def test_an_error_names_the_keyword(self, tmp_path: Path, keywords: str, reported: str) -> None:
        with pytest.raises(UserError) as caught:
            read_project(legacy(tmp_path, keywords).root)
        assert reported in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize(
        ("keywords", "reported", "fix"),
        [
            ("data_files=[('conf', ['a.yaml'])]", "setup() must not pass data_files", "resources/"),
            ("doker_repository='r'", "keyword 'doker_repository'", "did you mean 'docker_reposit"),
            ("colour=1", "setup.py: setup() does not know the keyword 'colour'", "remove it"),
        ],
    )
    def test_the_wheel_refuses_a_keyword(
        self, tmp_path: Path, keywords: str, reported: str, fix: str
    ) -> None:
        project = legacy(tmp_path, keywords)
        with pytest.raises(HookFailedError) as caught:
            project.hook("build_wheel", str(tmp_path))
        assert reported in caught.value.lines[-2]
        assert fix in caught.value.lines[-1]
        (project.root / "setup.py").unlink()
        value = keywords.replace("(", "[").replace(")", "]")
        table = f"[bigflow-project]\nname = 'rides'\n{value}\n"
        project.write({"pyproject.toml": table})
        with pytest.raises(HookFailedError) as caught:
            project.hook("build_wheel", str(tmp_path))
        assert keywords.partition("=")[0] in caught.value.lines[-2]

    def test_settings(self, tmp_path: Path) -> None:
        project = legacy(tmp_path, "test_framework='pytest', export_image_tar=False")
        found = read_project(project.root).settings
        assert (found.test_framework, found.image.export_tar) == ("pytest", False)
        assert read_project(legacy(tmp_path, "").root).settings.test_framework == "unittest"
        project = legacy(
            tmp_path,
            "test_framework='pytest'",
            {"pyproject.toml": "[tool.bigflow]\ntest-framework = 'unittest'\n"},
        )
        with pytest.raises(UserError, match=r"'pytest' by test_framework in setup\.py, and 'unitt"):
            read_project(project.root)

    def test_two_places_of_one_fact(self, tmp_path: Path) -> None:
        table = "[bigflow-project]\nname = 'rides'\ndocker_repository = 'a/b'\n"
        project = legacy(tmp_path, "docker_repository='a/b'", {"pyproject.toml": table})
        assert read_project(project.root).statements["docker_repository"].value == "a/b"
        project = legacy(tmp_path, "docker_repository='c/d'", {"pyproject.toml": table})
        with pytest.raises(UserError) as caught:
            read_project(project.root)
        assert caught.value.message == (
            "docker_repository is stated twice: 'c/d' by docker_repository in setup.py, and 'a/b' "
            "by docker_repository in [bigflow-project] of pyproject.toml"
        )

    def test_one_error_of_a_script_is_one_error(self, tmp_path: Path) -> None:
        project = legacy(tmp_path, "resources_dir='assets'")
        for command in (["-m", "bigflow", "pv"], ["setup.py", "build_dags"]):
            lines = project.run(*command).stderr.splitlines()
            assert len(lines) == 2, lines
            assert lines[0].startswith("bigflow: error: resources_dir in setup.py")


class TestRepository:
    DEPLOYMENT = (
        "from bigflow import DeploymentConfig\n"
        "deployment_config = DeploymentConfig('dev', {'docker_repository': 'a/dev', 'x': 1})"
        ".add_configuration('prod', {'docker_repository': 'a/prod'})\n"
    )

    def test_alone(self, tmp_path: Path) -> None:
        project = read_project(legacy(tmp_path, "docker_repository='a/dev'").root)
        assert describe_deployment(project).docker_repository == "a/dev"

    def test_beside_a_file_without_one(self, tmp_path: Path) -> None:
        text = self.DEPLOYMENT.replace("'docker_repository'", "'other'")
        files = {"deployment_config.py": text}
        project = read_project(legacy(tmp_path, "docker_repository='a/dev'", files).root)
        found = describe_deployment(project)
        assert (found.docker_repository, found.properties["x"]) == ("a/dev", 1)

    def test_an_equal_one(self, tmp_path: Path) -> None:
        files = {"deployment_config.py": self.DEPLOYMENT}
        project = read_project(legacy(tmp_path, "docker_repository='a/dev'", files).root)
        assert describe_deployment(project).docker_repository == "a/dev"
        with pytest.raises(UserError) as caught:
            describe_deployment(project, config="prod")
        assert caught.value.message == (
            "docker_repository is 'a/dev' by docker_repository in setup.py, and 'a/prod' by the "
            "configuration 'prod' in deployment_config.py"
        )


class TestPackages:
    @pytest.mark.parametrize(
        ("script", "packages"),
        [
            ("PROJECT_NAME = 'other'\nsetup(name=PROJECT_NAME)", ("pipelines",)),
            ("setup(name='other')", ("pipelines",)),
            ("setup(name='b-c')", ("b_c", "a", "pipelines")),
            ("setup(name='other')", ("a", "b_c", "pipelines")),
            ("setup(name='other', packages=['b_c', 'b_c.d', 'a'])", ("b_c", "a")),
            ("setup(name='other', root_package=Path('b_c'))", ("b_c", "a", "pipelines")),
        ],
    )
    def test_of_bigflow_projects(
        self, tmp_path: Path, script: str, packages: tuple[str, ...]
    ) -> None:
        files: dict[str, str | None] = {f"{p}/__init__.py": "" for p in packages}
        files |= {"test/__init__.py": "", "notes/plot.py": "", "b_c/d/__init__.py": ""}
        if "b_c" not in packages:
            del files["b_c/d/__init__.py"]
        project = legacy(tmp_path, "", files)
        imports = "from pathlib import Path\nfrom bigflow.build import setup\n"
        project.write({"setup.py": imports + script})
        assert read_project(project.root).packages == packages

    def test_of_other_projects(self, tmp_path: Path) -> None:
        """One package is inferred; of several, one must have the project's name."""
        text = "[project]\nname = 'rides'\nversion = '1'\n[tool.bigflow]\n"
        files = {"project_setup.py": None, "pyproject.toml": text, "tests/__init__.py": ""}
        project = write_project(tmp_path, files)
        assert read_project(project.root).packages == ("pipelines",)
        project.write({"tools/__init__.py": ""})
        with pytest.raises(UserError, match="no package 'rides'") as caught:
            read_project(project.root)
        assert 'write package = "' in caught.value.hint
        project.write({"rides/__init__.py": ""})
        found = read_project(project.root)
        assert found.packages == ("rides",)
        (note,) = found.notes
        assert note == (
            "not in the wheel, and without DAGs: pipelines/, tests/, tools/ beside rides/; to add "
            'it, write packages = ["rides", "pipelines", "tests", "tools"] into [tool.bigflow] of '
            "pyproject.toml"
        )

    def test_the_setting_names_the_package_of_a_project_name(self, tmp_path: Path) -> None:
        files = {
            "project_setup.py": "from bigflow_backend import setup\nPROJECT_NAME = 'my-rides'\n"
            "setup(name=PROJECT_NAME)\n",
            "pyproject.toml": "[tool.bigflow]\npackage = 'pipelines'\n",
        }
        found = read_project(write_project(tmp_path, files).root)
        assert (found.name, found.packages) == ("my-rides", ("pipelines",))


def build(project: Project, directory: Path) -> tuple[Path, str]:
    """Build the wheel; return it and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BigflowWarning)
        name: str = project.hook("build_wheel", str(directory))
    return directory / name, "\n".join(str(w.message) for w in caught)


def test_setuptools_keeps_its_libraries_after_the_script(tmp_path: Path) -> None:
    """A script of BigFlow 1.0 imports setuptools first, which adds its libraries to sys.path."""
    files = FORMS["bigflow.build.project_setup"]
    project = write_project(tmp_path / "project", files)
    code = (
        "import sys; from pathlib import Path\n"
        "from bigflow_backend.project.setup_script import run_setup_script\n"
        "before = list(sys.path)\n"
        "run_setup_script(Path('project_setup.py').absolute())\n"
        "assert 'setuptools' in sys.modules\n"
        "print(*[Path(p).name for p in sys.path if p not in before])"
    )
    done = project.run("-c", code)
    assert done.stdout.split() == ["_vendor"], done.stderr
