"""The CPU time of a pod's command: with our bytecode, with that of Python, and without."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from processes import in_turn

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["print_cold_start"]

_STANDARD_LIBRARY = "$(python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))')"
# Bytecode of the same files by `compileall`. Each import compares it with the time of the source.
_OWN = f"""\
FROM {{image}}
USER 0
RUN find / -xdev -name '*.pyc' -delete \
 && python3 -m compileall -qq "{_STANDARD_LIBRARY}" /app/lib || true
USER 10001:10001
"""
_NONE = "FROM {image}\nUSER 0\nRUN find / -xdev -name '*.pyc' -delete\nUSER 10001:10001\n"
_COMMANDS = {
    "python -m bigflow --version": ["-m", "bigflow", "--version"],
    "a job's imports": [
        "-c",
        "import bigflow.run, demo.module_1, json, logging, urllib.request",
    ],
}
# CPU seconds of each run. All runs use one container, because its start takes longer than a run.
_MEASURE = """\
import json, os, subprocess, sys
found = []
for _ in range(10):
    command = [sys.executable, *json.loads(sys.argv[1])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert not status, status
    found.append(usage.ru_utime + usage.ru_stime)
print(json.dumps(sorted(found)[len(found) // 2]))
"""


def print_cold_start(client: DockerClient, image: str, rounds: int) -> None:
    """Measure in containers of ``image``, which the engine has, and of its variants."""
    images = {"ours": image}
    for name, dockerfile in {"Python's own": _OWN, "none": _NONE}.items():
        tag = f"bigflow-benchmark/cold:{len(images)}"
        text = dockerfile.format(image=image).encode()
        client.images.build(fileobj=io.BytesIO(text), tag=tag, rm=True, forcerm=True)
        images[name] = tag

    def seconds(tag: str, command: list[str]) -> float:
        run = ["python", "-c", _MEASURE, json.dumps(command)]
        output = client.containers.run(tag, run, remove=True, network_mode="none", ulimits=[])
        return float(output)

    measures = {
        f"{title}, {name}": lambda tag=tag, command=command: seconds(tag, command)
        for title, command in _COMMANDS.items()
        for name, tag in images.items()
    }
    found = in_turn(measures, rounds)
    print("\n| CPU seconds, bytecode: | " + " | ".join(images) + " | ours to Python's own |")
    print("|---|" + "---|" * (len(images) + 1))
    for title in _COMMANDS:
        values = [found[f"{title}, {name}"] for name in images]
        row = [f"{value:.3f}" for value in values] + [f"{values[0] / values[1]:.2f}"]
        print(f"| {title} | " + " | ".join(row) + " |")
