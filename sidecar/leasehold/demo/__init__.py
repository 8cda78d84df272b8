"""`leasehold demo`: a tour of real failovers on an embedded etcd, with the time without a leader measured.

Needs the extra `demo`. The sidecar uses nothing of this: the demo starts `leasehold run` as its users do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from leasehold.base.sentence_parser import SentenceParser
from leasehold.demo import next_steps
from leasehold.demo.cannot_start import CannotStart
from leasehold.demo.scene import Scene
from leasehold.demo.stage import Stage
from leasehold.demo.tour import run_tour
from leasehold.demo.view import LiveView, PlainView, View

_FAILED = 1
_UNUSABLE = 2


class Options(NamedTuple):
    """What was asked for."""

    keep: bool
    plain: bool
    ui: bool


def main(arguments: Sequence[str]) -> int:
    """Run the tour; returns 0 only if every step held, and -n if signal n has ended it. Raises ConfigError."""
    options = _parser().parse_args(arguments)
    plain = options.plain or not sys.stdout.isatty() or Console().is_dumb_terminal  # where nothing can be redrawn
    ended_by: list[int] = []
    try:
        return asyncio.run(_run(Options(options.keep, plain, options.ui), ended_by))
    except CannotStart as error:
        sys.stderr.write(f"leasehold: {error}\n")
        return _UNUSABLE
    except asyncio.CancelledError:
        return -ended_by[0]


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="leasehold demo",
        allow_abbrev=False,
        description="Watch three sidecars on a real etcd elect a leader, hand over, and survive whatever befalls it.",
    )
    parser.add_argument("--keep", action="store_true", help="leave it all running at the end, for curl, until Ctrl-C")
    parser.add_argument("--ui", action="store_true", help="serve the page of all locks on it, and print its address")
    parser.add_argument(
        "--plain", action="store_true", help="print lines instead of a live view (default: off a terminal)"
    )
    return parser


async def _run(options: Options, ended_by: list[int]) -> int:
    _stop_at_signals(ended_by)
    console = Console(soft_wrap=options.plain)
    view: View = PlainView(console) if options.plain else LiveView(console)
    with tempfile.TemporaryDirectory(prefix="leasehold-demo-") as directory:
        scene = Scene(Path(directory), with_page=options.ui)
        async with AsyncExitStack() as stack:
            with view.show(scene):
                await scene.start(stack)
                view.ready(scene)
                held = await run_tour(Stage(scene.watchman, scene.etcd.url, scene.apps.sick), view)
                if options.keep:
                    view.settle()
                    view.sum_up(held, scene.watchman)
                    next_steps.show(console, scene.etcd, keep=True)
                    next_steps.show_commands(console, scene)
                    await asyncio.Event().wait()
            view.sum_up(held, scene.watchman)
            next_steps.show(console, scene.etcd, keep=False)
    return 0 if held else _FAILED


def _stop_at_signals(ended_by: list[int]) -> None:
    """Have signals cancel the present task, which ends what was started, and be noted. Ctrl-C works in a background
    job, too.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "asyncio.run runs a task"

    def end(number: int) -> None:
        ended_by.append(number)
        if number == signal.SIGHUP:
            _forget_the_terminal()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    # nohup ignores it, so that the program outlives its terminal
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, end, signal.SIGHUP)


def _forget_the_terminal() -> None:
    # it is gone: what is still printed would raise, and keep the rest from being ended
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
