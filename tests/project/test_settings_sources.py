"""Settings of environment variables and of the user's file."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.settings.machine import MachineSettings, machine_settings
from bigflow_backend.ground.settings.values import leaves, read_table
from bigflow_backend.project.settings import ImageSettings, Settings
from bigflow_backend.project.settings_sources import with_surroundings

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE = ImageSettings()


@pytest.fixture(autouse=True)
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the user's file, which does not exist."""
    for variable in ("BIGFLOW_CACHE", "BIGFLOW_CACHE_LIMIT_GB"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "bigflow").mkdir()
    return tmp_path / "bigflow/config.toml"


def image(table: dict[str, Any] | None = None) -> ImageSettings:
    return with_surroundings(Settings(), {"image": table or {}}).image


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("PLATFORMS", "linux/arm64", {"platforms": ("linux/arm64",)}),
        ("PUSH", "true", {"push": True}),
        ("PUSH", "1", {"push": True}),
        ("EXPORT_TAR", "False", {"export_tar": False}),
        ("LOCKED", "0", {"locked": False}),
        ("TIMEOUT", "60", {"timeout": 60}),
        ("GROUPS", "one two", {"groups": ("one", "two")}),
        ("FIND_LINKS", '["my wheels", "w"]', {"find_links": ("my wheels", "w")}),
        ("SECRETS", "id=netrc,src=.netrc", {"secrets": ("id=netrc,src=.netrc",)}),
        ("BUILD_ARGS", "A=1 B=x=y", {"build_args": {"A": "1", "B": "x=y"}}),
        ("REGISTRY_MIRRORS", "a=m a=n b=o", {"registry_mirrors": {"a": ("m", "n"), "b": ("o",)}}),
        ("REGISTRY_MIRRORS", '{"a": "m"}', {"registry_mirrors": {"a": ("m",)}}),
        ("BUILD_ARGS", '{"A": "one two"}', {"build_args": {"A": "one two"}}),
        ("PLATFORMS", "", {}),
        ("PLATFORM", "linux/arm64", {"platforms": ("linux/arm64",)}),
    ],
)
def test_a_variable(
    variable: str, text: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BIGFLOW_IMAGE_{variable}", text)
    assert image() == dataclasses.replace(_IMAGE, **expected)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("BIGFLOW_IMAGE_PLATFORMS", "arm", "must be linux/amd64 or linux/arm64: got 'arm'"),
        ("BIGFLOW_IMAGE_PUSH", "maybe", "must be true or false: got 'maybe'"),
        ("BIGFLOW_IMAGE_TIMEOUT", "1h", "must be a whole number: got '1h'"),
        ("BIGFLOW_IMAGE_TIMEOUT", "-1", "must be a whole number: got '-1'"),
        ("BIGFLOW_IMAGE_GROUPS", "[1", "is not valid JSON"),
        ("BIGFLOW_IMAGE_GROUPS", '{"a": "b"}', "must be a list of strings: got"),
        ("BIGFLOW_DAGS_LABELS", "team", "must be a table of strings: got 'team'"),
        ("BIGFLOW_DAGS_LABELS", '{"a": 1}', ".a must be a string: got 1"),
    ],
)
def test_a_wrong_value_names_the_variable(
    variable: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(UserError) as raised:
        image()
    assert raised.value.message.startswith(variable)
    assert message in raised.value.message
    assert raised.value.hint


def test_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_IMAGE_PLATFROMS", "linux/arm64")
    message = "BIGFLOW_IMAGE_PLATFROMS has no effect; did you mean BIGFLOW_IMAGE_PLATFORMS?"
    with pytest.warns(BigflowWarning, match=message):
        image()


@pytest.mark.parametrize(
    "variable",
    [
        *("BIGFLOW_IMAGE", "BIGFLOW_VERSION", "BIGFLOW_COMMIT", "BIGFLOW_CACHE"),
        *("BIGFLOW_VERBOSE", "BIGFLOW_AIRFLOW_TOKEN", "BIGFLOW_GIT_TIMEOUT", "BIGFLOW_IMAGE_OF_CI"),
    ],
)
def test_other_variables_with_the_prefix(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image() == _IMAGE


def test_no_two_settings_have_one_variable() -> None:
    variables = [leaf.variable for leaf in (*leaves(Settings), *leaves(MachineSettings))]
    others = {"BIGFLOW_IMAGE", "BIGFLOW_VERSION", "BIGFLOW_COMMIT", "BIGFLOW_VERBOSE"}
    assert len(variables) == len(set(variables))
    assert not others & set(variables)


def test_the_order_of_the_sources(user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_file.write_text('[image]\ninsecure-registries = ["user:1"]\n')
    assert image().insecure_registries == ("user:1",)
    project = dataclasses.replace(_IMAGE, insecure_registries=("project:1",))
    settings = dataclasses.replace(Settings(), image=project)
    table = {"image": {"insecure-registries": ["project:1"]}}
    assert with_surroundings(settings, table) == settings
    monkeypatch.setenv("BIGFLOW_IMAGE_INSECURE_REGISTRIES", "variable:1")
    assert with_surroundings(settings, table).image.insecure_registries == ("variable:1",)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[image", "is not valid TOML", "fix that line"),
        ("image = 1", "image must be a table: got 1", "write a table"),
        (
            '[image]\nplatforms = ["linux/arm64"]',
            "image.platforms is a setting of projects",
            "set BIGFLOW_IMAGE_PLATFORMS",
        ),
        ('package = "x"', "package is a setting of projects", "set BIGFLOW_PACKAGE"),
        ("[image]\nlocal = []", "unknown key", "known are: "),
        ("cache-limit = 1", "unknown key 'cache-limit'", "did you mean 'cache-limit-gb'?"),
        ("[image]\ninsecure-registries = 1", "must be a list of strings", "write a list"),
    ],
)
def test_errors_of_the_users_file(text: str, message: str, hint: str, user_file: Path) -> None:
    user_file.write_text(text)
    with pytest.raises(UserError) as raised:
        image()
    assert raised.value.message.startswith(str(user_file))
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_the_settings_of_the_machine(user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_settings() == MachineSettings()
    user_file.write_text('cache = "blobs"\ncache-limit-gb = 3\n[image]\ninsecure-registries = []\n')
    assert machine_settings() == MachineSettings(
        cache=str(user_file.parent / "blobs"), cache_limit_gb=3
    )
    monkeypatch.setenv("BIGFLOW_CACHE_LIMIT_GB", "4")
    assert machine_settings().cache_limit_gb == 4
    user_file.write_text('cache-limit-gb = "3"\n')
    with pytest.raises(UserError, match=f"{user_file}: cache-limit-gb must be a whole number"):
        machine_settings()


def test_one_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"platform": "linux/arm64"}
    assert read_table(ImageSettings, one, key="image", source="x").platforms == ("linux/arm64",)
    with pytest.raises(UserError, match="x has both platform and platforms"):
        read_table(ImageSettings, {**one, "platforms": []}, key="image", source="x")
    monkeypatch.setenv("BIGFLOW_IMAGE_PLATFORM", "linux/arm64")
    monkeypatch.setenv("BIGFLOW_IMAGE_PLATFORMS", "linux/amd64")
    with pytest.raises(UserError, match="BIGFLOW_IMAGE_PLATFORM and BIGFLOW_IMAGE_PLATFORMS"):
        image()
