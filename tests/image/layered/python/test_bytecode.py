"""Compilers: the base's own Python in a sandbox, else a Python of this machine, else none."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.limits import MODULE
from bigflow_backend.image.layered.python.bytecode import (
    LocalCompiler,
    Source,
    cache_tag,
    compiled,
    find_local_compiler,
)
from support.images import small_base

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.base_python import BasePython
    from bigflow_backend.image.layered.python.bytecode import Compiler
    from support.layered import LayeredProject

_DEBIAN_PYTHON = "/usr/bin/python3"
_MINOR = ".".join(platform.python_version_tuple()[:2])


def _compile(
    compiler: Compiler, sources: dict[str, Source], *, seconds: float = 60
) -> dict[str, bytes]:
    with compiled(compiler, sources, deadline=time.monotonic() + seconds) as (made,):
        return {name: b"".join(part.pieces(1000)) for name, part in made.items()}


def _compiled(compiler: Compiler, work: Path, *, reverse: bool = False) -> dict[str, bytes]:
    work.mkdir(parents=True)
    sources = {}
    for index in range(250):  # more than one process gets
        path = work / f"m{index}.py"
        path.write_text(
            f"NAMES = {{'a', 'b', 'c{index}'}}\ndef f(self, x):\n    return x in NAMES\n"
        )
        sources[f"{index}.pyc"] = Source(path, f"/app/m{index}.py")
    (work / "bad.py").write_text("def\n")
    sources["bad.pyc"] = Source(work / "bad.py", "/app/bad.py")
    return _compile(compiler, dict(reversed(sources.items())) if reverse else sources)


@pytest.mark.parametrize("kind", ["local", "base"])
def test_bytecode_depends_only_on_the_sources(
    kind: str, tmp_path: Path, base_python: BasePython
) -> None:
    compiler = base_python if kind == "base" else find_local_compiler(platform.python_version())
    assert compiler is not None
    made = _compiled(compiler, tmp_path / "one")
    assert made == _compiled(compiler, tmp_path / "another" / "xxx", reverse=True)
    assert len(made) == 250
    assert made["0.pyc"][4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked
    assert b"/app/m0.py" in made["0.pyc"]


def test_bytecode_of_the_base_runs_in_the_base(tmp_path: Path, base_python: BasePython) -> None:
    """The base image is made of the files of this machine's Debian Python."""
    source, target = tmp_path / "m.py", tmp_path / "m.pyc"
    source.write_text("import os\n\n\ndef answer() -> int:\n    return len(os.sep) + 41\n")
    made = _compile(base_python, {"m": Source(source, "/app/m.py")})
    target.write_bytes(made["m"])
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


def _interpreter(path: Path, script: str) -> LocalCompiler:
    """Return an "interpreter" that is a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return LocalCompiler(str(path))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "exit status 3"),
        ("echo '\033[31mit broke' >&2; exit 1", "it broke"),
        ("true", "its output is cut short"),
        ("printf '\\003\\0\\0\\0\\0\\0\\0\\0ab'", "its output is cut short"),
        ("printf '\\377\\377\\377\\377\\377\\377\\377\\377ab'", "its output is cut short"),
        ("printf '\\0\\0\\0\\0\\0\\0\\0\\0ab'", "its output is too long"),
        ("kill -9 $$", "exit status -9"),
    ],
)
def test_output_that_is_not_that_of_a_compiler(tmp_path: Path, script: str, message: str) -> None:
    source = Source(tmp_path / "m.py", "/app/m.py")
    source.path.write_text("pass\n")
    with pytest.raises(UserError) as caught:
        _compile(_interpreter(tmp_path / "python", script), {"m": source})
    assert caught.value.message.startswith("the image's modules cannot be compiled: ")
    assert message in caught.value.message
    assert caught.value.message.isprintable()
    assert "bigflow cache --clear" in caught.value.hint


def test_a_compiler_that_does_not_end(tmp_path: Path) -> None:
    source = Source(tmp_path / "m.py", "/app/m.py")
    source.path.write_text("pass\n")
    with pytest.raises(UserError, match="has not ended in time; raise timeout"):
        _compile(_interpreter(tmp_path / "python", "exec sleep 1000"), {"m": source}, seconds=0.1)


def test_a_local_compiler_of_the_same_release_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    command = [_DEBIAN_PYTHON, "-c", "import platform; print(platform.python_version())"]
    debian = subprocess.check_output(command, text=True).strip()
    for version in (debian, platform.python_version()):
        found = find_local_compiler(version)
        assert found is not None
        assert found.version.split()[0] == version
    assert find_local_compiler("3.99.0") is None


def test_uv_finds_a_python_that_is_not_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that ``uv python install`` has installed."""
    other = Path(sys.executable).resolve()
    programs = tmp_path / f"cpython-{platform.python_version()}-linux-x86_64-gnu" / "bin"
    programs.mkdir(parents=True)
    (programs / f"python{_MINOR}").symlink_to(other)
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr("sys.version", "2.7.18")  # so that the running Python is another one
    found = find_local_compiler(f"{_MINOR}.99")
    assert found is not None
    assert found.version.startswith(f"{_MINOR}.")


def test_the_tag_of_pyc_files() -> None:
    assert cache_tag("3.9") == "cpython-39"
    assert cache_tag("3.14") == "cpython-314"


def _note(project: LayeredProject) -> str:
    (note,) = [line for line in project.said if "cannot run in a sandbox" in line]
    return note


def test_a_base_whose_python_does_not_start(
    layered_project: LayeredProject, bubblewrap: str
) -> None:
    """Its Python is a file that only looks like a program; a Python of this machine compiles."""
    image = layered_project.build()
    assert _note(layered_project) == (
        f"Python {platform.python_version()} of this machine compiles, so the digest may differ on"
        f" another machine; the base's own Python {_MINOR} cannot run in a sandbox here: "
        "it does not start: bwrap: execvp /usr/local/bin/python"
        f"{_MINOR}: No such file or directory (exit status 1)"
    )
    assert any(name.endswith(".pyc") for name in layered_project.files(image).files)


def test_without_bubblewrap(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    layered_project.build()
    assert _note(layered_project).endswith("the command prlimit is not installed")


def test_a_bubblewrap_that_refuses(
    layered_project: LayeredProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as directory:  # pytest's are closed to other users
        fake = Path(directory, "bwrap")
        fake.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
        for path in (fake, fake.parent):
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
        layered_project.build()
    assert _note(layered_project).endswith(
        "it does not start: bwrap: No permissions (exit status 1)"
    )


def test_without_any_python(layered_project: LayeredProject, tmp_path: Path) -> None:
    base = small_base(tmp_path / "future.tar", version="3.99.0")
    image = layered_project.build(base_image=base)
    assert "the image has no bytecode" in _note(layered_project)
    assert "uv python install 3.99" in _note(layered_project)
    assert not any(name.endswith(".pyc") for name in layered_project.files(image).files)


@pytest.mark.slow
def test_bubblewrap_that_comes_later(
    *,
    layered_project: LayeredProject,
    base_archive: str,
    bigflow_wheels: Path,
    bubblewrap: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The base's Python compiles then; the cache keeps the layers of each compiler apart."""
    options: dict[str, Any] = {
        "base_image": base_archive, "find_links": (bigflow_wheels,), "export_tar": False,
    }  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "empty"))
        without = layered_project.build(**options)
    layered_project.build(**options)
    assert any(line.endswith("compiles, in a sandbox") for line in layered_project.said)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "empty"))
        assert layered_project.build(**options).digest == without.digest


@pytest.mark.parametrize("kind", ["base", "local"])
def test_a_module_that_takes_too_much(base_python: BasePython, tmp_path: Path, kind: str) -> None:
    """It gets no bytecode, and a warning names it; the others do."""
    compiler = base_python if kind == "base" else find_local_compiler(platform.python_version())
    assert compiler is not None
    texts = {"large": "# " + "x" * MODULE, "memory": f"x = [{'1,' * 2_000_000}]", "good": "pass"}
    sources = {}
    for name, text in texts.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        sources[name] = Source(path, f"/app/{name}.py")
    with pytest.warns(BigflowWarning) as warned:
        made = _compile(compiler, sources)
    assert list(made) == ["good"]
    assert [str(w.message).partition(" has no bytecode")[0] for w in warned] == [
        "/app/large.py",
        "/app/memory.py",
    ]
