"""Blobs on disk, by digest, shared by all builds of the user.

- ``blobs``: the store, and the locks of its users
- ``blob``: the file of one blob, which hashes what it reads and writes
- ``compressors``: the libraries that compress layers
- ``directory``: the place and the size limit of the cache, and errors of its disk
- ``usage``: the size of the cache, and clearing it
"""
