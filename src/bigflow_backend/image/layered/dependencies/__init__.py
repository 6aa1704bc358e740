"""``resources/requirements.txt`` -> distributions, installed for the platform of a base image.

- ``resolver``: resolves and installs
- ``compile``: compiles requirements.in
- ``uv_command``: runs uv for another platform, and reads its errors
- ``indexes``: the package indexes of pip's and uv's configuration
- ``install``: the files of a distribution: wheels, scripts and RECORD
"""
