"""What differs between the environments."""

from bigflow import Config

# A wider window smooths the normals, and shows less of a week's ups and downs.
config = Config(name="dev", properties={"window_days": "3"}, is_default=True).add_configuration(
    name="prod", properties={"window_days": "7"}
)


def window_days(environment: str | None) -> int:
    """How many days before and after a date count for its normals."""
    return int(config.resolve(environment)["window_days"])
