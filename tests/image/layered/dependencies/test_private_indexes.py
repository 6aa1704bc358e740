"""Dependencies from a private index, in each way to configure it; no password is kept."""

from __future__ import annotations

import os
import platform
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning, UserError
from support.distribution import make_wheel
from support.matrix import rest_slow
from support.secrets import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.layered import LayeredProject
    from support.package_index import PackageIndex

_MINOR = ".".join(platform.python_version_tuple()[:2])
_MODULE = f"app/lib/python{_MINOR}/site-packages/private_library.py"


@pytest.fixture
def own(
    layered_project: LayeredProject,
    package_index: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> LayeredProject:
    """A project with a library that only the private index has; nothing is configured yet."""
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    make_wheel(package_index.directory, "private-library", "1.0", {"private_library.py": "X = 1\n"})
    layered_project.require("private-library")
    return layered_project


def _pip_configuration(text: str) -> str:
    return f"[global]\ntimeout = 60\n[install]\n{text}\n"


_WAYS = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX",
    "PIP_CONFIG_FILE", "pip.conf of the user", "pip.conf, extra", "uv.toml", "pyproject.toml",
    "UV_CONFIG_FILE", "uv.toml of the user", "requirements.txt", "requirements.txt, extra",
    "requirements.txt, a variable", "netrc", "credentials of a named index", "a URL",
)  # fmt: skip
_QUICK_WAYS = (
    "PIP_EXTRA_INDEX_URL", "UV_INDEX", "pip.conf of the user", "pyproject.toml",
    "requirements.txt, extra", "netrc",
)  # fmt: skip


@pytest.mark.parametrize("way", rest_slow(_WAYS, quick=_QUICK_WAYS))
def test_a_private_index(
    own: LayeredProject,
    package_index: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str,
) -> None:
    url, bare = package_index.url, package_index.bare
    home = tmp_path / "home"
    files: dict[Path, str] = {}
    if way in {"PIP_EXTRA_INDEX_URL", "pip.conf, extra"}:
        # The other index exists and is empty.
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/nothing")
    match way:
        case "PIP_CONFIG_FILE":
            files[tmp_path / "own.conf"] = _pip_configuration(f"index-url = {url}")
            monkeypatch.setenv(way, str(tmp_path / "own.conf"))
        case "pip.conf of the user":
            monkeypatch.delenv("PIP_CONFIG_FILE")
            files[home / "pip" / "pip.conf"] = _pip_configuration(f"index-url = {url}")
        case "pip.conf, extra":
            monkeypatch.delenv("PIP_CONFIG_FILE")
            files[home / "pip" / "pip.conf"] = _pip_configuration(f"extra-index-url = {url}")
        case "uv.toml":
            files[own.root / "uv.toml"] = f'[[index]]\nurl = "{url}"\ndefault = true\n'
        case "pyproject.toml":
            text = (own.root / "pyproject.toml").read_text()
            files[own.root / "pyproject.toml"] = f'{text}[tool.uv]\nindex-url = "{url}"\n'
        case "UV_CONFIG_FILE":
            # pip's index is configured as well, and does not count.
            monkeypatch.setenv("PIP_INDEX_URL", "http://localhost:1/simple")
            files[tmp_path / "own.toml"] = f'index-url = "{url}"\n'
            monkeypatch.setenv(way, str(tmp_path / "own.toml"))
        case "uv.toml of the user":
            files[home / "uv" / "uv.toml"] = f'[pip]\nindex-url = "{url}"\n'
        case "requirements.txt":
            own.require(f"--index-url {url}", "private-library")
        case "requirements.txt, extra":
            own.require(f"--index-url={url}/nothing", f"--extra-index-url {url}", "private-library")
        case "requirements.txt, a variable":
            monkeypatch.setenv("INDEX_PASSWORD", package_index.password)
            variable = url.replace(package_index.password, "${INDEX_PASSWORD}")
            own.require(f"--index-url {variable}", "private-library")
        case "netrc":
            files[tmp_path / "netrc"] = (
                f"machine localhost login {package_index.username} "
                f"password {package_index.password}\n"
            )
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
            monkeypatch.setenv("PIP_INDEX_URL", bare)
        case "credentials of a named index":
            monkeypatch.setenv("UV_DEFAULT_INDEX", f"corporate={bare}")
            monkeypatch.setenv("UV_INDEX_CORPORATE_USERNAME", package_index.username)
            monkeypatch.setenv("UV_INDEX_CORPORATE_PASSWORD", package_index.password)
        case "a URL":
            # find-links has everything else.
            monkeypatch.setenv("PIP_INDEX_URL", f"{url}/nothing")
            name = "private_library-1.0-py3-none-any.whl"
            own.require(f"private-library @ {url.replace('/simple', '/files')}/{name}")
        case _:
            monkeypatch.setenv(way, url)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    image = own.build(oci_layout=True)
    assert own.files(image).files[_MODULE].content == b"X = 1\n"
    assert any("/files/" in path for path in package_index.served)
    places = [own.root / ".image", tmp_path / "cache"]
    assert places_of(package_index.password, *places, text=own.said) == []


@pytest.mark.parametrize(
    "variable",
    rest_slow(
        ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_DEFAULT_INDEX"],
        quick=["PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX"],
    ),
)
def test_a_wrong_password(
    variable: str,
    own: LayeredProject,
    package_index: PackageIndex,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Another place has a package of that name, which must not be installed."""
    make_wheel(own.wheels, "private-library", "9", {"private_library.py": "X = 'a stranger'\n"})
    wrong = "a-wr0ng-s3cret"
    monkeypatch.setenv(variable, package_index.url.replace(package_index.password, wrong))
    with pytest.raises(UserError) as caught:
        own.build()
    assert caught.value.message == (
        f"the index {package_index.bare} answered 401: it refuses the configured user name and "
        "password"
    )
    assert places_of(wrong, tmp_path / "cache", text=[str(caught.value), *own.said]) == []
    assert not (own.root / ".image").exists()


def test_an_index_that_does_not_answer(
    own: LayeredProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:s3cret@localhost:1/simple")
    with pytest.raises(UserError) as caught:
        own.build()
    assert re.fullmatch(
        r"cannot install the dependencies: http://localhost:1/simple/[a-z-]+/ cannot be fetched: "
        r"Connection refused \(os error 111\)",
        caught.value.message,
    )
    assert "check the network" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_another_index_is_another_layer(
    own: LayeredProject, package_index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dependencies depend on the configuration as on requirements.txt."""
    make_wheel(package_index.directory, "private-library", "0.9", {"private_library.py": "X = 0\n"})
    monkeypatch.setenv("PIP_INDEX_URL", package_index.url)
    assert own.files(own.build()).files[_MODULE].content == b"X = 1\n"
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    assert own.files(own.build()).files[_MODULE].content == b"X = 0\n"


@pytest.fixture
def other(own: LayeredProject, tmp_path: Path) -> Iterator[str]:
    """Another index, with a higher version of the private library, as a stranger registers it."""
    wheel = make_wheel(tmp_path / "other/private-library", "private-library", "99.0", {"x.py": ""})
    (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "other"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("private_is", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"])
def test_a_name_on_two_indexes_is_a_warning(
    own: LayeredProject,
    package_index: PackageIndex,
    other: str,
    monkeypatch: pytest.MonkeyPatch,
    private_is: str,
) -> None:
    public_is = ({"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"} - {private_is}).pop()
    monkeypatch.setenv(private_is, package_index.url)
    monkeypatch.setenv(public_is, other)
    with pytest.warns(BigflowWarning, match="several indexes have private-library: the highest"):
        image = own.build()
    assert "private-library==99.0" in own.info(image)["dependencies"]


def test_the_first_index_of_uv_decides(
    own: LayeredProject, package_index: PackageIndex, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX", package_index.url)
    monkeypatch.setenv("UV_DEFAULT_INDEX", other)
    image = own.build()
    assert "private-library==1.0" in own.info(image)["dependencies"]
