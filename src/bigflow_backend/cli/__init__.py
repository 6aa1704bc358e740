"""Command line -> calls of the pipeline, and printed results.

- ``commands``: the table of all commands, and the function that runs one
- ``summaries``: what each command does
- ``manual``: examples of each command, and the settings that it reads
- ``options``: the options of the commands, and the parser
- ``retired``: commands and options of BigFlow 1.x that are not here
- ``main``: the ``bigflow`` command
- ``setup_commands``: the commands of ``project_setup.py``
- ``build``: the build commands
- ``verify``: an image that is built again, and compared
- ``requirements``: the compilation of requirements.in
- ``report``: results as lines and as JSON
- ``rerun``: a job in a container of its image
- ``config``, ``workflows``, ``check``, ``versions``, ``cache``: the other commands
"""
