"""The report of many runs, and its picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.nemesis import picture
from tests.nemesis.case import Contradiction
from tests.nemesis.history import Fact, History, Injected, Recovery, Setup, Told
from tests.nemesis.report import Report

SETUP = Setup(ttl=3, queue="/queue/", spec="/spec", register="/register")


def told(name: str, at: float, token: int) -> Told:
    """A 200, answered at once."""
    return Told(name, at, at, 200, token)


FACTS: list[Fact] = [
    Recovery("the start", 0.0, 0.5),
    told("a", 1.0, 5),
    Injected("cut-off", 1.1),
    Injected("pause", 1.2),
    Told("a", 2.0, 2.0, 503),
    told("b", 4.0, 6),
    Recovery("cut-off + pause", 3.5, 4.0),
    Injected("pause", 4.5),
    told("a", 5.0, 7),
    told("b", 5.1, 6),
    Recovery("pause", 5.5, None),
]
"""Nobody leads from 1.0 to 4.0; from 5.0 on two lead at once."""


def report() -> dict[str, object]:
    made = Report()
    made.add(24, History(SETUP, list(FACTS)), [Contradiction("stuck", "after pause, nobody led")])
    return made.as_json({"etcd": ["3.7"]})


def test_a_report() -> None:
    """The start is no recovery; a recovery that never came is a contradiction, and no figure."""
    shown = report()
    assert (shown["runs"], shown["answers"], shown["terms"]) == (1, 5, 3)
    assert shown["gapSeconds"] == dict.fromkeys(("p10", "p50", "p90", "p99", "max"), 3.0)
    assert shown["recoverySeconds"] == dict.fromkeys(("p10", "p50", "p90", "p99", "max"), 0.5)
    assert isinstance(shown["faults"], dict)
    assert {name: fault["times"] for name, fault in shown["faults"].items()} == {"cut-off": 1, "pause": 2}
    assert shown["contradictions"] == [{"seed": 24, "rule": "stuck", "story": "after pause, nobody led"}]


def test_its_picture(tmp_path: Path) -> None:
    """Every fault, and the sum of all, in both colour schemes."""
    (tmp_path / "report.json").write_text(json.dumps(report()))
    picture.main([str(tmp_path / "report.json"), str(tmp_path / "picture.svg")])
    drawn = (tmp_path / "picture.svg").read_text()
    shown = " ".join(element.text for element in ElementTree.fromstring(drawn).iter() if element.text)
    assert "prefers-color-scheme: dark" in drawn
    assert "3 faults in 1 runs, 3 terms, 1 contradictions" in shown
    assert "cut-off" in shown


def test_a_picture_needs_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        picture.main(["/nowhere.json", "/nowhere.svg"])
    assert "/nowhere.json" in capsys.readouterr().err
