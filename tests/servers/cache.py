"""Where built programs are kept: outside the checkout, so that every checkout and every run shares them.

An entry is made once, under a lock that other processes wait for, in a directory that gets its final name
only when it is complete: whatever finds the name can use what is in it.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/leasehold`, else `~/.cache/leasehold`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "leasehold"


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The directory `name` of the cache; when it is missing, `build` fills an empty one that then takes the
    name.
    """
    entry = cache_dir() / name
    if entry.is_dir():
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    with locked(entry.parent / f".{entry.name}.lock"):
        if not entry.is_dir():  # nobody else made it while we waited for the lock
            _make(entry, build)
    return entry


def _make(entry: Path, build: Callable[[Path], None]) -> None:
    print(f"servers: building {entry.relative_to(cache_dir())} …", file=sys.stderr, flush=True)
    started = time.monotonic()
    partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        build(partial)
        partial.chmod(0o755)  # mkdtemp made it private, but PostgreSQL and friends run as another user
        partial.rename(entry)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    print(
        f"servers: built {entry.relative_to(cache_dir())} in {time.monotonic() - started:.0f} s",
        file=sys.stderr,
        flush=True,
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process that asks for the same file waiting."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, so also with a process that is killed
        yield
