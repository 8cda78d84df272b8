"""A resume file of this process, and what the next process of the pod makes of it."""

from __future__ import annotations

import os
from pathlib import Path

from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable

BINDING = {"root": "/leasehold", "lock": "shop/billing", "pod": "uid-1"}
MINE = Resumable(lease=0x71, token=17, cluster=0xCDF818194E3A8C32)


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
