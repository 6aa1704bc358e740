"""The requirements of an image -> distributions, installed for the platform of a base image.

- ``resolver``: resolves and installs
- ``uv_command``: runs uv for another platform
- ``distributions``: an environment -> the files of each distribution
- ``hashes``: the SHA-256 of each installed wheel
- ``install``: the files of a distribution: wheels, scripts and RECORD
- ``order``: the order in which pip installs distributions
"""
