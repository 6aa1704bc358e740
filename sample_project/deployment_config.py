"""The environments that the project is deployed to. The package does not contain this file."""

from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={"docker_repository": "registry.example.com/weather-dev/seattle"},
    is_default=True,
).add_configuration(
    name="prod",
    properties={"docker_repository": "registry.example.com/weather/seattle"},
)
