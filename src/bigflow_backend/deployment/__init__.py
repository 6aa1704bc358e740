"""A build + a DAGs folder -> a deployment: the image in its registry, the DAG files in Airflow.

``Built -> Plan -> act -> Deployment``:

- ``built``: ``.dags/`` and ``.image/`` -> the checked parts of a build
- ``image``: the image of a build -> its digest in the registry
- ``documents``: the documents about the image -> artifacts of its registry
- ``folder``: the place of the DAG files; ``directory``, ``objects`` and ``registry``
  are its kinds
- ``artifact``: a deployment -> an artifact of a registry, for Airflow's DAG bundle
- ``record``: a deployment as a document of the folder: the history
- ``plan``: a build over the current deployment -> the next deployment, and what changes
- ``lock``: one deployment of a project at a time
- ``deploy``: the functions that the commands call
- ``act``: the steps of a deployment, and the end of one that was interrupted
"""
