"""The base image is checked before the tests of a project run."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.reference import ImageReference
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.pipeline import BuildOptions, started
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.images import layer_tar, make_image, small_index

if TYPE_CHECKING:
    from typing import Any

    from bigflow_backend.image.store.blobs import BlobStore
    from support.layered import LayeredProject
    from support.registry import Registry

_VERSION = platform.python_version()


def _check(project: LayeredProject, required: str = "", **settings: Any) -> None:
    """Run the check for a project that requires this Python."""
    text = f'requires-python = "{required}"\n' if required else ""
    toml = project.root / "pyproject.toml"
    toml.write_text(toml.read_text("utf-8").partition("requires-python")[0] + text, "utf-8")
    given: dict[str, Any] = {"base_image": project.base, "platforms": ("linux/amd64",), **settings}
    chosen = ImageSettings(**given)
    read = read_project(project.root)
    vars(read)["version"] = ProjectVersion(text="1.0.0", source="the test", commit=None)
    with started(read, BuildOptions(image=chosen, say=project.said.append)) as steps:
        steps.check_image(ImageReference("registry.example.com/demo", "1.0.0"))


def test_a_base_of_this_machine(layered_project: LayeredProject) -> None:
    _check(layered_project, f"=={_VERSION}")
    for required in (">=3.99", "<3.5"):
        with pytest.raises(UserError) as caught:
            _check(layered_project, required)
        assert caught.value.message == (
            f"the base image {layered_project.base} has Python {_VERSION}, but the project requires"
            f" {required}"
        )
    _check(layered_project, "not a specifier")  # the build of the wheel reports it


def test_a_base_of_a_registry_is_not_pulled(
    layered_project: LayeredProject, registry: Registry, store: BlobStore
) -> None:
    variables = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.12.4"]
    image = make_image(store, layer_tar({"a": "b"}), config_changes={"config": {"Env": variables}})
    layered_project.base = f"{registry.address}/official/python:3.12"
    with Registries() as registries:
        push_image(image, layered_project.base, store=store, registries=registries)
    _check(layered_project, ">=3.12")
    with pytest.raises(UserError, match=r"has Python 3\.12\.4, but the project requires >=3\.13"):
        _check(layered_project, ">=3.13")
    assert not any("fetching" in line for line in layered_project.said)


def test_a_python_that_is_not_known_is_no_error(
    layered_project: LayeredProject, registry: Registry, store: BlobStore
) -> None:
    layered_project.base = f"{registry.address}/early/base:1"
    index = small_index(store, "amd64", version=_VERSION)
    with Registries() as registries:
        push_image(index, layered_project.base, store=store, registries=registries)
    _check(layered_project, ">=3.99")
    for builder in ("auto", "layered"):
        _check(layered_project, ">=3.99", base_image="localhost:1/nobody/base:1", builder=builder)
    both = ("linux/amd64", "linux/arm64")
    for builder, platforms in (("auto", both), ("layered", both[1:])):
        with pytest.raises(UserError, match="has no image for linux/arm64; it has linux/amd64"):
            _check(layered_project, builder=builder, platforms=platforms)
    # An engine may have another image of that name.
    _check(layered_project, platforms=both[1:])
