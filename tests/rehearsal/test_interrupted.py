"""A signal ends the command, the Airflow and the pods."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from support.built_project import BuiltProject

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
TIMEOUT = 600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left(rehearsed_project: BuiltProject, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "bigflow_backend", "rehearse", "hangs"]
    with subprocess.Popen(
        [*command, "--runtime", "sandbox", "--python", rehearsed_project.python],
        cwd=rehearsed_project.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("running  hangs.hangs") for line in process.stderr)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        rest = process.stderr.read()
        status = process.wait(TIMEOUT)
    _, alive = psutil.wait_procs(started, timeout=TIMEOUT)
    assert alive == []
    if number == signal.SIGKILL:
        assert status == -number
    else:
        assert status == 128 + number
        assert "Traceback" not in rest
        assert rest.splitlines()[-1].startswith("bigflow: ")
