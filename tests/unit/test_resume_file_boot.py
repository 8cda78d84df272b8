"""A mark is not synced while the kernel keeps it, and no file is believed that another kernel, or a bad disk, may have.

A kernel that ends takes unwritten marks along: by power, a crash, or a restart of the machine.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.candidate import resume_file as module
from leasehold.candidate.resume_file import ResumeFile, boot_id
from leasehold.election.events import Resumable
from tests.support.resume_files import BINDING, MINE


def after(directory: Path, boot: str) -> tuple[Resumable | None, int | None]:
    """What a process under this boot finds to resume, and the lease that it revokes."""
    file = ResumeFile(directory, BINDING, boot)
    try:
        return file.load(), file.ghost
    finally:
        file.close()


def saved(directory: Path, boot: str, then: Callable[[ResumeFile], None] = lambda file: None) -> None:
    file = ResumeFile(directory, BINDING, boot)
    file.save(MINE)
    then(file)
    file.close()


def test_a_candidate_of_an_earlier_boot_is_given_back(tmp_path: Path) -> None:
    """Its mark may be lost: that it has none proves nothing."""
    saved(tmp_path, "boot-1")
    assert after(tmp_path, "boot-1") == (MINE, None)
    assert after(tmp_path, "boot-2") == (None, MINE.lease)
    assert after(tmp_path, "") == (None, MINE.lease)


def test_a_file_that_names_no_boot_has_its_mark_synced(tmp_path: Path) -> None:
    """As an older version writes it, and one whose kernel tells no boot."""
    saved(tmp_path, "")
    assert after(tmp_path, "boot-1") == (MINE, None)


@pytest.mark.parametrize(("boot", "syncs"), [("boot-1", 0), ("", 1)])
def test_a_mark_is_synced_only_without_a_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: str, syncs: int
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module, "_sync_data", synced.append)
    saved(tmp_path, boot, lambda file: file.mark(MINE.lease))
    assert len(synced) == syncs
    assert after(tmp_path, boot) == (None, MINE.lease)


def test_an_unmarked_file_whose_write_failed_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel took the mark, and the disk did not: the kernel says so to whoever syncs the file next."""
    saved(tmp_path, "boot-1")

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    assert after(tmp_path, "boot-1") == (None, None)
    assert "joining as a new candidate" in caplog.text


def test_this_kernel_names_its_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boot_id() == boot_id() != ""
    monkeypatch.setattr(module, "_BOOT_ID", tmp_path / "none")
    assert boot_id() == ""
