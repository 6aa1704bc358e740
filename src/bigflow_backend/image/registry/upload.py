"""One blob into a repository of a registry: mounted, sent at once, or sent in parts.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.registry.connection import ACCEPTED, CREATED, NO_CONTENT
from bigflow_backend.image.registry.errors import TransientError

if TYPE_CHECKING:
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.registry.connection import Answer, Connection

_RANGE = re.compile(r"(?:bytes=)?0-(?P<end>\d+)")
# Up to this size one request does; beyond, one sends and another says that it was all.
_SMALL = 1 << 20
# Read into memory, so that it can be sent again.
_PART = 16 << 20
_BINARY = {"Content-Type": "application/octet-stream"}


class Upload:
    """The way of a blob into the repository at ``path``.

    A large blob goes in one piece, because not all registries take parts (Google's do not). When
    the connection drops, it goes on where the registry says that it stopped; a registry that
    cannot tell gets it anew, in parts, of which only the last can be lost then.
    """

    def __init__(
        self, blob: Descriptor, path: str, *, connection: Connection, scopes: tuple[str, ...]
    ) -> None:
        self._blob = blob
        self._path = path
        self._connection = connection
        self._scopes = scopes
        self._doing = f"pushing the blob {blob.digest}"
        self._sent = 0
        # The upload that the registry has begun, and how much of the blob it has.
        self._location: str | None = None
        self._offset = 0
        self._is_interrupted = False
        self._was_resumed = False
        self._in_parts = False
        self._takes_parts = blob.size > _PART

    def mount(self, source: str) -> bool:
        """Takes the blob over from another repository of the registry; False if it does not."""
        answer = self._begin({"mount": self._blob.digest, "from": source})
        if answer.status == ACCEPTED:
            self._location = answer.headers.get("Location")  # begun as if we had not asked
        return answer.status == CREATED

    def send(self, file: Path) -> int:
        """Sends the blob; returns how many bytes went over.

        :raises UserError: when the registry does not take it.
        """
        patience = self._connection.patience(self._doing)
        while True:
            with patience:
                if self._is_interrupted:
                    self._find_offset()
                if self._location is None:
                    self._start()
                self._is_interrupted = True
                self._send_rest(file)
                return self._sent

    def _start(self) -> None:
        answer = self._begin({})
        if answer.status != ACCEPTED:
            raise self._refusal(answer)
        if "Location" not in answer.headers:
            raise UserError(
                f"the registry {self._connection.registry} answered 202 (Accepted) without saying "
                f"where to send it (Location) while {self._doing}",
                hint="check the registry's name; a proxy before it may take the header away",
            )
        self._location = answer.headers["Location"]
        self._offset = 0
        self._was_resumed = False

    def _find_offset(self) -> None:
        """Asks how far an interrupted upload came; it must begin anew if nobody knows."""
        if self._location is None:
            return
        answer = self._connection.ask("GET", self._location, scopes=self._scopes)
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        if answer.status == NO_CONTENT and found:
            self._location = answer.headers.get("Location", self._location)
            # "0-0" stands for one byte, and for none.
            self._offset = int(found["end"]) + 1 if int(found["end"]) else 0
            self._was_resumed = True
        else:
            self._location = None
            self._in_parts = self._takes_parts

    def _send_rest(self, file: Path) -> None:
        if self._offset == 0 and self._blob.size <= _SMALL:
            self._finish(file.read_bytes())
            return
        while self._offset < self._blob.size:
            self._send_part(file)
        self._finish(b"")

    def _send_part(self, file: Path) -> None:
        start, end = self._offset, self._blob.size
        if self._in_parts:
            end = min(start + _PART, end)
        headers = dict(_BINARY)
        if (start, end) != (0, self._blob.size):
            headers["Content-Range"] = f"{start}-{end - 1}"
        answer = self._connection.ask(
            "PATCH",
            self._known_location(),
            scopes=self._scopes,
            headers=headers,
            body=lambda: _opened(file, start, _PART if self._in_parts else None),
        )
        if answer.status not in {ACCEPTED, NO_CONTENT}:
            if "Content-Range" in headers:
                raise self._anew(takes_parts=False)
            raise self._refusal(answer)
        self._location = answer.headers.get("Location", self._location)
        self._sent += end - start
        self._offset = end

    def _finish(self, content: bytes) -> None:
        answer = self._connection.ask(
            "PUT",
            self._known_location(),
            scopes=self._scopes,
            params={"digest": self._blob.digest},
            headers=_BINARY,
            body=lambda: content,
        )
        self._sent += len(content)
        if answer.status in {CREATED, NO_CONTENT}:
            return
        if self._was_resumed:
            raise self._anew(takes_parts=self._takes_parts)
        raise self._refusal(answer)

    def _begin(self, params: dict[str, str]) -> Answer:
        return self._connection.patiently(
            lambda: self._connection.ask(
                "POST",
                f"/v2/{self._path}/blobs/uploads/",
                scopes=self._scopes,
                params=params,
                body=lambda: b"",
            ),
            doing=self._doing,
        )

    def _anew(self, *, takes_parts: bool) -> TransientError:
        self._location = None
        self._takes_parts = takes_parts
        self._in_parts = self._in_parts and takes_parts
        return TransientError("cannot go on with an upload", hint="try again later")

    def _refusal(self, answer: Answer) -> UserError:
        if b"DIGEST_INVALID" in answer.body:
            return UserError(
                f"the registry {self._connection.registry} finds the blob {self._blob.digest} "
                "damaged",
                hint="try again; if it stays so, a proxy before the registry damages it",
            )
        return self._connection.refusal(answer, doing=self._doing)

    def _known_location(self) -> str:
        if self._location is None:
            raise AssertionError("no upload has begun")
        return self._location


def _opened(file: Path, start: int, size: int | None) -> bytes | IO[bytes]:
    """A part of a file in memory, or all from ``start`` as a stream."""
    opened = file.open("rb")
    opened.seek(start)
    if size is None:
        return opened
    with opened:
        return opened.read(size)
