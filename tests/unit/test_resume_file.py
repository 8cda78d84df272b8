"""The candidate on disk: taken up again by the next process of this pod, and never once it may be deleted.

Real files in a real directory; a second process where it takes one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leasehold.candidate.resume_file import DirectoryInUse, ResumeFile
from leasehold.election.events import Resumable
from tests.support.resume_files import BINDING, MINE, closed, next_process

# --- kept, bound, marked ---------------------------------------------------------------------------------------------


def test_an_empty_directory_has_nothing_to_resume(own_file: ResumeFile, caplog: pytest.LogCaptureFixture) -> None:
    assert own_file.load() is None
    assert caplog.text == ""


def test_what_was_saved_is_what_the_next_process_resumes(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) == MINE


def test_the_newest_candidate_is_the_one_that_counts(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(Resumable(1, 2, 3))
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) == MINE


@pytest.mark.parametrize("other", [{"root": "/else"}, {"lock": "shop/orders"}, {"pod": "uid-2"}, {"more": "x"}])
def test_a_foreign_candidate_is_not_resumed(own_file: ResumeFile, tmp_path: Path, other: dict[str, str]) -> None:
    """A copied volume, or a changed setting: the key is not this candidate's."""
    own_file.save(MINE)
    assert next_process(tmp_path, own_file, **other) is None
    assert next_process(tmp_path) == MINE


def test_a_marked_lease_is_never_resumed(own_file: ResumeFile, tmp_path: Path) -> None:
    """Its delete may still be under way, and land after we held again."""
    own_file.save(MINE)
    own_file.mark(MINE.lease)
    assert next_process(tmp_path, own_file) is None


def test_what_an_earlier_process_left_can_be_marked_too(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(MINE)
    closed(own_file)
    second = ResumeFile(tmp_path, BINDING)
    assert second.load() == MINE
    second.mark(MINE.lease)
    assert next_process(tmp_path, second) is None
    second.close()


def test_marking_another_lease_leaves_ours_alone(own_file: ResumeFile, tmp_path: Path) -> None:
    """A lease given back late, when the next candidate is already in the queue."""
    own_file.save(MINE)
    own_file.mark(MINE.lease + 1)
    assert next_process(tmp_path, own_file) == MINE


def test_the_next_candidate_can_be_saved_after_a_mark(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(Resumable(1, 2, 3))
    own_file.mark(1)
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) == MINE


def test_a_save_after_the_mark_revives_nothing(own_file: ResumeFile, tmp_path: Path) -> None:
    """A candidate that gives up at once: its delete may be sent before its file was written."""
    own_file.mark(MINE.lease)
    own_file.save(MINE)
    assert next_process(tmp_path, own_file) is None


def test_a_marked_file_stays_marked(own_file: ResumeFile, tmp_path: Path) -> None:
    """It stays so however many processes read it."""
    own_file.save(MINE)
    own_file.mark(MINE.lease)
    assert next_process(tmp_path, own_file) is None
    assert next_process(tmp_path) is None


def test_no_deadline_is_on_the_disk(own_file: ResumeFile, tmp_path: Path) -> None:
    """Whoever resumes learns from etcd how long the lease lives, and from nowhere else."""
    own_file.save(MINE)
    assert json.loads((tmp_path / "resume.json").read_text()).keys() == {
        "lease",
        "token",
        "cluster",
        "marked",
        "binding",
    }


def test_only_the_owner_may_read_the_file(own_file: ResumeFile, tmp_path: Path) -> None:
    own_file.save(MINE)
    assert (tmp_path / "resume.json").stat().st_mode & 0o777 == 0o600


def test_the_next_process_knows_the_ghost(own_file: ResumeFile, tmp_path: Path) -> None:
    """Its key may still stand: the revocation may have died with the process that was to send it."""
    own_file.save(MINE)
    own_file.mark(MINE.lease)
    closed(own_file)
    for bound, ghost in ((BINDING, MINE.lease), ({**BINDING, "pod": "uid-2"}, None)):
        after = ResumeFile(tmp_path, bound)
        after.load()
        assert after.ghost == ghost
        after.close()


def test_a_lease_that_can_be_resumed_is_no_ghost(own_file: ResumeFile) -> None:
    own_file.save(MINE)
    assert own_file.load() == MINE
    assert own_file.ghost is None


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


def test_a_second_process_finds_ours_locked(
    own_file: ResumeFile, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The fixtures' order is the point: first this process locks, then the other tries."""
    second: subprocess.Popen[str] = request.getfixturevalue("holder")
    assert first_line(second) == f"in use: {tmp_path}"
    assert second.wait() == 2


def test_children_do_not_inherit_the_lock(own_file: ResumeFile, tmp_path: Path) -> None:
    """A hook that outlives its sidecar must not keep the next one out."""
    script = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False) as child:
        assert first_line(child) == "up"  # from here on it is a program of its own
        closed(own_file)
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
