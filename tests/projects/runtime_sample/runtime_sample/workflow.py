"""The diamond, and what the other modules must not find a second time."""

from bigflow import Definition, Workflow
from runtime_sample.jobs import Archive, Count, Extract, Report

print("what a module prints is not part of the answer")

extract, temperature, rain, report = Extract(), Count("temperature"), Count("rain"), Report()

daily = Workflow(
    workflow_id="daily",
    definition=Definition(
        {extract: [temperature, rain], temperature: [report], rain: [report]},
    ),
    secrets=["db_password"],
    tags=("weather",),
)
same_again = daily
archive = Workflow("archive", [Extract(), Archive()], schedule_interval=None)
