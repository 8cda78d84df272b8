"""Samples and tables. Times are seconds until they are printed."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class MeasurementFailed(RuntimeError):
    """Something could not be measured; the message says what, and why."""


@dataclass
class Sample:
    """What was measured again and again."""

    name: str
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Take one more value."""
        self.values.append(value)

    def percentile(self, percent: float) -> float:
        """The smallest value that `percent` of all do not exceed (nearest rank, nothing interpolated)."""
        if not self.values:
            raise MeasurementFailed(f"{self.name}: there is no value")
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]

    def cells(self, show: Callable[[float], str]) -> list[str]:
        """Name, p50, p99, least, greatest, count: a row of a table of `PERCENTILES`."""
        figures = [self.percentile(50), self.percentile(99), min(self.values), max(self.values)]
        return [self.name, *map(show, figures), str(len(self.values))]


@dataclass
class Figure:
    """What a picture shows of a table: per contender its middle value, and the p10 and p90 if there are many."""

    title: str
    unit: str
    bars: list[tuple[str, float, float, float]] = field(default_factory=list)

    def add(self, sample: Sample, unit: float = 1.0) -> None:
        """One bar; `unit` is how much of a sample's values one of the figure's unit is."""
        middle, low, high = (sample.percentile(part) / unit for part in (50, 10, 90))
        self.bars.append((sample.name, middle, low, high))


PERCENTILES = ("p50", "p99", "min", "max", "n")


@dataclass
class Table:
    """A Markdown table under a heading, and what a reader has to know about it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    figure: Figure | None = None

    def __str__(self) -> str:
        lines = [_line(["", *self.columns]), _line(["---", *["---:"] * len(self.columns)])]
        lines += [_line(row) for row in self.rows]
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"### {self.title}\n{notes}\n" + "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def percentiles(title: str, samples: Sequence[Sample], show: Callable[[float], str], notes: Sequence[str]) -> Table:
    """One row per sample. The figure is in milliseconds, if `show` is."""
    figure = Figure(title, "ms") if show is milliseconds else None
    if figure is not None:
        for sample in samples:
            figure.add(sample, 0.001)
    return Table(title, PERCENTILES, [sample.cells(show) for sample in samples], notes, figure)


def ratios(title: str, samples: Sequence[Sample]) -> Table:
    """The first sample against each other one, taken in the same rounds: the medians, and the rounds one by one."""
    first, *others = samples
    rows = []
    for other in others:
        rounds = Sample(other.name, [mine / its for mine, its in zip(first.values, other.values, strict=True)])
        figures = [first.percentile(50) / other.percentile(50), *(rounds.percentile(part) for part in (10, 50, 90))]
        rows.append([f"{first.name} / {other.name}", *(f"{figure:.2f}" for figure in figures), str(len(rounds.values))])
    notes = ["A ratio below 1 says that the first of the two is the faster."]
    return Table(title, ("of the medians", "p10 of rounds", "p50 of rounds", "p90 of rounds", "n"), rows, notes)


def milliseconds(seconds: float) -> str:
    """As in `4.21 ms`."""
    return f"{seconds * 1000:.2f} ms"


def whole_seconds(seconds: float) -> str:
    """As in `4.21 s`."""
    return f"{seconds:.2f} s"


def mebibytes(size: float) -> str:
    """As in `4.2 MiB`."""
    return f"{size / 2**20:.1f} MiB"


def megabytes(size: float) -> str:
    """Bytes in both units that are called megabytes."""
    return f"{size / 1e6:.1f} MB ({size / 2**20:.1f} MiB)"


def say(text: str) -> None:
    """Tell on stderr how it goes; stdout is for what was found."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
