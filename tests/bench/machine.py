"""What it is measured on: without this, no figure means anything."""

import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.samples import Sample, Table, milliseconds
from tests.servers import program

_SYNCS = 200


def table(notes: tuple[str, ...] = ()) -> Table:
    """The machine, its disk and the programs."""
    rows = [
        ("CPU", f"{_cpu()}, {os.cpu_count()} cores"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("priority", f"nice {os.nice(0)}"),
        ("load average before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("etcd", f"{_etcd()}, one member, loopback, no TLS"),
        ("disk under etcd", f"{_file_system(Path(tempfile.gettempdir()))}, {_fsync()}"),
    ]
    return Table("Measured on", ("",), [list(row) for row in rows], notes)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _etcd() -> str:
    answer = subprocess.run([program("etcd-3.7"), "--version"], capture_output=True, text=True, timeout=30, check=True)
    return answer.stdout.splitlines()[0].replace("etcd Version:", "etcd")


def _file_system(place: Path) -> str:
    """The type of the file system that `place` is on: `tmpfs` would make every sync free."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [(point, kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(inside, key=lambda mount: len(mount[0]))[1]


def _fsync() -> str:
    """How long the disk takes to confirm a small write, as each write of etcd has to wait for it."""
    sample = Sample("fsync")
    with tempfile.TemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 2048)
            file.flush()
            begun = time.monotonic()
            os.fdatasync(file.fileno())
            sample.add(time.monotonic() - begun)
    return f"fdatasync p50 {milliseconds(sample.percentile(50))}, p99 {milliseconds(sample.percentile(99))}"
