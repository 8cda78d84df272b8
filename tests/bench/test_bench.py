"""That each benchmark can be run, and tells what it measured on. The figures are for people to judge."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import picture
from tests.bench.__main__ import BENCHMARKS, main
from tests.bench.samples import MeasurementFailed, Sample
from tests.cluster import why_unavailable

TITLES = {
    "handover": "### Handover when the leader is stopped",
    "release": "### Release of a native sidecar after its app's end",
    "start": "### Start until it leads",
    "crash": "### Crash of the leader",
    "idle": "### An idle holder",
    "crowd": "### What etcd spends on an idle candidate",
    "traffic": "### Requests to etcd",
    "load": "### Keep-alives under that load",
    "recorder": "### CPU that the flight recorder adds",
    "operator": "### The operator's cold start",
    "enrolment": "### The operator's cold start with enrolment",
    "ui": "### The page's process",
    "admission": "### Creation of a pod",
    "cluster": "### Rolling updates on a real node",
}


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.bench", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=3600, check=False)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run below writes its tables as JSON."""
    return tmp_path_factory.mktemp("bench") / "figures.json"


@pytest.fixture(scope="module")
def report(figures: Path) -> str:
    """What a run of all of them prints, at the smallest scale."""
    written = figures.with_suffix(".md")
    names = [name for name in BENCHMARKS if name != "cluster" or not why_unavailable()]
    result = bench("--quick", "--markdown", written, "--json", figures, *names)
    assert result.returncode == 0, result.stderr
    assert written.read_text() == result.stdout
    return result.stdout


def test_it_says_what_it_measured_on(report: str) -> None:
    assert "### Measured on" in report
    assert "fdatasync p50" in report


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_each_benchmark_measures_ours(report: str, name: str, title: str) -> None:
    if name == "cluster" and (reason := why_unavailable()):
        pytest.skip(reason)
    table = report.partition(title)[2].partition("###")[0]
    assert any(line.startswith(("| leasehold", "| 500 a second")) for line in table.splitlines()), name


@pytest.mark.usefixtures("report")
def test_the_picture_shows_each_figure(figures: Path) -> None:
    """Drawn from the run's JSON alone; well-formed, in both colour schemes, with every contender's name and value."""
    drawn = picture.draw(json.loads(figures.read_text()))
    words = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert "prefers-color-scheme: dark" in drawn
    for title in ("Handover when the leader is stopped (SIGTERM)", "CPU time until it leads"):
        assert title in words
    assert words.count("leasehold") >= 4


def test_a_picture_needs_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        picture.main(["/nowhere.json"])
    assert "/nowhere.json" in capsys.readouterr().err


def test_none_is_left_out_above() -> None:
    assert set(BENCHMARKS) == set(TITLES)


def test_gap_in_the_figures_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with a gap must not look like a success."""

    def fail(_: object) -> list[object]:
        raise MeasurementFailed("the disk is gone")

    monkeypatch.setattr("tests.bench.__main__.BENCHMARKS", {"broken": fail})
    assert main(["broken"]) == 1
    assert "the disk is gone" in capsys.readouterr().err


def test_a_name_that_is_none_is_refused() -> None:
    assert bench("speed").returncode == 2


def test_percentiles_were_measured() -> None:
    """A percentile is one of the values that were measured."""
    sample = Sample("hundred", [float(n) for n in range(1, 101)])
    assert (sample.percentile(50), sample.percentile(99), sample.percentile(100)) == (50, 99, 100)
    with pytest.raises(MeasurementFailed):
        Sample("none").percentile(50)
