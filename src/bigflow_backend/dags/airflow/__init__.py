"""DAG files -> the report of a real Airflow.

- ``check``: load the DAG files in an Airflow; return what it reports, or the pod of a job
- ``releases``: the releases of Airflow, and the ``uv run`` command that starts one
- ``api``: the runs that a running Airflow has
- ``probe``: the program that runs inside the Airflow
"""
