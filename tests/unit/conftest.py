"""What no unit test leaves behind for the next one, and fixtures that two files of them share."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leasehold.candidate.resume_file import ResumeFile
from tests.servers import wait_for
from tests.support.guardian_by_hand import FAMILY, PATIENCE, Family
from tests.support.resume_files import BINDING
from tests.support.unkillable_tree import living


@pytest.fixture(autouse=True)
def level_of_our_logs() -> Iterator[None]:
    """Commands such as `leasehold status` silence our logs for the rest of their process, which here is the run's."""
    logger = logging.getLogger("leasehold")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """A command that is a family of processes, and the file of their beats; none is left at the end of the test."""
    file = tmp_path / "beats"

    def make(*members: str) -> tuple[list[str], Path]:
        return [sys.executable, "-I", "-S", FAMILY, str(file), *members], file

    yield make
    try:
        wait_for(lambda: not living(file), "the family has ended", PATIENCE)
    finally:
        for pid in living(file):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[ResumeFile]:
    """The resume file of this process."""
    file = ResumeFile(tmp_path, BINDING)
    yield file
    file.close()
