"""A base image's files -> its Python, and bytecode for it.

- ``interpreter``: finds the Python, its version and its C library
- ``bytecode``: compiles modules: the jobs, the processes, a Python of this machine
- ``base_python``: the base's own Python: the files it needs, laid out in a directory
- ``sandbox``: runs a program of the base under bubblewrap
"""
