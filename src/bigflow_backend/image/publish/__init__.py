"""Image -> PublishedImage: archive, OCI layout, engine, registry.

- ``publish``: ``place`` writes the files and loads the image, ``push`` pushes it
- ``attach``: documents about a pushed image
- ``archive``: a tar archive for ``docker load``
- ``layout``: an OCI layout, a directory
- ``engine``: load, name and push in an engine
"""
