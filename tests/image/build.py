"""Our image, built from the Dockerfile on the local base, with the wheels that the host's own pip has downloaded.

The Dockerfile is used as anyone uses it; only pip's settings, a secret of the build, say where the wheels are.
"""

import contextlib
import hashlib
import json
import platform
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leasehold import __version__
from tests.image.base import PYTHON, base_image
from tests.image.tools import buildah, exclusive_storage, image_exists, images, working_name
from tests.servers.cache import cached
from tests.servers.programs import MissingProgram, run

ROOT = Path(__file__).resolve().parent.parent.parent
CONTEXT = ("Dockerfile", ".dockerignore", "pyproject.toml", "sidecar")
"""What of a checkout goes into an image."""
_NAME = "localhost/leasehold"
_KEPT = 6  # newest images: other checkouts and extras on this machine have theirs, and the earlier release
_GLIBC = ("manylinux_2_39", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True)
class Image:
    """An image in our storage, and the base that it was built on."""

    name: str
    base: str

    def config(self) -> dict[str, Any]:
        """Its OCI configuration: `User`, `Env`, `Entrypoint`, `Labels` …"""
        config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", self.name))["OCIv1"]["config"]
        return config

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """Its files, as a container sees them; what is written there is lost at the end."""
        with _mounted(self.name) as place:
            yield place

    def save(self, file: Path) -> None:
        """Write it as a docker-archive, for `ctr images import` or `docker load`."""
        file.unlink(missing_ok=True)  # an archive can't be added to
        buildah("push", "--quiet", self.name, f"docker-archive:{file}:{self.name}")

    def size_over_base(self) -> int:
        """Bytes that it takes unpacked, beyond what the base takes."""
        with _mounted(self.name) as ours, _mounted(self.base) as base:
            return _size(ours) - _size(base)


def build_image(extras: str = "", checkout: Path = ROOT) -> Image:
    """The image of a checkout, this one's unless told, built if it isn't yet.

    `extras` are those of pyproject.toml that it holds too, such as "operator". Raises ImagesUnavailable, or
    MissingProgram with the log.
    """
    base = base_image()
    wheels = _wheels(checkout, extras)
    name = f"{_NAME}:{_digest(checkout, base, wheels.name, extras)}"
    with exclusive_storage():
        if not image_exists(name):
            started = time.monotonic()
            print(f"image: building {name} …", file=sys.stderr, flush=True)
            _build(name, checkout, {"BASE": base, "EXTRAS": extras, "VERSION": __version__}, wheels)
            print(f"image: built {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            _drop_old()
    return Image(name, base)


def _build(name: str, checkout: Path, arguments: Mapping[str, str], wheels: Path) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="leasehold-pip-", suffix=".conf") as pip:
        pip.write("[global]\nno-index = true\nfind-links = /given\n")
        pip.flush()
        buildah(
            "bud",
            "--pull-never",
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            *("--secret", f"id=pip,src={pip.name}", "--volume", f"{wheels}:/given:ro"),
            *("--ignorefile", checkout / ".dockerignore", "--file", checkout / "Dockerfile", "--tag", name, checkout),
        )


def _digest(checkout: Path, *others: str) -> str:
    """Changes with all that goes into the image."""
    digest = hashlib.sha256(repr((*others, __version__)).encode())
    for name in CONTEXT:
        place = checkout / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(checkout)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _drop_old() -> None:
    ours = [image for image in images() if any(name.startswith(f"{_NAME}:") for name in image["names"] or [])]
    for image in sorted(ours, key=lambda image: str(image["createdatraw"]), reverse=True)[_KEPT:]:
        with contextlib.suppress(MissingProgram):  # a container of another run uses it
            buildah("rmi", image["id"])


# --- wheels -------------------------------------------------------------------------------------------------


def _wheels(checkout: Path, extras: str) -> Path:
    """The directory with all wheels that the build installs, for the base's Python and this machine's processor.

    They come from wherever this machine's pip is told to look, so that no build needs to know of that.
    """
    wanted = _requirements(checkout, extras)
    platforms = [f"{glibc}_{platform.machine()}" for glibc in _GLIBC]

    def download(directory: Path) -> None:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        run([*pip, *target, *(f"--platform={name}" for name in platforms), "--dest", directory, *wanted])

    # Which further packages these need is decided by the Python that asks, so its version is part of the name.
    key = repr((wanted, platforms, PYTHON, sys.version_info[:2]))
    return cached(f"image-wheels-{hashlib.sha256(key.encode()).hexdigest()[:16]}", download)


def _requirements(checkout: Path, extras: str) -> list[str]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in filter(None, extras.split(",")):
        wanted += project["project"]["optional-dependencies"][extra]
    return wanted


# --- files --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _mounted(image: str) -> Iterator[Path]:
    container = working_name()
    buildah("from", "--pull-never", "--name", container, image)
    try:
        yield Path(buildah("mount", container).strip())
    finally:
        buildah("rm", container)  # and its mount


def _size(root: Path) -> int:
    """Bytes on disk of everything below, each hard-linked file once."""
    return int(run(["du", "--summarize", "--one-file-system", "--block-size=1", root]).split()[0])
