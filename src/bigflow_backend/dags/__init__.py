"""Workflows + Image -> DAG files: one file for each workflow, the same for Airflow 2.7 to 3.4.

- ``build``: check the workflows, and write ``.dags/``
- ``manifest``: ``manifest.json``, the description of the files for tools
- ``model``: what a DAG file says, as plain data
- ``rules/``: the checks of workflows, jobs and settings
- ``file/``: the template, literals, and the verification of a user's template
- ``airflow/``: the files in a real Airflow
- ``timetable``: the next runs of a workflow, for ``bigflow workflows``
- ``graph``: the jobs of a workflow, for ``bigflow graph``
"""
