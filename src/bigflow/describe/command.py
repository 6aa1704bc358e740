"""`bigflow describe`: print workflows and deployment as JSON, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from io import TextIOWrapper

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any, NoReturn


class _Output(TextIOWrapper):
    """The stream for output of the project; it knows if the last line is complete."""

    ends_line = True

    def write(self, text: str, /) -> int:
        if text:
            self.ends_line = text.endswith("\n")
        return super().write(text)


def describe(options: argparse.Namespace) -> NoReturn:
    """Print one JSON document and end the process, with status 1 for an error.

    Output of the project's code goes to stderr. With ``--progress`` a line of JSON names each step
    before it starts: if a module kills the process, the reader knows which one.
    """
    import faulthandler

    from bigflow.describe.workflows import SCHEMA

    document_file = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    output = _Output(
        os.fdopen(2, "wb", closefd=False), errors="backslashreplace", line_buffering=True
    )
    sys.stdout = sys.stderr = output
    faulthandler.enable()  # prints the line of a crash in a compiled library
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends this process at once: a KeyboardInterrupt is always from a module.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def report(step: str) -> None:
        if options.progress:
            document_file.write(json.dumps({"schema": SCHEMA, "doing": step}) + "\n")
            document_file.flush()

    try:
        document = _description(options, report)
    except BigflowError as error:
        document = {"schema": SCHEMA, "error": {"message": error.message, "hint": error.hint}}
    # Not json.dump(): it does not use the encoder in C.
    document_file.write(json.dumps(document, allow_nan=False))
    document_file.close()
    if not output.ends_line:
        output.write("\n")
    for stream in filter(None, (sys.stdout, sys.__stdout__, output)):
        stream.flush()
    # Do not wait for threads that the project started.
    os._exit(1 if "error" in document else 0)


def _description(options: argparse.Namespace, report: Callable[[str], None]) -> dict[str, Any]:
    from pathlib import Path

    import bigflow
    from bigflow.configuration import set_current_env
    from bigflow.describe.deployment import describe_deployment
    from bigflow.describe.workflows import SCHEMA, describe_workflows

    sys.path.insert(0, os.path.abspath(options.root))
    if options.config is not None:
        set_current_env(options.config)  # for what the modules resolve
    packages, file = options.project_package or [], options.deployment_config
    deployment, workflows = None, []
    if file:  # first: its errors appear without importing the package
        report(f"reading {Path(file).name}")
        deployment = describe_deployment(Path(file), options.config)
    if packages:
        workflows = describe_workflows(packages, options.start_time, report, options.workflow)
    return {
        "schema": SCHEMA,
        "bigflow": bigflow.__version__,
        "packages": packages,
        "workflows": workflows,
        "deployment": deployment,
    }
