"""Files -> wheel, in one pass. Equal files give equal bytes.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.epoch import zip_date
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.wheel.content import Member

_PIECE = 1 << 20


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
                content = self._record.getvalue().encode()
                self._zip.writestr(self._info(name, len(content)), content)
        finally:
            self._zip.close()

    def add(self, members: Iterable[Member]) -> None:
        """Add files of the project.

        :raises UserError: if a file cannot be read, or changes meanwhile.
        """
        for member in members:
            with member.open() as source:
                size = os.fstat(source.fileno()).st_size
                written = self.add_stream(
                    member.name, source, size=size, executable=member.executable
                )
            if written != size:
                raise UserError(
                    f"{member.path} changed while the wheel was written", hint="build again"
                )

    def add_metadata(self, files: Mapping[str, bytes]) -> None:
        """Add files of ``.dist-info`` by their names in it."""
        for name, content in files.items():
            self.add_stream(f"{self._dist_info}/{name}", io.BytesIO(content), size=len(content))

    def add_stream(
        self, name: str, source: IO[bytes], *, size: int, executable: bool = False
    ) -> int:
        """Add a file of ``size`` bytes in pieces, and return how many bytes there were."""
        digest = hashlib.sha256()
        written = 0
        with self._zip.open(self._info(name, size, executable=executable), "w") as target:
            while piece := source.read(min(_PIECE, size + 1 - written)):
                digest.update(piece)
                target.write(piece)
                written += len(piece)
        encoded = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        self._rows.writerow((name, f"sha256={encoded}", written))
        return written

    def _info(self, name: str, size: int, *, executable: bool = False) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date)
        info.file_size = size  # zipfile chooses the form for more than 4 GB by it
        info.compress_type = self._compression
        info.create_system = 3  # Unix: the modes below are Unix modes
        info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
        return info


def normalise(source: Path, target: Path, epoch: int, more: Mapping[str, bytes]) -> None:
    """Write the wheel ``source`` of another tool as ``WheelWriter`` would write it.

    ``more`` are files of ``.dist-info`` that it does not have.
    """
    with zipfile.ZipFile(source) as wheel:
        names = sorted(n for n in wheel.namelist() if not n.endswith("/"))
        record = next(n for n in names if n.count("/") == 1 and n.endswith(".dist-info/RECORD"))
        dist_info = record.rpartition("/")[0]
        ordered = sorted(
            (n for n in names if n != record), key=lambda n: (n.startswith(dist_info + "/"), n)
        )
        with WheelWriter(target, dist_info, epoch) as writer:
            for name in ordered:
                info = wheel.getinfo(name)
                executable = bool(info.external_attr >> 16 & stat.S_IXUSR)
                with wheel.open(info) as content:
                    writer.add_stream(name, content, size=info.file_size, executable=executable)
            writer.add_metadata(more)
