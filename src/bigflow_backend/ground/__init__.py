"""Shared by every folder.

- ``deadline``: the time at which a build ends
- ``errors``: ``UserError``, and hints that name the nearest known word
- ``report``: errors and warnings on stderr, in the same way at every entry point
- ``progress``: steps and their times, and lines of other programs; the one place of terminals
- ``files``: how files are read, replaced, locked and checked, and ``Outputs``
- ``limits``: limits of what is read, each with its reason
- ``processes``: child processes that end with their block, and their limits of time and output
- ``supervisor``: a program that runs a command and leaves no process behind
- ``transaction``: the one transaction of a build
- ``signals``: Ctrl-C, SIGTERM and SIGHUP
- ``directories``: the cache directory, and directories that the next build removes
- ``epoch``: the time of every file in an archive
- ``uv``: the path of ``uv``
- ``settings``: values of settings, and the settings of a machine
- ``foreign``: bytes and texts of other programs and machines, within limits
"""
