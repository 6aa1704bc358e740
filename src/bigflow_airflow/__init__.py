"""DAG files of a registry -> a DAG bundle of Airflow 3.

This package runs inside Airflow. It needs Airflow and the standard library only, and imports
neither ``bigflow`` nor ``bigflow_backend``.

- ``bundle``: ``OciDagBundle``, the class that Airflow's configuration names
- ``artifact``: a manifest and its layer -> checked files
- ``registry``: requests to one repository of a registry
- ``credentials``: user and password, from Docker's configuration or a connection of Airflow
- ``errors``: ``RegistryError``
"""
