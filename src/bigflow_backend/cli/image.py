"""``bigflow image``: the layers of an image."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.diff import opened_reader
from bigflow_backend.cli.report import print_result
from bigflow_backend.compare.composition import Composition, composition
from bigflow_backend.drawing.bar import (
    BLOCKS,
    LETTERS,
    Segment,
    bar_line,
    draw_bar,
    part_sizes,
    percent,
)
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line, quoted
from bigflow_backend.ground.progress import coloured, has_utf8, size, waiting
from bigflow_backend.ground.report import print_warning

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call

_COLOURS = {"base": "90", "python": "35", "dependencies": "32", "project": "34", "image": "33"}
"""A part -> its colour of ECMA-48."""
_WIDEST = 120


def image(call: Call) -> int:
    """Print what an image is made of."""
    values = call.values
    if values.svg and values.json:
        raise UserError("bigflow image prints one form: got --json --svg", hint="keep --json")
    given = values.image or _last_build(call.project().root)
    with opened_reader(call) as reader, waiting(f"reading {given}"):
        found = composition(reader.side(given), reader)
    _check_platform(found, values.platform)
    if found.missing is not None:
        print_warning(f"the sizes are those of unpacked layers: {found.missing}")
    segments = [
        Segment(layer.part, one_line(layer.created_by), layer.size) for layer in found.layers
    ]
    if values.svg:
        print(draw_bar(found.name, segments, _sizes(found)), end="")
        return 0
    if values.json:
        print_result(values, found, [])
        return 0
    print_result(values, found, _facts(found))
    if found.size:
        print(f"\n{_bar(segments)}\n")
    print_result(values, found, _rows(found))
    return 0


def _last_build(root: Path) -> str:
    """Return the path of the document about the image in .image/.

    :raises UserError: if there is not exactly one.
    """
    found = sorted((root / ".image").glob("imageinfo-*.json"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise UserError(
            f".image/ has several images: {names}"
            if found
            else "no image is built: .image/ is empty",
            hint="name one of them, such as `bigflow image .image/" + found[0].name + "`"
            if found
            else "bigflow build-image",
        )
    return str(found[0])


def _check_platform(found: Composition, wanted: str | None) -> None:
    """Raise UserError if the image is not for the platform of ``--platform``."""
    if wanted is None or found.platform is None:
        return
    platform = found.platform
    if platform.removeprefix("linux/") != wanted.removeprefix("linux/"):
        raise UserError(
            f"the image {found.name} is for {platform}, not for {wanted}",
            hint="give the archive or the name of the other image, or leave out --platform",
        )


def _facts(found: Composition) -> Iterator[str]:
    yield f"image     {found.name}"
    if found.version is not None:
        commit = f"  commit {found.commit[:12]}" if found.commit else ""
        yield f"version   {found.version}{commit}"
    if found.digest is not None:
        yield f"digest    {found.digest}"
    others = [name for name in found.platforms if name and name != found.platform]
    if found.platform or others:
        yield f"platform  {found.platform or 'unknown'}{_also(others)}"
    base = [text for text in (found.base_name, found.base_digest) if text]
    if base:
        yield f"base      {'  '.join(dict.fromkeys(base))}"
    if found.created is not None:
        yield f"created   {found.created}"
    yield f"size      {_sizes(found)}"


def _also(platforms: list[str]) -> str:
    return f"; the build also has {', '.join(platforms)}" if platforms else ""


def _sizes(found: Composition) -> str:
    if not found.is_compressed:
        return f"{size(found.size)} unpacked"
    unpacked = found.unpacked_size
    return f"{size(found.size)} compressed" + (f", {size(unpacked)} unpacked" if unpacked else "")


def _bar(segments: list[Segment]) -> str:
    """Return the bar and its legend, in the width of the terminal."""
    characters = BLOCKS if has_utf8(sys.stdout) else LETTERS
    width = min(shutil.get_terminal_size().columns, _WIDEST)

    def paint(part: str, text: str) -> str:
        return coloured(text, _COLOURS[part], sys.stdout)

    legend = "  ".join(
        f"{paint(part, characters[part])} {part} {size(total)}"
        for part, total in part_sizes(segments).items()
    )
    return f"{bar_line(segments, width, characters, paint)}\n{legend}"


def _rows(found: Composition) -> Iterator[str]:
    width = max((len(layer.part) for layer in found.layers), default=4)
    yield f"{'part':{width}}  {'size':>8}  {'share':>5}  {'digest':12}  made by"
    for layer in found.layers:
        share = percent(layer.size, found.size)
        short = layer.digest.removeprefix("sha256:")[:12]
        what = quoted(layer.created_by) or "unknown instruction"
        yield f"{layer.part:{width}}  {size(layer.size):>8}  {share:>5}  {short:12}  {what}"
