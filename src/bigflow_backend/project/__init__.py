"""Files of a project -> :class:`~bigflow_backend.project.project.Project`, and what it states.

- ``project``: the frozen description of a project
- ``settings``: ``[tool.bigflow]`` as dataclasses
- ``settings_sources``: their environment variables, and the user's file
- ``settings_schema``: their JSON schema
- ``pyproject``: the other tables of pyproject.toml
- ``setup_script``: ``project_setup.py`` and the keywords of ``setup()``
- ``legacy``: keywords of BigFlow 1.x
- ``packages``: the top-level packages
- ``members``: other projects of the repository
- ``changed``: the projects of a repository that differ from a commit
- ``requirements``: requirements.txt
- ``requirements_in``: requirements.in, and whether requirements.txt is its result
- ``locked``: the pins of a lock
- ``notes``: advice about the project's files
- ``workflows``: deployment and workflows, as the project's own Python describes them
- ``tests``: the project's tests
"""
