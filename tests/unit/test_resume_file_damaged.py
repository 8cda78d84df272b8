"""A resume file that cannot be written, is cut, or holds anything at all: a candidate within bounds, or none."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leasehold.candidate import resume_file
from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable
from tests.support.resume_files import BINDING, MINE, next_process

T = TypeVar("T")

# --- writes that fail ------------------------------------------------------------------------------------------------


def in_the_way(directory: Path) -> Path:
    """Makes every write fail: the name that a fresh file would be written under is a directory."""
    obstacle = directory / "resume.new"
    obstacle.mkdir()
    return obstacle


def test_a_save_that_fails_is_said(own_file: ResumeFile, tmp_path: Path) -> None:
    in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        own_file.save(MINE)


def test_a_failed_save_leaves_the_file_before_as_it_was(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(MINE)
    in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        own_file.save(Resumable(1, 2, 3))
    assert next_process(tmp_path, own_file) == MINE


def test_a_lease_whose_save_failed_is_marked_all_the_same(own_file: ResumeFile, tmp_path: Path) -> None:
    """The write may have failed after the file was already in its place."""
    obstacle = in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        own_file.save(MINE)
    obstacle.rmdir()
    own_file.mark(MINE.lease)
    assert json.loads((tmp_path / "resume.json").read_text())["marked"] is True
    assert next_process(tmp_path, own_file) is None


def test_a_mark_that_fails_is_said_and_can_be_tried_again(
    own_file: ResumeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be deleted before the mark is on the disk."""
    own_file.save(MINE)
    with monkeypatch.context() as patch:
        patch.setattr(resume_file, "_sync_data", _refuse)
        with pytest.raises(OSError, match="no disk"):
            own_file.mark(MINE.lease)
    obstacle = in_the_way(tmp_path)  # what was written in place may not be on the disk: it is written afresh
    with pytest.raises(OSError, match="directory"):
        own_file.mark(MINE.lease)
    obstacle.rmdir()
    own_file.mark(MINE.lease)
    assert next_process(tmp_path, own_file) is None


def _refuse(descriptor: int) -> None:
    raise OSError("no disk")


def test_a_mark_is_written_in_place(own_file: ResumeFile, tmp_path: Path) -> None:
    """A handover waits for the disk here: once, not for a new file and its name as well."""
    own_file.save(MINE)
    path = tmp_path / "resume.json"
    before, inode = json.loads(path.read_text()), path.stat().st_ino
    in_the_way(tmp_path)
    own_file.mark(MINE.lease)
    assert json.loads(path.read_text()) == before | {"marked": True}
    assert path.stat().st_ino == inode
    assert next_process(tmp_path, own_file) is None


def test_a_reformatted_file_is_written_whole(own_file: ResumeFile, tmp_path: Path) -> None:
    """Overwriting five bytes of it could mean anything."""
    own_file.save(MINE)
    path = tmp_path / "resume.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    own_file.mark(MINE.lease)
    assert json.loads(path.read_text())["marked"] is True
    assert next_process(tmp_path, own_file) is None


def test_a_half_written_fresh_file_is_not_what_counts(own_file: ResumeFile, tmp_path: Path) -> None:
    """As after a crash in the middle of a write."""
    own_file.save(MINE)
    (tmp_path / "resume.new").write_text('{"lease": 1')
    assert own_file.load() == MINE
    own_file.mark(MINE.lease)
    assert next_process(tmp_path, own_file) is None


def test_a_mark_never_overtakes_a_save_that_hangs(
    own_file: ResumeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waited for the save may have given up; it would end after the mark, and undo it."""
    hangs, comes_back = threading.Event(), threading.Event()
    sync = os.fsync

    def hung_disk(descriptor: int) -> None:
        hangs.set()
        comes_back.wait()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", hung_disk)
    with ThreadPoolExecutor() as pool:
        save = pool.submit(own_file.save, MINE)
        hangs.wait()
        mark = pool.submit(own_file.mark, MINE.lease)
        overtaken = bool(wait([mark], timeout=0.2).done)
        comes_back.set()
        save.result()
        mark.result()
    assert not overtaken
    assert next_process(tmp_path, own_file) is None


# --- files that cannot be used ---------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"lease": 0x71, "token": 17, "cluster": 1, "marked": False, "binding": BINDING}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
spoilt = st.builds(
    lambda wrong, dropped: json.dumps({k: v for k, v in {**GOOD, **wrong}.items() if k not in dropped}).encode(),
    st.dictionaries(st.sampled_from(sorted(GOOD)), values, max_size=3),
    st.sets(st.sampled_from(sorted(GOOD)), max_size=1),
)
cut = st.integers(0, 200).map(lambda end: json.dumps(GOOD).encode()[:end])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # one directory does for all
@given(st.binary(max_size=300) | values.map(lambda value: json.dumps(value).encode()) | spoilt | cut)
@example(json.dumps(GOOD).encode())
@example(json.dumps({**GOOD, "lease": 2**63}).encode())
@example(b"[" * 100_000)
def test_any_contents_are_a_candidate_in_bounds_or_nothing(
    own_file: ResumeFile, tmp_path: Path, contents: bytes
) -> None:
    """Never a crash, and never a number that etcd could not have given out."""
    (tmp_path / "resume.json").write_bytes(contents)
    kept = own_file.load()
    if kept is not None:
        assert 0 <= kept.lease < 2**63
        assert 0 <= kept.token < 2**63
        assert 0 <= kept.cluster < 2**64
        fields = json.loads(contents)
        assert fields["marked"] is False
        assert fields["binding"] == BINDING


@pytest.mark.parametrize("contents", [b"", b"{}", b"null", b"\xff", json.dumps({**GOOD, "lease": "71"}).encode()])
def test_an_unusable_file_is_replaced(
    own_file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture, contents: bytes
) -> None:
    """It is logged once, and the next save replaces it."""
    (tmp_path / "resume.json").write_bytes(contents)
    assert own_file.load() is None
    assert [(r.levelno, "joining as a new candidate" in r.message) for r in caplog.records] == [(logging.WARNING, True)]
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) == MINE


def test_a_file_that_cannot_be_read_is_no_crash(
    own_file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "resume.json").mkdir()
    assert own_file.load() is None
    assert "joining as a new candidate" in caplog.text


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(json.dumps(GOOD))
    path.symlink_to(other)


def large(path: Path) -> None:
    path.write_text(json.dumps({**GOOD, "more": "x" * 1_000_000}))


@pytest.mark.parametrize("leave", [pipe, link, large])
def test_what_somebody_left_there_is_not_read(
    own_file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture, leave: Callable[[Path], None]
) -> None:
    """A pipe would never answer, and the next handover would wait for it; a huge file takes all the memory there is."""
    leave(tmp_path / "resume.json")
    assert in_time(own_file.load) is None
    assert "joining as a new candidate" in caplog.text
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) == MINE


@pytest.mark.parametrize("leave", [pipe, link, large])
def test_a_mark_replaces_what_somebody_left_there(
    own_file: ResumeFile, tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    own_file.save(MINE)
    path = tmp_path / "resume.json"
    path.unlink()
    leave(path)
    in_time(lambda: own_file.mark(MINE.lease))
    assert json.loads(path.read_text())["marked"] is True
    assert next_process(tmp_path, own_file) is None
    if leave is link:
        assert json.loads((tmp_path / "other").read_text()) == GOOD


def in_time(work: Callable[[], T]) -> T:
    """What it returns; if it never returns, the test fails and does not hang."""
    outcome: Future[T] = Future()
    threading.Thread(target=lambda: outcome.set_result(work()), daemon=True).start()
    return outcome.result(timeout=30)


def test_a_mark_that_is_cut_short_is_none(
    own_file: ResumeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is still unmarked, and the next process would resume the lease."""
    own_file.save(MINE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda descriptor, content, offset: 0)
        with pytest.raises(OSError, match="cut short"):
            own_file.mark(MINE.lease)
    own_file.mark(MINE.lease)
    assert next_process(tmp_path, own_file) is None
