"""Fixtures of all tests, and the order of the files."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent

# A shell without job control starts what it puts in the background with SIGINT ignored, and so
# would be all that the tests start; some of them interrupt it.
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_12
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# `nohup` ignores SIGHUP.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The settings of whoever runs the tests have no effect. Podman and skopeo refuse a file here.
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"

# On a busy machine, each example may take long: that is not an error.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

pytest_plugins = [
    "support.airflow",
    "support.caches",
    "support.containers",
    "support.distribution",
    "support.end_to_end",
    "support.engine_project",
    "support.faulty_registry",
    "support.flows",
    "support.kubernetes.fixtures",
    "support.package_index",
    "support.registry",
    "support.layered",  # after what it imports
    "support.object_stores",  # after what it imports
    "support.podman",  # after what it imports
    "support.skips",
    "support.stalling_engine",
]

# The files that take longest. They start first, so that no process works alone at the end.
_LONGEST = (
    "image/engine/test_builds.py",
    "e2e/test_sample_project.py",
    "image/engine/test_interrupted.py",
    "image/test_choice.py",
    "cli/test_build_commands.py",
    "image/layered/test_interrupted.py",
    "image/registry/test_failures.py",
    "image/layered/test_equality.py",
    "image/layered/test_registry_errors.py",
    "image/engine/test_registry.py",
    "image/test_secrets.py",
    "dags/test_airflow.py",
    "image/layered/python/test_bytecode.py",
    "image/test_full_disk.py",
    "image/test_at_once.py",
    # Slow tests.
    "docs/test_pages.py",
    "e2e/test_redeploys.py",
    "e2e/test_dag_bundle.py",
    "e2e/test_failed_runs.py",
    "e2e/test_standalone.py",
    "image/test_standard_builders.py",
    "e2e/test_scenarios.py",
    "image/engine/test_podman.py",
    "dags/test_hostile.py",
    "image/layered/test_memory.py",
    "image/layered/python/test_versions.py",
    "e2e/test_same_digest.py",
)


@pytest.fixture(autouse=True, scope="session")
def projects_without_our_plugins() -> Iterator[None]:
    """Keep the plugins of our pytest out of the tests of projects: they take 0.8 s of each build.

    This is not a line of the module: a worker would start without the plugins, too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {_HERE / name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
