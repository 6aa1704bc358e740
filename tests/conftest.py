"""What all tests share: the fixtures of ``tests/support``, which pytest finds beside this file."""

pytest_plugins = [
    "support.airflow",
    "support.caches",
    "support.containers",
    "support.distribution",
    "support.embedded",
    "support.end_to_end",
    "support.engine_project",
    "support.faulty_registry",
    "support.flows",
    "support.kubernetes.fixtures",
    "support.package_index",
    "support.registry",
    "support.podman",  # after what it imports
    "support.skips",
    "support.stalling_engine",
]
