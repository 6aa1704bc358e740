"""Layers as tar archives: equal content gives equal bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bigflow_backend.image.layered.tar import StoredLayer, directory, file, link, tree, write_layer
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.compressors import fast_gzip

if TYPE_CHECKING:
    from pathlib import Path


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
            made.append(
                write_layer(store, tree(root, "app"), created_by="x", compression=fast_gzip())
            )
    assert made[0] == made[1]
    assert made[0].size == sum(map(len, ("z/b.py", "z/a.py", "é.txt".encode(), "#!/bin/sh\n")))


def test_entries_are_sorted_whatever_their_order(tmp_path: Path) -> None:
    entries = [file("a/x", b"1"), directory("a"), link("a/l", "x"), file("b", b"", executable=True)]
    with open_store(tmp_path / "store") as store:
        one = write_layer(store, entries, created_by="x", compression=fast_gzip())
        two = write_layer(store, reversed(entries), created_by="x", compression=fast_gzip())
    assert one == two
