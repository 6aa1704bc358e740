"""Dockerfile -> Image, with a Docker Engine or Podman.

- ``build``: the steps of a build
- ``context``: the files that the engine gets, as a tar archive
- ``base``: the Python of the base image
- ``build_command``: the ``docker`` or ``podman`` command that builds
- ``failure``: the output of a failed build -> an error
- ``check``: the new image: the project's wheel and ``python -m bigflow``
- ``container``: a command in a container of an image
- ``images``: tags, archives and descriptions of images in the engine
- ``client``: the connection to the engine, and its errors
"""
