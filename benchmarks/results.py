"""The results of a part of the benchmarks, and their JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OURS", "Results", "Row", "machine"]

OURS = "bigflow-backend"
"""The name of this project among the peers."""


@dataclass(frozen=True)
class Row:
    """One command or hook of one peer, in all rounds."""

    what: str
    """The hook, the command or the project."""
    case: str
    """The size or the change. Numbers are sizes: plots draw them as a line."""
    peer: str
    cpu: tuple[float, ...]
    """CPU seconds of all processes, for each round. Empty where the system cannot count them."""
    wall: tuple[float, ...]
    """Seconds of wall time, for each round."""
    sent: int | None = None
    """Bytes that a push sent."""


@dataclass(frozen=True)
class Results:
    """One run of a part."""

    part: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    loads: tuple[float, float]
    """The smallest and the largest load of the machine in the run (average of a minute)."""
    rows: tuple[Row, ...] = field(default=())

    def write(self, directory: Path) -> None:
        """Write the JSON, one row a line."""
        head = asdict(self)
        rows = [json.dumps(row) for row in head.pop("rows")]
        text = json.dumps(head, indent=1).removesuffix("\n}")
        directory.mkdir(parents=True, exist_ok=True)
        joined = ",\n  ".join(rows)
        path = directory / f"{self.part}.json"
        path.write_text(f'{text},\n "rows": [\n  {joined}\n ]\n}}\n', "utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return the results in a file that :meth:`write` wrote."""
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        rows = tuple(
            Row(**{**row, "cpu": tuple(row["cpu"]), "wall": tuple(row["wall"])})
            for row in data.pop("rows")
        )
        return cls(**{**data, "loads": tuple(data["loads"])}, rows=rows)


def machine() -> dict[str, str]:
    """Describe this machine: processor, CPUs, memory, kernel, Python, date."""
    models = [
        line.partition(":")[2].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    getattr(os, "sched_getaffinity", lambda _process: range(os.cpu_count() or 1))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "CPUs": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
