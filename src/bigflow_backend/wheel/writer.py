"""Files -> wheel, in one pass. Equal files give equal bytes.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.epoch import zip_date

if TYPE_CHECKING:
    from bigflow_backend.wheel.content import Member


class WheelWriter:
    """A context manager that writes members in the given order, and then RECORD.

    Times are ``epoch``, and modes 0644 or 0755, so wheels of different machines are equal.
    """

    def __init__(self, path: Path, dist_info: str, epoch: int, *, stored: bool = False) -> None:
        self._record = io.StringIO(newline="")
        self._rows = csv.writer(self._record, lineterminator="\n")
        self._dist_info = dist_info
        self._date = zip_date(epoch)
        self._compression = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        self._zip = zipfile.ZipFile(path, "w", self._compression)

    def __enter__(self) -> WheelWriter:  # noqa: PYI034  (typing.Self came with 3.11)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                name = f"{self._dist_info}/RECORD"
                self._rows.writerow((name, "", ""))
                self._write(name, self._record.getvalue().encode(), executable=False)
        finally:
            self._zip.close()

    def add(self, members: Iterable[Member]) -> None:
        for member in members:
            self.add_bytes(member.name, member.read(), executable=member.executable)

    def add_bytes(self, name: str, data: bytes, *, executable: bool = False) -> None:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self._rows.writerow((name, f"sha256={digest}", len(data)))
        self._write(name, data, executable=executable)

    def _write(self, name: str, data: bytes, *, executable: bool) -> None:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = self._compression
        info.create_system = 3  # Unix: the modes below are Unix modes
        info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
        self._zip.writestr(info, data)


def normalise(source: Path, target: Path, epoch: int) -> None:
    """Write the wheel ``source`` of another tool as ``WheelWriter`` would write it."""
    with zipfile.ZipFile(source) as wheel:
        names = sorted(n for n in wheel.namelist() if not n.endswith("/"))
        record = next(n for n in names if n.count("/") == 1 and n.endswith(".dist-info/RECORD"))
        dist_info = record.rpartition("/")[0]
        ordered = sorted(
            (n for n in names if n != record), key=lambda n: (n.startswith(dist_info + "/"), n)
        )
        with WheelWriter(target, dist_info, epoch) as writer:
            for name in ordered:
                mode = wheel.getinfo(name).external_attr >> 16
                writer.add_bytes(name, wheel.read(name), executable=bool(mode & stat.S_IXUSR))
