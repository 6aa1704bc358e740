# from: released
# needs: registry
cat >deployment_config.py <<'END'
from bigflow import DeploymentConfig

deployment_config = DeploymentConfig(
    name="dev",
    properties={
        "docker_repository": "registry.example.com/team/weather-reports",
        "dags_bucket": "/mnt/dags",
    },
    is_default=True,
)
END
git commit --quiet --all --message "Say where to deploy"
git tag --force v1.2.0
bigflow build
bigflow deploy
sed -i 's/Good morning/Hello/' resources/greeting.txt test/test_workflow.py
git commit --quiet --all --message "Greet in the evening"
git tag v1.3.0
bigflow build
bigflow deploy
git init --quiet --bare ../origin.git
git remote add origin ../origin.git
git push --quiet --set-upstream --tags origin main
