"""Commands and options of BigFlow 1.x that are not here, and what to use instead."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from bigflow_backend.ground.report import print_warning

COMMANDS = {
    "codegen": "remove the call: it did nothing in BigFlow",
    "logs": "Airflow shows the log of each task; for a pod: kubectl logs POD",
}
"""A command -> what to do instead."""


@dataclass(frozen=True)
class RetiredOption:
    """An option that is accepted, and has no effect."""

    names: tuple[str, ...]
    instead: str

    @property
    def dest(self) -> str:
        return f"retired {self.names[0]}"

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            *self.names, dest=self.dest, action="append", help=argparse.SUPPRESS, default=[]
        )


_CACHE = "a build reuses the unchanged layers of the last build by itself"
_LOGIN = "`docker login` stores the credentials that a build uses"

_OF_ACCOUNTS = (
    RetiredOption(("--auth-method", "-a"), _LOGIN),
    RetiredOption(("--vault-endpoint", "-ve"), _LOGIN),
    RetiredOption(("--vault-endpoint-verify", "-vev"), _LOGIN),
    RetiredOption(("--vault-secret", "-vs"), _LOGIN),
    RetiredOption(
        ("--deployment-config-path", "-dc"), "the file is deployment_config.py of the project"
    ),
)
OF_IMAGES = (
    RetiredOption(("--cache-from-image",), _CACHE),
    RetiredOption(("--cache-from-version",), _CACHE),
    *_OF_ACCOUNTS,
)
"""The options of `bigflow build` and `bigflow build-image`."""


OF_DEPLOYMENTS = (
    *_OF_ACCOUNTS,
    RetiredOption(("--gcp-project-id", "-p"), "a bucket belongs to one project"),
)
"""The options of `bigflow deploy` and its parts."""


def warn_of_retired(options: tuple[RetiredOption, ...], values: argparse.Namespace) -> None:
    """Print a warning for each of the options that is given. It does not print the value."""
    for option in options:
        if getattr(values, option.dest):
            print_warning(f"{option.names[0]} of BigFlow 1.x has no effect: {option.instead}")
