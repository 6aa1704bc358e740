"""The clock of a benchmark: wall time, or CPU time of everything that it starts.

An engine works in other processes, so only control groups know its CPU time. ``all_cpu`` moves this
process into a group of its own, before it starts a private engine. Containers are in another group.
BigFlow's process reads the same files: their names are in a variable.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["READ", "all_cpu", "now"]

_VARIABLE = "BENCHMARK_CPU_FILES"
_GROUPS = Path("/sys/fs/cgroup/cpuacct")
READ = f"""\
import os, time
def now():
    files = os.environ.get({_VARIABLE!r}, "").split()
    return sum(int(open(f).read()) for f in files) / 1e9 if files else time.perf_counter()
"""
"""The same function as :func:`now`, as a program for other processes."""


def now() -> float:
    """Return the seconds of the clock."""
    files = os.environ.get(_VARIABLE, "").split()
    if not files:
        return time.perf_counter()
    return sum(int(Path(file).read_text("ascii")) for file in files) / 1e9


def all_cpu() -> None:
    """Make the clock that of CPU time, for the rest of this process. It needs root.

    :raises SystemExit: without control groups of version 1.
    """
    groups = [_GROUPS / "bigflow-benchmark", _GROUPS / "docker"]
    if not _GROUPS.is_dir() or os.geteuid():
        raise SystemExit("CPU time needs root, and control groups of version 1 (cpuacct)")
    for group in groups:
        group.mkdir(exist_ok=True)
    (groups[0] / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    os.environ[_VARIABLE] = " ".join(str(group / "cpuacct.usage") for group in groups)
