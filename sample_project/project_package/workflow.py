"""The workflows. Each one becomes an Airflow DAG."""

import json
from datetime import datetime, timedelta
from typing import Any

from bigflow import Definition, Job, JobContext, Workflow, daily_start_time, hourly_start_time
from project_package import weather
from project_package.config import window_days


class CheckRecords(Job):
    """Fail if there are too few records for normals."""

    at_least = 20

    def execute(self, context: JobContext) -> None:
        count = weather.records(context.runtime.date(), window_days(context.env))
        if count < self.at_least:
            message = f"only {count} records around {context.runtime:%d %B}"
            raise ValueError(message)
        print_result(context.runtime, records=count)


class Temperature(Job):
    """Print the normal temperatures of the day."""

    def execute(self, context: JobContext) -> None:
        day = context.runtime.date()
        print_result(context.runtime, **weather.temperature(day, window_days(context.env)))


class Precipitation(Job):
    """Print the chance of rain of the day."""

    def execute(self, context: JobContext) -> None:
        day = context.runtime.date()
        print_result(context.runtime, **weather.precipitation(day, window_days(context.env)))


class Report(Job):
    """Print the forecast for a reader."""

    def execute(self, context: JobContext) -> None:
        day, window = context.runtime.date(), window_days(context.env)
        air, rain = weather.temperature(day, window), weather.precipitation(day, window)
        print(
            f"Seattle, {day:%d %B}: {air['low']} to {air['high']} °C, "
            f"{rain['chance']:.0%} chance of rain"
        )


class HourlyTemperature:
    """Print the normal temperature of the hour. A job is any object with id and execute()."""

    id = "temperature"
    retry_count = 1

    def execute(self, context: JobContext) -> None:
        print_result(context.runtime, temperature=weather.hourly_temperature(context.runtime))


def print_result(runtime: datetime, **result: Any) -> None:
    """Print a result as one line of JSON."""
    print(json.dumps({"runtime": runtime.isoformat(), **result}))


check = CheckRecords("check_records")
temperature = Temperature("temperature")
precipitation = Precipitation("precipitation")
report = Report("report", retry_count=1)

daily = Workflow(
    workflow_id="daily_normals",
    definition=Definition(
        {
            check: [temperature, precipitation],
            temperature: [report],
            precipitation: [report],
        }
    ),
    schedule_interval="@daily",
    start_time_factory=daily_start_time,
    depends_on_past=False,
)

hourly = Workflow(
    workflow_id="hourly_normals",
    definition=[HourlyTemperature()],
    schedule_interval=timedelta(hours=1),
    start_time_factory=hourly_start_time,
    depends_on_past=False,
)
