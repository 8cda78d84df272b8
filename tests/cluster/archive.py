"""Images made of a few static programs and nothing else, as docker-archives that containerd imports."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

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


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
