# from: versions
# needs: registry gcs_store
cat >deployment_config.py <<'END'
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={
        "docker_repository": "registry.example.com/dev/rides",
        "dags_bucket": "/mnt/dags",
    },
    is_default=True,
)
deployment_config.add_configuration(
    name="prod",
    properties={
        "docker_repository": "registry.example.com/team/rides",
        "dags_bucket": "gs://composer-bucket/dags",
    },
)
END
git commit --quiet --all --message "Two environments"
git tag --force v1.2.0
git tag --delete v1.3.0
bigflow build --config prod
bigflow deploy --config prod
git commit --quiet --allow-empty --message "The next version"
git tag v1.3.0
