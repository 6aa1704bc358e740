"""Wheel -> Image, without an engine: layers over a base image.

- ``build``: the steps of a build
- ``rootfs``: a base image's layers -> its files
- ``python/``: a base image's files -> its Python, and bytecode for it
- ``base_layer``: the lowest of our layers: the user, and bytecode of the standard library
- ``dependencies/``: requirements -> installed distributions
- ``venv``: the virtual environment /app of an image
- ``dependency_layers``: the layers of the environment and of the dependencies
- ``layers``: the layers of the resources and the project
- ``modules``: the files of layers -> the same files with bytecode
- ``compression``: the settings -> the library that compresses layers
- ``tar``: a layer as a tar archive
- ``manifest``: the configuration and the manifest of an image
"""
