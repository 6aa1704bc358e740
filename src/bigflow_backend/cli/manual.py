"""The end of ``--help``: examples of each command, and the settings that it reads."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bigflow_backend.ground.settings.machine import MachineSettings
from bigflow_backend.ground.settings.values import Leaf, leaves
from bigflow_backend.project.settings import Settings

_WIDTH = 96


@dataclass(frozen=True)
class Manual:
    """The examples of a command, and the tables of its settings."""

    examples: tuple[str, ...]
    tables: tuple[str, ...] = ()
    """Tables of ``[tool.bigflow]``; the empty string is that table itself."""
    cache: bool = False
    """True if it uses the cache."""
    statuses: Mapping[int, str] = field(default_factory=dict)
    """Its own exit statuses, and their meanings; for the documentation."""


_OF_PROJECT = ("", "version")
_RERUN = (
    "bigflow rerun 'bigflow: job daily.load, runtime 2026-01-01 00:00:00, reports 1.2.0,"
    " image registry.example.com/reports:1.2.0' --env DB_PASSWORD"
)
MANUALS = {
    "start-project": Manual(
        (
            "bigflow start-project weather-reports",
            "bigflow start-project weather-reports --layout src --ci github",
        )
    ),
    "init": Manual(("bigflow init", "bigflow init --ci gitlab"), _OF_PROJECT),
    "build": Manual(
        ("bigflow build", "bigflow build --config prod --push", "bigflow build --workflow daily"),
        (*_OF_PROJECT, "image", "dags"),
        cache=True,
    ),
    "build-package": Manual(("bigflow build-package",), _OF_PROJECT),
    "lock": Manual(
        ("bigflow lock", "bigflow lock --upgrade pandas"), (*_OF_PROJECT, "image"), cache=True
    ),
    "outdated": Manual(
        ("bigflow outdated", "bigflow outdated --json"),
        (*_OF_PROJECT, "image"),
        cache=True,
        statuses={1: "an index or a registry could not be asked", 3: "something is newer"},
    ),
    "build-requirements": Manual(
        ("bigflow build-requirements", "bigflow build-requirements --upgrade"), _OF_PROJECT
    ),
    "build-image": Manual(
        (
            "bigflow build-image --dry-run",
            "bigflow build-image --base-image docker-archive:base.tar --load",
            "bigflow build-image --wheel dist/reports-1.2.0-py3-none-any.whl --push",
            "bigflow build-image --verify",
        ),
        (*_OF_PROJECT, "image"),
        cache=True,
        statuses={3: "with `--verify`, the image differs"},
    ),
    "build-dags": Manual(
        (
            "bigflow build-dags --config prod",
            "bigflow build-dags --dry-run",
            "bigflow build-dags --start-time 2026-01-31T06:00Z --deployed deployed/manifest.json",
        ),
        (*_OF_PROJECT, "dags"),
    ),
    "workflows": Manual(("bigflow workflows --next 5",), (*_OF_PROJECT, "dags")),
    "graph": Manual(
        ("bigflow graph daily", "bigflow graph daily --mermaid", "bigflow graph daily --svg"),
        ("", "dags"),
    ),
    "dags": Manual(
        ("bigflow dags --deployed deployed/ --airflow-url https://airflow.example.com --retired",)
    ),
    "check": Manual(
        ("bigflow check", "bigflow check --airflow 2.11"),
        ("",),
        statuses={1: "Airflow reports an error in a DAG file"},
    ),
    "pod": Manual(("bigflow pod daily.load --config prod",), ("",)),
    "rehearse": Manual(
        ("bigflow rehearse daily",),
        (*_OF_PROJECT, "image"),
        cache=True,
        statuses={1: "a job has failed"},
    ),
    "image": Manual(
        ("bigflow image", "bigflow image 1.2.0 --json", "bigflow image .image/image-1.2.0.tar"),
        ("", "image"),
        cache=True,
    ),
    "diff": Manual(
        (
            "bigflow diff 1.2.0 1.3.0",
            "bigflow diff deployed/manifest.json .dags --exit-code",
            "bigflow diff registry.example.com/reports:1.2.0 .image/image-1.3.0.tar",
        ),
        (*_OF_PROJECT, "image"),
        cache=True,
        statuses={3: "with `--exit-code`, something differs"},
    ),
    "deploy": Manual(
        ("bigflow deploy --config prod --dry-run", "bigflow deploy --dags-folder gs://BUCKET/dags"),
        ("", "image", "dags"),
        cache=True,
    ),
    "deploy-image": Manual(("bigflow deploy-image --config prod",), ("", "image"), cache=True),
    "deploy-dags": Manual(("bigflow deploy-dags --config prod",), ("", "dags")),
    "deployments": Manual(("bigflow deployments --config prod --json",), ("",)),
    "rollback": Manual(("bigflow rollback --dry-run", "bigflow rollback 1.2.0"), ("",)),
    "promote": Manual(("bigflow promote dev prod --dry-run", "bigflow promote dev prod"), ("",)),
    "rerun": Manual((_RERUN,)),
    "config": Manual(("bigflow config", "bigflow config image.network cache"), _OF_PROJECT),
    "cache": Manual(("bigflow cache", "bigflow cache --clear"), cache=True),
    "completion": Manual(('eval "$(bigflow completion bash)"',)),
    "project-version": Manual(
        ("bigflow project-version", "bigflow project-version --git-commit HEAD~1"), _OF_PROJECT
    ),
    "pv": Manual(("bigflow pv", "bigflow pv --json"), _OF_PROJECT),
    "release": Manual(("bigflow release --dry-run", "bigflow release patch"), _OF_PROJECT),
}
"""All commands, by their names."""


def manual(name: str) -> str:
    """Return the end of the help of a command."""
    found = MANUALS.get(name)
    if found is None:
        return ""
    examples = [f"  {example}" for example in found.examples]
    title = "examples" if len(examples) > 1 else "example"
    return "\n".join([f"{title}:", *examples, *_settings(found)])


def setting_tables(found: Manual) -> dict[str, list[str]]:
    """Return the settings of a command: tables of pyproject.toml, and the user's file."""
    titles = {f"[{'.'.join(filter(None, ('tool.bigflow', table)))}]" for table in found.tables}
    chosen: dict[str, list[str]] = {}
    for leaf in leaves(Settings):
        title = f"[{_table(leaf)}]"
        if title in titles:
            chosen.setdefault(title, []).append(leaf.path[-1].replace("_", "-"))
    if found.cache:
        chosen["the user's file"] = [leaf.key for leaf in leaves(MachineSettings)]
    return chosen


def _settings(found: Manual) -> Iterator[str]:
    chosen = setting_tables(found)
    if not chosen:
        return
    yield ""
    yield "settings; each has a variable, such as BIGFLOW_IMAGE_NETWORK; see `bigflow config`:"
    for title, keys in chosen.items():
        yield from textwrap.wrap(
            f"{title} {', '.join(keys)}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )


def _table(leaf: Leaf) -> str:
    return ".".join(("tool.bigflow", *leaf.path[:-1]))
