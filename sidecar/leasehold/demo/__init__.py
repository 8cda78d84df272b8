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

from rich.console import Console

from leasehold.demo import next_steps
from leasehold.demo.candidates import end_candidates, fitting_ttl, make_candidates, start_candidates
from leasehold.demo.etcd import EmbeddedEtcd, NoEtcd
from leasehold.demo.tour import Tour
from leasehold.demo.view import LiveView, PlainView, View
from leasehold.demo.watch import Watchman

_FAILED = 1
_UNUSABLE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run the tour; returns 0 only if every step held."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(keep=options.keep, plain=options.plain or not sys.stdout.isatty()))
    except NoEtcd as error:
        sys.stderr.write(f"leasehold: {error}\n")
        return _UNUSABLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leasehold demo",
        description="Watch three sidecars on a real etcd elect a leader, hand over, and survive kill -9 and SIGSTOP.",
    )
    parser.add_argument("--keep", action="store_true", help="leave it all running at the end, for curl, until Ctrl-C")
    parser.add_argument(
        "--plain", action="store_true", help="print lines instead of a live view (default: off a terminal)"
    )
    return parser


async def _run(*, keep: bool, plain: bool) -> int:
    _stop_at_signals()
    console = Console(soft_wrap=plain)
    view: View = PlainView(console) if plain else LiveView(console)
    with tempfile.TemporaryDirectory(prefix="leasehold-demo-") as directory:
        etcd = EmbeddedEtcd(Path(directory))
        watchman = Watchman(make_candidates(etcd, Path(directory)))
        async with AsyncExitStack() as stack:
            with view.show(etcd, watchman):
                await _start(stack, etcd, watchman)
                view.ready(etcd, watchman)
                held = await Tour(watchman.candidates, watchman, view).run()
            view.sum_up(held, watchman)
            next_steps.show(console, etcd, keep=keep)
            if keep:
                next_steps.show_commands(console, etcd, watchman.candidates)
                await asyncio.Event().wait()
    return 0 if held else _FAILED


def _stop_at_signals() -> None:
    """Have signals cancel the present task, which ends what was started. Ctrl-C works in a background job, too."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None, "asyncio.run runs a task"
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    # nohup ignores it, so that the program outlives its terminal
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, _hang_up, task)


def _hang_up(task: asyncio.Task[None]) -> None:
    # the terminal is gone: what is still printed would raise, and keep the rest from being ended
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    task.cancel()


async def _start(stack: AsyncExitStack, etcd: EmbeddedEtcd, watchman: Watchman) -> None:
    """Start etcd and the sidecars; `stack` ends them. Raises NoEtcd."""
    stack.enter_context(etcd)
    await etcd.wait_ready()
    ttl = await fitting_ttl()
    stack.callback(end_candidates, watchman.candidates)
    await start_candidates(watchman.candidates, ttl)
    await stack.enter_async_context(watchman)
