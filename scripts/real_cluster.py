"""Rehearse the scenarios of the tests on a real Kubernetes, and beside it in a sandbox.

    python scripts/real_cluster.py PROJECT KUBECONFIG

PROJECT is a built copy of ``tests/projects/scenarios`` with its rehearsal.toml; the node has its
image. KUBECONFIG is JSON. The same Airflow runs the same DAG files on both. The output is the table
of ``docs/how-to/rehearsal.md``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import re
import shutil
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.errors import UserError
from bigflow_backend.rehearsal import rehearse as order
from bigflow_backend.rehearsal.inputs import Inputs, read_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

SCENARIOS = {
    "success": ("has_secret", "", ""),
    "retry, then failure": ("fails", "", ""),
    "failure": ("loud", "", ""),
    "timeout": ("hangs", "", ""),
    "out of memory": ("grows", "", ""),
    "deferrable": ("defers", "", ""),
    "50 jobs": ("fifty", "", ""),
    "50,000 lines": ("chatters", "", ""),
    "SIGTERM": ("terminates", "", ""),
    "missing secret": ("lacks_secret", "", ""),
    "bad label": ("by_hand", "workflow': 'by_hand'", "workflow': 'by hand'"),
    "unknown image": ("by_hand", "scenarios:0.1.0", "scenarios:none"),
}
"""Scenario -> workflow, and a change of its DAG file by hand."""


class RealCluster:
    """A cluster in the place of the one of a rehearsal."""

    def __init__(self, kubeconfig: dict[str, Any]) -> None:
        self._kubeconfig = kubeconfig

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kubeconfig(self) -> dict[str, Any]:
        return self._kubeconfig

    def create_secret(self, name: str, data: dict[str, str], *, namespace: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self._create(namespace, "secrets", {"metadata": {"name": name}, "data": encoded})

    def create_config_map(self, name: str, data: dict[str, str], *, namespace: str) -> None:
        self._create(namespace, "configmaps", {"metadata": {"name": name}, "data": data})

    def _create(self, namespace: str, resource: str, body: object) -> None:
        server = self._kubeconfig["clusters"][0]["cluster"]["server"]
        token = self._kubeconfig["users"][0]["user"]["token"]
        request = urllib.request.Request(
            f"{server}/api/v1/namespaces/{namespace}/{resource}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        context = ssl._create_unverified_context()  # noqa: SLF001 - a cluster on loopback
        try:
            urllib.request.urlopen(request, context=context).close()
        except urllib.error.HTTPError as error:
            if error.code != 409:  # noqa: PLR2004 - it exists
                raise


@contextlib.contextmanager
def dags_of(project: Path, workflow: str, old: str, new: str) -> Iterator[tuple[Path, Any]]:
    """Yield a directory with the DAG file of a workflow, changed; and its entry."""
    dags = project / ".dags"
    (entry,) = (dag for dag in read_manifest(dags).dags if dag.workflow == workflow)
    with tempfile.TemporaryDirectory() as name:
        text = (dags / entry.file).read_text("utf-8")
        if old not in text:
            sys.exit(f"{entry.file} does not have {old!r}")
        (Path(name) / entry.file).write_text(text.replace(old, new), "utf-8")
        yield Path(name), entry


def outcome(project: Path, scenario: str, cluster: RealCluster | None) -> tuple[str, str, str]:
    """Return the states of the tries, the last line of a failed log, and the seconds."""
    workflow, old, new = SCENARIOS[scenario]
    inputs = read_inputs(None, project).with_variables({"env": "dev"})
    with contextlib.ExitStack() as stack:
        dags, entry = stack.enter_context(dags_of(project, workflow, old, new))
        if cluster is not None:
            stack.enter_context(mock.patch.object(order, "Kubernetes", return_value=cluster))
            stack.enter_context(mock.patch.object(Inputs, "check"))
        request = order.Request(
            root=project,
            dags=dags,
            entries=[entry],
            inputs=inputs,
            airflow="3.3",
            runtime="sandbox",
            until=None,
            no_retries=False,
            say=lambda line: print(f"    {line}", file=sys.stderr, flush=True),
        )
        try:
            (result,) = order.rehearse(request).workflows
        except UserError as error:
            return "an error before a job runs", error.message, ""
    states: dict[str, int] = {}
    for task in result.tasks:
        text = ", ".join(one.state for one in task.tries) or task.state
        states[text] = states.get(text, 0) + 1
    shown = "; ".join(f"{n} x {text}" if n > 1 else text for text, n in states.items())
    lines = [task.last_lines[-1] for task in result.tasks if task.last_lines]
    return shown, lines[0] if lines else "", f"{result.seconds:.0f} s"


def comparable(text: str) -> str:
    """Return a line without what differs between two pods: names, times, addresses."""
    return re.sub(r"-[a-z0-9]{8}\b|0x[0-9a-f]+|\d+\.\d+", "*", text)


def main() -> None:
    """Print a row for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("scenarios", nargs="*", help="some of them")
    values = parser.parse_args()
    cluster = RealCluster(json.loads(values.kubeconfig.read_text("utf-8")))
    logs = values.project / ".rehearsal-compared"
    for scenario in values.scenarios or SCENARIOS:
        found = []
        for name, where in (("rehearsal", None), ("cluster", cluster)):
            found.append(outcome(values.project, scenario, where))
            source = values.project / order.DIRECTORY / SCENARIOS[scenario][0]
            if source.is_dir():
                shutil.copytree(source, logs / scenario / name, dirs_exist_ok=True)
        one, other = found
        same = (
            "same" if tuple(map(comparable, one[:2])) == tuple(map(comparable, other[:2])) else ""
        )
        print("|", " | ".join([scenario, *one, *other, same]), "|", flush=True)


if __name__ == "__main__":
    main()
