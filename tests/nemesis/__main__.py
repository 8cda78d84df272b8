"""`python -m tests.nemesis`: fresh seeds for so many minutes; or one seed again, as often as the time allows.

It prints what it does and a summary; `--json FILE` writes the report, anew after each run. A run with a contradiction
leaves its history and all logs in a folder that it names, and ends all with exit code 1; with `--keep FOLDER` every run
does, in a folder of its seed. A seed draws the same faults again, not the same instants.
"""

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.nemesis.case import Contradiction
from tests.nemesis.checker import check
from tests.nemesis.cluster_world import TTL, Shape, World
from tests.nemesis.etcd_gateway import Unanswered
from tests.nemesis.history import History
from tests.nemesis.nemesis import available, draw, torment
from tests.nemesis.report import Report, spread
from tests.servers import ProcessFailed, Version

ACTS = 10


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)  # noqa: T201 - a command-line tool


def run(seed: int, version: Version, acts: int, keep: Path | None) -> tuple[History, list[Contradiction]]:
    """One world, one plan; what was seen, and what the checker finds. `keep` is where every run leaves its logs."""
    say(f"seed {seed}, etcd {version}")
    with World(Shape.of(seed, version)) as world:
        names, missing = available(world)
        for sentence in missing:
            say(f"  {sentence}")
        void = []
        try:
            torment(world, draw(seed, names, acts), lambda text: say(f"  {text}"))
        except (ProcessFailed, OSError, Unanswered) as error:
            void = [Contradiction("void", f"the run could not be finished: {error}")]
        found = void or check(world.history)
        if found or keep:
            _keep(world, found, keep)
    return world.history, found


def _keep(world: World, found: list[Contradiction], keep: Path | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"leasehold-nemesis-{world.shape.seed}-", dir=keep))
    world.history.save(folder / "history.jsonl")
    world.save_logs(folder)
    (folder / "contradictions.txt").write_text("\n".join(map(str, found)) + "\n")
    for one in found:
        say(f"  {one}"[:600])
    say(f"  history and logs: {folder}")


def run_for(
    seconds: float, seed: int, versions: Sequence[Version], acts: int, file: Path | None, keep: Path | None
) -> Report:
    """Runs from `seed` on, each with the next version, until so much time has passed; one at least."""
    report = Report()
    loads: list[float] = []
    start = time.monotonic()
    while not report.runs or time.monotonic() < start + seconds:
        number = seed + report.runs
        history, found = run(number, versions[report.runs % len(versions)], acts, keep)
        loads.append(os.getloadavg()[1])
        before = report.terms
        report.add(number, history, found)
        say(f"  {report.terms - before} terms, {len(found)} contradictions")
        if file is not None:
            told = report.as_json(_conditions(seed, versions, time.monotonic() - start, loads))
            file.write_text(json.dumps(told, indent=1) + "\n")
    return report


def _conditions(seed: int, versions: Sequence[Version], seconds: float, loads: Sequence[float]) -> dict[str, object]:
    return {
        "firstSeed": seed,
        "etcd": list(dict.fromkeys(versions)),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "loadAverage": spread(loads),
        "ttlSeconds": TTL,
        "seconds": round(seconds),
    }


def main() -> int:
    """Run what the command line asks for; 1 when anything contradicts itself."""
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5.0, help="no new run begins after so long (5)")
    length.add_argument("--hours", type=float, help="the same in hours")
    parser.add_argument("--seed", type=int, help="the first run's seed; the next ones count on (random)")
    parser.add_argument("--etcd", choices=["3.7", "3.5"], nargs="+", default=["3.7"], help="versions, in turn (3.7)")
    parser.add_argument("--acts", type=int, default=ACTS, help=f"acts a run ({ACTS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the report")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where every run leaves its history and all logs")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    seconds = 3600 * options.hours if options.hours is not None else 60 * options.minutes
    report = run_for(seconds, seed, options.etcd, options.acts, options.json, options.keep)
    failed = sorted({str(one["seed"]) for one in report.contradictions})
    told = f"contradictions with {', '.join(failed)}" if failed else "no contradiction"
    say(f"{report.runs} runs from seed {seed} on; {told}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
