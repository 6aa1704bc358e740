"""A project's requirements -> distributions in an environment for an image."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import remove_tree
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import has_file, read_bounded
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.limits import LOCK_FILE
from bigflow_backend.image.dependencies.explicit import write_pyproject
from bigflow_backend.image.dependencies.indexes import (
    check_index_access,
    configured_indexes,
    names_on_several_indexes,
    stated_urls,
)
from bigflow_backend.image.dependencies.uv_process import (
    OPTION_FLAGS,
    must_be_compiled,
    uv_environment,
)
from bigflow_backend.image.layered.dependencies.install import (
    Prefix,
    adopt_distributions,
    changed_distributions,
    distributions,
    wheel_tags,
)
from bigflow_backend.image.layered.dependencies.uv_command import Uv
from bigflow_backend.project.requirements import OURS

if TYPE_CHECKING:
    from bigflow_backend.image.dependencies.requirements import ImageRequirements, WrittenFile
    from bigflow_backend.image.layered.python.interpreter import Interpreter
    from bigflow_backend.project.requirements import OptionLine

# uv writes it below each version: https://docs.astral.sh/uv/reference/cli/#uv-pip-compile
_INDEX_NOTE = re.compile(r"\n\s+# from (\S+)$")
# The hash of a commit fixes the content as the hash of a file does.
_COMMIT = re.compile(r" @ git\+\S+@(?:[0-9a-f]{40}|[0-9a-f]{64})(?:#\S*)?$")
_LISTED = 5
_DISTRIBUTIONS = (".whl", ".tar.gz", ".zip")
_SOURCE_OPTIONS = (
    "-i", "-f", "--index-url", "--extra-index-url", "--find-links", "--no-index", "--no-binary",
    "--only-binary",
)  # fmt: skip


@dataclass(frozen=True)
class Pin:
    """A distribution in the version to install."""

    name: str
    """Its normalised name."""
    shown: str
    """``name==version``, without secrets."""
    text: str
    """Its lines of a requirements file, with hashes."""

    @property
    def name_and_version(self) -> str:
        """``name==version`` without extras."""
        return f"{self.name}=={self.shown.rpartition('==')[2]}"

    @property
    def extras(self) -> frozenset[str]:
        """Its extras, which all requirements together ask for."""
        found = re.match(r"[^=\[]*\[([^\]]*)\]", self.shown)
        return frozenset(extra.strip() for extra in found[1].split(",")) if found else frozenset()


@dataclass(frozen=True)
class Resolver:
    """Resolves and installs the requirements of a project."""

    requirements: ImageRequirements
    interpreter: Interpreter
    find_links: tuple[Path, ...]
    project: Path
    """The directory whose uv.toml or pyproject.toml uv reads."""
    timeout: int
    """Seconds for each run of uv."""
    say: Callable[[str], None]

    def resolve(self, work: Path) -> tuple[Pin, ...]:
        """Return the distributions to install; ``work`` is a directory for files of the build.

        As with pip, a distribution of the base image is kept if its version will do.

        :raises CannotServeError: if an sdist must be built for that, and cannot be built here.
        :raises UserError: if there is no solution.
        """
        installed, uv, pins = self.interpreter.installed, self._uv(work), work / "pins.txt"
        for directory in self.find_links:
            for path in directory.glob("*.*"):
                if path.name.endswith(_DISTRIBUTIONS):
                    has_file(path)  # uv would wait for a FIFO
        self._check_indexes()
        written = self.requirements.write(_directory(work), absolute=True)
        # uv prefers the versions that its output file has already.
        pins.write_text("".join(f"{n}=={v}\n" for n, v in installed.items()), "utf-8")
        uv.pip(
            "compile", str(written.for_uv), "--output-file", str(pins), "--generate-hashes",
            "--no-header", "--no-annotate", "--no-strip-extras", "--emit-index-annotation",
        )  # fmt: skip
        found = {}
        sources = {}
        for block in re.split(r"\n(?=\S)", pins.read_text("utf-8").strip()):
            line = re.split(r"[\\\n]", block, maxsplit=1)[0].strip()
            name, _, version = line.partition("==")
            if line and installed.get(name.partition("[")[0]) != version:
                found[line] = _INDEX_NOTE.sub("", block)
                if note := _INDEX_NOTE.search(block):
                    sources[canonical_name(line)] = note[1]
        self._warn_of_several_indexes(sources)
        return tuple(
            Pin(canonical_name(line), uv.redact(line), text)
            for line, text in self._with_hashes(found, written).items()
        )

    def install(self, pins: Sequence[Pin], prefix: Prefix, *, work: Path) -> None:
        """Install distributions into ``prefix``; ``work`` is the directory of :meth:`resolve`.

        Files may be hard links into uv's cache: replace them, and never write into them.

        :raises CannotServeError: if one of them must be compiled.
        """
        arguments = self._files(work, pins)
        self._install(work, prefix, *arguments)
        if changed := changed_distributions(prefix):
            self.say(
                f"uv's cache has changed files of {', '.join(changed)}: installing without the "
                "cache"
            )
            remove_tree(prefix.root)
            prefix.site_packages.mkdir(parents=True)
            # As with pip, a wheel whose own RECORD is wrong is accepted now.
            self._install(work, prefix, *arguments, "--no-cache")
        adopt_distributions(prefix)
        (prefix.root / ".lock").unlink(missing_ok=True)

    def listed_files(self, pins: Sequence[Pin], *, work: Path) -> Any:
        """Return the files of the indexes for the pins and the platform of the image.

        The result is the document of a pylock.toml. ``work`` is the directory of :meth:`resolve`.

        :raises UserError: if an index cannot be read.
        """
        listed = work / "pylock.toml"
        files = [text for text in self._files(work, pins) if text != "--requirement"]
        self._uv(work).pip(
            "compile", *files, "--quiet", "--no-deps",
            "--output-file", str(listed), "--format", "pylock.toml",
            report_failure=False,
        )  # fmt: skip
        return parse_toml(read_bounded(listed, LOCK_FILE).decode("utf-8"))

    @property
    def flags(self) -> tuple[str, ...]:
        """The options for uv's command line that requirements.txt gives."""
        return tuple(
            f"{flag}={option.value}" if option.value else flag
            for option in self.requirements.requirements.options
            if (flag := OPTION_FLAGS.get(option.name))
        )

    @property
    def source_options(self) -> tuple[str, ...]:
        """The lines of requirements.txt about indexes and kinds of distributions."""
        return tuple(option.text for option in self._source_options())

    def _uv(self, work: Path) -> Uv:
        return Uv(
            interpreter=self.interpreter,
            project=self.project,
            find_links=(*self.find_links, _directory(work) / "wheels"),
            flags=self.flags,
            urls=(
                *stated_urls(self.requirements.requirements.options),
                *(index.url for index in self.requirements.indexes),
            ),
            timeout=self.timeout,
            file=self.requirements.place,
            say=self.say,
        )

    def _source_options(self) -> list[OptionLine]:
        options = self.requirements.requirements.options
        return [option for option in options if option.name in _SOURCE_OPTIONS]

    def _check_indexes(self) -> None:
        explicit = {pin.partition("==")[0] for i in self.requirements.indexes for pin in i.pins}
        names = sorted(self.requirements.names - {OURS} - explicit)
        indexes = configured_indexes(self.project)
        if names and not indexes.no_index:
            check_index_access(
                names[0],
                options=self._source_options(),
                environment=uv_environment(indexes),
                project=self.project,
            )

    def _warn_of_several_indexes(self, sources: Mapping[str, str]) -> None:
        """Warn of names that a stranger could register on another index, without hashes."""
        if self._has_hashes():
            return
        names = names_on_several_indexes(
            sources,
            options=self._source_options(),
            environment=uv_environment(configured_indexes(self.project)),
            project=self.project,
        )
        if names:
            listed = ", ".join(names[:_LISTED]) + (", ..." if names[_LISTED:] else "")
            warnings.warn(
                f"several indexes have {listed}: the highest version of all was taken, and no hash"
                " pins it; see `Several indexes` in docs/how-to/image.md",
                BigflowWarning,
                stacklevel=2,
            )

    def _has_hashes(self) -> bool:
        return any("--hash" in line.text for line in self.requirements.requirements.lines)

    def _with_hashes(self, found: Mapping[str, str], written: WrittenFile) -> dict[str, str]:
        """Return the lines of each pin, with hashes of the requirements file, else of the index.

        A wheel of this machine has its own hash, whatever an index has under the same name.

        As in pip, one hash in the file means that each requirement needs a hash:
        https://pip.pypa.io/en/stable/topics/secure-installs/
        """
        own: dict[str, list[str]] = {}
        for name, text in written.lines:
            own.setdefault(name, []).append(text)
        local = {name.partition("-")[0]: digest for name, digest in written.hashes.items()}
        needs_hashes = self._has_hashes()
        chosen = {}
        for pin, block in found.items():
            name = canonical_name(pin)
            lines = own.get(name, [])
            if digest := local.get(name.replace("-", "_")):
                chosen[pin] = f"{pin} --hash=sha256:{digest}"
            elif not needs_hashes or _COMMIT.search(pin):
                chosen[pin] = block
            elif any("--hash" in line for line in lines):
                chosen[pin] = "\n".join(lines)
            else:
                raise UserError(
                    f"{self.requirements.place} has hashes, but none for {pin}",
                    hint="list all versions with their hashes, or make a lock: bigflow lock",
                )
        return chosen

    def _files(self, work: Path, pins: Sequence[Pin]) -> list[str]:
        """Write the files that require the pins; return them as arguments of uv."""
        indexes = self.requirements.indexes
        explicit = [p for p in pins if any(p.name_and_version in i.pins for i in indexes)]
        lines = [*self.source_options, *(pin.text for pin in pins if pin not in explicit)]
        arguments = ["--requirement", _written(work / "pins.txt", lines)]
        if explicit:
            # A pyproject.toml cannot have hashes; constraints can.
            hashes = _written(work / "explicit.txt", [pin.text for pin in explicit])
            required = [(pin.name, pin.shown) for pin in explicit]
            file = write_pyproject(work / "explicit" / "pyproject.toml", required, indexes)
            arguments += ["--requirement", str(file), "--constraint", hashes]
        return arguments

    def _install(self, work: Path, prefix: Prefix, *options: str) -> None:
        arguments = ["install", "--no-deps", *options]
        arguments += ["--link-mode", "hardlink", "--prefix", str(prefix.root)]
        try:
            self._uv(work).pip(*arguments, "--no-build", report_failure=False)
        except UserError:
            # A distribution without a wheel is built; the image must be able to use the result.
            self._uv(work).pip(*arguments)
            self._move(prefix)
            self._refuse_compiled(prefix)
        else:
            self._move(prefix)

    def _move(self, prefix: Prefix) -> None:
        """Rename the directories that have the version of the Python that runs uv."""
        for site in (prefix.root / "lib").glob("python3.*/site-packages"):
            if site != prefix.site_packages:
                prefix.site_packages.parent.mkdir(parents=True, exist_ok=True)
                _rename(site, prefix.site_packages)
                with contextlib.suppress(OSError):  # a distribution has other files there
                    site.parent.rmdir()
        for headers in (prefix.root / "include" / "site").glob("python3.*"):
            _rename(headers, headers.with_name(f"python{self.interpreter.minor}"))

    def _refuse_compiled(self, prefix: Prefix) -> None:
        for info in distributions(prefix):
            tags = wheel_tags(info / "WHEEL")
            if not any(self._suits(tag) for tag in tags) and not self._is_from_find_links(info):
                name, _, version = info.name.removesuffix(".dist-info").partition("-")
                raise must_be_compiled(name, version)

    def _suits(self, tag: str) -> bool:
        """Return True if a wheel with the tag runs in the image; one compiled here may not."""
        python, _abi, platform = tag.rsplit("-", 2)
        if platform.startswith(("manylinux", "musllinux")):
            return True  # uv chose it for the image's platform
        pure = re.fullmatch(r"(?:py|cp)3(?P<minor>\d*)", python)
        if platform != "any" or pure is None:
            return False
        return int(pure["minor"] or 0) <= int(self.interpreter.minor.partition(".")[2])

    def _is_from_find_links(self, info: Path) -> bool:
        stem = info.name.removesuffix(".dist-info")
        return any(any(d.glob(f"{stem}-*.whl")) for d in self.find_links)


def _rename(directory: Path, target: Path) -> None:
    """
    :raises UserError: if a distribution has files of its own in the target.
    """
    try:
        directory.rename(target)
    except OSError as error:
        raise UserError(
            f"a distribution has files of its own in {target.parent.name}/{target.name}:"
            f" {error.strerror}",
            hint="require another version of that distribution",
        ) from error


def _written(file: Path, lines: Sequence[str]) -> str:
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(file)


def _directory(work: Path) -> Path:
    """Return the directory for the requirements file and the wheels of this machine."""
    return work / "requirements"


def canonical_name(pin: str) -> str:
    """Return the normalised name in ``NAME==VERSION`` or ``NAME[EXTRA]==VERSION``."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(re.split(r"[\[= ]", pin, maxsplit=1)[0]))
