"""The files of a new project, as text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

    from bigflow_backend.scaffold.model import NewProject

_CI_FILES = {
    "github": ".github/workflows/build.yml",
    "gitlab": ".gitlab-ci.yml",
    "cloudbuild": "cloudbuild.yaml",
}


def project_files(project: NewProject) -> dict[str, str]:
    """Return path -> content for all files of the project."""
    package = f"{project.source}{project.package}"
    templates = {
        "pyproject.toml": "pyproject.toml",
        "project_setup.py": "project_setup.py",
        "deployment_config.py": "deployment_config.py",
        "README.md": "README.md",
        f"{package}/__init__.py": "package.py",
        f"{package}/workflow.py": "workflow.py",
        "resources/greeting.txt": "greeting.txt",
        "test/test_workflow.py": "test_workflow.py",
        ".gitignore": "gitignore",
        ".dockerignore": "dockerignore",
        ".gitattributes": "gitattributes",
        ".git_archival.txt": "git_archival.txt",
    }
    if project.ci is not None:
        templates[_CI_FILES[project.ci]] = f"ci/{project.ci}.yml"
    return {path: rendered(name, project) for path, name in templates.items()}


def rendered(template: str, project: NewProject) -> str:
    """Return the text of a template for the project."""
    return _environment().get_template(f"{template}.j2").render(project=project)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  (Python and TOML, not HTML; the names are checked)
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
