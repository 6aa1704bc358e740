from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={"docker_repository": "registry.example.com/tests/scenarios"},
    is_default=True,
)
