from bigflow import DeploymentConfig

print("what a configuration prints is not part of the answer")

deployment_config = DeploymentConfig(
    name="dev",
    properties={
        "registry": "registry.example.com",
        "docker_repository": "{registry}/{env}/runtime_sample",
        "replicas": 2,
    },
).add_configuration(name="prod", properties={"replicas": 5})
