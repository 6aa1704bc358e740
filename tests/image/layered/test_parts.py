"""The parts of the layered builder, each by itself."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered.indexes import configured_indexes
from bigflow_backend.image.layered.install import Prefix, finish, unpack
from bigflow_backend.image.layered.interpreter import Interpreter
from bigflow_backend.image.layered.rootfs import FileSystem, read_file_system
from bigflow_backend.image.layered.tar import StoredLayer, directory, file, link, tree, write_layer
from bigflow_backend.image.layered.venv import skeleton
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store
from support.distribution import make_wheel
from support.small_base import layer_tar, write_docker_archive

_MINORS = ("3.10", "3.11", "3.12", "3.13", "3.14")
_SITE = "lib/python3.11/site-packages"


def _file_system(tmp_path: Path, *layers: bytes) -> FileSystem:
    write_docker_archive(tmp_path / "base.tar", layers, {})
    contents = tmp_path / "contents"
    contents.mkdir()
    with open_store(tmp_path / "store") as store, Registries() as registries:
        base = read_base(
            f"docker-archive:{tmp_path}/base.tar",
            architecture="amd64",
            root=tmp_path,
            store=store,
            registries=registries,
        )
        return read_file_system(store, base, wanted=lambda _path: True, directory=contents)


def _text(system: FileSystem, path: str) -> str | None:
    found = system.content(path)
    return None if found is None else found.read_text()


def test_layers_over_layers(tmp_path: Path) -> None:
    system = _file_system(
        tmp_path,
        layer_tar({"a/one": "1", "a/two": "2", "b/one": "1", "c": "file", "d/e/f": "f"}),
        layer_tar(
            {"a/.wh.one": "", "b/.wh..wh..opq": "", "b/new": "n", ".wh.d": "", "a/two": "II"}
        ),
        layer_tar({"c/now": "a directory", "d/again": "new"}),
    )
    files = {path: _text(system, path) for path, n in system.nodes.items() if not n.is_directory}
    assert files == {"a/two": "II", "b/new": "n", "c/now": "a directory", "d/again": "new"}
    assert system.layer_sizes == (8, 3, 14)


def test_links_are_followed_as_in_a_container(tmp_path: Path) -> None:
    links = {
        "lib": "usr/lib",
        "usr/bin/python3": "/etc/alternatives/python",
        "etc/alternatives/python": "../../usr/bin/python3.11",
        "loop": "loop",
        "out": "../../../usr/bin/python3.11",
        "nowhere": "gone/x",
    }
    system = _file_system(tmp_path, layer_tar({"usr/bin/python3.11": "p", "usr/lib/x": "x"}, links))
    assert system.resolve("/usr/bin/python3") == "usr/bin/python3.11"
    assert system.resolve("lib/x") == "usr/lib/x"
    assert system.resolve("out") == "usr/bin/python3.11"
    assert system.resolve("loop") is None
    assert system.resolve("nowhere") is None


def test_a_layer_that_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a layer that is no tar archive"):
        _file_system(tmp_path, b"no archive, but long enough to be taken for one" * 20)


def _interpreter(version: str, executable: str = "/usr/bin/python3") -> Interpreter:
    minor = ".".join(version.split(".")[:2])
    return Interpreter(
        executable=executable,
        program=str(Path(executable).with_name(f"python{minor}")),
        version=version,
        libc="glibc",
        libc_version="2.36",
        architecture="amd64",
        installed={},
    )


def _python(minor: str) -> Path | None:
    places = [p.parent for p in Path.home().glob(f".pyenv/versions/{minor}.*/bin/python3")]
    path = os.pathsep.join([*map(str, places), "/usr/local/bin", "/usr/bin"])
    found = shutil.which(f"python{minor}", path=path)
    return None if found is None else Path(found).with_name("python3")


@pytest.mark.parametrize("minor", [m for m in _MINORS if _python(m) is not None])
def test_the_environment_is_that_of_venv(minor: str, tmp_path: Path) -> None:
    """For each Python of this machine that the shell, uv or pyenv has."""
    python = _python(minor)
    assert python is not None
    made = tmp_path / "app"
    subprocess.run(
        [python, "-m", "venv", "--without-pip", "--system-site-packages", made], check=True
    )
    for script in made.glob("bin/*ctivate*"):
        script.unlink()
    version = subprocess.check_output(
        [python, "-c", "import platform as p; print(p.python_version())"]
    )
    ours = {e.name: e for e in skeleton(_interpreter(version.decode().strip(), str(python)))}
    theirs = {entry.name: entry for entry in (directory("app"), *tree(made, "app"))}
    assert ours.keys() == theirs.keys()
    for name, entry in theirs.items():
        assert (ours[name].mode, ours[name].target) == (entry.mode, entry.target)
    for name in ("app/pyvenv.cfg", "app/.gitignore"):
        if name in theirs:
            content = (tmp_path / name).read_text().replace(str(made), "/app")
            assert ours[name].content == content.encode()


def test_a_layer_is_its_content_alone(tmp_path: Path) -> None:
    made: list[StoredLayer] = []
    for name, mask in (("one", 0o022), ("two", 0o077)):
        root = tmp_path / name
        old = os.umask(mask)
        try:
            for path in ("z/b.py", "z/a.py", "é.txt"):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(path)
            (root / "z" / "run").write_text("#!/bin/sh\n")
            (root / "z" / "run").chmod(0o744)
            (root / "to").symlink_to("z/a.py")
        finally:
            os.umask(old)
        os.utime(root / "z" / "a.py", (0, len(made) * 1000))
        with open_store(tmp_path / f"store-{name}") as store:
            made.append(write_layer(store, tree(root, "app"), created_by="x"))
    assert made[0] == made[1]
    assert made[0].size == sum(map(len, ("z/b.py", "z/a.py", "é.txt".encode(), "#!/bin/sh\n")))


def test_entries_are_sorted_whatever_their_order(tmp_path: Path) -> None:
    entries = [file("a/x", b"1"), directory("a"), link("a/l", "x"), file("b", b"", executable=True)]
    with open_store(tmp_path / "store") as store:
        one = write_layer(store, entries, created_by="x")
        two = write_layer(store, reversed(entries), created_by="x")
    assert one == two


def _prefix(tmp_path: Path) -> Prefix:
    root = tmp_path / "prefix"
    root.mkdir()
    return Prefix(root, _SITE)


def test_a_wheel_is_installed_and_recorded(tmp_path: Path) -> None:
    info = "library-3.1.dist-info"
    wheel = make_wheel(
        tmp_path,
        "library",
        "3.1",
        {
            "library.py": "",
            "library-3.1.data/scripts/run": "#!pythonw\nprint()\n",
            "library-3.1.data/platlib/native.so": "",
            f"{info}/entry_points.txt": (
                "[console_scripts]\nTool.X = library.main:Main.run [extra]\n[other]\na = b\n"
            ),
        },
    )
    prefix = _prefix(tmp_path)
    finish(prefix, unpack(wheel, prefix), requested=False)
    site = prefix.site_packages
    assert (prefix.root / "bin" / "Tool.X").read_text() == (
        "#!/app/bin/python\nimport sys\nfrom library.main import Main\n"
        'if __name__ == "__main__":\n    sys.exit(Main.run())\n'
    )
    assert (prefix.root / "bin" / "run").read_text() == "#!/app/bin/python\nprint()\n"
    assert not (site / info / "REQUESTED").exists()
    rows = list(csv.reader((site / info / "RECORD").read_text().splitlines()))
    names = {row[0] for row in rows}
    assert {"../../../bin/Tool.X", "../../../bin/run", "native.so", "library.py"} <= names
    on_disk = {os.path.relpath(p, site) for p in prefix.root.rglob("*") if p.is_file()}
    assert names == on_disk


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "library-1.data/data/../../../x"])
def test_a_wheel_that_reaches_outside(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "library", "1", {name: ""})
    with pytest.raises(UserError, match=r"is no wheel: .*it has a file"):
        unpack(wheel, _prefix(tmp_path))
    assert not (tmp_path / "outside.py").exists()


def test_what_is_no_wheel(tmp_path: Path) -> None:
    wheel, prefix = tmp_path / "library-1-py3-none-any.whl", _prefix(tmp_path)
    wheel.write_text("no archive")
    with pytest.raises(UserError, match="is no wheel"):
        unpack(wheel, prefix)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("library.py", "")
    with pytest.raises(UserError, match="WHEEL"):
        unpack(wheel, prefix)


@pytest.mark.parametrize(
    "text", ["[console_scripts]\nx = no-module\n", "[console_scripts]\n../x = a:b\n", "[console\n"]
)
def test_entry_points_that_are_none(tmp_path: Path, text: str) -> None:
    wheel = make_wheel(tmp_path, "library", "1", {"library-1.dist-info/entry_points.txt": text})
    prefix = _prefix(tmp_path)
    with pytest.raises(UserError, match=r"library-1.dist-info/entry_points.txt"):
        finish(prefix, unpack(wheel, prefix), requested=False)


def test_pips_indexes_are_told_to_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    pip = tmp_path / "pip.conf"
    pip.write_text(
        "[global]\nindex-url = https://a.example.com/simple\ncert = /etc/ca.pem\n"
        "extra_index_url =\n    https://me:pw@b.example.com/simple\n    https://c.example.com\n"
        "find-links = /wheels https://d.example.com\n[install]\nno-index = false\n"
        "index-url = https://install.example.com/simple\n[list]\nindex-url = https://no\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    found = configured_indexes(tmp_path)
    assert dict(found.environment) == {
        "UV_DEFAULT_INDEX": "https://install.example.com/simple",
        "UV_INDEX": "https://me:pw@b.example.com/simple https://c.example.com",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    assert found.find_links == ("/wheels", "https://d.example.com")
    assert not found.no_index
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example.com/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    found = configured_indexes(tmp_path)
    assert found.environment["UV_DEFAULT_INDEX"] == "https://environment.example.com/simple"
    assert found.no_index
    (tmp_path / "uv.toml").write_text('[[index]]\nurl = "https://uv.example.com/simple"\n')
    assert configured_indexes(tmp_path).environment == {}
    (tmp_path / "uv.toml").write_text('prerelease = "allow"  # no index\n')
    assert configured_indexes(tmp_path).environment != {}
    (tmp_path / "uv.toml").unlink()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.uv.pip]\nindex-url = "https://uv.example.com"\n'
    )
    assert configured_indexes(tmp_path).environment == {}
    # uv looks for it above the project, too, but not where it is told to look.
    (tmp_path / "below").mkdir()
    assert configured_indexes(tmp_path / "below").environment == {}
    with monkeypatch.context() as patch:
        patch.setenv("UV_NO_CONFIG", "1")
        assert configured_indexes(tmp_path).environment != {}
    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/requests.pem")
    monkeypatch.setenv("UV_INDEX_URL", "https://uv.example.com/simple")
    expected = {"SSL_CERT_FILE": "/etc/requests.pem"}
    assert configured_indexes(tmp_path).environment == expected


def test_a_configuration_of_pips_that_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("index-url\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    with pytest.raises(UserError, match=f"pip's configuration {pip} cannot be read"):
        configured_indexes(tmp_path)
