"""The content store: several builds at once, a killed one, and the limit of its size."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import sha256_digest
from bigflow_backend.image.store.blob import CorruptBlobError
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.directory import default_root
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BINARY = "application/octet-stream"
_BLOCK = 4096


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def test_a_blob_is_found_by_its_digest(root: Path) -> None:
    with open_store(root) as store:
        blob = store.add(b"content", _BINARY)
        assert (blob.digest, blob.size) == (sha256_digest(b"content"), 7)
        assert store.has(blob.digest, 7)
        assert store.read(blob.digest) == b"content"
    with open_store(root) as later:
        assert later.path(blob.digest).read_bytes() == b"content"


def test_a_stream_and_a_writer_give_the_same_blob(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_store(root) as store:
        with (tmp_path / "file").open("rb") as file:
            added = store.add(file, _BINARY)
        with store.writer(_BINARY) as blob:
            blob.write(b"con")
            blob.write(b"tent")
        assert blob.descriptor == added


def test_gzip_writes_into_a_blob(root: Path) -> None:
    with open_store(root) as store:
        with (
            store.writer(_BINARY) as blob,
            gzip.GzipFile(fileobj=blob, mode="wb", mtime=0) as packed,
        ):
            packed.write(b"content")
        assert gzip.decompress(store.read(blob.descriptor.digest)) == b"content"


@pytest.mark.parametrize(
    ("digest", "size"), [(sha256_digest(b"other"), None), (None, 8), (sha256_digest(b"other"), 7)]
)
def test_what_is_not_as_promised_is_not_taken(
    root: Path, digest: str | None, size: int | None
) -> None:
    with open_store(root) as store:
        with pytest.raises(CorruptBlobError):
            store.add(b"content", _BINARY, digest=digest, size=size)
        assert not store.has(sha256_digest(b"content"))
    assert _files(root) == {"lock"}


def test_a_writer_that_fails_leaves_nothing(root: Path) -> None:
    def fail() -> None:
        with store.writer(_BINARY) as blob:
            blob.write(b"half")
            raise ZeroDivisionError

    with open_store(root) as store, pytest.raises(ZeroDivisionError):
        fail()
    assert _files(root) == {"lock"}


def test_a_truncated_blob_is_none(root: Path) -> None:
    with open_store(root) as store:
        blob = store.add(b"content", _BINARY)
        store.path(blob.digest).write_bytes(b"")  # what a power failure may leave
        assert not store.has(blob.digest, blob.size)
        assert store.add(b"content", _BINARY) == blob
        assert store.has(blob.digest, blob.size)


def test_a_damaged_document_is_not_read(root: Path) -> None:
    with open_store(root) as store:
        blob = store.add(b"content", _BINARY)
        store.path(blob.digest).write_bytes(b"cOntent")
        with pytest.raises(UserError, match=r"the cache was damaged") as caught:
            store.read(blob.digest)
        assert str(store.path(blob.digest)) in caught.value.message
        # The next build gets it anew.
        assert not store.has(blob.digest)
        with pytest.raises(KeyError):
            store.read(blob.digest)


def test_records(root: Path) -> None:
    with open_store(root) as store:
        assert store.get_record(record_key("dependencies")) is None
        store.put_record(record_key("dependencies"), {"size": 1})
        store.put_record(record_key("dependencies"), {"size": 2})
        assert store.get_record(record_key("dependencies")) == {"size": 2}
        (record,) = (root / "records").iterdir()
        record.write_bytes(b"")  # what a power failure may leave
        assert store.get_record(record_key("dependencies")) is None


def test_the_least_recently_used_goes_first(root: Path) -> None:
    with open_store(root) as store:
        blobs = [store.add(bytes([n]) * _BLOCK, _BINARY) for n in range(4)]
        for age, blob in enumerate(blobs):
            os.utime(store.path(blob.digest), (age, age))
        used = store.path(blobs[0].digest)
    with open_store(root, limit=2 * _BLOCK) as store:
        assert store.has(blobs[0].digest)  # used again: now it is the youngest
    assert used.exists()
    assert [store.path(blob.digest).exists() for blob in blobs] == [True, False, False, True]


def test_what_a_build_added_or_found_stays_until_its_end(root: Path) -> None:
    with open_store(root, limit=0) as store:
        added = store.add(b"added", _BINARY)
        assert store.clear() == 0
        assert store.has(added.digest)
        with open_store(root, limit=0) as other:
            assert other.has(added.digest)
        assert store.has(added.digest)
    assert _files(root) == {"lock"}


def test_clear_frees_the_disk(root: Path) -> None:
    with open_store(root) as store:
        store.add(b"content", _BINARY)
        store.put_record(record_key("key"), 1)
    with open_store(root) as store:
        assert store.clear() >= 2 * _BLOCK
        assert _files(root) == {"lock", *(f"sessions/{p.name}" for p in _sessions(root))}


def test_a_running_build_of_another_process_keeps_what_it_holds(root: Path) -> None:
    with _child(root, "blob = store.add(b'held', 'x'); ready()") as child:
        with open_store(root, limit=0) as store:
            store.add(b"mine", _BINARY)
        assert store.path(sha256_digest(b"held")).exists()
        assert not store.path(sha256_digest(b"mine")).exists()
        child.kill()
        child.wait()
    with open_store(root, limit=0):
        pass
    assert _files(root) == {"lock"}


def test_a_killed_build_leaves_nothing_half_made(root: Path) -> None:
    script = """
with store.writer("x") as blob:
    blob.write(b"half" * 100_000)
    ready()
"""
    with _child(root, script) as child:
        with open_store(root):
            pass
        assert len(list((root / "partial").iterdir())) == 1  # it is still being written
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert list((root / "sha256").iterdir()) == []
    with open_store(root):
        pass
    assert _files(root) == {"lock"}


def test_several_processes_at_once(root: Path) -> None:
    script = """
import sys
from pathlib import Path
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.key import record_key
for round in range(30):
    with open_store(Path(sys.argv[1]), limit=20_000) as store:
        blobs = [store.add(bytes([n]) * 5000, "x") for n in range(round % 7, 10)]
        store.put_record(record_key("shared"), [blob.digest for blob in blobs])
        assert all(store.read(blob.digest) for blob in blobs)
        for digest in store.get_record(record_key("shared")) or ():
            if store.has(digest):
                store.read(digest)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(root)], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [(child.communicate()[1], child.returncode) for child in children] == [(b"", 0)] * 4
    with open_store(root, limit=0):
        pass
    assert _files(root) == {"lock"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=True)
    try:
        root = disk / "blobs"
        with open_store(root) as store:
            kept = store.add(b"kept", _BINARY)
            with pytest.raises(
                UserError, match=r"cannot write the cache .* No space left"
            ) as caught:
                store.add(b"x" * (2 << 20), _BINARY)
            assert "BIGFLOW_CACHE" in caught.value.hint
            assert store.read(kept.digest) == b"kept"
        assert [p for p in _files(root) if p.startswith("partial")] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with (
        pytest.raises(UserError, match="cannot write the cache") as caught,
        open_store(tmp_path / "file" / "blobs"),
    ):
        pass
    assert "BIGFLOW_CACHE" in caught.value.hint


def test_the_cache_is_named_as_the_user_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIGFLOW_CACHE", "file")
    with pytest.raises(UserError) as caught, open_store():
        pass
    assert caught.value.message == "cannot write the cache file: Not a directory"


def test_the_cache_is_private(root: Path) -> None:
    with open_store(root) as store:
        blob = store.add(b"private", _BINARY)
    assert {path.stat().st_mode & 0o077 for path in (root / "sha256", store.path(blob.digest))} == {
        0
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BIGFLOW_CACHE": "/own"}, "/own/blobs"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/bigflow/blobs"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/ada/.cache/bigflow/blobs"),
        ({}, "/home/ada/.cache/bigflow/blobs"),
    ],
)
def test_where_it_is(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BIGFLOW_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ada", **environment}.items():
        monkeypatch.setenv(name, value)
    assert str(default_root()) == expected


@pytest.mark.parametrize("text", ["a lot", "0.5", "-1"])
def test_the_limit_must_be_a_number(text: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_CACHE_LIMIT_GB", text)
    message = f"BIGFLOW_CACHE_LIMIT_GB must be a whole number: got '{text}'"
    with pytest.raises(UserError, match=re.escape(message)), open_store(root):
        pass


def test_the_limit_of_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGFLOW_CACHE_LIMIT_GB", "0")
    with open_store(root) as store:
        store.add(b"content", _BINARY)
    assert _files(root) == {"lock"}


_PRELUDE = """
import sys
from pathlib import Path
from bigflow_backend.image.store.blobs import open_store

def ready():
    print("ready", flush=True)
    sys.stdin.read()

with open_store(Path(sys.argv[1])) as store:
"""


@contextlib.contextmanager
def _child(root: Path, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the store open, runs ``script`` and waits, once it calls ``ready()``."""
    program = _PRELUDE + textwrap.indent(script, "    ")
    with subprocess.Popen(
        [sys.executable, "-c", program, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _sessions(root: Path) -> Iterator[Path]:
    return (root / "sessions").iterdir()
