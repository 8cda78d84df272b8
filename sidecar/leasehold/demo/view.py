"""The demo on the terminal: a live table of the queue and the steps below it, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from leasehold.demo.candidates import LOCK, Candidate
from leasehold.demo.etcd import EmbeddedEtcd
from leasehold.demo.tour import Step
from leasehold.demo.watch import Seen, Watchman


class View(Protocol):
    """Shows the tour."""

    def show(self, etcd: EmbeddedEtcd, watchman: Watchman) -> AbstractContextManager[None]:
        """Show the tour for the length of the context, which begins before anything is started."""

    def ready(self, etcd: EmbeddedEtcd, watchman: Watchman) -> None:
        """Everything is started."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def end(self, step: Step) -> None:
        """It has ended."""

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""


def _opening(etcd: EmbeddedEtcd, watchman: Watchman) -> str:
    ttl = watchman.candidates[0].ttl
    if not etcd.version:
        return "starting an etcd …"
    if not ttl:
        return f"etcd {etcd.version} at {etcd.url}, lock {LOCK}: starting three sidecars …"
    return f"etcd {etcd.version} at {etcd.url}, lock {LOCK}, TTL {ttl} s, three sidecars"


def _line(step: Step) -> Text:
    line = Text("✔ " if step.held else "✘ ", style="green" if step.held else "bold red")
    line.append(f"{step.title}: ", style="bold default")
    line.append(step.outcome, style="default")
    if step.gap_ms is not None:
        line.append(f"  [{step.gap_ms:,.0f} ms]", style="cyan")
    return line


def _summary(held: bool, watchman: Watchman) -> Text:
    checked = f"{watchman.answers:,} answers of /leader, {watchman.contradictions} of them in contradiction"
    verdict = "Every step held" if held else "NOT every step held"
    return Text(f"{verdict}; {checked}.", style="green" if held else "bold red")


class PlainView:
    """A line for each step, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def show(self, etcd: EmbeddedEtcd, watchman: Watchman) -> Iterator[None]:
        """Nothing but lines, as they come."""
        self._console.print("… starting an etcd and three sidecars", style="dim")
        yield

    def ready(self, etcd: EmbeddedEtcd, watchman: Watchman) -> None:
        """What all this runs on."""
        self._console.print(_opening(etcd, watchman))

    def begin(self, title: str) -> None:
        """A step begins."""
        self._console.print(f"… {title}", style="dim")

    def end(self, step: Step) -> None:
        """It has ended."""
        self._console.print(_line(step))

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""
        self._console.print(_summary(held, watchman))


class LiveView:
    """The current queue, redrawn ten times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps: list[Text] = []
        self._now = ""

    @contextmanager
    def show(self, etcd: EmbeddedEtcd, watchman: Watchman) -> Iterator[None]:
        """Draw from the first moment on, whatever is there yet."""

        def draw() -> RenderableType:
            panel = Panel(_table(watchman), title=_opening(etcd, watchman))
            return Group(panel, *self._steps, Text(self._now, style="yellow"))

        with Live(console=self._console, get_renderable=draw, refresh_per_second=10):
            yield

    def ready(self, etcd: EmbeddedEtcd, watchman: Watchman) -> None:
        """The panel's title says so already."""

    def begin(self, title: str) -> None:
        """A step begins."""
        self._now = f"… {title}"

    def end(self, step: Step) -> None:
        """It has ended."""
        self._steps.append(_line(step))
        self._now = ""

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""
        self._console.print(_summary(held, watchman))


def _table(watchman: Watchman) -> Table:
    table = Table(expand=True, box=None)
    for heading in ("position", "sidecar", "process", "/leader", "token", "lease left"):
        table.add_column(heading)
    for candidate in sorted(watchman.candidates, key=lambda one: _place(watchman.seen.get(one.name))):
        table.add_row(*_row(candidate, watchman.seen.get(candidate.name)))
    return table


def _place(seen: Seen | None) -> int:
    return seen.position if seen and seen.position is not None else 99


def _row(candidate: Candidate, seen: Seen | None) -> tuple[RenderableType, ...]:
    if not candidate.started:
        return ("", candidate.name, Text("not started yet", style="dim"), "", "", "")
    if not candidate.alive:
        return ("", candidate.name, Text("killed", style="red"), "", "", "")
    process = Text(f"frozen {candidate.pid}", style="blue") if candidate.frozen else Text(f"pid {candidate.pid}")
    if candidate.frozen or seen is None:
        return ("", candidate.name, process, "", "", "")
    left = max(0.0, seen.sent + seen.valid_for - time.monotonic())
    place = "" if seen.position is None else str(seen.position)  # as in /leader and `leasehold status`: 0 leads
    if not seen.leading:
        return (place, candidate.name, process, Text("503", style="dim"), "", "")
    bar = Text("█" * round(left / candidate.ttl * 20), style="green") + Text(f" {left:.1f} s")
    return (place, candidate.name, process, Text("200 leading", style="bold green"), str(seen.token), bar)
