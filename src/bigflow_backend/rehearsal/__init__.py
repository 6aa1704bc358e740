"""DAG files and an image -> the run of a real Airflow, on this machine.

- ``rehearse``: the order of the steps
- ``result``: the values: tasks, tries, the whole rehearsal
- ``inputs``: ``rehearsal.toml``: the secrets and the Variables
- ``image``: the image of ``.image/``: its name, and its files for a sandbox
- ``runtimes``: ``--runtime``: what runs the pods
- ``airflow``: a real Airflow runs a DAG
- ``program``: the program that runs inside the Airflow
- ``kubernetes``: API server and node together
- ``api/``: the API server
- ``node/``: the kubelet
"""
