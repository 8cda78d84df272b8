"""What a step of the tour concludes from the sidecars' answers."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from leasehold.demo.stage import Succession
from leasehold.demo.steps import STEPS
from leasehold.demo.watch import Seen

CUT = dict(STEPS)["A cut network"]


def answer(token: int, sent: float, *, leading: bool = True) -> Seen:
    """One that took 10 ms."""
    leader = {1: "anna", 2: "bert"}[token]
    return Seen(leading, token, leader, 2.0, 0, "", "", "", sent, sent + 0.01)


class LateStage:
    """Where the tour gets to see every answer long after it came: the processors are others'."""

    def __init__(self, last_of_old: Seen, first_of_new: Seen) -> None:
        self.old: Any = SimpleNamespace(name="anna", relay=SimpleNamespace(sever=lambda: None, heal=lambda: None))
        self.watchman = SimpleNamespace(seen={"anna": answer(1, 100.0)}, led={"anna": answer(1, 100.0)})
        self._last, self._first = last_of_old, first_of_new

    async def before_change(self) -> Succession:
        """`anna` leads."""
        return Succession(self.old, self.watchman.led["anna"], 100.0)

    async def wait(self, condition: Callable[[], bool]) -> bool:
        """All answers are there at once."""
        self.watchman.led["anna"] = self._last
        self.watchman.seen = {"anna": answer(1, 103.0, leading=False), "bert": self._first}
        return condition()

    async def next_leader(self, _: object) -> Seen:
        """`bert`."""
        return self._first


@pytest.mark.parametrize(("last_sent", "held"), [(102.2, True), (102.8, False)])
async def test_who_was_first_is_told_by_the_answers(last_sent: float, held: bool) -> None:
    """Two lead only if a 200 was asked for after its successor's had come; a late look at both proves nothing."""
    stage: Any = LateStage(answer(1, last_sent), answer(2, 102.5))
    step = await CUT(stage, "a cut network")
    assert step.held == held
    if held:
        assert "bert leads 0.3 s after the last yes" in step.outcome
