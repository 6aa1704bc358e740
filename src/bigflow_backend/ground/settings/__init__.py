"""Values of settings, and the settings of a machine.

- ``values``: a dataclass of settings, and how its values are read and checked
- ``machine``: the cache, and the user's file
"""
