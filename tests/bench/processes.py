"""Memory and CPU of a process, and the environment in which the measured ones run."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_CPU_CLOCK = 2  # the kernel's CPUCLOCK_SCHED: run time in nanoseconds, of all threads


@dataclass(frozen=True)
class Memory:
    """Resident bytes: `rss` with what is shared, `pss` with each shared page divided among those who share it.

    `anonymous` is what no file backs: no other process shares it, and the kernel cannot drop it.
    """

    rss: int
    pss: int
    anonymous: int


def memory(pid: int) -> Memory:
    """What the process has resident now. Raises OSError when it has ended."""
    fields: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * 1024
    return Memory(fields["Rss"], fields["Pss"], fields["Anonymous"])


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads so far, to the nanosecond; /proc/PID/stat knows only hundredths of a second."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def as_installed(cache: Path) -> dict[str, str]:
    """The environment of an installed program: byte code is kept (here in `cache`), not compiled at each start.

    Where PYTHONDONTWRITEBYTECODE is set, every start would compile everything, and keep 2 MB for it. As in the image,
    byte code is without docstrings, which are 2 MB, too.
    """
    drop = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONUNBUFFERED": ""}  # an empty variable counts as unset
    return {**drop, "PYTHONOPTIMIZE": "2", "PYTHONPYCACHEPREFIX": str(cache), "PYTHONPATH": os.getcwd()}
