"""The demo on the terminal: a live table of the queue and the steps below it, or plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from leasehold.demo.candidates import LOCK, Candidate
from leasehold.demo.scene import Scene
from leasehold.demo.stage import Step
from leasehold.demo.watch import Seen, Watchman


class View(Protocol):
    """Shows the tour."""

    def show(self, scene: Scene) -> AbstractContextManager[None]:
        """Show the tour for the length of the context, which begins before anything is started."""

    def ready(self, scene: Scene) -> None:
        """Everything is started."""

    def begin(self, title: str) -> None:
        """A step begins."""

    def end(self, step: Step) -> None:
        """It has ended."""

    def settle(self) -> None:
        """No more steps follow, but what runs goes on."""

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""


def _opening(scene: Scene) -> str:
    etcd, ttl = scene.etcd, scene.watchman.candidates[0].ttl
    if not etcd.version:
        return "starting an etcd …"
    if not ttl:
        return f"etcd {etcd.version} at {etcd.url}, lock {LOCK}: starting three sidecars …"
    return f"etcd {etcd.version} at {etcd.url}, lock {LOCK}, TTL {ttl} s, three sidecars"


def _address(scene: Scene) -> str | None:
    """Where the page is, if it is served."""
    return f"the page: {scene.page.url}" if scene.page is not None and scene.page.url else None


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
    def show(self, scene: Scene) -> Iterator[None]:
        """Nothing but lines, as they come."""
        self._console.print("… starting an etcd and three sidecars", style="dim")
        yield

    def ready(self, scene: Scene) -> None:
        """What all this runs on."""
        self._console.print(_opening(scene))
        if (address := _address(scene)) is not None:
            self._console.print(address)

    def begin(self, title: str) -> None:
        """A step begins."""
        self._console.print(f"… {title}", style="dim")

    def end(self, step: Step) -> None:
        """It has ended."""
        self._console.print(_line(step))

    def settle(self) -> None:
        """Nothing is drawn that would have to go."""

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
    def show(self, scene: Scene) -> Iterator[None]:
        """Draw from the first moment on, whatever is there yet."""

        def draw() -> RenderableType:
            panel = Panel(_table(scene.watchman), title=_opening(scene), subtitle=_address(scene))
            return Group(panel, *self._steps, Text(self._now, style="yellow"))

        with Live(console=self._console, get_renderable=draw, refresh_per_second=10):
            yield

    def ready(self, scene: Scene) -> None:
        """The panel's title says so already."""

    def begin(self, title: str) -> None:
        """A step begins."""
        self._now = f"… {title}"

    def end(self, step: Step) -> None:
        """It has ended."""
        self._steps.append(_line(step))
        self._now = ""

    def settle(self) -> None:
        """The steps become lines above; below them the panel stays live."""
        for step in self._steps:
            self._console.print(step)
        self._steps.clear()

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""
        self._console.print(_summary(held, watchman))


def _table(watchman: Watchman) -> Table:
    table = Table(expand=True, box=None)
    for heading in ("position", "sidecar", "process", "/leader", "token"):
        table.add_column(heading, no_wrap=True)
    table.add_column("lease left, or why it does not lead", ratio=1, no_wrap=True)
    leads = watchman.leader()
    for candidate in sorted(watchman.candidates, key=lambda one: _place(watchman.seen.get(one.name))):
        table.add_row(*_row(candidate, watchman, leads))
    return table


def _place(seen: Seen | None) -> int:
    return seen.position if seen and seen.position is not None else 99


def _row(candidate: Candidate, watchman: Watchman, leads: Candidate | None) -> tuple[RenderableType, ...]:
    seen, led = watchman.seen.get(candidate.name), watchman.led.get(candidate.name)
    if not candidate.started:
        return ("", candidate.name, Text("not started yet", style="dim"), "", "", "")
    if not candidate.alive or candidate.frozen or seen is None:
        return ("", candidate.name, _process(candidate), "", "", _running_out(candidate, led, leads))
    place = "" if seen.position is None else str(seen.position)  # as in /leader and `leasehold status`: 0 leads
    if not seen.leading:
        answer = Text("503", style="dim")
        return (place, candidate.name, _process(candidate), answer, "", Text(seen.reason, "dim", overflow="ellipsis"))
    answer, bar = Text("200 leading", style="bold green"), _bar(candidate, seen.left())
    return (place, candidate.name, _process(candidate), answer, str(seen.token), bar)


def _process(candidate: Candidate) -> Text:
    if not candidate.alive:
        return Text("killed", style="red")
    if candidate.frozen:
        return Text(f"frozen {candidate.pid}", style="blue")
    if candidate.relay.cut:
        return Text(f"cut off {candidate.pid}", style="magenta")
    return Text(f"pid {candidate.pid}")


def _bar(candidate: Candidate, left: float) -> Text:
    """A lease bar: red once more than half of the lease has passed, for a leader renews at two thirds."""
    style = "green" if left > candidate.ttl / 2 else "bold red"
    return Text("█" * round(left / candidate.ttl * 20), style=style) + Text(f" {left:.1f} s")


def _running_out(candidate: Candidate, led: Seen | None, leads: Candidate | None) -> Text:
    """The lease of a leader that is gone: until it has run out, nobody else may lead."""
    if led is None or leads is not None or led.left() <= 0:
        return Text("")
    bar = Text("█" * round(led.left() / candidate.ttl * 20), style="bold red")
    return bar + Text(f" {led.left():.1f} s: nobody may lead", style="red")
