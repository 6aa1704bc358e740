"""The platforms of an image: those of the settings, or that of this machine."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.project.settings import ImageSettings

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The kernel's name of each architecture, by Go's name."""
_ARCHITECTURES = {machine: name for name, machine in MACHINES.items()} | {n: n for n in MACHINES}


def machine_platform() -> str:
    """Return the platform of this machine, such as ``linux/amd64``."""
    machine = platform.machine().lower()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def image_platforms(settings: ImageSettings) -> tuple[str, ...]:
    """Return the platforms of an image of the layered builder, sorted, each once."""
    return tuple(sorted(set(settings.platforms))) or (machine_platform(),)


def main_platform(settings: ImageSettings) -> str:
    """Return this machine's platform, if the image has it, else the first of the image."""
    platforms = image_platforms(settings)
    machine = machine_platform()
    return machine if machine in platforms else platforms[0]


def engine_platform(settings: ImageSettings) -> str | None:
    """Return the platform of an image that an engine builds; None is the engine's own.

    An engine would need buildx, an emulator, and the image store of containerd for several.

    :raises UserError: if the settings name several.
    """
    several = set(settings.platforms)
    if len(several) > 1:
        raise UserError(
            f"an engine builds one platform at a time: got {', '.join(sorted(several))}",
            hint="use the layered builder, which needs the standard Dockerfile; or build one of"
            " them: --platform linux/amd64",
        )
    return next(iter(several), None)


def check_wheel(wheel: Path, wanted: str) -> None:
    """Check that a wheel is for all platforms, or for the wanted one.

    :raises UserError: if it is for another platform.
    """
    tag = wheel.stem.rpartition("-")[2]
    machine = MACHINES.get(wanted.partition("/")[2], "")
    if tag != "any" and not tag.endswith(machine):
        raise UserError(
            f"{wheel.name} is compiled, and not for {wanted}",
            hint="build the image on a machine of that platform, or for this one only: --platform"
            f" {machine_platform()}",
        )
