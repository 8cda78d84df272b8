"""The benchmarks' figures as tables of the pages, from the JSON that a run of `tests.bench` wrote.

A line whose benchmark was not run is left out.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

FIGURES: Final = Path(__file__).resolve().parent.parent / "bench" / "figures.json"

_TERM: Final = "Handover when the leader is stopped (SIGTERM)"
_ASKED: Final = "Handover when the leader is asked to step down"
_START: Final = "Start until it leads, on an empty lock"
_CPU: Final = "CPU time until it leads"
_IDLE: Final = "An idle holder"
_NODE: Final = "8 idle holders on one node"
_CROWD: Final = "What etcd spends on an idle candidate"
_RATIOS: Final = "in ratios"


class Line(NamedTuple):
    """A line of a page's table: of which table it is, of which column, and the rows that its cells are of."""

    label: str
    table: str
    column: str
    rows: Sequence[str]
    """Ours, an older build's, etcdctl's, Go's, etcd3's; empty where there is none."""
    beside: str = ""
    """The column that stands in brackets, if there is one."""


_OURS, _BEFORE, _CTL, _GO = "leasehold", "leasehold before", "etcdctl elect", "Go concurrency.Election"
_ALL: Final = (_OURS, _BEFORE, _CTL, _GO, "")
_LINES: Final = (
    Line("handover, TERM of the leader", _TERM, "p50", _ALL, "p99"),
    Line("… with `--state-dir`", _TERM, "p50", ("leasehold --state-dir", "", "", "", ""), "p99"),
    Line(
        "handover on request",
        _ASKED,
        "p50",
        ("leasehold, POST /handover", "", "", "Go concurrency.Election, Resign", "PyPI etcd3 Lock, release"),
        "p99",
    ),
    Line("… on a new connection", _ASKED, "p50", ("leasehold, on a new connection", "", "", "", ""), "p99"),
    Line("start until it leads", _START, "p50", _ALL, "p99"),
    Line("CPU time until it leads", _CPU, "p50", _ALL, "p99"),
    Line("memory of an idle holder, RSS", _IDLE, "RSS", _ALL),
    Line("… by mutual TLS", _IDLE, "RSS", ("leasehold, mutual TLS", "", "", "", "")),
    Line("… anonymous", _IDLE, "anonymous", _ALL),
    Line("memory of each of eight on a node, PSS", _NODE, "PSS", _ALL),
    Line("CPU of an idle holder", _IDLE, "of a core", _ALL),
    Line(
        "etcd's CPU for each idle candidate, in pairs",
        _CROWD,
        "CPU",
        ("leasehold, in pairs", "leasehold before, in pairs", "", "Go concurrency.Election, in pairs", ""),
    ),
    Line("… in one queue of 200", _CROWD, "CPU", ("leasehold, in one queue of 200", "", "", "", "")),
)
_IN_SHORT: Final = {
    "handover, TERM of the leader": "handover, TERM of the leader",
    "handover on request": "handover on request",
    "memory of an idle holder, RSS": "memory of an idle holder",
    "memory of each of eight on a node, PSS": "memory of each of eight on one node (PSS)",
    "CPU of an idle holder": "CPU of an idle holder",
    "etcd's CPU for each idle candidate, in pairs": "etcd's CPU for each idle candidate",
}


def measured_on() -> str:
    """One paragraph: the machine of the run."""
    facts = {row[0]: row[1] for row in _tables()["Measured on"]["rows"]}
    return (
        f"One run on {facts['CPU']}, {facts['Python']}, {facts['etcd']}; {facts['disk under etcd']}; "
        f"load average before: {facts['load average before']}."
    )


def in_short() -> list[list[str]]:
    """The table of the first page, with its head."""
    head = ["", "Leasehold", "`etcdctl elect`", "Go `concurrency.Election`"]
    lines = [(_IN_SHORT[line.label], line._replace(beside="")) for line in _measured() if line.label in _IN_SHORT]
    cells = [(label, _cells(line)) for label, line in lines]
    return [head, *([label, found[0], found[2], found[3]] for label, found in cells)]


def in_full() -> list[list[str]]:
    """All that is compared, with the head."""
    head = ["p50 (p99)", "Leasehold", "an older build", "`etcdctl elect`", "Go `concurrency.Election`", "PyPI `etcd3`"]
    return [head, *([line.label, *_cells(line)] for line in _measured())]


def ratios() -> list[list[str]]:
    """The ratios of what was measured in the same rounds, with the head."""
    tables = [table for title, table in _tables().items() if title.endswith(_RATIOS)]
    head = ["", "of the medians", "p10 to p90 of the rounds", "rounds"]
    rows = []
    for table in tables:
        what = table["title"].removesuffix(f", {_RATIOS}")
        for name, medians, low, _, high, count in table["rows"]:
            rows.append([f"{what}: {name}", medians, f"{low} to {high}", count])
    return [head, *rows]


def _measured() -> list[Line]:
    return [line for line in _LINES if line.table in _tables()]


def _cells(line: Line) -> list[str]:
    table = _tables()[line.table]
    rows = {row[0]: dict(zip(table["columns"], row[1:], strict=True)) for row in table["rows"]}
    return [_cell(rows[name], line) if name in rows else "" for name in line.rows]


def _cell(row: Mapping[str, str], line: Line) -> str:
    return f"{row[line.column]} ({row[line.beside].split()[0]})" if line.beside else row[line.column]


def _tables() -> dict[str, dict[str, Any]]:
    return {table["title"]: table for table in json.loads(FIGURES.read_text())}
