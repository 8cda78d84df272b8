"""`python -m tests.bench [NAME…]`: the options are in its `--help`, the rest in the package's docstring."""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from tests.bench import (
    admission,
    cluster,
    crash,
    crowd,
    handover,
    idle,
    load,
    machine,
    operator_enrolment,
    operators,
    recorder,
    release,
    start,
    traffic,
    ui,
)
from tests.bench.processes import as_installed
from tests.bench.samples import Table, say
from tests.bench.scale import QUICK, Bench, Scale
from tests.servers import EtcdServer

BENCHMARKS: Mapping[str, Callable[[Bench], list[Table]]] = {
    "handover": handover.run,
    "release": release.run,
    "start": start.run,
    "crash": crash.run,
    "idle": idle.run,
    "crowd": crowd.run,
    "traffic": traffic.run,
    "load": load.run,
    "recorder": recorder.run,
    "operator": operators.run,
    "enrolment": operator_enrolment.run,
    "ui": ui.run,
    "admission": admission.run,
    "cluster": cluster.run,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit code: 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure Leasehold and its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a round or two of each: to see that it works")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to this file, too")
    parser.add_argument("--quiet", type=float, metavar="SECONDS", help="watch the idle operator for so long (300)")
    parser.add_argument(
        "--before", metavar="PYTHON", help="an interpreter with an older build installed, to measure in turn with"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables to this file as JSON, too")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; use {', '.join(BENCHMARKS)}")
    report: list[Table | str] = [machine.table()]
    scale = QUICK if given.quick else Scale()
    if given.quiet is not None:
        scale = replace(scale, operator_quiet_seconds=given.quiet)
    with tempfile.TemporaryDirectory(prefix="leasehold-bytecode-") as cache:
        env = as_installed(Path(cache))
        setting = Setting(scale, env, given.before)
        failed = [name for name in given.names or BENCHMARKS if not _measure(name, setting, report)]
    text = "\n".join(map(str, report))
    sys.stdout.write(text)
    if given.markdown:
        given.markdown.write_text(text)
    if given.json:
        given.json.write_text(json.dumps([asdict(part) for part in report if isinstance(part, Table)], indent=1))
    return 1 if failed else 0


class Setting(NamedTuple):
    """What all benchmarks of a run share."""

    scale: Scale
    env: Mapping[str, str]
    before: str | None


def _measure(name: str, setting: Setting, report: list[Table | str]) -> bool:
    """Run one benchmark on an etcd of its own; False, and why on stderr, when it could not be measured."""
    say(f"{name} …")
    try:
        with EtcdServer() as etcd:
            before = os.getloadavg()[0]
            report += BENCHMARKS[name](Bench(etcd, *setting))
            report.append(f"Load average around {name}: {before:.1f} before, {os.getloadavg()[0]:.1f} after.\n")
    except Exception:  # whatever it was: the others can still be measured
        say(f"{name} could not be measured:\n{traceback.format_exc()}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
