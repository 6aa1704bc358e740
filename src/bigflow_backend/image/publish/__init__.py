"""Image -> PublishedImage: archive, OCI layout, engine, registry.

- ``publish``: the places that the settings name, in their order
- ``archive``: a tar archive for ``docker load``
- ``layout``: an OCI layout, a directory
- ``engine``: load, name and push in an engine
"""
