"""The base image: Debian's own Python, where no registry of images can be reached.

It stands for the `python:3.13-slim` that the Dockerfile names: the same Debian release and the same Python, from apt.
"""

import hashlib
import shutil
from pathlib import Path

from tests.image.tools import ImagesUnavailable, buildah, exclusive_storage, image_exists, why_unavailable
from tests.servers.cache import cached
from tests.servers.programs import MissingProgram, run

SUITE = "trixie"
PYTHON = "3.13"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
_RECIPE = "FROM scratch\nADD rootfs.tar /\n"
_NOT_NEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "var/log")


def base_image() -> str:
    """The name of the base image in our storage, made first when it is missing: one to two minutes.

    Raises ImagesUnavailable, or MissingProgram with the log.
    """
    if reason := why_unavailable():
        raise ImagesUnavailable(reason)
    digest = hashlib.sha256(repr((SUITE, PACKAGES, _RECIPE, _NOT_NEEDED)).encode()).hexdigest()[:16]
    name = f"localhost/leasehold-base:{digest}"
    archive = cached(f"image-base-{digest}", _make_archive)
    with exclusive_storage():
        if not image_exists(name):
            buildah("bud", "--tag", name, "--file", archive / "Recipe", archive)
    return name


def _make_archive(directory: Path) -> None:
    root = directory / "rootfs"
    # In a mount namespace of its own, so that the /proc and /sys that it mounts are gone whatever happens.
    alone = ["unshare", "--mount", "--propagation", "private"]
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
    run([*alone, "debootstrap", *options, SUITE, root, *_mirror()])
    for place in _NOT_NEEDED:
        for entry in (root / place).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    run(["tar", "--directory", root, "--create", "--file", directory / "rootfs.tar", "."])
    shutil.rmtree(root)
    (directory / "Recipe").write_text(_RECIPE)


def _mirror() -> list[str]:
    """Where this machine's own apt gets Debian from; none when it knows no Debian: then debootstrap's default."""
    try:
        found = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages"])
    except MissingProgram:
        return []
    return found.split()[:1]
