"""Workflows + Image -> DAG files: one file for each workflow, the same for Airflow 2.7 to 3.4.

- ``build``: check the workflows, and write ``.dags/``
- ``manifest``: ``manifest.json``, all files of a build and what is needed to write them again
- ``takeover``: deployed DAGs + new workflows -> who runs which data intervals
- ``retired``: the file of a DAG that starts no new runs
- ``model``: what a DAG file says, as plain data
- ``rules/``: the checks of workflows, jobs and settings
- ``file/``: the template, literals, and the verification of a user's template
- ``airflow/``: the files in a real Airflow
- ``timetable``: the next runs of a workflow, for ``bigflow workflows``
- ``graph``: the jobs of a workflow, for ``bigflow graph``
"""
