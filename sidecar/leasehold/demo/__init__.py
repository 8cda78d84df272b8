"""`leasehold demo`: a tour of real failovers on an embedded etcd, with the time without a leader measured.

Needs the extra `demo`. The sidecar uses nothing of this: the demo starts `leasehold run` as its users do.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from leasehold.demo.candidates import Candidate, fitting_ttl, start_candidates
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
    task = asyncio.current_task()
    if task is not None:  # cancelling stops what was started; a shell's background job starts with INT ignored
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    console = Console(soft_wrap=plain)
    view: View = PlainView(console) if plain else LiveView(console)
    with tempfile.TemporaryDirectory(prefix="leasehold-demo-") as directory, EmbeddedEtcd(Path(directory)) as etcd:
        await etcd.wait_ready()
        candidates = await start_candidates(etcd.url, await fitting_ttl(), Path(directory))
        try:
            async with Watchman(candidates) as watchman:
                with view.show(etcd, watchman):
                    tour = Tour(candidates, watchman, view)
                    held = await tour.run()
                view.sum_up(held, watchman)
                if keep:
                    await _keep(console, etcd, candidates)
        finally:
            for candidate in candidates:
                candidate.end()
    return 0 if held else _FAILED


async def _keep(console: Console, etcd: EmbeddedEtcd, candidates: Sequence[Candidate]) -> None:
    console.print("\nStill running, until Ctrl-C:")
    for candidate in candidates:
        console.print(
            f"  curl -i {candidate.url}/leader    # {candidate.name}; curl -X POST {candidate.control}/handover"
        )
    console.print(f"  leasehold status --etcd {etcd.url} --lock demo/tour")
    await asyncio.Event().wait()
