"""Name of a base image -> BaseImage: from a registry, an OCI layout, or a docker-archive.

- ``read``: the base image of a name, and its layers into the store
- ``manifest``: manifests, indexes and configurations
- ``layout``: OCI layouts
- ``docker_archive``: the tars of ``docker save``
- ``archive_files``: the files in a directory or a tar
- ``tar_reader``: the entries of a tar, with limits
- ``compression``: gzip and Zstandard
"""
