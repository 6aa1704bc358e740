"""What can become of a run: each workflow is one way."""

import json
import os
import time

from bigflow import Job, JobContext, Workflow
from scenarios.texts import HOSTILE


class Tell(Job):
    """Prints what the pod was given, as one line of JSON."""

    retry_count = 0

    def execute(self, context: JobContext) -> None:
        names = ("DB_PASSWORD", "HOSTILE")
        variables = {name: os.environ[name] for name in names if name in os.environ}
        told = {"runtime": context.runtime_str, "env": context.env, "variables": variables}
        print(json.dumps(told), flush=True)


class Fail(Job):
    """Fails whenever it is tried."""

    def execute(self, context: JobContext) -> None:
        message = "this job always fails"
        raise RuntimeError(message)


class Hang(Job):
    """Starts, and never ends."""

    def execute(self, context: JobContext) -> None:
        print("it hangs", flush=True)
        try:
            while True:
                time.sleep(60)
        finally:
            print("it tidies up", flush=True)


fails = Workflow(
    "fails",
    {Fail("breaks", retry_count=1, retry_pause_sec=1): [Tell("after")]},
    schedule_interval=None,
)
hangs = Workflow(
    "hangs",
    [Hang("hangs", retry_count=0, execution_timeout_sec=10)],
    schedule_interval=None,
)
has_secret = Workflow("has_secret", [Tell("job")], schedule_interval=None, secrets=["db_password"])
lacks_secret = Workflow(
    "lacks_secret",
    [Tell("job", operator_arguments={"startup_timeout_seconds": 5})],
    schedule_interval=None,
    secrets=["not_there"],
)
lacks_variable = Workflow(
    "lacks_variable", [Tell("job")], schedule_interval=None, env_variable="not_set"
)
hostile = Workflow(
    "hostile",
    [Tell("job", environment={"HOSTILE": HOSTILE}, annotations={"hostile": HOSTILE})],
    schedule_interval=None,
    description=HOSTILE,
    doc_md=HOSTILE,
)
# Airflow's scheduler may take a task that resumes at once for one that has failed, and then it is
# tried again, as a job is by default.
defers = Workflow(
    "defers",
    [Tell("job", retry_count=3, retry_pause_sec=1, operator_arguments={"deferrable": True})],
    schedule_interval=None,
)
by_hand = Workflow("by_hand", [Tell("job")], schedule_interval=None)
catches_up = Workflow("catches_up", [Tell("job")], schedule_interval="@daily")
