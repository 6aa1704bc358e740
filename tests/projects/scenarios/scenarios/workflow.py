"""One workflow for each way in which a run can end."""

import json
import os
import signal
import time
from datetime import datetime, timedelta, timezone

from bigflow import Job, JobContext, Workflow
from scenarios.texts import HOSTILE


class Print(Job):
    """Print the input of the pod as one line of JSON."""

    retry_count = 0

    def execute(self, context: JobContext) -> None:
        names = ("DB_PASSWORD", "HOSTILE")
        variables = {name: os.environ[name] for name in names if name in os.environ}
        found = {"runtime": context.runtime_str, "env": context.env, "variables": variables}
        print(json.dumps(found), flush=True)


class Fail(Job):
    """Fail each time."""

    def execute(self, context: JobContext) -> None:
        message = "this job always fails"
        raise RuntimeError(message)


class Loud(Job):
    """Print 15 lines, and fail."""

    retry_count = 1
    retry_pause_sec = 1

    def execute(self, context: JobContext) -> None:
        for number in range(15):
            print("row", number, "of", context.runtime_str)
        message = "zły plik: 'ąę'"
        raise ValueError(message)


class Grow(Job):
    """Use more memory than the limit."""

    retry_count = 1
    retry_pause_sec = 1
    memory_limit = "96Mi"

    def execute(self, context: JobContext) -> None:
        print("it grows", flush=True)
        print(len(bytearray(512 * 2**20)))


class KillItself(Job):
    """Send a signal to the own process."""

    retry_count = 1
    retry_pause_sec = 1

    def execute(self, context: JobContext) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class FailOnce(Job):
    """Fail in the first try for the second day."""

    retry_count = 0

    def execute(self, context: JobContext) -> None:
        if context.runtime.day == DAY.day and context.try_number == 1:
            message = "the second day fails"
            raise RuntimeError(message)


class Chatter(Job):
    """Print 50,000 lines, and fail."""

    retry_count = 0

    def execute(self, context: JobContext) -> None:
        for number in range(50_000):
            print("line", number)
        message = "50000 lines are printed"
        raise ValueError(message)


class Terminate(Job):
    """Send SIGTERM to the first process of the pod, as the deletion of a pod does."""

    retry_count = 0

    def execute(self, context: JobContext) -> None:
        print("it terminates", flush=True)
        os.kill(1, signal.SIGTERM)
        while True:
            time.sleep(60)


class Hang(Job):
    """Start, and never end."""

    def execute(self, context: JobContext) -> None:
        print("it hangs", flush=True)
        try:
            while True:
                time.sleep(60)
        finally:
            print("it tidies up", flush=True)


DAY = datetime.now(timezone.utc).date() - timedelta(days=3)


def before(start_time: datetime) -> datetime:
    """Return the day before DAY."""
    return start_time - timedelta(days=3)


waits = Workflow("waits", [FailOnce("job")], start_time_factory=before)
fails = Workflow(
    "fails",
    {Fail("breaks", retry_count=1, retry_pause_sec=1): [Print("after")]},
    schedule_interval=None,
)
loud = Workflow(
    "loud",
    [Loud("job", environment={"PASSWORD": "hunter2"})],
    schedule_interval=None,
    secrets=["db_password"],
)
chatters = Workflow("chatters", [Chatter("job")], schedule_interval=None)
terminates = Workflow("terminates", [Terminate("job")], schedule_interval=None)
fifty = Workflow("fifty", [Print(f"job{n}") for n in range(50)], schedule_interval=None)
grows = Workflow("grows", [Grow("job")], schedule_interval=None)
kills_itself = Workflow("kills_itself", [KillItself("job")], schedule_interval=None)
hangs = Workflow(
    "hangs",
    [Hang("hangs", retry_count=0, execution_timeout_sec=10)],
    schedule_interval=None,
)
has_secret = Workflow("has_secret", [Print("job")], schedule_interval=None, secrets=["db_password"])
lacks_secret = Workflow(
    "lacks_secret",
    [Print("job")],
    schedule_interval=None,
    secrets=["not_there"],
)
lacks_variable = Workflow(
    "lacks_variable", [Print("job")], schedule_interval=None, env_variable="not_set"
)
hostile = Workflow(
    "hostile",
    [Print("job", environment={"HOSTILE": HOSTILE}, annotations={"hostile": HOSTILE})],
    schedule_interval=None,
    description=HOSTILE,
    doc_md=HOSTILE,
)
# Airflow's scheduler may count a task that resumes at once as failed, so this job has retries.
defers = Workflow(
    "defers",
    [Print("job", retry_count=3, retry_pause_sec=1, operator_arguments={"deferrable": True})],
    schedule_interval=None,
)
by_hand = Workflow("by_hand", [Print("job")], schedule_interval=None)
catches_up = Workflow("catches_up", [Print("job")], schedule_interval="@daily")
