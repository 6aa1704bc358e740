"""The Python that the project requires, and the Python of its base image, with both builders."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD

if TYPE_CHECKING:
    from docker import DockerClient

    from support.layered import LayeredProject

_VERSION = platform.python_version()


def _refused(project: LayeredProject, required: str, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        project.build(requires_python=required, **options)
    assert not (project.root / ".image").exists()
    return caught.value


@pytest.mark.parametrize("required", [">=3.99", "<3.5", f"!={_VERSION}", ">=3.99,<4", "==3.99.*"])
def test_the_layered_builder_refuses_another_python(
    layered_project: LayeredProject, required: str
) -> None:
    layered_project.require("never-asked-for==1.0")
    for _ in range(2):  # the second time, the store knows the base
        error = _refused(layered_project, required)
        assert error.message.startswith(f"the base image {layered_project.base} has Python ")
        assert f"Python {_VERSION}, but the project requires " in error.message
        assert "--base-image" in error.hint
        assert "requires-python" in error.hint
        assert not any("compil" in line for line in layered_project.said)


@pytest.mark.parametrize("required", [">=3.5", f"=={_VERSION}", ">=3,<4", "~=3.5"])
def test_the_layered_builder_accepts_a_python_that_fits(
    layered_project: LayeredProject, required: str
) -> None:
    layered_project.build(requires_python=required)


@pytest.mark.engine
def test_the_engine_refuses_another_python_before_it_builds(
    engine_project: LayeredProject, engine: DockerClient
) -> None:
    (engine_project.root / "Dockerfile").write_bytes(STANDARD.read_bytes())
    before = {image.id for image in engine.images.list(all=True)}
    base = engine_project.options["base_image"]
    error = _refused(engine_project, ">=3.99")
    assert error.message.startswith(f"the base image {base} has Python 3.11.")
    assert error.message.endswith(", but the project requires >=3.99")
    assert {image.id for image in engine.images.list(all=True)} == before


@pytest.mark.engine
def test_the_engine_explains_the_refusal_of_pip(engine_project: LayeredProject) -> None:
    """With a Dockerfile of the project, its Python may be another than the base's."""
    engine_project.write(
        {
            "Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY dist/ /dist/\n"
            "RUN python3 -m pip install --no-index --find-links /dist demo\n"
        }
    )
    error = _refused(engine_project, ">=3.99")
    assert "Dockerfile, line 4: " in error.message
    assert "requires a different Python: 3.11." in error.message
    assert error.hint == "use a base image with a Python that fits, or correct requires-python"
