"""The tour: its steps one after the other, and whether each of them held."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from leasehold.demo.stage import Stage, Step
from leasehold.demo.steps import STEPS

_PAUSE_SECONDS: Final = 1.5


class StepView(Protocol):
    """Shows the steps."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def end(self, step: Step) -> None:
        """It has ended."""


async def run_tour(stage: Stage, view: StepView) -> bool:
    """Run all steps; returns whether all held, and no two answers contradicted each other."""
    held = True
    for title, act in STEPS:
        view.begin(title)
        step = await act(stage, title)
        view.end(step)
        held = held and step.held
        await asyncio.sleep(_PAUSE_SECONDS)
    return held and stage.watchman.contradictions == 0
