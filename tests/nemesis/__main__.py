"""`python -m tests.nemesis`: fresh seeds for so many minutes; or one seed again, as often as the time allows.

It prints what it does and a summary. A run with a contradiction leaves its history and all logs in a folder that it
names, and ends all with exit code 1. A seed draws the same faults again, not the same instants.
"""

import argparse
import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.nemesis.checker import Contradiction, check
from tests.nemesis.cluster_world import Shape, World
from tests.nemesis.history import History, Told
from tests.nemesis.nemesis import available, draw, torment
from tests.servers import ProcessFailed, Version, disks_available

ACTS = 10


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201 - a command-line tool


def run(seed: int, version: Version, acts: int) -> list[Contradiction]:
    """One world, one plan; what the checker finds."""
    say(f"seed {seed}, etcd {version}")
    with_disk = version != "3.7" and disks_available()
    with World(Shape(seed=seed, version=version, with_disk=with_disk)) as world:
        names, missing = available(world)
        for sentence in missing:
            say(f"  {sentence}")
        void = []
        try:
            torment(world, draw(seed, names, acts), lambda text: say(f"  {text}"))
        except ProcessFailed as error:
            void = [Contradiction("void", f"the run could not be finished: {error}")]
        found = void or check(world.history)
        say(f"  {_summary(world.history)}: {len(found)} contradictions")
        if found:
            _keep(world, found)
    return found


def _summary(history: History) -> str:
    told = history.all(Told)
    yes = sorted((one for one in told if one.status == 200), key=lambda one: one.received)
    vacant = max((later.received - earlier.sent for earlier, later in pairwise(yes)), default=0.0)
    return f"{len(told)} answers, {len({one.token for one in yes})} terms, at most {vacant:.1f} s without a holder"


def _keep(world: World, found: list[Contradiction]) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"leasehold-nemesis-{world.shape.seed}-"))
    world.history.save(folder / "history.jsonl")
    world.save_logs(folder)
    (folder / "contradictions.txt").write_text("\n".join(map(str, found)) + "\n")
    for one in found:
        say(f"  {one}"[:600])
    say(f"  history and logs: {folder}")


def main() -> int:
    """Run what the command line asks for; 1 when anything contradicts itself."""
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="no new run begins after so long (5)")
    parser.add_argument("--seed", type=int, help="the first run's seed; the next ones count on (random)")
    parser.add_argument("--etcd", choices=["3.7", "3.5"], default="3.7", help="the version of etcd (3.7)")
    parser.add_argument("--acts", type=int, default=ACTS, help=f"acts a run ({ACTS})")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    end = time.monotonic() + 60 * options.minutes
    failed = []
    runs = 0
    while not runs or time.monotonic() < end:
        if run(seed + runs, options.etcd, options.acts):
            failed.append(seed + runs)
        runs += 1
    say(f"{runs} runs from seed {seed} on; " + (f"contradictions with {failed}" if failed else "no contradiction"))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
