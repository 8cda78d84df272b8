"""buildah, debootstrap and runc: whether they can be had here, and buildah with a storage of our own."""

import contextlib
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers.cache import cache_dir, locked
from tests.servers.programs import MissingProgram, run
from tests.servers.tools import why_missing

_TOOLS = {"buildah": "buildah", "debootstrap": "debootstrap", "runc": "runc", "unshare": "util-linux"}


class ImagesUnavailable(RuntimeError):
    """Images can't be built or run on this machine; the message is a sentence that says why."""


@functools.cache
def why_unavailable() -> str | None:
    """Why images can't be built here, as a sentence; None when they can, which may install packages first."""
    return why_missing("Images", _TOOLS)


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
