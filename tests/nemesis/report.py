"""What many runs showed, as JSON: how often each fault came, how long nobody led, and every contradiction. Pure.

Gaps are as `gap.py` defines them; the longest ones are told with what the lock waited for meanwhile. A recovery begins
when the last fault of an act is healed, and ends with a 200 that was asked for after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench.samples import Sample
from tests.nemesis.case import Contradiction
from tests.nemesis.gap import PARTS, Gap, gaps
from tests.nemesis.history import History, Injected, Recovery, Told

DIGITS: Final = 3
LONGEST: Final = 5
"""So many gaps are told one by one."""


@dataclass
class Report:
    """Grows by `add`; all times in seconds."""

    runs: int = 0
    answers: int = 0
    terms: int = 0
    gaps: list[tuple[int, Gap]] = field(default_factory=list)
    """Each with the seed of its run."""
    recoveries: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    after: dict[str, list[float]] = field(default_factory=dict)
    """For each kind of fault, the recoveries after the acts that it was part of."""
    contradictions: list[dict[str, object]] = field(default_factory=list)

    def add(self, seed: int, history: History, found: Sequence[Contradiction]) -> None:
        """Count one run, and what the checker found in it."""
        self.runs += 1
        self.answers += len(history.all(Told))
        self.terms += len({told.token for told in history.all(Told) if told.status == 200})
        self.gaps += [(seed, gap) for gap in gaps(history)]
        self._add_faults(history)
        self.contradictions += [{"seed": seed, "rule": one.rule, "story": one.story} for one in found]

    def _add_faults(self, history: History) -> None:
        injected: list[str] = []
        for fact in history.facts:
            if isinstance(fact, Injected):
                injected.append(fact.name)
            elif isinstance(fact, Recovery):
                took = [] if fact.leading is None else [fact.leading - fact.healed]
                self.recoveries += took if injected else []
                self.faults.update(injected)
                for name in injected:
                    self.after.setdefault(name, []).extend(took)
                injected = []

    def as_json(self, conditions: Mapping[str, object]) -> dict[str, Any]:
        """Everything, with the conditions under which the runs took place."""
        faults = {name: {"times": times, **spread(self.after[name])} for name, times in sorted(self.faults.items())}
        return {
            "conditions": dict(conditions),
            "runs": self.runs,
            "answers": self.answers,
            "terms": self.terms,
            "gapSeconds": spread([gap.seconds for _, gap in self.gaps]),
            "gapSecondsByPart": {part: spread(self._part(part)) for part in PARTS},
            "longestGaps": [_told(seed, gap) for seed, gap in self._longest()],
            "recoverySeconds": spread(self.recoveries),
            "faults": faults,
            "contradictions": self.contradictions,
        }

    def _part(self, part: str) -> list[float]:
        """Seconds of the gaps that had such a part."""
        return [gap.parts[part] for _, gap in self.gaps if part in gap.parts]

    def _longest(self) -> list[tuple[int, Gap]]:
        return sorted(self.gaps, key=lambda one: one[1].seconds, reverse=True)[:LONGEST]


def _told(seed: int, gap: Gap) -> dict[str, object]:
    parts = {part: round(gap.parts[part], DIGITS) for part in PARTS if part in gap.parts}
    return {"seed": seed, "act": gap.act, "seconds": round(gap.seconds, DIGITS), "parts": parts}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Percentiles, as they were measured; nothing if there are no values."""
    if not values:
        return {}
    sample = Sample("seconds", list(values))
    found = {f"p{part}": sample.percentile(part) for part in (10, 50, 90, 99)}
    return {name: round(value, DIGITS) for name, value in {**found, "max": max(values)}.items()}
