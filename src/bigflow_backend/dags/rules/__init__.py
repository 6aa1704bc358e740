"""Workflows, jobs, settings -> the first error in them.

The description of a project has valid types and graphs; see ``bigflow/describe``. These are the
rules of the systems that read the values: Airflow, Kubernetes and cron.

- ``workflow``: workflows and their jobs
- ``pod``: what jobs and settings say about pods
- ``defaults``: ``[tool.bigflow.dags]``, and how it fills in workflows and jobs
- ``operator_arguments``: the table of arguments that a job may set
- ``pod_objects``: the Kubernetes objects among these arguments
- ``shapes``: the vocabulary of both tables
- ``kubernetes``: names, labels and quantities of Kubernetes
- ``cron``: cron expressions
- ``zones``: time zones
- ``values``: text and numbers
- ``location``: the place of a value, for messages
"""
