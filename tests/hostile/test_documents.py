"""Documents of hostile base images: wrong types, depth, numbers, characters, sizes."""

from __future__ import annotations

import copy
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.manifest import base_of_manifest
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered.manifest import assemble
from bigflow_backend.image.layered.python.interpreter import search_path
from bigflow_backend.image.oci import CONFIG, INDEX, MANIFEST, Descriptor, sha256_digest
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.registry.credentials import docker_credentials
from bigflow_backend.image.store.blobs import open_store
from hostile.runner import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from hostile.runner import Scratch

_DIGEST = f"sha256:{'ab' * 32}"
_LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": _DIGEST, "size": 9}
_CONFIG: dict[str, Any] = {
    "architecture": "amd64", "os": "linux", "variant": "v8", "created": "2026-01-01T00:00:00Z",
    "config": {
        "User": "root", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin", "A=b"],
        "Entrypoint": ["/bin/sh"], "Cmd": ["python3"], "Volumes": {"/data": {}},
        "WorkingDir": "/", "Labels": {"a": "b"}, "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]}, "Shell": ["/bin/sh", "-c"], "OnBuild": [],
    },
    "rootfs": {"type": "layers", "diff_ids": [_DIGEST]},
    "history": [
        {"created": "2026-01-01T00:00:00Z", "created_by": "ADD", "comment": "c", "author": "a"},
        {"created_by": "ENV", "empty_layer": True},
    ],
}  # fmt: skip
_WRONG: list[Any] = [
    None, True, False, 0, 1, -1, 1.5, 2**62, "", "x", "\x1b]0;x\x07\u202e", "\0",
    "sha256:" + "A" * 64,
    [], [None], [1], ["x"], [[]], {}, {"a": 1}, {"a": None}, {"": ""}, ".." * 9, "x" * 70_000,
]  # fmt: skip


def _places(document: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a document."""
    yield ()
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from ((key, *path) for path in _places(value))
        else:
            yield (key,)


def _variants(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the document with each value replaced by each wrong one, and without it."""
    for path in _places(document):
        for wrong in _WRONG:
            yield f"{path} = {wrong!r:.40}", _replaced(document, path, wrong)
        if path:
            changed = copy.deepcopy(document)
            del _inside(changed, path[:-1])[path[-1]]
            yield f"{path} is missing", changed


def _replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    _inside(changed, path[:-1])[path[-1]] = value
    return changed


def _inside(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def _descriptor(media_type: str, content: bytes) -> Descriptor:
    return Descriptor(media_type, sha256_digest(content), len(content))


def _read(
    *, index: Any = None, manifest: Any = None, config: Any = None
) -> tuple[Callable[[], BaseImage], dict[str, bytes]]:
    """Return a call that reads an image, of which one document is given."""
    blobs: dict[str, bytes] = {}

    def stored(media_type: str, document: Any) -> Descriptor:
        content = _bytes(document)
        blob = _descriptor(media_type, content)
        blobs[blob.digest] = content
        return blob

    own = stored(CONFIG, _CONFIG if config is None else config[0])
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": own.as_json(),
        "layers": [_LAYER],
    }
    blob = stored(MANIFEST, document if manifest is None else manifest(document))
    if index is not None:
        entry = {**blob.as_json(), "platform": {"os": "linux", "architecture": "amd64"},
                 "annotations": {"a": "b"}}  # fmt: skip
        blob = stored(INDEX, index({"schemaVersion": 2, "manifests": [entry]}))

    def read(wanted: Descriptor) -> bytes:
        try:
            return blobs[wanted.digest]
        except KeyError:
            raise UserError("there is no such blob") from None

    return (lambda: base_of_manifest(blob, read, name="base", architecture="amd64")), blobs


def _tries(call: Callable[[], object]) -> str | None:
    """Return the message of the error, if the call raises one."""
    try:
        call()
    except UserError as error:
        message = error.message
    else:
        return None
    assert len(message) < 1000
    return message


def test_every_type_in_a_configuration(store: BlobStore) -> None:
    """An image that is accepted is also put together."""
    refused = accepted = 0
    for name, config in _variants(_CONFIG):
        call, _ = _read(config=[config])

        def build(call: Callable[[], BaseImage] = call) -> None:
            base = call()
            search_path(base.config)
            labels = {"own": "label"}
            created = "2026-01-01T00:00:00Z"
            assemble(store, base, [], labels=labels, created=created, annotations={})

        try:
            message = _tries(build)
        except Exception as error:
            raise AssertionError(name) from error
        refused, accepted = refused + bool(message), accepted + (not message)
    assert refused > 500
    assert accepted > 100


@pytest.mark.parametrize("kind", ["manifest", "index"])
def test_every_type_in_a_manifest_and_an_index(kind: str) -> None:
    seen: list[Any] = []

    def note(good: Any) -> Any:
        seen.append(good)
        return good

    _read(**{kind: note})
    refused = 0
    for name, document in _variants(seen[0]):
        call, _ = _read(**{kind: lambda _good, document=document: document})
        try:
            refused += bool(_tries(call))
        except Exception as error:
            raise AssertionError(name) from error
    assert refused > 100


def test_every_type_in_a_layout_and_an_archive(store: BlobStore, tmp_path: Path) -> None:
    entry = {"mediaType": MANIFEST, "digest": _DIGEST, "size": 2, "annotations": {"a": "b"}}
    layout = tmp_path / "layout"
    layout.mkdir()
    for _name, document in _variants({"manifests": [entry, entry]}):
        (layout / "index.json").write_bytes(_bytes(document))
        assert _tries(lambda: _base("oci:layout", tmp_path, store))
    archive = tmp_path / "archive"
    archive.mkdir()
    images = [{"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": ["a:1", "b:1"]}]
    for _name, document in _variants(images):
        (archive / "manifest.json").write_bytes(_bytes(document))
        assert _tries(lambda: _base("docker-archive:archive", tmp_path, store))


def test_every_type_in_docker_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    entry = {"auth": "YTpi", "username": "a", "password": "b", "identitytoken": "c",
             "registrytoken": "d"}  # fmt: skip
    good = {"auths": {"r.example.com": entry}, "credHelpers": {"x": "y"}, "credsStore": ""}
    for _name, document in _variants(good):
        (tmp_path / "config.json").write_bytes(_bytes(document))
        _tries(lambda: docker_credentials("r.example.com"))


def test_an_index_of_many_entries() -> None:
    """It takes no more time than its size."""
    entry = {**_descriptor(MANIFEST, b"").as_json(), "annotations": {"a": "b"}}
    call, _ = _read(index=lambda _good: {"manifests": [entry] * 10_001})
    assert "its index has more than 10,000 entries" in (_tries(call) or "")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    with open_store(tmp_path / "cache") as opened:
        yield opened


def _base(name: str, root: Path, store: BlobStore) -> BaseImage:
    with Registries() as registries:
        return read_base(name, architecture="amd64", root=root, store=store, registries=registries)


_DEEP = b"[" * 100_000
_SURROGATE = _bytes({**_CONFIG, "config": {"Env": ["A=\ud800"]}})
_MANIFEST_OF = (
    '{{"layers": [], "config": {{"mediaType": "x", "digest": "{digest}", "size": {size}}}}}'
)


def _manifest(config: bytes) -> bytes:
    return _MANIFEST_OF.format(digest=sha256_digest(config), size=len(config)).encode()


LAYOUTS: dict[str, list[bytes]] = {
    "a deep index": [_DEEP],
    "a deep manifest": [b"", _DEEP],
    "a deep configuration": [b"", _manifest(_DEEP), _DEEP],
    "a lone surrogate": [b"", _manifest(_SURROGATE), _SURROGATE],
    "a manifest of 64 MB": [b"", b'{"a": "' + b"x" * (64 << 20) + b'"}'],
    "an index of 64 MB": [b'{"a": "' + b"x" * (64 << 20) + b'"}'],
    "an index of 200,000 entries": [b'{"manifests": [' + b"{}," * 200_000 + b"{}]}"],
    "20,000 tags": [b'{"manifests": [' + b",".join(
        b'{"mediaType":"x","digest":"y","size":1,"annotations":'
        b'{"org.opencontainers.image.ref.name":"%d\\u001b"}}' % n for n in range(9_999)) + b"]}"],
    "a tag with escapes": [_bytes({"manifests": [
        {"mediaType": "x", "digest": "y", "size": 1,
         "annotations": {"org.opencontainers.image.ref.name": f"{n}\x1b]0;x\x07\u202e"}}
        for n in range(3)]})],
    "a platform with escapes": [b"", b"", b"\x1b"],
    "an index that is a number": [b"9" * 5000],
    "an index of lists": [b"[" + b"[]," * 1_000_000 + b"[]]"],
}  # fmt: skip
_QUICK = {"a tag with escapes"}  # each takes seconds


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in _QUICK else pytest.mark.slow) for n in LAYOUTS]
)
def test_layouts(scratch: Scratch, name: str) -> None:
    index, *blobs = LAYOUTS[name]
    layout = scratch.input / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)
    for blob in blobs:
        (layout / "blobs/sha256" / sha256_digest(blob).removeprefix("sha256:")).write_bytes(blob)
    if not index:
        entry = _descriptor(MANIFEST, blobs[0]).as_json()
        index = _bytes({"manifests": [entry]})
    (layout / "index.json").write_bytes(index)
    attempt(scratch, "build-image", *scratch.image_arguments(f"oci:{layout}"))


ARCHIVES: dict[str, bytes] = {
    "tags that are a number": b'[{"Config": "c", "Layers": [], "RepoTags": 5}]',
    "a deep manifest.json": _DEEP,
    "a path out of the archive": b'[{"Config": "../../../etc/passwd", "Layers": []}]',
    "tags with escapes": _bytes(
        [{"Config": "c", "Layers": [], "RepoTags": [f"{n}\x1b[2J\u202e"]} for n in range(2)]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(scratch: Scratch, name: str) -> None:
    path = scratch.input / "base.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(ARCHIVES[name])
        tar.addfile(member, io.BytesIO(ARCHIVES[name]))
    attempt(scratch, "build-image", *scratch.image_arguments(f"docker-archive:{path}"))


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "oci:", "docker-archive:", "docker-archive:x:"])
@pytest.mark.parametrize("character", ["a", "/", ":", "\x1b", "\u202e"])
def test_names_of_5000_letters(scratch: Scratch, prefix: str, character: str) -> None:
    name = f"{prefix}{character * 5000}"
    attempt(scratch, "build-image", *scratch.image_arguments(name))


@pytest.mark.slow
def test_a_repository_of_a_megabyte(scratch: Scratch) -> None:
    path = scratch.project / "deployment_config.py"
    path.write_text(path.read_text("utf-8").replace("team/demo'", "team/' + 'a' * 10**6"), "utf-8")
    attempt(scratch, "build-image", *scratch.image_arguments())
