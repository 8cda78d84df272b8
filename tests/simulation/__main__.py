"""Run the simulation by hand: one seed with all that happens, or fresh seeds for some minutes."""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

from .mutants import FURTHER, LISTED
from .world import Failure, World


def main() -> int:
    """Returns 1 when a schedule failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one schedule")
    parser.add_argument("--verbose", action="store_true", help="show all that happens")
    parser.add_argument("--long", type=float, metavar="MINUTES", help="run fresh schedules for so long")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--count", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--faults", default="", help="only these faults, by name, separated by commas")
    names = [mutant.__name__ for mutant in (*LISTED, *FURTHER)]
    parser.add_argument("--mutant", choices=names, help="run the election with this bug planted")
    options = parser.parse_args()
    mutant = next((mutant for mutant in (*LISTED, *FURTHER) if mutant.__name__ == options.mutant), None)
    only = tuple(filter(None, options.faults.split(",")))
    with mutant.planted() if mutant else nullcontext():
        return run(_seeds(options), only, _say if options.verbose else None)


def _seeds(options: argparse.Namespace) -> Iterable[int]:
    if options.seed is not None:
        return [int(options.seed)]
    if options.long is not None:
        return _fresh(options.long * 60)
    return range(options.first, options.first + options.count)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _fresh(seconds: float) -> Iterator[int]:
    seed, end = time.time_ns() % 10**12, time.monotonic() + seconds
    while time.monotonic() < end:
        seed += 1
        yield seed


def run(seeds: Iterable[int], only: tuple[str, ...], echo: Callable[[str], None] | None = None) -> int:
    """Run these schedules, all of them, and say which failed; returns 1 if any did."""
    failed: dict[str, list[int]] = defaultdict(list)
    count, start = 0, time.process_time()
    for seed in seeds:
        count += 1
        try:
            World(seed, echo, only).run()
        except Failure as failure:
            failed[failure.invariant].append(seed)
            _say(str(failure))
    each = (time.process_time() - start) / max(1, count) * 1000
    _say(f"{count} schedules, {each:.1f} ms each; failed: {dict(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
