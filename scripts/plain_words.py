"""Check that text and code use plain words: see "Writing" in CONTRIBUTING.md.

    python scripts/plain_words.py [PATH ...]

Without a path, it checks all files of the repository. It prints a line for each word that it
refuses, and exits with status 1 if there is one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PLACES = (
    *("src", "tests", "docs", "scripts", "benchmarks", "sample_project", ".github"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile"),
    *("CODE_OF_CONDUCT.md", "action.yml", ".pre-commit-config.yaml", ".pre-commit-hooks.yaml"),
)
SUFFIXES = {".py", ".md", ".j2", ".toml", ".cfg", ".yml", ".yaml", ""}
# This file and its test name the words that they refuse.
SKIPPED = {"plain_words.py", "test_plain_words.py"}


def word(pattern: str) -> str:
    """Return a pattern for whole words, also within ``snake_case`` names."""
    return rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])"


RULES = (
    (word("tells?|told|telling|tell-tale"), "print, report, say or describe"),
    (word("mends?|mended|mending"), "fix"),
    (word("faults?"), "error"),
    (word("doors?"), "entry point"),
    (word("floors?"), "layer or folder"),
    (word("seams?"), "interface"),
    (word("jails?|jailed"), "sandbox"),
    (word("rooms?"), "space, or folder"),
    (word("pass(?:es|ed|ing)? over"), "skip"),
    (r"\b(?:is|are|was|were) none\b", "is not, or does not exist"),
    (r"(?<!there )\b(?:is|are) no\b(?! longer| more| later)", "is not a, or are not"),
    (r"\bthat there (?:is|are)\b", "existing"),
    (r'"""(?:What|Whether|How|Who|Which|Where|One that)\b', "a verb in the imperative, or a noun"),
)
PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), use) for pattern, use in RULES[:-4]) + tuple(
    (re.compile(pattern), use) for pattern, use in RULES[-4:]
)


def refused(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, the refused words and the replacement, for each finding."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, use in PATTERNS:
            if found := pattern.search(line):
                yield number, found[0].strip('"'), use


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the files to check in the given files and directories."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            hidden = any(p.startswith(".") or p == "__pycache__" for p in file.parts[1:])
            if file.is_file() and not hidden and file.suffix in SUFFIXES:
                yield file


def main(arguments: list[str]) -> int:
    """Print the findings; return the exit status."""
    paths = [Path(argument) for argument in arguments]
    paths = paths or [ROOT / place for place in PLACES if (ROOT / place).exists()]
    count = 0
    for file in files(paths):
        if file.name in SKIPPED or ".egg-info" in str(file):
            continue
        for number, words, use in refused(file.read_text("utf-8", "replace")):
            print(f"{file}:{number}: {words!r}; write: {use}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
