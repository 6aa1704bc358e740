"""`bigflow run`: run a job or a whole workflow in this process. Each pod does this."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from bigflow.describe.discovery import load_workflow
from bigflow.errors import BigflowError
from bigflow.job import JobContext, execute_job
from bigflow.verdict import Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import Any, NoReturn


def run(
    packages: Sequence[str],
    workflow_id: str,
    job_id: str | None,
    *,
    module: str | None = None,
    secrets: Sequence[str] = (),
    **of_run: Any,
) -> Callable[[], None]:
    """Load a workflow; return a function that runs the job, or all jobs one after another.

    The first line of output names the job, its runtime, and the version, commit and image if they
    are known. It is printed before code of the project runs.

    :param of_run: what Airflow knows of the run, for ``JobContext.make``.

    :raises BigflowError: when the workflow, the job or one of the secrets does not exist. Errors
        of the returned function are the job's own.
    """
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    _write_lines_at_once()
    context = JobContext.make(workflow_id=workflow_id, **of_run)
    what = f"job {workflow_id}.{job_id}" if job_id else f"workflow {workflow_id}"
    _print_line(", ".join([what, *_facts(context, packages[0])]))
    _check_secrets(secrets)
    workflow = load_workflow(packages, workflow_id, module)
    context = JobContext.make(workflow=workflow, **{**of_run, "runtime": context.runtime_str})
    if job_id is not None:
        return partial(execute_job, workflow.find_job(job_id), context)

    def run_all() -> None:
        for job in workflow.definition.jobs:
            _print_line(f"job {workflow_id}.{job.id}")
            try:
                execute_job(job, context)
            except SystemExit as error:
                if error.code:  # else a success, as in a pod of its own: the next job runs
                    raise

    return run_all


def _exit_on_sigterm(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit so that the job of a deleted pod runs its ``finally`` blocks.

    In a container this process has the id 1, and such a process ignores the signal without a
    handler: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    """
    raise Stopped(128 + number)


def _check_secrets(names: Sequence[str]) -> None:
    """Check the environment variables of the secrets.

    Kubernetes leaves the variable out if the pod's reference to the secret is optional. Without
    ``optional``, the pod would wait for the secret until Airflow gives up.
    """
    missing = [name for name in names if name.upper() not in os.environ]
    if missing:
        name = missing[0]
        secret = name.replace("_", "-").lower()
        raise BigflowError(
            f"the Kubernetes secret {secret!r} does not exist, or has no key {name!r}",
            hint=f"create it in the namespace of the pod: kubectl create secret generic {secret}"
            f" --from-literal={name}=...",
        )


def _write_lines_at_once() -> None:
    """Flush each line: the log of a killed pod has its last lines."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _print_line(line: str) -> None:
    # On stdout: Google Cloud shows what a container writes to stderr as errors.
    print(f"bigflow: {line}", flush=True)


def _facts(context: JobContext, package: str) -> Iterator[str]:
    yield f"runtime {context.runtime_str}"
    if context.env:
        yield f"config {context.env}"
    yield f"{package} {_installed_version(package) or ''}".strip()
    for name in ("commit", "image"):
        value = os.environ.get(f"BIGFLOW_{name.upper()}")
        if value:
            yield f"{name} {value}"


def _installed_version(package: str) -> str | None:
    """Return the version in the name of the ``.dist-info`` directory of ``package`` (PEP 427).

    Importing ``importlib.metadata`` takes 24 ms, as much as the rest of the start.
    """
    prefix, suffix = f"{package.lower()}-", ".dist-info"
    for directory in sys.path:
        try:
            entries = os.listdir(directory or ".")
        except OSError:  # a zip archive, or a directory that does not exist
            continue
        for entry in entries:
            if entry.lower().startswith(prefix) and entry.endswith(suffix):
                return entry[len(prefix) : -len(suffix)]
    return None
