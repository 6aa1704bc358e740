"""The start of a pod: a command in a container of each peer's image, and without bytecode."""

from __future__ import annotations

import contextlib
import io
import json
from functools import partial
from typing import TYPE_CHECKING

from measure import Cost, Measure, in_rounds, run

from image import PEERS, Rounds, image_versions, machine

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient
    from measure import Options
    from results import Row

_NONE = "FROM {image}\nUSER 0\nRUN find / -xdev -name '*.pyc' -delete\nUSER 10001:10001\n"
_JOB = (
    *("--job", "reports.report", "--runtime", "2026-01-01 00:00:00"),
    *("--project-package", "demo"),
)
# All runs use one container, because its start takes longer than a run.
_MEASURE = """\
import json, os, statistics, subprocess, sys, time
found = []
for _ in range(7):
    start = time.perf_counter()
    process = subprocess.Popen(json.loads(sys.argv[1]), stdout=-1, stderr=-2)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert not status, output.decode()
    found.append((usage.ru_utime + usage.ru_stime, time.perf_counter() - start))
print(json.dumps([statistics.median(values) for values in zip(*found)]))
"""


def measured(work: Path, options: Options) -> tuple[list[Row], dict[str, str]]:
    """Return the rows, and the versions of the peers."""
    with machine(work) as shared, contextlib.ExitStack() as stack:
        images, projects = {}, Rounds(shared, stack)
        for peer in PEERS:
            project = projects.new_project("small", peer)
            for command in project.commands("--load"):
                run(command, project.root, project.variables())
            images[peer] = project.image
        text = _NONE.format(image=images[PEERS[0]]).encode()
        tag = "bigflow-benchmark/pod:1"
        shared.client.images.build(fileobj=io.BytesIO(text), tag=tag, rm=True)
        images["image without bytecode"] = tag
        measures = [
            Measure("one job", "", peer, partial(_cost, shared.client, image))
            for peer, image in images.items()
        ]
        rows = in_rounds(measures, options.rounds)
        return rows, image_versions(shared)


def _cost(client: DockerClient, image: str) -> Cost:
    # The command of the DAGs, of BigFlow and of ours.
    program = ["python", "-m", "bigflow", "run", *_JOB]
    command = ["python", "-c", _MEASURE, json.dumps(program)]
    output = client.containers.run(
        image,
        command,
        entrypoint=[],
        remove=True,
        network_mode="none",
        working_dir="/app",
        ulimits=[],
    )
    return Cost(*json.loads(output))
