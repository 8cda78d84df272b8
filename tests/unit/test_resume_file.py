"""The candidate on disk: taken up again by the next process of this pod, and never once it may be deleted.

Real files in a real directory; a second process where it takes one.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leasehold.candidate import resume_file
from leasehold.candidate.resume_file import DirectoryInUse, ResumeFile
from leasehold.election.events import Resumable

BINDING = {"root": "/leasehold", "lock": "shop/billing", "pod": "uid-1"}
MINE = Resumable(lease=0x71, token=17, cluster=0xCDF818194E3A8C32)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ResumeFile]:
    """The resume file of this process."""
    file = ResumeFile(tmp_path, BINDING)
    yield file
    file.close()


def closed(file: ResumeFile) -> None:
    """As at the end of its process. The fixture can close it once more."""
    file.close()
    file._lock = os.open(os.devnull, os.O_RDONLY)


def next_process(directory: Path, before: ResumeFile | None = None, **bound: str) -> Resumable | None:
    """What the process after this one finds to resume."""
    if before is not None:
        closed(before)
    file = ResumeFile(directory, {**BINDING, **bound})
    try:
        return file.load()
    finally:
        file.close()


# --- kept, bound, marked ---------------------------------------------------------------------------------------------


def test_an_empty_directory_has_nothing_to_resume(file: ResumeFile, caplog: pytest.LogCaptureFixture) -> None:
    assert file.load() is None
    assert caplog.text == ""


def test_what_was_saved_is_what_the_next_process_resumes(file: ResumeFile, tmp_path: Path) -> None:
    file.save(MINE)
    assert next_process(tmp_path, file) == MINE


def test_the_newest_candidate_is_the_one_that_counts(file: ResumeFile, tmp_path: Path) -> None:
    file.save(Resumable(1, 2, 3))
    file.save(MINE)
    assert next_process(tmp_path, file) == MINE


@pytest.mark.parametrize("other", [{"root": "/else"}, {"lock": "shop/orders"}, {"pod": "uid-2"}, {"more": "x"}])
def test_a_foreign_candidate_is_not_resumed(file: ResumeFile, tmp_path: Path, other: dict[str, str]) -> None:
    """A copied volume, or a changed setting: the key is not this candidate's."""
    file.save(MINE)
    assert next_process(tmp_path, file, **other) is None
    assert next_process(tmp_path) == MINE


def test_a_marked_lease_is_never_resumed(file: ResumeFile, tmp_path: Path) -> None:
    """Its delete may still be under way, and land after we held again."""
    file.save(MINE)
    file.mark(MINE.lease)
    assert next_process(tmp_path, file) is None


def test_what_an_earlier_process_left_can_be_marked_too(file: ResumeFile, tmp_path: Path) -> None:
    file.save(MINE)
    closed(file)
    second = ResumeFile(tmp_path, BINDING)
    assert second.load() == MINE
    second.mark(MINE.lease)
    assert next_process(tmp_path, second) is None
    second.close()


def test_marking_another_lease_leaves_ours_alone(file: ResumeFile, tmp_path: Path) -> None:
    """A lease given back late, when the next candidate is already in the queue."""
    file.save(MINE)
    file.mark(MINE.lease + 1)
    assert next_process(tmp_path, file) == MINE


def test_the_next_candidate_can_be_saved_after_a_mark(file: ResumeFile, tmp_path: Path) -> None:
    file.save(Resumable(1, 2, 3))
    file.mark(1)
    file.save(MINE)
    assert next_process(tmp_path, file) == MINE


def test_a_save_after_the_mark_revives_nothing(file: ResumeFile, tmp_path: Path) -> None:
    """A candidate that gives up at once: its delete may be sent before its file was written."""
    file.mark(MINE.lease)
    file.save(MINE)
    assert next_process(tmp_path, file) is None


def test_a_marked_file_stays_marked(file: ResumeFile, tmp_path: Path) -> None:
    """It stays so however many processes read it."""
    file.save(MINE)
    file.mark(MINE.lease)
    assert next_process(tmp_path, file) is None
    assert next_process(tmp_path) is None


def test_no_deadline_is_on_the_disk(file: ResumeFile, tmp_path: Path) -> None:
    """Whoever resumes learns from etcd how long the lease lives, and from nowhere else."""
    file.save(MINE)
    assert json.loads((tmp_path / "resume.json").read_text()).keys() == {
        "lease",
        "token",
        "cluster",
        "marked",
        "binding",
    }


def test_only_the_owner_may_read_the_file(file: ResumeFile, tmp_path: Path) -> None:
    file.save(MINE)
    assert (tmp_path / "resume.json").stat().st_mode & 0o777 == 0o600


def test_the_next_process_knows_the_ghost(file: ResumeFile, tmp_path: Path) -> None:
    """Its key may still stand: the revocation may have died with the process that was to send it."""
    file.save(MINE)
    file.mark(MINE.lease)
    closed(file)
    for bound, ghost in ((BINDING, MINE.lease), ({**BINDING, "pod": "uid-2"}, None)):
        after = ResumeFile(tmp_path, bound)
        after.load()
        assert after.ghost == ghost
        after.close()


def test_a_lease_that_can_be_resumed_is_no_ghost(file: ResumeFile) -> None:
    file.save(MINE)
    assert file.load() == MINE
    assert file.ghost is None


# --- writes that fail ------------------------------------------------------------------------------------------------


def in_the_way(directory: Path) -> Path:
    """Makes every write fail: the name that a fresh file would be written under is a directory."""
    obstacle = directory / "resume.new"
    obstacle.mkdir()
    return obstacle


def test_a_save_that_fails_is_said(file: ResumeFile, tmp_path: Path) -> None:
    in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        file.save(MINE)


def test_a_failed_save_leaves_the_file_before_as_it_was(file: ResumeFile, tmp_path: Path) -> None:
    file.save(MINE)
    in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        file.save(Resumable(1, 2, 3))
    assert next_process(tmp_path, file) == MINE


def test_a_lease_whose_save_failed_is_marked_all_the_same(file: ResumeFile, tmp_path: Path) -> None:
    """The write may have failed after the file was already in its place."""
    obstacle = in_the_way(tmp_path)
    with pytest.raises(OSError, match="directory"):
        file.save(MINE)
    obstacle.rmdir()
    file.mark(MINE.lease)
    assert json.loads((tmp_path / "resume.json").read_text())["marked"] is True
    assert next_process(tmp_path, file) is None


def test_a_mark_that_fails_is_said_and_can_be_tried_again(
    file: ResumeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be deleted before the mark is on the disk."""
    file.save(MINE)
    with monkeypatch.context() as patch:
        patch.setattr(resume_file, "_sync_data", _refuse)
        with pytest.raises(OSError, match="no disk"):
            file.mark(MINE.lease)
    obstacle = in_the_way(tmp_path)  # what was written in place may not be on the disk: it is written afresh
    with pytest.raises(OSError, match="directory"):
        file.mark(MINE.lease)
    obstacle.rmdir()
    file.mark(MINE.lease)
    assert next_process(tmp_path, file) is None


def _refuse(descriptor: int) -> None:
    raise OSError("no disk")


def test_a_mark_is_written_in_place(file: ResumeFile, tmp_path: Path) -> None:
    """A handover waits for the disk here: once, not for a new file and its name as well."""
    file.save(MINE)
    path = tmp_path / "resume.json"
    before, inode = json.loads(path.read_text()), path.stat().st_ino
    in_the_way(tmp_path)
    file.mark(MINE.lease)
    assert json.loads(path.read_text()) == before | {"marked": True}
    assert path.stat().st_ino == inode
    assert next_process(tmp_path, file) is None


def test_a_reformatted_file_is_written_whole(file: ResumeFile, tmp_path: Path) -> None:
    """Overwriting five bytes of it could mean anything."""
    file.save(MINE)
    path = tmp_path / "resume.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    file.mark(MINE.lease)
    assert json.loads(path.read_text())["marked"] is True
    assert next_process(tmp_path, file) is None


def test_a_half_written_fresh_file_is_not_what_counts(file: ResumeFile, tmp_path: Path) -> None:
    """As after a crash in the middle of a write."""
    file.save(MINE)
    (tmp_path / "resume.new").write_text('{"lease": 1')
    assert file.load() == MINE
    file.mark(MINE.lease)
    assert next_process(tmp_path, file) is None


def test_a_mark_never_overtakes_a_save_that_hangs(
    file: ResumeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        save = pool.submit(file.save, MINE)
        hangs.wait()
        mark = pool.submit(file.mark, MINE.lease)
        overtaken = bool(wait([mark], timeout=0.2).done)
        comes_back.set()
        save.result()
        mark.result()
    assert not overtaken
    assert next_process(tmp_path, file) is None


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
def test_any_contents_are_a_candidate_in_bounds_or_nothing(file: ResumeFile, tmp_path: Path, contents: bytes) -> None:
    """Never a crash, and never a number that etcd could not have given out."""
    (tmp_path / "resume.json").write_bytes(contents)
    kept = file.load()
    if kept is not None:
        assert 0 <= kept.lease < 2**63
        assert 0 <= kept.token < 2**63
        assert 0 <= kept.cluster < 2**64
        fields = json.loads(contents)
        assert fields["marked"] is False
        assert fields["binding"] == BINDING


@pytest.mark.parametrize("contents", [b"", b"{}", b"null", b"\xff", json.dumps({**GOOD, "lease": "71"}).encode()])
def test_an_unusable_file_is_replaced(
    file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture, contents: bytes
) -> None:
    """It is logged once, and the next save replaces it."""
    (tmp_path / "resume.json").write_bytes(contents)
    assert file.load() is None
    assert [(r.levelno, "joining as a new candidate" in r.message) for r in caplog.records] == [(logging.WARNING, True)]
    file.save(MINE)
    assert next_process(tmp_path, file) == MINE


def test_a_file_that_cannot_be_read_is_no_crash(
    file: ResumeFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "resume.json").mkdir()
    assert file.load() is None
    assert "joining as a new candidate" in caplog.text


# --- one process a directory -----------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from leasehold.candidate.resume_file import ResumeFile, DirectoryInUse
try:
    file = ResumeFile(Path(sys.argv[1]), {})
except DirectoryInUse as error:
    print("in use:", error, flush=True)
    sys.exit(2)
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process, that locks the directory if it can, and keeps it until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_locked_directory_is_refused(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Another process of this pod uses the directory."""
    assert first_line(holder) == "mine"
    with pytest.raises(DirectoryInUse, match=str(tmp_path)):
        ResumeFile(tmp_path, BINDING)


def test_the_lock_ends_with_the_process_however_it_ends(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """A killed sidecar must not keep its own successor out."""
    assert first_line(holder) == "mine"
    holder.kill()
    holder.wait()
    ResumeFile(tmp_path, BINDING).close()


def test_a_second_process_finds_ours_locked(file: ResumeFile, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The fixtures' order is the point: first this process locks, then the other tries."""
    second: subprocess.Popen[str] = request.getfixturevalue("holder")
    assert first_line(second) == f"in use: {tmp_path}"
    assert second.wait() == 2


def test_children_do_not_inherit_the_lock(file: ResumeFile, tmp_path: Path) -> None:
    """A hook that outlives its sidecar must not keep the next one out."""
    script = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False) as child:
        assert first_line(child) == "up"  # from here on it is a program of its own
        closed(file)
        ResumeFile(tmp_path, BINDING).close()
        child.kill()


def test_a_refused_process_holds_no_lock(tmp_path: Path) -> None:
    """Once the first process is gone, the directory can be used again."""
    first = ResumeFile(tmp_path, BINDING)
    with pytest.raises(DirectoryInUse):
        ResumeFile(tmp_path, BINDING)
    first.close()
    ResumeFile(tmp_path, BINDING).close()


def test_a_directory_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ResumeFile(tmp_path / "missing", BINDING)
