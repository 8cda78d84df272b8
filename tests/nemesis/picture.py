"""`python -m tests.nemesis.picture REPORT.json PICTURE.svg`: what many runs showed, as bars for light and dark pages.

REPORT.json is what `python -m tests.nemesis --json` wrote. The thin line of a fault's bar goes from p10 to p90.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import picture

Bar = tuple[str, float, float, float]


def draw(report: Mapping[str, Any]) -> str:
    """The SVG of one report. Raises ValueError if there was no fault."""
    faults = report["faults"]
    if not faults:
        raise ValueError("the report has no fault")
    count, found = sum(fault["times"] for fault in faults.values()), len(report["contradictions"])
    title = f"{count} faults in {report['runs']} runs, {report['terms']} terms, {found} contradictions"
    after = [_line(f"{name}, {fault['times']} times", fault) for name, fault in faults.items() if "p50" in fault]
    return picture.draw(
        [
            _figure(f"{title}. Somebody leads again after healing:", "s", after),
            _figure("Nobody leads between two terms, the fault included", "s", _percentiles(report["gapSeconds"])),
        ]
    )


def _figure(title: str, unit: str, bars: Sequence[Bar]) -> dict[str, object]:
    return {"figure": {"title": title, "unit": unit, "bars": bars, "peers": False}}


def _point(name: str, value: float) -> Bar:
    return name, value, value, value


def _line(name: str, fault: Mapping[str, float]) -> Bar:
    return name, fault["p50"], fault["p10"], fault["p90"]


def _percentiles(values: Mapping[str, float]) -> list[Bar]:
    return [_point(name, values[name]) for name in ("p50", "p90", "p99", "max") if name in values]


def main(arguments: Sequence[str]) -> None:
    """Draw one file from the other; exits with 2 and a sentence if that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.nemesis.picture", description="Draw a report of the nemesis."
    )
    parser.add_argument("report", type=Path, help="what `python -m tests.nemesis --json` wrote")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    given = parser.parse_args(arguments)
    try:
        given.picture.write_text(draw(json.loads(given.report.read_text())))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
