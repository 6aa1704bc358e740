"""``airflow standalone``: all of Airflow, as child processes of a test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.airflow import Airflow

_STOP_SECONDS = 30
_POLL_SECONDS = 0.2
# A task of Airflow 3 fails if the web server does not answer yet.
_READY = {2: "Starting the scheduler", 3: "Airflow is ready"}


@dataclass(frozen=True)
class Standalone:
    """A running ``airflow standalone``."""

    process: subprocess.Popen[str]
    lines: list[str]
    """The output of its processes so far."""
    end: float
    """The time limit of :meth:`wait_for`, on the monotonic clock."""
    url: str
    """The address of its web server."""

    def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Return when the predicate is true. It depends on other processes, so it is polled.

        :raises TimeoutError: with the output, if it does not become true in time.
        """
        while not predicate():
            if time.monotonic() > self.end or self.process.poll() is not None:
                raise TimeoutError("".join(self.lines))
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def airflow_standalone(airflow: Airflow, *, timeout: float) -> Iterator[Standalone]:
    """Yield scheduler, DAG processor, triggerer and web server, ready to run tasks.

    All waiting must end within ``timeout`` seconds from the start. The end of the block stops
    every process.
    """
    settings = _settings()
    process = subprocess.Popen(
        [airflow.python, "-m", "airflow", "standalone"],
        cwd=airflow.home,
        env={**airflow.environment, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    url = settings["AIRFLOW__API__BASE_URL"]
    standalone = Standalone(process, [], time.monotonic() + timeout, url)
    reader = threading.Thread(target=_read, args=(process.stdout, standalone.lines))
    reader.start()
    try:
        ready = _READY[airflow.major]
        standalone.wait_for(lambda: any(ready in line for line in tuple(standalone.lines)))
        yield standalone
    finally:
        _stop(process)
        reader.join()
        process.stdout.close()


def _read(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - a reader sees each line at once


def _stop(process: subprocess.Popen[str]) -> None:
    """Terminate the process, then kill the rest of its tree. Some processes have left it."""
    parent = psutil.Process(process.pid)
    tree = [parent, *parent.children(recursive=True)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    for member in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _settings() -> dict[str, str]:
    """Return settings with free ports, and few processes for a machine with two cores."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
            for _ in range(3)
        ]
        server, worker_logs, trigger_logs = (str(s.getsockname()[1]) for s in sockets)
    return {
        # Its tasks wait for pods. The executor for SQLite of Airflow 2 starts one task at a time.
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        "AIRFLOW__CORE__PARALLELISM": "4",
        # Else the scheduler uses the DAG of a replaced file for up to 40 seconds, while the
        # database has the tags of the new one.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL": "0",
        "AIRFLOW__API__HOST": "127.0.0.1",  # Airflow 3
        "AIRFLOW__API__PORT": server,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{server}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{server}/execution/",
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",  # Airflow 2
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": server,
        "AIRFLOW__WEBSERVER__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_logs,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
    }
