"""The candidate of this pod, on disk, so that a container that restarts can resume its own term.

The file is bound to the etcd cluster, root, lock, pod and lease. It holds no deadline: a deadline is never read from
disk. Before a delete or revoke of the lease is sent, the file is marked, and the mark is on the disk. A marked lease is
never resumed, since such a request may still be under way. A handover waits for the mark: a file marked ahead of time,
while its candidate still leads or still drains, would cost the term, or the work, of a container that is killed then
and restarts. The directory is locked for the life of the process. All
methods block on the disk: call them from a thread.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
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
_sync_data: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class DirectoryInUse(Exception):
    """Another process has locked the state directory."""


class ResumeFile:
    """`resume.json` in a state directory that only this process uses."""

    def __init__(self, directory: Path, binding: dict[str, str]) -> None:
        """Lock the directory. A candidate is resumed only if the file has the same `binding`.

        Raises DirectoryInUse if another process has locked it, OSError if it cannot be written.
        """
        self._path = directory / FILE
        self._binding = binding
        self._kept: Resumable | None = None
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
            fields = json.loads(self._path.read_bytes())
            kept = Resumable(
                _integer(fields, "lease", MAX_LEASE),
                _integer(fields, "token", MAX_LEASE),
                _integer(fields, "cluster", _UINT64),
            )
            bound, marked = fields["binding"] == self._binding, fields["marked"] is not False
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("the resume file %s cannot be used, joining as a new candidate: %s", self._path, error)
            return None
        self.ghost = kept.lease if bound and marked else None
        self._kept = kept if bound and not marked else None
        return self._kept

    def save(self, candidate: Resumable) -> None:
        """Remember this candidate, unless its lease was marked meanwhile. Raises OSError."""
        with self._turn:
            if candidate.lease in self._marked:
                return
            self._kept = candidate  # from here on it may be on the disk, even if the write fails half-way
            self._write(candidate, marked=False)

    def mark(self, lease: int) -> None:
        """Ensure that this lease is never resumed: on return the mark is on the disk. Raises OSError."""
        self._marked.add(lease)  # before the lock is taken, so that a `save` that waits for the lock sees it
        with self._turn:
            if self._kept is not None and self._kept.lease == lease:
                if not self._mark_in_place(self._kept):
                    self._write(self._kept, marked=True)
                self._kept = None

    def close(self) -> None:
        """Unlock the directory."""
        os.close(self._lock)

    def _content(self, candidate: Resumable, *, marked: bool) -> bytes:
        """The mark comes first and has a fixed length, so it can be set in place."""
        fields = {"lease": candidate.lease, "token": candidate.token, "cluster": candidate.cluster}
        rest = json.dumps({**fields, "binding": self._binding})
        return b'{"marked": %-5b, %b' % (b"true" if marked else b"false", rest[1:].encode())

    def _mark_in_place(self, candidate: Resumable) -> bool:
        """Overwrite the mark alone, if the file is as we wrote it. Returns whether it was. Raises OSError.

        A handover waits for this. No block is allocated and no name changes, so it costs one sync of the data, without
        the file system's journal. A write that is cut short leaves a file that is still unmarked (nothing was sent
        then) or one that cannot be parsed (nothing is resumed then).
        """
        before, after = (self._content(candidate, marked=marked) for marked in (False, True))
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        with open(descriptor, "r+b", buffering=0) as file:
            if file.read() != before:
                return False
            os.pwrite(descriptor, after, 0)
            _sync_data(descriptor)
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
