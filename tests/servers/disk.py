"""A disk that can hang: an ext4 image on a loop device, frozen by the kernel. Needs root and loop devices.

The image lies in memory: a freeze first writes back what is dirty, and the machine's own disk is as slow as others
make it.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.servers.process import ProcessFailed

# Outlives the test run just long enough to clean up: a frozen file system that nobody thaws would hang for ever
# whatever touches it. The end of standard input says that the run is over, in whatever way.
_GUARDIAN = """
set -eu
mount -t tmpfs -o "size=$2m" leasehold-disk "$1/memory"
truncate --size "$2M" "$1/memory/image"
mkfs.ext4 -q "$1/memory/image"
mount -o loop "$1/memory/image" "$1/mount"
echo mounted
cat >/dev/null || true
fsfreeze --unfreeze "$1/mount" 2>/dev/null || true
umount "$1/mount" 2>/dev/null || umount --lazy "$1/mount"
umount "$1/memory" 2>/dev/null || umount --lazy "$1/memory"
rm -rf "$1"
"""


def disks_available() -> bool:
    """True where such a disk can be made: for root, with a loop device and ext4's tools."""
    tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "fsfreeze", "mount"))
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and tools


class Disk:
    """A file system of its own at `path`, whose writes and fsyncs hang between `freeze` and `thaw`.

    Close it before the servers on it: a process that hangs in a frozen file system can't even be killed.
    """

    def __init__(self, megabytes: int = 256) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="leasehold-disk-"))
        self._frozen = False
        self.path = self._directory / "mount"
        for folder in (self.path, self._directory / "memory"):
            folder.mkdir()
        self._guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "disk", str(self._directory), str(megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._guardian.stdout is not None
        if self._guardian.stdout.readline() != b"mounted\n":
            raise ProcessFailed("could not mount an ext4 image through a loop device; mount says why on standard error")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def freeze(self) -> None:
        """Let every write and fsync hang from now on."""
        subprocess.run(["fsfreeze", "--freeze", str(self.path)], check=True, timeout=30)
        self._frozen = True

    def thaw(self) -> None:
        """Let the disk work again."""
        if self._frozen:
            subprocess.run(["fsfreeze", "--unfreeze", str(self.path)], check=True, timeout=30)
            self._frozen = False

    def close(self) -> None:
        """Thaw, unmount and remove it, also under a process that still uses it."""
        self.thaw()
        self._guardian.communicate(timeout=60)  # closes its standard input, which ends it
