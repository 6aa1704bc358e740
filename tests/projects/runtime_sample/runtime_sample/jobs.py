"""Jobs of every kind."""

import os
from pathlib import Path

import bigflow
from bigflow.resources import get_resource_absolute_path


class Extract(bigflow.Job):
    """Inherits, with class attributes and no __init__."""

    id = "extract"
    retry_count = 5

    def execute(self, context):
        path = get_resource_absolute_path("stations.csv", Path(__file__))
        print("extracted", path.read_text().splitlines()[1], "for", context.runtime)


class Count(bigflow.Job):
    """Inherits, with an __init__ that does not call super()."""

    def __init__(self, id):
        self.id = id
        self.retry_pause_sec = 100

    def execute(self, context):
        print(self.id, context.runtime_str, context.workflow_id, context.env)


class Report:
    """Does not inherit."""

    id = "report"

    def execute(self, context):
        print("report", context.runtime.isoformat(), os.environ.get("bf_env"))


class Archive:
    """Does not inherit, and has the method of older versions."""

    id = "archive"
    execution_timeout_sec = 0

    def run(self, runtime):
        print("archive", runtime)


class Fail(bigflow.Job):
    """Raises."""

    id = "fail"

    def execute(self, context):
        raise LookupError("no rows")
