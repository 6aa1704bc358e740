"""What compiles for an image: its own Python, shut in, else one of this machine."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import socket
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered import jail
from bigflow_backend.image.layered.base_layer import base_system
from bigflow_backend.image.layered.bytecode import OPTIONS, Source, cache_tag, find_local_compiler
from bigflow_backend.image.layered.own_python import OwnPython
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.image.layered.bytecode import Compiler
    from bigflow_backend.image.store.blobs import BlobStore
    from support.layered import LayeredProject

_DEBIAN_PYTHON = "/usr/bin/python3"
# What a program can see and do.
_PRYING = """\
import _socket, os, sys
def attempt(action, *arguments):
    try:
        return action(*arguments)
    except OSError:
        return "refused"
process, port = map(int, sys.argv[1:])
print(attempt(os.listdir, "/"))
print(os.getuid(), attempt(os.setuid, 0), attempt(os.chroot, "/"), attempt(os.mkdir, "/new"))
print(attempt(os.kill, process, 0), attempt(_socket.socket().connect, ("127.0.0.1", port)))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStore]:
    with open_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="module")
def own_python(base_archive: str, store: BlobStore) -> OwnPython:
    """That of a base with Debian's Python."""
    return _own_python(base_archive, store)


def _own_python(name: str, store: BlobStore) -> OwnPython:
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    with Registries() as registries:
        base = read_base(
            name, architecture=architecture, root=Path.cwd(), store=store, registries=registries
        )
        compiler = base_system(store, base, fetch_layers=lambda: None).compiler
    assert isinstance(compiler, OwnPython)
    return compiler


def _compiled(compiler: Compiler, work: Path, *, reverse: bool = False) -> dict[str, bytes]:
    work.mkdir(parents=True)
    sources = []
    for index in range(250):  # more than one process takes
        path = work / f"m{index}.py"
        path.write_text(
            f"NAMES = {{'a', 'b', 'c{index}'}}\ndef f(self, x):\n    return x in NAMES\n"
        )
        sources.append(Source(path, f"/app/m{index}.py", work / "out" / f"{index}.pyc"))
    (work / "bad.py").write_text("def\n")
    sources.append(Source(work / "bad.py", "/app/bad.py", work / "out" / "bad.pyc"))
    compiler.compile(sources[::-1] if reverse else sources)
    return {p.name: p.read_bytes() for p in (work / "out").iterdir()}


@pytest.mark.parametrize("kind", ["local", "own"])
def test_bytecode_follows_from_the_sources_alone(
    kind: str, tmp_path: Path, own_python: OwnPython
) -> None:
    compiler = own_python if kind == "own" else find_local_compiler(platform.python_version())
    assert compiler is not None
    made = _compiled(compiler, tmp_path / "one")
    assert made == _compiled(compiler, tmp_path / "another" / "xxx", reverse=True)
    assert len(made) == 250
    assert made["0.pyc"][4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked
    assert b"/app/m0.py" in made["0.pyc"]


def test_bytecode_is_what_the_image_s_python_would_write(
    tmp_path: Path, own_python: OwnPython
) -> None:
    """Debian's Python of this machine is that of the base image, which is made of its files."""
    source, target = tmp_path / "m.py", tmp_path / "m.pyc"
    source.write_text("import os\n\n\ndef answer() -> int:\n    return len(os.sep) + 41\n")
    own_python.compile([Source(source, "/app/m.py", target)])
    program = (
        "import py_compile, sys; py_compile.compile(*sys.argv[1:], doraise=True,"
        " invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    )
    other = tmp_path / "other.pyc"
    subprocess.run([_DEBIAN_PYTHON, "-c", program, source, other, "/app/m.py"], check=True)
    assert target.read_bytes()[:16] == other.read_bytes()[:16]
    runs = (
        "import marshal, sys\nwith open(sys.argv[1], 'rb') as f:\n    f.seek(16)\n"
        "    exec(marshal.load(f))\nprint(answer())"
    )
    assert subprocess.check_output([_DEBIAN_PYTHON, "-c", runs, target]) == b"42\n"


def test_the_record_of_it_is_enough(own_python: OwnPython, store: BlobStore) -> None:
    assert OwnPython.from_json(own_python.as_json(), store) == own_python
    lost = {**own_python.as_json(), "files": {"x": {"mediaType": "x", "digest": _ZERO, "size": 1}}}
    assert OwnPython.from_json(lost, store) is None
    assert OwnPython.from_json(None, store) is None


_ZERO = f"sha256:{'0' * 64}"


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_it_is_shut_in(user: str, own_python: OwnPython) -> None:
    """By chroot as root, by a user namespace as anybody else."""
    # pytest's own directories are private to root.
    with own_python.laid_out(_PRYING) as root, socket.create_server(("127.0.0.1", 0)) as server:
        script = shutil.copy(jail.__file__, root.parent)
        told = subprocess.check_output(
            [
                *(_DEBIAN_PYTHON, "-I", "-S", script, root),
                *(own_python.program, *OPTIONS, "/program.py"),
                *(str(os.getpid()), str(server.getsockname()[1])),
            ],
            text=True,
            user=user,
            env={},
            cwd=root,
        )
    listing, rights, others = told.splitlines()
    assert set(literal_eval(listing)) <= {"bin", "lib", "lib64", "program.py", "usr"}
    assert rights == "65534 refused refused refused"
    assert others == "refused refused"


def test_what_cannot_be_shut_in_is_not_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, jail.__file__, tmp_path / "nowhere", "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == jail.NOT_ALLOWED
    assert "the image's Python cannot be shut in" in done.stderr


def test_a_python_that_does_not_run_is_not_taken(layered_project: LayeredProject) -> None:
    """The base's Python is a file that only looks like one; one of this machine compiles."""
    image = layered_project.build()
    minor = ".".join(platform.python_version_tuple()[:2])
    told = f"the base's Python {minor} does not run here; one of this machine compiles for it, "
    assert any(line.startswith(told) for line in layered_project.said)
    assert any(name.endswith(".pyc") for name in layered_project.files(image).files)


def test_the_base_s_python_compiles(
    layered_project: LayeredProject, base_archive: str, bigflow_wheels: Path
) -> None:
    """It gives the same image in another cache, by whatever runs the build."""
    digests = []
    for number in range(2):
        os.environ["BIGFLOW_CACHE"] = str(layered_project.root.parent / f"cache-{number}")
        image = layered_project.build(base_image=base_archive, find_links=(bigflow_wheels,))
        digests.append(image.digest)
    assert digests[0] == digests[1]
    assert not any("does not run here" in line for line in layered_project.said)


def test_a_damaged_python_in_the_cache(own_python: OwnPython, tmp_path: Path) -> None:
    damaged = dataclasses.replace(own_python, program="/usr/bin/python3.0")
    source = Source(tmp_path / "m.py", "/app/m.py", tmp_path / "m.pyc")
    source.path.write_text("pass\n")
    with pytest.raises(UserError, match=r"cannot be compiled: .*No such file") as caught:
        damaged.compile([source])
    assert "bigflow cache --clear" in caught.value.hint


def test_a_local_compiler_of_the_very_version_is_taken_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    asked = [_DEBIAN_PYTHON, "-c", "import platform; print(platform.python_version())"]
    debian = subprocess.check_output(asked, text=True).strip()
    for version in (debian, platform.python_version()):
        found = find_local_compiler(version)
        assert found is not None
        assert found.version.split()[0] == version
    found = find_local_compiler(platform.python_version())
    assert found is not None
    assert cache_tag(found) == sys.implementation.cache_tag
    assert find_local_compiler("3.99.0") is None
