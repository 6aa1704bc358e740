"""A build in a child process, which a signal stops at a known moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import threading

    from support.layered import LayeredProject

__all__ = ["SIGNALS", "interrupted_build"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

_TESTS = Path(__file__).parents[1]
# The signal handling of the command, around a build: see bigflow_backend.cli.main.
_CHILD = """\
import json, pathlib, signal, sys, threading
from bigflow_backend.ground.report import reported
from bigflow_backend.ground.signals import terminable
from support.layered import LayeredProject

root, base, wheels, started, where, options = sys.argv[1:]

def stop(*_arguments, **_options):
    pathlib.Path(started).touch()
    signal.pause()

class Said(list):
    def append(self, line):
        if where.startswith("says ") and where.removeprefix("says ") in line:
            stop()

if where == "layers":
    # In the middle of a layer: some of it is written.
    from bigflow_backend.image.layered import tar as layer
    add, members = layer._Archive.add, []
    def counted(*arguments):
        members.append(1)
        return stop() if len(members) == 3 else add(*arguments)
    layer._Archive.add = counted
elif where == "tar":
    from bigflow_backend.image.store import blobs as store
    read, reads = store.BlobReader.read, []
    def counted(*arguments):
        reads.append(1)
        return stop() if len(reads) == 4 else read(*arguments)
    store.BlobReader.read = counted
elif where == "info":
    from bigflow_backend.image import imageinfo
    imageinfo.write_imageinfo = stop
project = LayeredProject(pathlib.Path(root), base, pathlib.Path(wheels), Said())
try:
    with terminable(), reported():
        project.build(**json.loads(options))
except KeyboardInterrupt:
    sys.exit(130)
"""


def interrupted_build(
    project: LayeredProject,
    number: signal.Signals,
    *,
    at: str,
    started: Path | threading.Event,
    **options: Any,
) -> str:
    """Build the project, and send the signal when the build is at the place ``at``.

    That is ``layers``, ``tar``, ``info``, or ``says TEXT`` for a line of its output; for another
    place, ``started`` shows when it is there. Return the output; the signal must end the build.
    """
    path = started if isinstance(started, Path) else project.root.with_name("never")
    child = subprocess.Popen(
        [
            sys.executable, "-c", _CHILD, project.root, project.base, project.wheels, path, at,
            json.dumps(options),
        ],
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        while not (started.exists() if isinstance(started, Path) else started.is_set()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.01)
                assert child.stdout is not None
                pytest.fail(f"the build ended too early: {child.stdout.read()}")
        os.killpg(child.pid, number)
        output, _ = child.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    # The shell has 128 and the number for what a signal has ended.
    expected = {-number} if number == signal.SIGKILL else {128 + number, -number}
    assert child.returncode in expected, output
    assert "Traceback" not in output
    return output
