"""Files in a directory that the app may write to as well: what it leaves there is never opened."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from leasehold.candidate.new_file import fresh, replace
from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside the shared directory that only its owner may read."""
    made = tmp_path / "victim"
    made.write_bytes(b"precious")
    made.chmod(0o600)
    (tmp_path / "shared").mkdir()
    return made


def untouched(victim: Path) -> bool:
    return victim.read_bytes() == b"precious" and stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_a_link_as_the_state_file_is_not_followed(victim: Path) -> None:
    """Neither the link at the final name nor the one at the temporary name is followed."""
    shared = victim.with_name("shared")
    (shared / ".state.json.tmp").symlink_to(victim)
    (shared / "state.json").symlink_to(victim)
    replace(shared / "state.json", [b"{}"], 0o644)
    assert untouched(victim)
    assert not (shared / "state.json").is_symlink()
    assert (shared / "state.json").read_bytes() == b"{}"
    assert stat.S_IMODE((shared / "state.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("hard", [False, True])
def test_a_link_as_the_resume_file_is_not_followed(victim: Path, hard: bool) -> None:
    """Neither a hard link nor a symbolic link is written through."""
    shared = victim.with_name("shared")
    if hard:
        (shared / "resume.new").hardlink_to(victim)
    else:
        (shared / "resume.new").symlink_to(victim)
    mine = Resumable(lease=0x71, token=17, cluster=1)
    file = ResumeFile(shared, {})
    file.save(mine)
    assert file.load() == mine
    file.close()
    assert untouched(victim)


def test_what_cannot_be_removed_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError, match="name"):
        fresh(tmp_path / "name", 0o644)
