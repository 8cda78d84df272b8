"""A node's control groups: its pods' are below them, and all of its processes can be frozen or killed at once.

For the hierarchies of cgroup v1, each mounted below /sys/fs/cgroup.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.servers import wait_for

_MOUNTS = Path("/sys/fs/cgroup")
_NEEDED = ("freezer", "memory", "cpu", "cpuset", "pids", "devices")
_PREFIX = "leasehold"


def available() -> bool:
    """Whether this machine has what a node needs."""
    return all((_MOUNTS / name / "cgroup.procs").exists() for name in _NEEDED)


class Cgroup:
    """One control group in every hierarchy; `name` is its path below each mount: leasehold-PID-…, of its owner."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._freezer = _MOUNTS / "freezer" / name

    def places(self) -> list[Path]:
        """Its directory in each hierarchy."""
        return [mount / self.name for mount in _hierarchies()]

    def make(self) -> None:
        """Make it everywhere, with the processors and memory of the group above."""
        for place in self.places():
            place.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            above = _MOUNTS / "cpuset" / setting
            (_MOUNTS / "cpuset" / self.name / setting).write_text(above.read_text())

    @property
    def joining(self) -> str:
        """The shell command by which a process joins it, to be frozen and killed with it."""
        return f"echo $$ > {self._freezer}/cgroup.procs"

    def freeze(self) -> None:
        """Freeze every process in it and below, and wait until they stand still."""
        (self._freezer / "freezer.state").write_text("FROZEN")
        wait_for(lambda: (self._freezer / "freezer.state").read_text().strip() == "FROZEN", "the node to freeze")

    def thaw(self) -> None:
        """Let them go on."""
        with contextlib.suppress(FileNotFoundError):
            (self._freezer / "freezer.state").write_text("THAWED")

    def pids(self) -> list[int]:
        """Every process in it and below."""
        return [pid for group in _below(self._freezer) for pid in _pids(group)]

    def kill(self) -> None:
        """Kill them all, frozen ones too, and wait until they have ended."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.thaw()  # a frozen process ends only now
        wait_for(lambda: not self.pids(), "the node's processes to end")

    def remove(self) -> None:
        """Remove it everywhere, with the pods' below; no process may be left in it."""
        for place in self.places():
            for group in _below(place):
                with contextlib.suppress(OSError):
                    group.rmdir()


def of_container(container: str, within: Cgroup) -> list[int]:
    """The processes of the container of this id, its first one first."""
    found = [group for group in _below(_MOUNTS / "freezer" / within.name) if container in group.name]
    return sorted(pid for group in found for pid in _pids(group))


def sweep() -> None:
    """Kill and remove what runs that are dead have left behind."""
    for mount in _hierarchies():
        for entry in mount.glob(f"{_PREFIX}-*"):
            owner = entry.name.split("-")[1]
            if not owner.isdigit() or Path(f"/proc/{owner}").exists():
                continue
            left = Cgroup(entry.name)
            left.kill()
            left.remove()


def _hierarchies() -> Iterator[Path]:
    return (entry for entry in sorted(_MOUNTS.iterdir()) if (entry / "cgroup.procs").exists())


def _below(group: Path) -> list[Path]:
    """The group and all below it, the deepest first."""
    return [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]


def _pids(group: Path) -> list[int]:
    with contextlib.suppress(OSError):  # it has just gone
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    return []
