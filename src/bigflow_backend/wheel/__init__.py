"""Project -> :class:`~bigflow_backend.wheel.isolated.Wheel`, sdist and editable wheel.

- ``isolated``: builds the wheel through the hook in a process; :class:`Wheel`
- ``wheel``: the wheel and the editable wheel, for the hooks
- ``released``: a wheel that was built before
- ``sdist``: the sdist, for the hooks
- ``config_settings``: settings that a frontend passes to the hooks
- ``content``: the files of the wheel
- ``imports``: check of imports from outside the wheel
- ``distribution``: setuptools' distribution with the project's metadata
- ``conflicts``: check of facts that two files state
- ``setuptools_commands``: setuptools' ``build`` with ``resources/``
- ``metadata``: ``.dist-info``, written by setuptools
- ``plain``: ``.dist-info`` of a plain project, without the import of setuptools
- ``bill``: the bill of materials in ``.dist-info``
- ``writer``: the reproducible zip archive
- ``manifest_in``: files that MANIFEST.in adds to the sdist
"""
