"""A workflow with a diamond, and a second name for it."""

from bigflow import Definition, Workflow
from runtime_sample.jobs import Archive, Count, Extract, Report

print("output of a module is not part of the description")

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
