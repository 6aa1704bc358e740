"""Requests of a Kubernetes client -> the objects of a cluster in memory.

It has the API of Airflow's KubernetesPodOperator and of the `kubernetes` clients: pods with their
logs and events, secrets, watches. It rejects the objects that a real API server rejects. It returns
status 501 for everything that it does not have, so that no rehearsal passes by accident.

- ``syntax``, ``status``, ``schema``, ``validation``, ``selectors``: the rules
- ``changes``, ``container_log``, ``cluster``: the state
- ``http_server``: the API over HTTP
"""
