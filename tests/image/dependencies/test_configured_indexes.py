"""pip's configuration, as settings for uv."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dependencies.indexes import configured_indexes

if TYPE_CHECKING:
    from pathlib import Path


def test_indexes_of_pip_become_uv_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    # uv reads the files above the project as well, unless UV_NO_CONFIG is set.
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


def test_an_invalid_configuration_of_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = tmp_path / "pip.conf"
    pip.write_text("index-url\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    with pytest.raises(UserError, match=f"pip's configuration {pip} cannot be read"):
        configured_indexes(tmp_path)
