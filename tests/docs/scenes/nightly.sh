bigflow start-project pipelines --package project_package
cd pipelines
sed -i '/^dag-id/d; /^start-date/d' pyproject.toml
rm -r test
cat >project_package/workflow.py <<'END'
from bigflow import Job, JobContext, Workflow


class Print(Job):
    def execute(self, context: JobContext) -> None:
        print(self.id, context.runtime)


load, rain, wind, report = Print("load"), Print("rain"), Print("wind"), Print("report")
nightly = Workflow(
    workflow_id="nightly",
    definition={load: [rain, wind], rain: [report], wind: [report]},
    schedule_interval="30 2 * * *",
    timezone="Europe/Warsaw",
)
END
git add --all
git commit --quiet --message "Start the project"
git tag v1.2.0
