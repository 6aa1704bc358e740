"""Image -> documents about it: its bill of materials and its provenance.

- ``packages``: the packages that the base's operating system lists
- ``rpm``: the database of rpm
- ``names``: the names of materials in documents
- ``bill``: the CycloneDX document
- ``provenance``: the in-toto statement
- ``documents``: the files of both, and their types for a registry
"""
