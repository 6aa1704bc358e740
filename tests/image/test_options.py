"""The options of a build: the project's settings, under what the command line says."""

from __future__ import annotations

from pathlib import Path

from bigflow_backend.image.options import ImageOptions
from bigflow_backend.project.settings import ImageSettings, read_table

_TABLE = {
    "base-image": "base:1",
    "network": "host",
    "find-links": ["wheels"],
    "build-args": {"FLAVOUR": "x"},
    "context": ["models"],
    "export-tar": False,
    "insecure-registries": ["registry.internal:5000"],
    "timeout": 10,
    "idle-timeout": 5,
}


def test_settings_become_options() -> None:
    settings = read_table(ImageSettings, _TABLE, key="tool.bigflow.image", source="pyproject.toml")
    assert ImageOptions.from_settings(settings) == ImageOptions(
        base_image="base:1",
        network="host",
        find_links=(Path("wheels"),),
        build_args={"FLAVOUR": "x"},
        context=("models",),
        export_tar=False,
        insecure_registries=("registry.internal:5000",),
        timeout=10,
        idle_timeout=5,
    )


def test_the_defaults_are_the_same() -> None:
    assert ImageOptions.from_settings(ImageSettings()) == ImageOptions()


def test_the_command_line_comes_first() -> None:
    settings = ImageSettings(base_image="base:1", find_links=("wheels",), export_tar=False)
    options = ImageOptions.from_settings(
        settings, base_image="base:2", network="none", find_links=[Path("/w")], export_tar=True
    )
    assert options == ImageOptions(
        base_image="base:2", network="none", find_links=(Path("/w"), Path("wheels"))
    )
