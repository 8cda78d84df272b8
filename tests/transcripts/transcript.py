"""A script that is recorded, and the record, replayed, as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from leasehold.candidate.recorder import Recorder
from leasehold.candidate.replay import Replayed, read_head, replay
from leasehold.candidate.replay_text import StepText
from leasehold.election.commands import Command
from leasehold.election.events import Event
from leasehold.lock.spec import Spec
from tests.unit.election_queue import KEYS, Queue
from tests.unit.election_script import Script, settings

FOLDER: Final = Path(__file__).parent
START: Final = 1000.0
"""When a script begins."""


class Recorded(Script):
    """A script whose election is recorded. `say` puts a line of explanation before what comes next."""

    def __init__(self, queue: Queue | None = None, **changed: Any) -> None:
        super().__init__(queue, **changed)
        self.recorder = Recorder(settings(**changed), self.election, self.rng, lambda: self.now, wall=lambda: 0.0)
        self.said_before: dict[int, str] = {}

    def feed(self, event: Event) -> list[Command]:
        commands = super().feed(event)
        self.recorder.handled(event, self.now, commands, self.election.snapshot)
        return commands

    def say(self, text: str) -> None:
        self.said_before[self.recorder.events + 1] = text

    def replayed(self) -> list[Replayed]:
        """The record, replayed."""
        record = b"".join(self.recorder.recording("asked").pieces())
        lines = iter(record.splitlines(keepends=True))
        return list(replay(read_head(lines), lines))


Scenario = Callable[[], Recorded]


def holding(spec: Spec | None = None, **changed: Any) -> Recorded:
    """One that has come to hold."""
    queue = Queue()
    if spec is not None:
        queue.declare(spec)
    script = Recorded(queue, **changed)
    script.start()
    return script


def scenarios_of(module: ModuleType) -> dict[Path, Scenario]:
    """A module's scenarios, by the transcripts' files: its public functions without arguments."""
    found = inspect.getmembers(module, inspect.isfunction)
    own = {name: one for name, one in found if one.__module__ == module.__name__ and not name.startswith("_")}
    return {FOLDER / f"{name}.txt": one for name, one in own.items()}


def all_scenarios() -> dict[Path, Scenario]:
    """Every scenario there is."""
    from tests.transcripts import scenarios_of_leaving, scenarios_of_queueing, scenarios_of_trouble

    modules = (scenarios_of_queueing, scenarios_of_leaving, scenarios_of_trouble)
    return {path: scenario for module in modules for path, scenario in scenarios_of(module).items()}


def transcript(scenario: Scenario) -> str:
    """The title and what is shown, from the scenario's docstring, and the steps."""
    title, _, shown = inspect.cleandoc(scenario.__doc__ or "").partition("\n")
    return "\n".join([title, "", shown.strip(), "", *_steps(scenario())]) + "\n"


def _steps(script: Recorded) -> Iterator[str]:
    text = StepText(lambda at: f"{at - START:+.3f}", KEYS.queue)
    for step in script.replayed():
        if said := script.said_before.get(step.number):
            yield f"\n# {said}"
        yield from text.lines(step)
