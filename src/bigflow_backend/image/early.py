"""Check the base image before the tests run: its platforms, and the Python that a project needs.

Nothing is pulled but the manifest and the configuration, and nothing is retried. What this does not
know, the build checks.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.manifest import NoPlatformError
from bigflow_backend.image.engine.client import engine_errors
from bigflow_backend.image.layered.base_layer import known_python
from bigflow_backend.image.layered.build import Parts, find_base, prepared_base
from bigflow_backend.image.layered.compression import find_compression
from bigflow_backend.image.platforms import image_platforms, main_platform
from bigflow_backend.image.reference import without_credentials
from bigflow_backend.image.requires_python import check_python, stated_python
from bigflow_backend.image.standard import CannotServeError, NoBaseError, is_standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.plan import ImagePlan
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings

_VERSION = re.compile(r"PYTHON_VERSION=(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)", re.ASCII)
# The first directory of PATH in the official images, which has the Python of the variable.
_OFFICIAL = "PATH=/usr/local/bin:"


def check_base_image(
    project: Project, settings: ImageSettings, plan: ImagePlan, session: Session
) -> None:
    """Check the base image of a build with this plan.

    :raises UserError: if it lacks a platform, or its Python does not fit the project.
    """
    if plan.base is None:
        return
    if plan.builder == "engine":
        if is_standard(project):
            _check(project, plan.base, _in_engine(plan.base, session))
        return
    required = stated_python(project)
    parts = Parts(
        store=session.store,
        registries=session.registries,
        compression=lambda: find_compression(settings, lambda: session.engine_name),
        deadline=time.monotonic() + settings.timeout,
        say=lambda _line: None,
    )
    platforms = image_platforms(settings)
    for platform in platforms:
        try:
            base = find_base(plan.base, platform, parts, root=project.root)
            version = known_python(session.store, base)
            if version is None and required is not None and platform == main_platform(settings):
                version = _read_python(base, parts, required)
        except CannotServeError as error:
            if settings.builder == "auto" and len(platforms) == 1:
                return  # an engine may build it
            if isinstance(error, NoBaseError) and not isinstance(error.__cause__, NoPlatformError):
                return  # the registry may answer the build
            raise
        variables = (base.config.get("config") or {}).get("Env") or []
        _check(project, plan.base, version or _official_python(variables))


def _check(project: Project, base: str, version: str | None) -> None:
    if version is not None:
        check_python(stated_python(project), version, without_credentials(base))


def _read_python(base: BaseImage, parts: Parts, required: str) -> str | None:
    """Return the version of the base's Python, if the store has the layers of the base.

    The build finds in the store what this makes.
    """
    if not all(parts.store.has(x.descriptor.digest, x.descriptor.size) for x in base.layers):
        return None
    return prepared_base(base, parts, required=required).interpreter.version


def _in_engine(base: str, session: Session) -> str | None:
    """Return the version of Python in the image of an engine, if it has the image and states it."""
    from docker.errors import ImageNotFound

    try:
        with engine_errors("checking the base image"):
            image = session.engine.images.get(base)
    except (ImageNotFound, UserError):
        return None
    return _official_python((image.attrs.get("Config") or {}).get("Env") or [])


def _official_python(variables: Sequence[str]) -> str | None:
    """Return the version that the variables of an official image of Python state.

    https://github.com/docker-library/python
    """
    if not any(variable.startswith(_OFFICIAL) for variable in variables):
        return None
    return next((match[1] for v in variables if (match := _VERSION.fullmatch(v))), None)
