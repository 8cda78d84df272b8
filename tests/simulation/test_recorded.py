"""The simulation's sidecars, recorded: each record is replayed as it was, and breaks no rule, whatever happened."""

from __future__ import annotations

import random
from typing import Any

import pytest

from leasehold.candidate.recorder import Recorder
from leasehold.candidate.replay import read_head, replay
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import Election, ElectionConfig

from . import node
from .world import World


class Recorded:
    """An election and its recorder, in the place of an election."""

    made: list[Recorded]

    def __init__(self, settings: ElectionConfig, rng: random.Random) -> None:
        self._election = Election(settings, rng)
        self._recorder = Recorder(settings, self._election, rng, lambda: 0.0, wall=lambda: 0.0)
        self.made.append(self)

    def handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        commands = self._election.handle(event, now)
        self._recorder.handled(event, now, commands, self._election.snapshot)
        return commands

    def __getattr__(self, name: str) -> Any:
        return getattr(self._election, name)

    def faults(self) -> list[str]:
        record = b"".join(self._recorder.recording("asked").pieces())
        lines = iter(record.splitlines(keepends=True))
        return [fault for step in replay(read_head(lines), lines) for fault in step.faults]


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_each_record_is_replayed_as_it_was(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "Election", Recorded)
    for seed in range(first, first + 25):
        monkeypatch.setattr(Recorded, "made", [], raising=False)
        World(seed).run()
        assert Recorded.made
        for number, one in enumerate(Recorded.made):
            assert (seed, number, one.faults()) == (seed, number, [])
