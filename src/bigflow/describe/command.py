"""``bigflow describe``: what a build asks of a project, in a process of its own."""

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

__all__ = ["describe"]


class _Output(TextIOWrapper):
    """What the project's code prints to; it remembers whether the last line has an end."""

    ends_line = True

    def write(self, text: str, /) -> int:
        if text:
            self.ends_line = text.endswith("\n")
        return super().write(text)


def describe(options: argparse.Namespace) -> NoReturn:
    """Prints one JSON document and ends the process, with status 1 for a fault.

    Whatever the project's code prints goes to stderr. With ``--progress`` there are lines of JSON
    before, each of which says what comes next: of a process that a module ends it is known which.
    """
    import faulthandler

    from bigflow.describe.workflows import SCHEMA

    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    output = _Output(
        os.fdopen(2, "wb", closefd=False), errors="backslashreplace", line_buffering=True
    )
    sys.stdout = sys.stderr = output
    faulthandler.enable()  # a crash of a compiled library, too, is told with its line
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends this process at once. So a KeyboardInterrupt is one that a module raised.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def tell(doing: str) -> None:
        if options.progress:
            answer.write(json.dumps({"schema": SCHEMA, "doing": doing}) + "\n")
            answer.flush()

    try:
        document = _description(options, tell)
    except BigflowError as error:
        fault = {"message": error.message, "hint": error.hint}
        document = {"schema": SCHEMA, "error": fault}
    # Not json.dump(), which has no encoder in C and writes each token by itself.
    answer.write(json.dumps(document, allow_nan=False))
    answer.close()
    if not output.ends_line:
        output.write("\n")
    for stream in filter(None, (sys.stdout, sys.__stdout__, output)):
        stream.flush()
    # At once: a thread that a project's module has started must not hold up the build.
    os._exit(1 if "error" in document else 0)


def _description(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    from pathlib import Path

    import bigflow
    from bigflow.configuration import set_current_env
    from bigflow.describe.deployment import describe_deployment
    from bigflow.describe.workflows import SCHEMA, describe_workflows

    sys.path.insert(0, os.path.abspath(options.root))  # noqa: PTH100
    if options.config is not None:
        set_current_env(options.config)  # what the workflows themselves resolve is of one mind
    package, file = options.project_package, options.deployment_config
    deployment, workflows = None, []
    if file:  # first: a fault in it is found without importing the package
        tell(f"reading {Path(file).name}")
        deployment = describe_deployment(Path(file), options.config)
    if package:
        workflows = describe_workflows(package, options.start_time, tell)
    return {
        "schema": SCHEMA,
        "bigflow": bigflow.__version__,
        "package": package,
        "workflows": workflows,
        "deployment": deployment,
    }
