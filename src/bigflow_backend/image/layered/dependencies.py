"""The dependencies of a project, resolved and installed for the platform of an image.

uv does it, for it can do so for another Python and another machine than those it runs on, with
its caches, credentials and configured indexes: https://docs.astral.sh/uv/pip/
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.uv import find_uv
from bigflow_backend.image.layered.index_access import check_index_access
from bigflow_backend.image.layered.indexes import configured_indexes
from bigflow_backend.image.layered.install import Prefix, adopt, finish
from bigflow_backend.image.layered.support import CannotServeError
from bigflow_backend.image.layered.uv_cache import changed_distributions
from bigflow_backend.project.requirements import OptionLine, Requirements, read_requirements

if TYPE_CHECKING:
    from bigflow_backend.image.layered.indexes import Indexes
    from bigflow_backend.image.layered.interpreter import Interpreter

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# The platforms that uv knows: `uv pip install --help`.
_GLIBC_MINORS = (17, 28, *range(31, 41))
_SOURCE_OPTIONS = (
    "-i", "-f", "--index-url", "--extra-index-url", "--find-links", "--no-index", "--no-binary",
    "--only-binary",
)  # fmt: skip
# Options that pip takes in requirements.txt, and uv only on its command line.
_UV_FLAGS = {"--pre": "--prerelease=allow", "--trusted-host": "--allow-insecure-host"}
# Up to the last @: a password may have one, though a URL should not.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+(?=@)")


def redacted(text: str) -> str:
    """The text without the credentials of its URLs."""
    return _CREDENTIALS.sub("***", text)


@dataclass(frozen=True)
class Resolver:
    """Finds and installs what ``requirements`` names."""

    requirements: Path
    interpreter: Interpreter
    find_links: tuple[Path, ...]
    project: Path
    """The directory whose uv.toml or pyproject.toml uv reads."""
    timeout: int
    """Seconds that one run of uv may take."""
    say: Callable[[str], None]

    @functools.cached_property
    def _content(self) -> Requirements:
        """The content of the requirements file.

        :raises UserError: for a requirement that is a file of this machine.
        """
        content = read_requirements(self.requirements)
        for line in content.lines:
            if line.is_local:
                raise UserError(
                    f"{line.where}: {line.text} is a file of this machine",
                    hint="build its wheel, and add the directory of the wheel to find-links",
                )
        return content

    def requested(self) -> set[str]:
        """Return the normalised names of the distributions in the requirements file.

        :raises UserError: for an invalid requirement, or one that is a file of this machine.
        """
        return {line.name for line in self._content.lines}

    def _source_options(self) -> list[OptionLine]:
        return [option for option in self._content.options if option.name in _SOURCE_OPTIONS]

    def _uv_flags(self) -> Iterator[str]:
        for option in self._content.options:
            if flag := _UV_FLAGS.get(option.name):
                yield f"{flag}={option.value}" if option.value else flag

    def resolve(self, pins: Path) -> tuple[str, ...]:
        """Writes the versions to install to the file ``pins``; returns them as ``name==version``.

        What the image brings stays in use where it will do, as with pip.

        :raises UserError: when there is no answer; :class:`CannotServeError` when a package must be
            built for that and cannot be built here.
        """
        installed = self.interpreter.installed
        self._check_indexes()
        # uv keeps to the versions that the output holds already, as far as they will do.
        pins.write_text("".join(f"{n}=={v}\n" for n, v in installed.items()), "utf-8")
        self._uv(
            "compile", str(self.requirements), "--output-file", str(pins), "--generate-hashes",
            "--no-header", "--no-annotate", "--no-strip-extras",
        )  # fmt: skip
        found = {}
        for block in re.split(r"\n(?=\S)", pins.read_text("utf-8").strip()):
            line = block.split("\\")[0].strip()
            name, _, version = line.partition("==")
            if line and installed.get(name.partition("[")[0]) != version:
                found[line] = block
        lines = [*(option.text for option in self._source_options()), *self._with_hashes(found)]
        pins.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return tuple(redacted(line) for line in found)

    def _check_indexes(self) -> None:
        indexes, names = configured_indexes(self.project), sorted(self.requested())
        if names and not indexes.no_index:
            check_index_access(
                names[0],
                options=self._source_options(),
                environment=_environment(indexes),
                project=self.project,
            )

    def _with_hashes(self, found: Mapping[str, str]) -> list[str]:
        """The pins with the hashes that the user demands, or else those that the index tells.

        With a hash for one requirement there must be one for each, as pip has it:
        https://pip.pypa.io/en/stable/topics/secure-installs/
        """
        own: dict[str, list[str]] = {}
        for line in self._content.lines:
            own.setdefault(line.name, []).append(line.text)
        if not any("--hash" in line for lines in own.values() for line in lines):
            return list(found.values())
        chosen = []
        for pin in found:
            lines = own.get(_canonical_name(pin), [])
            if not any("--hash" in line for line in lines):
                raise UserError(
                    f"{self.requirements.name} has hashes, but none for {pin}",
                    hint="list all versions with their hashes: pip-compile --generate-hashes",
                )
            chosen += lines
        return chosen

    def install(self, pins: Path, prefix: Prefix) -> None:
        """Installs what ``pins`` lists into ``prefix``.

        :raises CannotServeError: when one of them must be compiled.
        """
        self._install(pins, prefix)
        if changed := changed_distributions(prefix):
            self.say(
                f"uv's cache has other files of {', '.join(changed)} than the wheels: without it"
            )
            shutil.rmtree(prefix.root)
            prefix.site_packages.mkdir(parents=True)
            # A wheel whose RECORD is wrong itself is taken then, as pip takes it.
            self._install(pins, prefix, "--no-cache")
        requested = self.requested()
        for installed in list(adopt(prefix)):
            name = _distribution_name(installed.dist_info)
            finish(prefix, installed, requested=name in requested)
        (prefix.root / ".lock").unlink(missing_ok=True)

    def _install(self, pins: Path, prefix: Prefix, *options: str) -> None:
        arguments = ["install", "--no-deps", "--requirement", str(pins), "--link-mode", "copy"]
        arguments += ["--prefix", str(prefix.root), *options]
        try:
            self._uv(*arguments, "--no-build", tell_failure=False)
        except UserError:
            # One of them has no wheel: it is built, and what comes out must suit the image.
            self._uv(*arguments)
            self._move(prefix)
            self._refuse_compiled(prefix)
        else:
            self._move(prefix)

    def _move(self, prefix: Prefix) -> None:
        """uv lays out the environment for its own Python's version; this makes it the image's."""
        for site in (prefix.root / "lib").glob("python3.*/site-packages"):
            if site != prefix.site_packages:
                prefix.site_packages.parent.mkdir(parents=True, exist_ok=True)
                site.rename(prefix.site_packages)
                site.parent.rmdir()
        for headers in (prefix.root / "include" / "site").glob("python3.*"):
            headers.rename(headers.with_name(f"python{self.interpreter.minor}"))

    def _refuse_compiled(self, prefix: Prefix) -> None:
        for info in sorted(prefix.site_packages.glob("*.dist-info")):
            tags = re.findall(r"^Tag:\s*(\S+)", (info / "WHEEL").read_text("utf-8"), re.MULTILINE)
            if any(self._suits(tag) for tag in tags) or self._was_handed_in(info.name):
                continue
            name, version = info.name.removesuffix(".dist-info").rsplit("-", 1)
            raise CannotServeError(
                f"{name} {version} has no wheel for the image and must be compiled",
                hint="hand in a wheel by find-links, or let the engine build: "
                'builder = "engine" in [tool.bigflow.image]',
            )

    def _suits(self, tag: str) -> bool:
        """Whether a wheel with the tag runs in the image; what was compiled here may not."""
        python, _abi, platform = tag.rsplit("-", 2)
        if platform.startswith(("manylinux", "musllinux")):
            return True  # it was chosen for the image, not built
        pure = re.fullmatch(r"(?:py|cp)3(?P<minor>\d*)", python)
        if platform != "any" or pure is None:
            return False
        return int(pure["minor"] or 0) <= int(self.interpreter.minor.partition(".")[2])

    def _was_handed_in(self, dist_info: str) -> bool:
        stem = dist_info.removesuffix(".dist-info")
        return any(any(d.glob(f"{stem}-*.whl")) for d in self.find_links)

    def _uv(self, *arguments: str, tell_failure: bool = True) -> None:
        """Runs ``uv pip ARGUMENTS`` for the image's platform.

        ``tell_failure`` is for an attempt that is not the last: what uv says of it is not shown.

        :raises UserError: with what uv said.
        """
        indexes = configured_indexes(self.project)
        command = [
            find_uv("building an image without an engine"), "pip", *arguments,
            "--python", sys.executable,
            "--python-version", self.interpreter.version,
            "--python-platform", _platform(self.interpreter),
            *(["--no-index"] if indexes.no_index else []),
            *(f"--find-links={place}" for place in (*self.find_links, *indexes.find_links)),
            *self._uv_flags(),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                cwd=self.project,
                env=_environment(indexes),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"installing the dependencies took longer than {self.timeout} seconds",
                hint="raise timeout in [tool.bigflow.image]",
            ) from error
        lines = redacted(done.stderr).splitlines()
        for line in lines if tell_failure or not done.returncode else ():
            if not any(
                "unsupported option in" in line and f"`{flag}`" in line for flag in _UV_FLAGS
            ):
                self.say(line)
        if done.returncode:
            raise _failure(lines)


def _environment(indexes: Indexes) -> dict[str, str]:
    """uv's."""
    return {
        **{k: v for k, v in os.environ.items() if k not in _NOT_FOR_UV},
        **indexes.environment,
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


# They would change what is installed, or for whom.
_NOT_FOR_UV = {
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_COMPILE_BYTECODE",
    "UV_REQUIRE_HASHES",
    "UV_FIND_LINKS",
}


def _platform(interpreter: Interpreter) -> str:
    """What uv calls the image's platform.

    :raises CannotServeError: for one that it has no wheels for.
    """
    machine = _MACHINES.get(interpreter.architecture)
    if machine is None:
        raise CannotServeError(f"the base image is for {interpreter.architecture}")
    if interpreter.libc == "musl":
        return f"{machine}-unknown-linux-musl"
    minor = int(interpreter.libc_version.partition(".")[2])
    known = [m for m in _GLIBC_MINORS if m <= minor]
    if not known:
        raise CannotServeError(f"the base image has the GNU C library {interpreter.libc_version}")
    return f"{machine}-manylinux_2_{known[-1]}"


def _distribution_name(dist_info: str) -> str:
    return _canonical_name(dist_info.removesuffix(".dist-info").rsplit("-", 1)[0])


def _canonical_name(requirement: str) -> str:
    """Return the normalised name at the start of ``NAME==VERSION``, ``NAME[EXTRA]==VERSION``."""
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(re.split(r"[\[= ]", requirement, maxsplit=1)[0]))


_HASH_MISMATCH = re.compile(
    r"Hash mismatch for `?(?P<what>[^`\s]+)`? Expected: sha256:(?P<expected>\w+)"
    r"(?: sha\d+:\w+)* Computed: (?:sha\d+:\w+ )*?sha256:(?P<computed>\w+)"
)


def _failure(lines: Sequence[str]) -> UserError:
    """One line of what uv said in many: its diagnosis is a tree of them."""
    text = " ".join(re.sub(r"^[^\w`]+", "", line).strip() for line in lines if line.strip())
    if changed := _HASH_MISMATCH.search(text):
        return UserError(
            f"{changed['what']} is not the file that was asked for: its SHA-256 is"
            f" {changed['computed']}, not {changed['expected']}",
            hint="find out who changed it before you change the hash in resources/requirements.txt",
        )
    built = re.search(r"Failed to (?:build|download and build) `?(?P<what>[^`\s]+)`?", text)
    if built:
        return CannotServeError(
            f"{built['what']} has no wheel for the image, and cannot be built here",
            hint="hand in a wheel by find-links, or let the engine build: "
            'builder = "engine" in [tool.bigflow.image]',
        )
    if unfetched := re.search(r"Failed to fetch: `?(?P<url>[^\s`]+)", text):
        cause = text.rpartition("cause: ")[2]
        # What uv says in full is the URL once more: ... for url (https://...)
        cause = re.sub(r" for url \(\S+\)", "", cause)
        return UserError(
            f"the dependencies cannot be had: {unfetched['url']} cannot be fetched: {cause}",
            hint="check the way to that index, and how pip and uv are configured",
        )
    start = text.find("Because ")
    said = text[start:] if start >= 0 else re.sub(r"^.*?\berror: ", "", text)
    said, _, more = said.partition(" hint:")
    hint = "correct resources/requirements.txt, or bring the missing wheels by find-links"
    if refused := re.search(r"\bindex(?: URL)? \((?P<url>\S+)\) .*?\b(?P<status>40[13])\b", more):
        hint = (
            f"the index {refused['url']} answered {refused['status']}: correct its credentials, in "
            "its URL, in the netrc, or as uv is configured"
        )
    return UserError(f"the dependencies cannot be had: {said}", hint=hint)
