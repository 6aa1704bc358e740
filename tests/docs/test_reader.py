"""The test of the pages fails if a page is wrong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.pages import Reader, read_page

if TYPE_CHECKING:
    from pathlib import Path


def read(page: str, home: Path) -> Reader:
    reader = Reader(home / "page", dict(os.environ))
    reader.home.mkdir()
    for part in read_page(page):
        reader.do(part)
    return reader


@pytest.mark.parametrize(
    "page",
    [
        "```sh\nfalse\ntrue\n```",
        "```console\n$ false\n$ true\n```",
        "<!-- fails -->\n```console\n$ true\n```",
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ echo 12 files\n13 files\n```",
        "<!-- run: false -->",
        '```python\nraise ValueError("wrong")\n```',
        '```toml\n[tool.bigflow.image]\nbuildr = "engine"\n```',
        "```toml\n[secrets]\nkey = 1\n```",
        "```toml\ncahce = 'x'\n```",
        "```json\n{,}\n```",
        "```yaml\na: b: c\n```",
        "```dockerfile\nFROM python:3.12\nRUM true\n```",
        '```text title="a"\none\n```\n\n<!-- shows: a -->\n```text\ntwo\n```',
    ],
)
def test_a_wrong_page(page: str, tmp_path: Path) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  (each kind of block has its own)
        read(page, tmp_path)


def test_a_right_page(tmp_path: Path) -> None:
    page = """
1. A list:

   ```sh
   mkdir project && cd project
   export NAME=world
   ```

```toml title="pyproject.toml"
[tool.bigflow]
package = "one"
```

```toml title="pyproject.toml"
[tool.bigflow]
package = "two"
```

<!-- fails -->
```console
$ echo hello "$NAME", 1.2.0
hello world, 1.3.0
$ echo "it took 2.3 s, with ..." && false
it took 7.1 s, ...
```
"""
    reader = read(page, tmp_path)
    assert reader.directory == tmp_path / "page/project"
    text = (reader.directory / "pyproject.toml").read_text("utf-8")
    assert text == '[tool.bigflow]\npackage = "two"\n'
