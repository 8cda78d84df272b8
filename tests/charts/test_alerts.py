"""Each alert, as the chart renders it, through Prometheus' own tool: when it fires, and when it is silent."""

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.servers import program

EVERY: Final = "30s"
"""Between two values of a series, and two looks at the rules; a case of days has fewer."""
ON: Final = {"prometheusRule.enabled": True, "injector.mode": "webhook"}
CASES: Final[dict[str, list[dict[str, Any]]]] = yaml.safe_load(
    (Path(__file__).parent / "alerts" / "cases.yaml").read_text()
)


@functools.cache
def groups() -> list[dict[str, Any]]:
    """The groups of the chart's PrometheusRule."""
    (rule,) = (each for each in objects(render(LEASEHOLD, *values(**ON))) if each["kind"] == "PrometheusRule")
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


@functools.cache
def rules() -> dict[str, dict[str, Any]]:
    """Each alert by its name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"]}


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": groups()}))
    return file


def promtool(*words: str | Path) -> str:
    """What it says; an assertion that it finds nothing wrong."""
    run = subprocess.run([program("promtool"), *words], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def told(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """The alert of a rule with these labels, as promtool compares it."""
    written = {
        name: re.sub(r"{{ \$labels\.(\w+) }}", lambda match: labels[match[1]], text)
        for name, text in rule["annotations"].items()
    }
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": written}


def as_test(alert: str, case: dict[str, Any]) -> dict[str, Any]:
    """A case in promtool's own form."""
    series = [dict(zip(("series", "values"), each.split(" ", 1), strict=True)) for each in case["series"]]
    expected = [told(rules()[alert], labels) for labels in case["fires"]]
    check = {"eval_time": case["at"], "alertname": alert, "exp_alerts": expected}
    form = {"name": case["it"], "interval": case.get("every", EVERY)}
    return {**form, "input_series": series, "alert_rule_test": [check]}


def test_rules_pass_the_check(rules_file: Path) -> None:
    """Expressions, templates and names are as Prometheus wants them; no rule is there twice."""
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", rules_file)
    assert f"SUCCESS: {len(rules())} rules found" in said


@pytest.mark.parametrize("alert", CASES)
def test_alert_fires_and_is_silent(alert: str, rules_file: Path, tmp_path: Path) -> None:
    """For the right cluster alone, with its labels in its sentences."""
    for every in {case.get("every", EVERY) for case in CASES[alert]}:
        cases = tmp_path / f"cases-{every}.yaml"
        tests = [as_test(alert, case) for case in CASES[alert] if case.get("every", EVERY) == every]
        cases.write_text(json.dumps({"rule_files": [str(rules_file)], "evaluation_interval": every, "tests": tests}))
        promtool("test", "rules", cases)


def test_each_alert_is_tried() -> None:
    """Firing, silent, and beside another cluster."""
    assert CASES.keys() == rules().keys()
    for alert, cases in CASES.items():
        assert {bool(case["fires"]) for case in cases} == {True, False}, alert
        assert any('cluster="b"' in series for case in cases if case["fires"] for series in case["series"]), alert
