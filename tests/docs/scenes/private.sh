# from: released
# needs: registry_with_password private_index engine
cat >deployment_config.py <<'END'
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={"docker_repository": "registry.example.com/team/weather-reports"},
    is_default=True,
)
END
