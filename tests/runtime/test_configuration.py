"""Config and DeploymentConfig."""

from __future__ import annotations

from typing import Any

import pytest

from bigflow import BigflowError, Config, DeploymentConfig
from bigflow.configuration import current_env


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("bf_env", raising=False)


def test_configurations_inherit_from_the_master() -> None:
    config = Config("dev", {"bucket": "a", "days": 1}).add_configuration("prod", {"days": 7})
    assert config.resolve() == {"env": "dev", "bucket": "a", "days": 1}
    assert config.resolve("prod") == {"env": "prod", "bucket": "a", "days": 7}
    assert config.names == ("dev", "prod")


def test_without_a_master_nothing_is_inherited() -> None:
    config = Config("dev", {"bucket": "a"}, is_master=False).add_configuration("prod", {})
    assert config.resolve("prod") == {"env": "prod"}


def test_the_default() -> None:
    config = Config("dev", {}, is_default=False).add_configuration("prod", {}, is_default=True)
    assert config.resolve_name() == "prod"


def test_bf_env_names_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config("dev", {"x": "{env}"}).add_configuration("prod", {})
    monkeypatch.setenv("bf_env", "prod")
    assert current_env() == "prod"
    assert config.resolve()["x"] == "prod"
    assert config.resolve("dev")["x"] == "dev"


class TestInterpolation:
    def test_is_aware_of_the_configuration(self) -> None:
        config = Config("dev", {"offers": "fake", "all": "{offers}_in_{env}"})
        config.add_configuration("prod", {"offers": "real"})
        assert config.resolve("dev")["all"] == "fake_in_dev"
        assert config.resolve("prod")["all"] == "real_in_prod"

    def test_follows_several_properties_in_any_order(self) -> None:
        config = Config("dev", {"c": "<{b}>", "b": "({a})", "a": "{env}"})
        assert config.resolve()["c"] == "<(dev)>"

    @pytest.mark.parametrize("text", ["{unknown}", "{}", "{{env", '{"json": 1}', "{self}", "{n}"])
    def test_leaves_other_braces_unchanged(self, text: str) -> None:
        assert Config("dev", {"self": text, "n": 3}).resolve()["self"] == text

    def test_refuses_a_cycle(self) -> None:
        with pytest.raises(BigflowError, match="a -> b -> a"):
            Config("dev", {"a": "{b}", "b": "{a}"}).resolve()

    def test_leaves_other_types_unchanged(self) -> None:
        value: dict[str, Any] = {"list": ["{env}"]}
        assert Config("dev", value).resolve()["list"] == ["{env}"]


class TestEnvironment:
    def test_provides_missing_properties(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("bf_secret", "s3cret")
        config = Config("dev", {"url": "https://{secret}@host", "secret_too": "x"})
        assert config.resolve()["secret"] == "s3cret"
        assert config.resolve()["url"] == "https://s3cret@host"
        assert config.resolve_property("secret") == "s3cret"

    def test_provides_properties_that_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        config = Config("dev", {"password": None})
        with pytest.raises(BigflowError, match="'password' is not set") as caught:
            config.resolve()
        assert "bf_password" in caught.value.hint
        monkeypatch.setenv("bf_password", "p")
        assert config.resolve()["password"] == "p"

    def test_does_not_override(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("bf_bucket", "other")
        assert Config("dev", {"bucket": "mine"}).resolve()["bucket"] == "mine"

    def test_prefix_of_a_build_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("bamboo_bf_project", "p")
        monkeypatch.setenv("bamboo_bf_env", "prod")
        config = DeploymentConfig(
            "dev", {"repository": "host/{project}"}, environment_variables_prefix="bamboo_bf_"
        ).add_configuration("prod", {})
        assert config.resolve()["repository"] == "host/p"
        assert config.resolve_name() == "prod"

    def test_bf_env_works_with_any_prefix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("bf_env", "prod")
        config = DeploymentConfig("dev", {}, environment_variables_prefix="x_")
        assert config.add_configuration("prod", {}).resolve_name() == "prod"


class TestErrors:
    def test_unknown_configuration(self) -> None:
        with pytest.raises(BigflowError) as caught:
            Config("dev", {}).add_configuration("prod", {}).resolve("test")
        assert caught.value.message == "unknown configuration 'test'"
        assert caught.value.hint == "give one of: dev, prod"

    def test_no_default(self) -> None:
        with pytest.raises(BigflowError, match="no default configuration"):
            Config("dev", {}, is_default=False).resolve()

    def test_two_defaults(self) -> None:
        with pytest.raises(BigflowError, match="both 'dev' and 'prod'"):
            Config("dev", {}).add_configuration("prod", {}, is_default=True)

    def test_two_with_the_same_name(self) -> None:
        with pytest.raises(BigflowError, match="two configurations have the name 'dev'"):
            Config("dev", {}).add_configuration("dev", {})

    def test_an_env_property_with_another_value(self) -> None:
        with pytest.raises(BigflowError, match="property env = 'prod'"):
            Config("dev", {"env": "prod"})

    def test_a_missing_property(self) -> None:
        with pytest.raises(ValueError, match="'nothing' is not set"):  # as BigFlow raises
            Config("dev", {}).resolve_property("nothing")


def test_the_dict_of_the_caller_does_not_change() -> None:
    properties = {"a": "{env}"}
    config = Config("dev", properties).add_configuration("prod", {})
    config.resolve("prod")["a"] = "changed"
    assert properties == {"a": "{env}"}
    assert config.resolve("prod")["a"] == "prod"


def test_printing() -> None:
    config = Config("dev", {"a": 1}).add_configuration("prod", {"a": 2})
    assert str(config).splitlines() == [
        "dev config:",
        "{'a': 1, 'env': 'dev'}",
        "prod config:",
        "{'a': 2, 'env': 'prod'}",
    ]
