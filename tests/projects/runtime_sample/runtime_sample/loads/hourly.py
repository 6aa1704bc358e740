"""Workflows in a list, in a dict, and from a factory."""

from datetime import timedelta

import bigflow
from runtime_sample.jobs import Count, Fail
from runtime_sample.workflow import daily  # the same object: found there


def make(city, **options):
    start = bigflow.hourly_start_time
    return bigflow.Workflow(f"load_{city}", [Count("load")], start_time_factory=start, **options)


listed = [make("gdansk", schedule_interval="@hourly", timezone="Europe/Warsaw")]
by_city = {"oslo": make("oslo", schedule_interval=timedelta(minutes=90)), "again": daily}
failing = bigflow.Workflow("failing", [Fail()], "@once")
