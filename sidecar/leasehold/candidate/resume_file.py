"""The candidate of this pod, on disk, so that a container that restarts can resume its own term.

The file is bound to the etcd cluster, root, lock, pod and lease. It holds no deadline: a deadline is never read from
disk. Before a delete or revoke of the lease is sent, the file is marked. A marked lease is never resumed, since such a
request may still be under way. A handover waits for the mark: a file marked ahead of time, while its candidate still
leads or still drains, would cost the term, or the work, of a container that is killed then and restarts.

But it does not wait for the disk. Whatever ends this process or its container, the kernel has the mark, and shows it to
the next process. Only a kernel that ends, too, may lose it: by power, a crash, or a machine that is restarted. So the
file names the boot of the kernel that wrote it, and the candidate of an earlier boot is not resumed. That costs next to
nothing: booting takes longer than most leases last. If the kernel tells no boot, each mark is synced to the disk.
Then there are disks that fail after the kernel has taken a write: before an unmarked file counts, it is synced, which
fails if a write of it has failed.

The app may share the directory, and leave anything under the file's name. What is no regular file is neither read nor
written to, since a pipe may never answer; and no more is read than a file of ours can have.

The directory is locked for the life of the process. All methods block on the disk: call them from a thread.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import stat
import threading
from pathlib import Path
from typing import Any, Final

from leasehold.candidate.new_file import fresh
from leasehold.election.events import Resumable
from leasehold.lock.spec import MAX_LEASE

_log = logging.getLogger("leasehold.resume_file")
FILE: Final = "resume.json"
LOCK: Final = "lock"
_UINT64: Final = 2**64 - 1
_MOST_BYTES: Final = 64 * 1024
_sync_data: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


_MARKED: Final = b'{"marked": true , '
_UNMARKED: Final = b'{"marked": false, '
_UUID_LENGTH: Final = 36
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What this run of the machine's kernel is called, in all of its containers; empty if the kernel does not say."""
    try:
        found = _BOOT_ID.read_text().strip()
    except (OSError, ValueError):
        return ""
    return found if len(found) == _UUID_LENGTH else ""


class DirectoryInUse(Exception):
    """Another process has locked the state directory."""


class ResumeFile:
    """`resume.json` in a state directory that only this process uses."""

    def __init__(self, directory: Path, binding: dict[str, str], boot: str = "") -> None:
        """Lock the directory. A candidate is resumed only if the file has the same `binding`.

        `boot` is the kernel's `boot_id`, empty if that is not known. Raises DirectoryInUse if another process has
        locked the directory, OSError if it cannot be written.
        """
        self._path = directory / FILE
        self._binding = binding
        self._boot = boot
        self._kept: Resumable | None = None
        self._unmarked = b""
        """The whole file, if it is as we write it; encoded before somebody waits for its mark."""
        self._turn = threading.Lock()  # a step that hangs keeps it, though its caller gave up: none may overtake it
        self._marked: set[int] = set()
        self.ghost: int | None = None
        """After `load`: the lease of a candidate that was given up; its key may still exist."""
        self._lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DirectoryInUse(str(directory)) from None

    def load(self) -> Resumable | None:
        """The candidate to resume, if there is one. A file that cannot be used is logged and ignored."""
        with self._turn:
            return self._load()

    def _load(self) -> Resumable | None:
        try:
            fields = json.loads(self._read())
            kept = Resumable(
                _integer(fields, "lease", MAX_LEASE),
                _integer(fields, "token", MAX_LEASE),
                _integer(fields, "cluster", _UINT64),
            )
            bound, marked = fields["binding"] == self._binding, fields["marked"] is not False
            # a file that names no boot has had its mark synced, if it has one
            lost = fields.get("boot", self._boot) != self._boot
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("the resume file %s cannot be used, joining as a new candidate: %s", self._path, error)
            return None
        given_up = marked or lost
        self.ghost = kept.lease if bound and given_up else None
        self._kept = kept if bound and not given_up else None
        self._unmarked = self._content(kept, marked=False)
        return self._kept

    def _read(self) -> bytes:
        with open(self._open(os.O_RDONLY), "rb") as file:
            content = file.read(_MOST_BYTES + 1)
            os.fsync(file.fileno())
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return content

    def _open(self, flags: int) -> int:
        """A descriptor of the file. Raises OSError, also for a link or anything else that is no file of its own."""
        descriptor = os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file")
        return descriptor

    def save(self, candidate: Resumable) -> None:
        """Remember this candidate, unless its lease was marked meanwhile. Raises OSError."""
        with self._turn:
            if candidate.lease in self._marked:
                return
            self._kept = candidate  # from here on it may be on the disk, even if the write fails half-way
            self._unmarked = self._content(candidate, marked=False)
            self._write(candidate, marked=False)

    def mark(self, lease: int) -> None:
        """Ensure that this lease is never resumed: on return the kernel or the disk has the mark. Raises OSError."""
        self._marked.add(lease)  # before the lock is taken, so that a `save` that waits for the lock sees it
        with self._turn:
            if self._kept is not None and self._kept.lease == lease:
                if not self._mark_in_place():
                    self._write(self._kept, marked=True)
                self._kept = None

    def close(self) -> None:
        """Unlock the directory."""
        os.close(self._lock)

    def _content(self, candidate: Resumable, *, marked: bool) -> bytes:
        """The mark comes first and has a fixed length, so it can be set in place."""
        fields: dict[str, Any] = {"lease": candidate.lease, "token": candidate.token, "cluster": candidate.cluster}
        if self._boot:
            fields["boot"] = self._boot
        rest = json.dumps({**fields, "binding": self._binding})
        return (_MARKED if marked else _UNMARKED) + rest[1:].encode()

    def _mark_in_place(self) -> bool:
        """Overwrite the mark alone, if the file is as we wrote it. Returns whether it was. Raises OSError.

        A handover waits for this. No block is allocated and no name changes, so it is one write to the kernel's memory.
        A write that is cut short leaves a file that is still unmarked (nothing was sent then) or one that cannot be
        parsed (nothing is resumed then).
        """
        before = self._unmarked
        try:
            descriptor = self._open(os.O_RDWR)
        except OSError:  # there is none, or it is not ours
            return False
        try:
            if os.read(descriptor, len(before) + 1) != before:
                return False
            if os.pwrite(descriptor, _MARKED + before[len(_MARKED) :], 0) != len(before):
                raise OSError(errno.EIO, "the mark was cut short")
            if not self._boot:
                _sync_data(descriptor)
        finally:
            os.close(descriptor)
        return True

    def _write(self, candidate: Resumable, *, marked: bool) -> None:
        temporary = self._path.with_suffix(".new")
        with fresh(temporary, 0o600) as file:
            file.write(self._content(candidate, marked=marked))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _integer(fields: dict[str, Any], name: str, most: int) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} is not an integer from 0 to {most}")
    return value
