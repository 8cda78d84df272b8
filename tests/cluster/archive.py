"""Images made of a few static programs and nothing else, as docker-archives that containerd imports."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(file: Path, name: str, programs: Mapping[str, Path], entrypoint: Sequence[str]) -> None:
    """Write an image called `name` to `file`; `programs` are by their places in it."""
    layer = _tar({place: program.read_bytes() for place, program in programs.items()}, mode=0o755)
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {"layer.tar": layer, "config.json": json.dumps(config).encode(), "manifest.json": _bytes(manifest)}
    file.write_bytes(_tar(parts, mode=0o644))


def write_together(file: Path, archives: Sequence[Path]) -> None:
    """Write the images of these archives to one `file`: a layer that several have is in it once.

    Their parts must be named by what they hold, as those are that buildah writes.
    """
    manifest: list[dict[str, Any]] = []
    written: set[str] = set()
    with tarfile.open(file, "w") as into:
        for archive in archives:
            with tarfile.open(archive) as tar:
                images = json.loads(_content(tar, "manifest.json").read())
                manifest += images
                for name in (name for image in images for name in (image["Config"], *image["Layers"])):
                    if name not in written:
                        written.add(name)
                        into.addfile(tar.getmember(name), _content(tar, name))
        _add(into, "manifest.json", _bytes(manifest), 0o644)


def _content(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """A part of an archive, which is a file."""
    found = tar.extractfile(name)
    assert found is not None, f"{name} is no file"
    return found


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            _add(tar, name, content, mode)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
