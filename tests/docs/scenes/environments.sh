# from: released
# needs: registry
mkdir /mnt/dags/dev /mnt/dags/prod
cat >deployment_config.py <<'END'
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={
        "docker_repository": "registry.example.com/dev/project",
        "dags_bucket": "/mnt/dags/dev",
    },
    is_default=True,
)
deployment_config.add_configuration(
    name="prod",
    properties={
        "docker_repository": "registry.example.com/team/project",
        "dags_bucket": "/mnt/dags/prod",
    },
)
END
git commit --quiet --all --message "Two environments"
git tag --force v1.2.0
