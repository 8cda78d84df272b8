"""The demo on the terminal: a live table of the queue and the steps below it, or plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

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


WIDE_COLUMNS: Final = 100
"""A terminal with fewer gets shorter words and bars: what the tour shows must not be cut off."""
_BAR_CELLS: Final = {True: 20, False: 8}
_COLUMNS: Final = {"position": 8, "sidecar": 7, "process": len("pid 4194304"), "/leader": 7, "token": 5}
"""The least width of each: a table whose columns move with what is in them cannot be read."""
_PANEL_LINES: Final = 6


def _opening(scene: Scene, *, wide: bool = True) -> str:
    etcd, ttl = scene.etcd, scene.watchman.candidates[0].ttl
    if not etcd.version:
        return "starting an etcd …"
    if not ttl:
        return f"etcd {etcd.version}, lock {LOCK}: starting three sidecars …"
    if not wide:
        return f"etcd {etcd.version}, lock {LOCK}, TTL {ttl} s, three sidecars"
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


def _hanging(line: Text) -> Table:
    """A step's line, wrapped beside its mark."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row(line[:1], line[2:])
    return grid


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
        self._steps: list[Table] = []
        self._now = ""
        self._ended = False

    @contextmanager
    def show(self, scene: Scene) -> Iterator[None]:
        """Draw from the first moment on, whatever is there yet."""

        def draw() -> RenderableType:
            wide = self._console.width >= WIDE_COLUMNS
            table = _table(scene.watchman, wide=wide)
            panel = Panel(table, title=_opening(scene, wide=wide), subtitle=_address(scene))
            return Group(panel, *self.fitting(), Text(self._now, style="yellow"))

        with Live(console=self._console, get_renderable=draw, refresh_per_second=10):
            try:
                yield
            finally:
                self._ended = True

    def fitting(self) -> list[Table]:
        """The last steps, as many as the terminal has lines for; all of them in the end, when they may scroll."""
        left = self._console.height - _PANEL_LINES - 1  # and the line of the present step
        shown: list[Table] = []
        for step in reversed(self._steps):
            left -= len(self._console.render_lines(step, pad=False))
            if left < 0 and not self._ended:
                break
            shown.insert(0, step)
        return shown

    def ready(self, scene: Scene) -> None:
        """The panel's title says so already."""

    def begin(self, title: str) -> None:
        """A step begins."""
        self._now = f"… {title}"

    def end(self, step: Step) -> None:
        """It has ended."""
        self._steps.append(_hanging(_line(step)))
        self._now = ""

    def settle(self) -> None:
        """The steps become lines above; below them the panel stays live."""
        for step in self._steps:
            self._console.print(step)
        self._steps.clear()

    def sum_up(self, held: bool, watchman: Watchman) -> None:
        """The tour has ended."""
        self._console.print(_summary(held, watchman))


def _table(watchman: Watchman, *, wide: bool) -> Table:
    table = Table(expand=True, box=None)
    for heading, cells in _COLUMNS.items():
        table.add_column(heading, no_wrap=True, min_width=cells)
    table.add_column("lease left, or why it does not lead" if wide else "lease left, or why not", ratio=1, no_wrap=True)
    leads = watchman.leader()
    for candidate in sorted(watchman.candidates, key=lambda one: _place(watchman.seen.get(one.name))):
        table.add_row(*_row(candidate, watchman, leads, wide=wide))
    return table


def _place(seen: Seen | None) -> int:
    return seen.position if seen and seen.position is not None else 99


def _row(
    candidate: Candidate, watchman: Watchman, leads: Candidate | None, *, wide: bool
) -> tuple[RenderableType, ...]:
    seen, led, cells = watchman.seen.get(candidate.name), watchman.led.get(candidate.name), _BAR_CELLS[wide]
    if not candidate.started:
        return ("", candidate.name, Text("not started", style="dim"), "", "", "")
    if not candidate.alive or candidate.frozen or seen is None:
        ends = led if leads is None else None  # somebody else leads: it has ended
        return ("", candidate.name, _process(candidate), "", "", _running_out(candidate, ends, cells))
    place = "" if seen.position is None else str(seen.position)  # as in /leader and `leasehold status`: 0 leads
    if not seen.leading:
        reason = Text(_why(seen), style="dim", overflow="ellipsis")
        return (place, candidate.name, _process(candidate), Text("503", style="dim"), "", reason)
    answer = Text("200 leading" if wide else "200", style="bold green")
    bar = _bar(candidate, seen.left(), cells)
    return (place, candidate.name, _process(candidate), answer, str(seen.token), bar)


def _why(seen: Seen) -> str:
    """The reason; of a waiter only what differs from one to the other."""
    return seen.reason.partition(": ")[2] if seen.code == "behind" else seen.reason


def _process(candidate: Candidate) -> Text:
    if not candidate.alive:
        return Text("killed", style="red")
    if candidate.frozen:
        return Text("frozen", style="blue")
    if candidate.relay.cut:
        return Text("cut off", style="magenta")
    return Text(f"pid {candidate.pid}")


def _bar(candidate: Candidate, left: float, cells: int) -> Text:
    """A lease bar: red once more than half of the lease has passed, for a leader renews at two thirds."""
    style = "green" if left > candidate.ttl / 2 else "bold red"
    return Text("█" * round(left / candidate.ttl * cells), style=style) + Text(f" {left:.1f} s")


def _running_out(candidate: Candidate, led: Seen | None, cells: int) -> Text:
    """The lease of a leader that is gone: until it has run out, nobody else may lead."""
    if led is None or led.left() <= 0:
        return Text("")
    bar = Text("█" * round(led.left() / candidate.ttl * cells), style="bold red")
    return bar + Text(f" {led.left():.1f} s: nobody may lead", style="red")
