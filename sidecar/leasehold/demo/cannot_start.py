"""Why the demo cannot be shown: something that it needs is not there, or does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Final

START_TIMEOUT_SECONDS: Final = 60.0
"""What starts is waited for: a machine that has other things to do is slow, and shows that in the panel."""
_LOG_CHARACTERS: Final = 300


class CannotStart(Exception):
    """The text is a sentence for the user."""

    @classmethod
    def process(cls, what: str, log: Path) -> CannotStart:
        """Its process has ended, or does not answer: with the end of its log."""
        said = " ".join(log.read_text(errors="replace")[-_LOG_CHARACTERS:].split())
        return cls(f"{what} did not start: {said or 'it logged nothing'}")
