"""The settings of each environment."""

from bigflow import Config

# A wider window gives smoother normals, with less variation from day to day.
config = Config(name="dev", properties={"window_days": "3"}, is_default=True).add_configuration(
    name="prod", properties={"window_days": "7"}
)


def window_days(environment: str | None) -> int:
    """Return the number of days before and after a date that its normals include."""
    return int(config.resolve(environment)["window_days"])
