"""Every scenario goes as its transcript says; `python -m tests.transcripts --update` writes them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.transcripts.transcript import FOLDER, Scenario, all_scenarios, transcript

SCENARIOS = all_scenarios()
each = pytest.mark.parametrize(("path", "scenario"), SCENARIOS.items(), ids=lambda one: getattr(one, "stem", ""))


@each
def test_it_goes_as_its_transcript_says(path: Path, scenario: Scenario) -> None:
    assert transcript(scenario) == path.read_text()


@each
def test_its_replay_breaks_no_rule(path: Path, scenario: Scenario) -> None:
    assert [step.faults for step in scenario().replayed() if step.faults] == []


@each
def test_it_says_what_it_shows(path: Path, scenario: Scenario) -> None:
    """A title, and two sentences."""
    title, blank, *shown = inspect.cleandoc(scenario.__doc__ or "").splitlines()
    assert (blank, len(shown)) == ("", 2)
    assert not title.endswith(".")
    assert all(line.endswith(".") for line in shown)


def test_no_transcript_is_left_over() -> None:
    assert set(FOLDER.glob("*.txt")) == SCENARIOS.keys()
