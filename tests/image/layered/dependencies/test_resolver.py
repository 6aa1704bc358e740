"""Dependencies for another platform than this: the choice of wheels, sdists, hashes, options."""

from __future__ import annotations

import hashlib
import platform
import shutil
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.standard import CannotServeError
from support.distribution import make_wheel
from support.images import small_base
from support.layered import make_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from support.layered import LayeredProject

_MINOR = ".".join(platform.python_version_tuple()[:2])
_SITE = f"app/lib/python{_MINOR}/site-packages"


def test_the_platform_is_the_images(layered_project: LayeredProject, tmp_path: Path) -> None:
    """Markers and wheels are chosen for Python 3.12 on glibc 2.28, whatever runs this test."""
    for name in ("late", "early"):
        make_wheel(layered_project.wheels, name, "1.0", {f"{name}.py": ""})
    wheel = make_wheel(tmp_path, "native", "1.0", {"native.py": ""})
    for tag in ("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_31_x86_64"):
        number = "1.0" if "2_28" in tag else "2.0"
        wheel = make_wheel(tmp_path, "native", number, {"native.py": f"# {tag}\n"})
        wheel.rename(layered_project.wheels / f"native-{number}-{tag}.whl")
    layered_project.require(
        "native", 'late; python_version >= "3.12"', 'early; python_version < "3.12"'
    )
    base = small_base(tmp_path / "other.tar", version="3.12.4", glibc="2.28")
    image = layered_project.build(base_image=base)
    assert layered_project.info(image)["dependencies"] == [
        "bigflow-backend==0.1.0",
        "late==1.0",
        "native==1.0",
    ]
    files = layered_project.files(image).files
    native = files["app/lib/python3.12/site-packages/native.py"].content
    assert native == b"# cp312-cp312-manylinux_2_28_x86_64\n"


def test_an_sdist_of_pure_python(layered_project: LayeredProject) -> None:
    make_sdist(layered_project.wheels, "plain", "1.0")
    layered_project.require("plain")
    files = layered_project.files(layered_project.build()).files
    assert files[f"{_SITE}/plain.py"].content == b""
    assert files[f"{_SITE}/plain-1.0.dist-info/INSTALLER"].content == b"uv"
    assert f"{_SITE}/plain-1.0.dist-info/REQUESTED" in files
    assert f"{_SITE}/plain-1.0.dist-info/uv_cache.json" not in files


def test_an_sdist_that_must_be_compiled(layered_project: LayeredProject) -> None:
    minor = _MINOR.replace(".", "")
    make_sdist(layered_project.wheels, "native", "1.0", tag=f"cp{minor}-cp{minor}-linux_x86_64")
    layered_project.require("native")
    with pytest.raises(CannotServeError) as caught:
        layered_project.build()
    assert caught.value.message == "native 1.0 has no wheel for the image and must be compiled"


def test_an_sdist_that_cannot_be_built(layered_project: LayeredProject) -> None:
    make_sdist(layered_project.wheels, "native", "1.0", before="raise SystemExit('no compiler')")
    layered_project.require("native")
    with pytest.raises(CannotServeError) as caught:
        layered_project.build()
    assert caught.value.message == (
        "native==1.0 has no wheel for the image, and cannot be built here"
    )


def test_a_library_that_does_not_exist(layered_project: LayeredProject) -> None:
    layered_project.require("no-such-library>=2")
    with pytest.raises(UserError) as caught:
        layered_project.build()
    message = caught.value.message
    assert message.startswith("cannot install the dependencies: Because no-such-library was not ")
    assert "\n" not in message
    assert "requirements.txt" in caught.value.hint


def test_versions_that_contradict(layered_project: LayeredProject) -> None:
    make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    layered_project.require("library==1.0", "library==2.0")
    with pytest.raises(UserError, match=r"library==1\.0 and library==2\.0") as caught:
        layered_project.build()
    assert "library==2.0" not in "\n".join(layered_project.said)  # the error alone explains it
    assert caught.value.hint.startswith("correct resources/requirements.txt")


def test_hashes_are_checked(layered_project: LayeredProject) -> None:
    wheel = make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    ours = next(layered_project.wheels.glob("bigflow*"))

    def pin(name: str, digest: str) -> str:
        return f"{name} --hash=sha256:{digest}"

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    requirements = "resources/requirements.txt"
    good = pin("bigflow-backend==0.1.0", digest(ours))
    layered_project.write({requirements: f"{good}\n{pin('library==1.0', digest(wheel))}\n"})
    layered_project.build()
    layered_project.write({requirements: f"{good}\n{pin('library==1.0', '0' * 64)}\n"})
    with pytest.raises(UserError) as caught:
        layered_project.build()
    assert caught.value.message == (
        f"library==1.0 has a wrong hash: got SHA-256 {digest(wheel)}, expected {'0' * 64}"
    )


def test_the_hash_of_an_sdist_is_checked(layered_project: LayeredProject) -> None:
    """The error does not point to another builder, which could not fix it."""
    make_sdist(layered_project.wheels, "source", "1.0")
    layered_project.write({"resources/requirements.txt": f"source==1.0 --hash=sha256:{'0' * 64}"})
    with pytest.raises(UserError, match=r"source==1\.0 has a wrong hash") as caught:
        layered_project.build()
    assert not isinstance(caught.value, CannotServeError)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("-e .", "an editable requirement cannot be a dependency of a wheel"),
        ("./library", "'./library' is not a valid requirement"),
        ("library @ file:///srv/library", "library @ file:///srv/library is a file of this mach"),
    ],
)
def test_a_path_of_this_machine(layered_project: LayeredProject, line: str, problem: str) -> None:
    layered_project.require("# a comment", line)
    with pytest.raises(UserError) as caught:
        layered_project.build()
    assert caught.value.message.startswith(f"requirements.txt, line 3: {problem}")


def test_the_line_after_a_continued_line(layered_project: LayeredProject) -> None:
    layered_project.require("six \\\n  >=1", "library @ file:///srv/library")
    with pytest.raises(UserError) as caught:
        layered_project.build()
    assert caught.value.message.startswith("requirements.txt, line 4: library @ file:")


def test_the_hashes_of_an_included_file_are_kept(layered_project: LayeredProject) -> None:
    make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    layered_project.write(
        {
            "resources/requirements.txt": "-r 'more libraries.txt'\n",
            "resources/more libraries.txt": f"library==1.0 --hash=sha256:{'0' * 64}\n",
        }
    )
    with pytest.raises(UserError, match=r"library==1\.0 has a wrong hash"):
        layered_project.build()


def test_requirements_in_utf_16(layered_project: LayeredProject) -> None:
    """PowerShell redirects ``pip freeze`` to such a file."""
    make_wheel(layered_project.wheels, "library", "1.0", {"library.py": ""})
    file = layered_project.root / "resources" / "requirements.txt"
    file.write_bytes("bigflow-backend\nlibrary # caf\xe9\n".encode("utf-16"))
    image = layered_project.build()
    assert "library==1.0" in layered_project.info(image)["dependencies"]


def test_distributions_of_the_base_are_kept(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(layered_project.wheels, "library", version, {"library.py": ""})
    base = small_base(
        tmp_path / "with.tar",
        version=platform.python_version(),
        files={f"usr/local/lib/python{_MINOR}/site-packages/library-1.0.dist-info/METADATA": ""},
    )
    layered_project.require("library")
    image = layered_project.build(base_image=base)
    assert layered_project.info(image)["dependencies"] == ["bigflow-backend==0.1.0"]
    layered_project.require("library>1")
    image = layered_project.build(base_image=base)
    assert "library==2.0" in layered_project.info(image)["dependencies"]


def test_find_links_must_be_a_directory(layered_project: LayeredProject, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a directory"):
        layered_project.build(find_links=(tmp_path / "none",))


def test_options_of_pips(layered_project: LayeredProject) -> None:
    """Options that uv does not read in requirements.txt count as well."""
    wheels = layered_project.wheels
    make_wheel(wheels, "new", "1.0", {"new.py": ""})
    make_wheel(wheels, "new", "2.0b1", {"new.py": ""})
    make_wheel(wheels, "built", "1.0", {"built.py": "WHEEL = True\n"})
    make_sdist(wheels, "built", "1.0")

    def dependencies(*lines: str) -> list[str]:
        layered_project.require(*lines)
        image = layered_project.build()
        built = layered_project.files(image).files.get(f"{_SITE}/built.py")
        from_sdist = ["from its sdist"] if built and not built.content else []
        found: list[str] = layered_project.info(image)["dependencies"]
        return found[1:] + from_sdist

    assert dependencies("new", "built") == ["built==1.0", "new==1.0"]
    assert dependencies("--pre", "new") == ["new==2.0b1"]
    expected = ["built==1.0", "from its sdist"]
    assert dependencies("--no-binary built", "--trusted-host localhost", "built") == expected
    layered_project.write({"resources/limits.txt": "new<2\n"})
    assert dependencies("--pre", "-c limits.txt", "new") == ["new==1.0"]
    assert not any("unsupported option" in line for line in layered_project.said)


def test_a_file_that_was_edited_in_uvs_cache(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That happens to users who edit a library in an environment that is linked to the cache."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    make_wheel(layered_project.wheels, "library", "1.0", {"library.py": "X = 1\n"})
    layered_project.require("library")
    image = layered_project.build()
    (cached,) = (tmp_path / "uv").rglob("library.py")
    cached.write_text("X = 2  # to try something\n")
    shutil.rmtree(tmp_path / "cache")
    again = layered_project.build()
    assert layered_project.files(again).files[f"{_SITE}/library.py"].content == b"X = 1\n"
    assert again.digest == image.digest
    assert any("uv's cache has changed files of library-1.0" in s for s in layered_project.said)
