"""buildah, debootstrap and runc: whether they can be had here, and buildah with a storage of our own."""

import contextlib
import functools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers.cache import cache_dir, locked
from tests.servers.programs import MissingProgram, run

_TOOLS = ("buildah", "debootstrap", "runc", "unshare")
_PACKAGES = ("buildah", "debootstrap", "runc", "util-linux")


class ImagesUnavailable(RuntimeError):
    """Images can't be built or run on this machine; the message is a sentence that says why."""


@functools.cache
def why_unavailable() -> str | None:
    """Why images can't be built here, as a sentence; None when they can, which may install packages first."""
    try:
        _require_tools()
    except ImagesUnavailable as error:
        return str(error)
    return None


def _require_tools() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ImagesUnavailable("Building and running the image needs root on Linux.")
    if all(map(shutil.which, _TOOLS)):
        return
    if not shutil.which("apt-get"):
        raise ImagesUnavailable(
            f"The image needs {', '.join(_TOOLS)}, and this machine has no apt-get to install them."
        )
    try:
        _install()
    except MissingProgram as error:
        raise ImagesUnavailable(f"The image needs {', '.join(_TOOLS)}, and apt-get failed: {error}") from error


def _install() -> None:
    print(f"image: installing {' '.join(_PACKAGES)} …", flush=True)
    started = time.monotonic()
    with locked(_directory() / ".apt.lock"):
        run(["apt-get", "update"])
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]  # seconds, for an apt of the machine's own
        run(["apt-get", "install", *wait, "--yes", "--no-install-recommends", *_PACKAGES], env=env)
    print(f"image: installed them in {time.monotonic() - started:.0f} s", flush=True)


def _directory() -> Path:
    directory = cache_dir() / "images"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


# --- buildah ------------------------------------------------------------------------------------------------


def buildah(*arguments: str | Path) -> str:
    """The output of a buildah command on our own storage. Raises MissingProgram when it fails."""
    return run(["buildah", *_storage(_driver()), *arguments], env=_environment())


def image_exists(name: str) -> bool:
    """Whether the storage holds an image of this name."""
    return any(name in (image["names"] or []) for image in images())


def images() -> list[dict[str, Any]]:
    """The images in the storage, as `buildah images --json` has them."""
    found: list[dict[str, Any]] = json.loads(buildah("images", "--json")) or []
    return found


@contextlib.contextmanager
def exclusive_storage() -> Iterator[None]:
    """Build alone, after removing what builds and mounts that were killed have left behind."""
    with locked(_directory() / ".build.lock"):
        _sweep()
        yield


def _sweep() -> None:
    for bundle in bundles().iterdir():
        if _owner_is_dead(bundle.name):
            run([*runc(bundle), "delete", "--force", bundle.name])
            shutil.rmtree(bundle)
    for container in json.loads(buildah("containers", "--json")) or []:
        name: str = container["containername"]
        if name.endswith("-working-container") or _owner_is_dead(name):
            buildah("rm", name)


def working_name() -> str:
    """A name for a container that tells whose it is, so that it can be removed after its owner was killed."""
    return f"leasehold-{os.getpid()}-{time.monotonic_ns()}"


def _owner_is_dead(name: str) -> bool:
    prefix, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    return prefix == "leasehold" and pid.isdigit() and not Path(f"/proc/{pid}").exists()


def bundles() -> Path:
    """Where running containers have their directories, each named as its container."""
    directory = _directory() / "bundles"
    directory.mkdir(exist_ok=True)
    return directory


def runc(bundle: Path) -> list[str | Path]:
    """The beginning of each runc command on the container of this directory."""
    return ["runc", "--root", bundle / "state"]


@functools.cache
def _driver() -> str:
    """overlay where its mounts work, else vfs, which copies everything: an overlay can't lie on an overlay."""
    with tempfile.TemporaryDirectory(dir=_directory()) as place:
        lower, upper, work, merged = (Path(place) / name for name in ("lower", "upper", "work", "merged"))
        for directory in (lower, upper, work, merged):
            directory.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        try:
            run(["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", merged])
        except MissingProgram:
            return "vfs"
    return "overlay"


def _storage(driver: str) -> list[str | Path]:
    return ["--root", _directory() / driver, "--runroot", _directory() / f"{driver}-run", "--storage-driver", driver]


def _environment() -> dict[str, str]:
    # chroot isolation needs neither cgroups nor a network of its own, so it works inside other containers too.
    return {**os.environ, "BUILDAH_ISOLATION": "chroot"}
