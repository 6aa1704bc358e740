"""A small Kubernetes for tests: that of ``bigflow rehearse``, with a node that has its limits.

- ``fixtures``: the fixture `kubernetes`, and :func:`fixtures.cluster_of`
- ``held_node``: a node without containers
"""
