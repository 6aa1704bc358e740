"""Wheel -> Image, and the places that it is published to.

- ``image``: the values: ``BuildRequest``, ``Image``, ``PublishedImage``
- ``build``: choose a builder, and build
- ``engine/``: a Docker Engine or Podman builds the Dockerfile
- ``layered/``: layers over a base image, without an engine
- ``platforms``: the platforms of an image, and of this machine
- ``dependencies/``: the requirements that an image installs: a list, or a lock
- ``relock``: makes the lock
- ``outdated``: what is newer than an image: its base, its pins
- ``standard``: the standard Dockerfile, and the error for another one
- ``requires_python``: the Python that the project requires
- ``early``: the base image, before the tests
- ``publish/``: archive, OCI layout, engine, registry
- ``base/``: the base image, from a registry or a file
- ``registry/``: the client of registries
- ``store/``: blobs on disk, shared by all builds
- ``session``: the store, the registries and the engine of one build
- ``plan``: a dry run
- ``materials/``: the bill of materials
- ``imageinfo``: ``imageinfo-<version>.json``
- ``dockerfile``: Dockerfiles and the values of their ``ARG``
- ``reference``: the grammar of image names
- ``oci``: descriptors, layers and media types
"""
