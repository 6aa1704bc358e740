"""The requirements of an image -> distributions, installed for the platform of a base image.

- ``resolver``: resolves and installs
- ``uv_command``: runs uv for another platform
- ``install``: the files of a distribution: wheels, scripts and RECORD
"""
