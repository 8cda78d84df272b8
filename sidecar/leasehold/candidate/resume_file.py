"""The candidate of this pod, on disk, so that a container that restarts can take its own term up again.

The file binds the etcd cluster, root, lock, pod and lease. It holds no deadline: none is ever read from disk. It is
marked, and the mark is on the disk, before a delete or revoke of its lease is sent; a marked lease is never resumed,
since such a request may still be under way. The directory is locked for the life of the process.
All methods block on the disk: call them from a thread.
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
    """`resume.json` in a state directory that is ours alone."""

    def __init__(self, directory: Path, binding: dict[str, str]) -> None:
        """Lock the directory; `binding` is what must be the same for a candidate to be resumed.

        Raises DirectoryInUse when another process has it, OSError when it cannot be written.
        """
        self._path = directory / FILE
        self._binding = binding
        self._kept: Resumable | None = None
        self._turn = threading.Lock()  # a step that hangs holds it, whoever gave up waiting: none may overtake it
        self._marked: set[int] = set()
        self.ghost: int | None = None
        """After `load`: the lease of a candidate that was given up; its key may still stand."""
        self._lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DirectoryInUse(str(directory)) from None

    def load(self) -> Resumable | None:
        """The candidate to resume, if there is one. A file that cannot be read is logged once and left behind."""
        with self._turn:
            return self._load()

    def _load(self) -> Resumable | None:
        try:
            fields = json.loads(self._path.read_bytes())
            kept = Resumable(
                _whole(fields, "lease", MAX_LEASE),
                _whole(fields, "token", MAX_LEASE),
                _whole(fields, "cluster", _UINT64),
            )
            bound, marked = fields["binding"] == self._binding, fields["marked"] is not False
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("the resume file %s cannot be used, joining anew: %s", self._path, error)
            return None
        self.ghost = kept.lease if bound and marked else None
        self._kept = kept if bound and not marked else None
        return self._kept

    def save(self, candidate: Resumable) -> None:
        """Remember this candidate, unless its lease was marked meanwhile. Raises OSError."""
        with self._turn:
            if candidate.lease in self._marked:
                return
            self._kept = candidate  # from here on it may be on the disk, even if this fails half-way
            self._write(candidate, marked=False)

    def mark(self, lease: int) -> None:
        """See to it that this lease is never resumed: on return that is on the disk. Raises OSError."""
        self._marked.add(lease)  # before our turn comes, so that a save that waits for its own sees it
        with self._turn:
            if self._kept is not None and self._kept.lease == lease:
                if not self._mark_in_place(self._kept):
                    self._write(self._kept, marked=True)
                self._kept = None

    def close(self) -> None:
        """Unlock the directory."""
        os.close(self._lock)

    def _content(self, candidate: Resumable, *, marked: bool) -> bytes:
        """The mark comes first, and has one length: it can be set in place."""
        fields = {"lease": candidate.lease, "token": candidate.token, "cluster": candidate.cluster}
        rest = json.dumps({**fields, "binding": self._binding})
        return b'{"marked": %-5b, %b' % (b"true" if marked else b"false", rest[1:].encode())

    def _mark_in_place(self, candidate: Resumable) -> bool:
        """Overwrite the mark alone, if the file is just as we wrote it. Whether that was possible. Raises OSError.

        A handover waits for this: no block or name changes, so the disk is waited for once, and not for the journal of
        the file system as well. A write that is cut short leaves what can be resumed, and nothing was sent then; or
        what cannot be parsed, and nothing is resumed.
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


def _whole(fields: dict[str, Any], name: str, most: int) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} is not a whole number from 0 to {most}")
    return value
