"""Shared by every folder.

- ``errors``: ``UserError``, and hints that name the nearest known word
- ``report``: errors, warnings and progress on stderr, in the same way at every entry point
- ``files``: files and directories that are written beside their target, and ``Outputs``
- ``limits``: limits of what is read, each with its reason
- ``transaction``: the one transaction of a build
- ``directories``: the cache directory, and scratch space
- ``text``: the text of other programs: one line of it, and JSON
- ``epoch``: the time of every file in an archive
- ``uv``: the path of ``uv``
"""
