mkdir -p rides/rides rides/trips rides/resources
cd rides
cat >rides/__init__.py </dev/null
cat >trips/__init__.py </dev/null
for name in rides trips; do
  cat >$name/workflow.py <<END
import bigflow


class Load(bigflow.Job):
    def execute(self, context):
        print(context.runtime)


$name = bigflow.Workflow(workflow_id="$name", definition=[Load("load")])
END
done
cat >setup.py <<'END'
import bigflow.build

bigflow.build.setup(name="rides", packages=["rides", "trips"])
END
cat >deployment_config.py <<'END'
import bigflow

deployment_config = bigflow.DeploymentConfig(
    name="dev", properties={"docker_repository": "registry.example.com/rides"}
)
END
echo bigflow-backend >resources/requirements.in
git init --quiet
