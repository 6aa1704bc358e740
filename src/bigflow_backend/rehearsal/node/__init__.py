"""Pods of the cluster -> containers, their output and their ends.

- ``kubelet``: watches the pods, and starts a worker for each
- ``pod_worker``: one pod: its container, exit code and removal
- ``container_spec``: the container of a pod, with the values of its variables
- ``data``: the data of secrets and ConfigMaps
- ``volumes``: the volumes of a pod
- ``termination``: the termination message
- ``runtime``: the interface of what runs containers
- ``engine``: Docker or Podman
- ``sandbox``: the files of the image under bubblewrap
- ``memory``: the memory limit of a sandbox
"""
