mkdir project_package resources
touch project_package/__init__.py resources/requirements.txt resources/stations.csv
printf '[tool.bigflow]\npackage = "project_package"\n' >pyproject.toml
cat >project_package/workflow.py <<'END'
from bigflow import Job, Workflow


class Load(Job):
    def execute(self, context):
        print(context.runtime)


daily = Workflow("daily", [Load("load")])
END
