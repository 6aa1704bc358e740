"""Upload one blob into a repository of a registry, or mount it from another repository.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import LAYER_ZSTD
from bigflow_backend.image.registry.connection import ACCEPTED, CREATED, NO_CONTENT
from bigflow_backend.image.registry.errors import TransientError
from bigflow_backend.image.registry.parallel import check_running

if TYPE_CHECKING:
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.registry.connection import Answer, Connection
    from bigflow_backend.image.registry.retry import Progress

_RANGE = re.compile(r"(?:bytes=)?0-(?P<end>[0-9]{1,18})")
# Up to this size one request sends the blob. A larger one needs a second request, which ends it.
_SMALL = 1 << 20
_BINARY = {"Content-Type": "application/octet-stream"}


class Upload:
    """The upload of a blob into the repository at ``path``.

    A blob is sent in one piece, because some registries do not accept parts (Google's). If the
    connection drops, the upload continues where the registry says that it stopped. A registry that
    does not say it, or refuses to continue, gets the whole blob again.
    """

    def __init__(
        self, blob: Descriptor, path: str, *, connection: Connection, scopes: tuple[str, ...]
    ) -> None:
        self._blob = blob
        self._path = path
        self._connection = connection
        self._scopes = scopes
        self._doing = f"pushing the blob {blob.digest}"
        self._progress = connection.progress("push", blob)
        self._sent = 0
        self._location: str | None = None
        """The URL of the upload that the registry has started."""
        self._offset = 0
        """The bytes that the registry has."""

    def mount(self, source: str) -> bool:
        """Mount the blob from another repository of the registry; return whether it did.

        :raises UserError: if the registry does not let us read that repository.
        """
        # With a token of its own: a token server may refuse one for a repository we cannot read.
        scopes = (*self._scopes, f"repository:{source}:pull")
        answer = self._start({"mount": self._blob.digest, "from": source}, scopes)
        if answer.status == ACCEPTED:  # the registry starts an upload instead
            self._location = answer.headers.get("Location")
        elif answer.status != CREATED:
            raise self._refusal(answer)
        return answer.status == CREATED

    def send(self, file: Path) -> int:
        """Send the blob; return the number of bytes that were sent.

        :raises UserError: if the registry refuses the blob.
        """
        retries = self._connection.retries(self._doing)
        is_retry = False
        while True:
            with retries:
                resumes = is_retry and self._find_offset()
                is_retry = True
                if self._location is None:
                    self._location, self._offset = self._new_location(), 0
                try:
                    self._send_rest(file, self._location)
                except UserError as error:
                    if not resumes:
                        raise
                    self._location = None
                    raise TransientError("cannot continue an upload", hint=error.hint) from error
                return self._sent

    def _new_location(self) -> str:
        answer = self._start({}, self._scopes)
        if answer.status != ACCEPTED:
            raise self._refusal(answer)
        if "Location" not in answer.headers:
            raise UserError(
                f"the registry {self._connection.registry} answered 202 (Accepted) without the"
                f" header Location while {self._doing}",
                hint="check the registry's name; a proxy in front of it may remove the header",
            )
        return answer.headers["Location"]

    def _find_offset(self) -> bool:
        """Ask for the offset of an interrupted upload; return whether the registry knows it."""
        if self._location is None:
            return False
        answer = self._connection.ask("GET", self._location, scopes=self._scopes)
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        if answer.status != NO_CONTENT or not found:
            self._location = None
            return False
        self._location = answer.headers.get("Location", self._location)
        # "0-0" means one byte, or none.
        self._offset = int(found["end"]) + 1 if int(found["end"]) else 0
        return True

    def _send_rest(self, file: Path, location: str) -> None:
        start, size = self._offset, self._blob.size
        if start == 0 and size <= _SMALL:
            self._finish(file.read_bytes(), location)
            self._progress.at(size)
            return
        if start < size:
            headers = dict(_BINARY)
            if start:
                headers["Content-Range"] = f"{start}-{size - 1}"
            answer = self._connection.ask(
                "PATCH",
                location,
                scopes=self._scopes,
                headers=headers,
                body=lambda: _Body(file, start, self._progress),
            )
            if answer.status not in {ACCEPTED, NO_CONTENT}:
                raise self._refusal(answer)
            location = self._location = answer.headers.get("Location", location)
            self._sent += size - start
            self._offset = size
            self._progress.at(size)
        self._finish(b"", location)

    def _finish(self, content: bytes, location: str) -> None:
        answer = self._connection.ask(
            "PUT",
            location,
            scopes=self._scopes,
            params={"digest": self._blob.digest},
            headers=_BINARY,
            body=lambda: content,
        )
        self._sent += len(content)
        if answer.status not in {CREATED, NO_CONTENT}:
            raise self._refusal(answer)

    def _start(self, params: dict[str, str], scopes: tuple[str, ...]) -> Answer:
        return self._connection.retried(
            lambda: self._connection.ask(
                "POST",
                f"/v2/{self._path}/blobs/uploads/",
                scopes=scopes,
                params=params,
                body=lambda: b"",
            ),
            doing=self._doing,
        )

    def _refusal(self, answer: Answer) -> UserError:
        if b"DIGEST_INVALID" in answer.body:
            return UserError(
                f"the registry {self._connection.registry} received the blob {self._blob.digest} "
                "damaged",
                hint="try again; if it happens again, a proxy in front of the registry damages it",
            )
        has_zstd = self._blob.media_type == LAYER_ZSTD
        return self._connection.refusal(answer, doing=self._doing, has_zstd=has_zstd)


class _Body(io.FileIO):
    """The file of a blob from ``start`` on, which reports how far it is read."""

    def __init__(self, file: Path, start: int, progress: Progress) -> None:
        super().__init__(file)
        self.seek(start)
        self._position = start
        self._progress = progress

    def read(self, size: int | None = -1) -> bytes:
        check_running()
        self._progress.at(self._position)
        data = super().read(-1 if size is None else size)
        self._position += len(data)
        return data
