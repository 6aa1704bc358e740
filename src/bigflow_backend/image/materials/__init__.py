"""Image -> its bill of materials.

- ``packages``: the packages that the base's operating system lists
- ``bill``: the CycloneDX document
"""
