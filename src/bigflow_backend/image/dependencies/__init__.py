"""Project -> the requirements that its image installs, for every builder.

- ``requirements``: the list or the lock of the project, with the runtime of this machine
- ``lock``: uv.lock and pylock.toml
- ``local``: other projects of the repository, which are built
- ``compile``: requirements.in -> requirements.txt
- ``indexes``: package indexes as pip's configuration has them, and a check of their credentials
- ``explicit``: distributions that a lock takes from explicit indexes
- ``uv_process``: uv with these indexes, and its errors
"""
