"""Each value of the charts, as nothing, as a text, as a number: it renders complete objects, or is told.

A `null` takes Helm's default away, and a tool that sets texts alone writes numbers as such. What is rendered must not
have the traces that Go's templates leave of what is missing.
"""

import copy
import functools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.charts.rendered import LEASEHOLD, SINGLETON, objects, render, values
from tests.cluster import HelmFailed

ALL = bool(os.environ.get("EVERY_VALUE"))
"""Whether each is tried by itself, which takes minutes, or a quarter of them."""
TRACES = ("<nil>", "<no value>", "%!", "map[")
EVERYTHING = {
    "etcd.replicas": 3,
    "networkPolicy.egress.enabled": True,
    "serviceMonitor.enabled": True,
    "podMonitor.enabled": True,
    "prometheusRule.enabled": True,
    "dashboard.enabled": True,
    "crds.keep": False,
}
APP = {"app.image": "reports:1.0", "leasehold.etcd.endpoints": ["http://etcd:2379"]}
INTERNAL = ("nil pointer", "wrong type", "error calling", "can't evaluate", "YAML parse error", "unable to parse")


def leaves(part: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted name, the maps of values included."""
    for name, value in part.items():
        yield f"{path}{name}", value
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")


def others(value: Any) -> list[Any]:
    """What somebody might give instead."""
    if isinstance(value, bool):
        return [None, str(value).lower(), 1]
    if isinstance(value, int):
        return [None, str(value), -1, "many"]
    return [None, "x", 7, [], {}]


@functools.cache
def defaults(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((chart / "values.yaml").read_text())
    return found


def with_values(chart: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """The chart's values as Helm has them then: a null takes the default away."""
    merged = copy.deepcopy(defaults(chart))
    for name, value in chosen.items():
        *path, last = name.split(".")
        place = merged
        for part in path:
            place = place[part]
        place[last] = value
        if value is None:
            del place[last]
    return merged


@functools.cache
def schema_of(chart: Path) -> Draft7Validator:
    return Draft7Validator(json.loads((chart / "values.schema.json").read_text()))


def attempts(chart: Path, base: dict[str, Any]) -> list[tuple[str, Any]]:
    """What the schema lets through: of all else Helm tells the value's path, and what would be right."""
    everything = [(name, other) for name, value in leaves(defaults(chart)) for other in others(value)]
    free = [(name, value) for name, value in everything if name not in base]
    return [
        (name, value) for name, value in free if schema_of(chart).is_valid(with_values(chart, {**base, name: value}))
    ]


def trouble(chart: Path, chosen: dict[str, Any]) -> str:
    """What is wrong with how these values are taken; "" if they are taken, or told as they should be."""
    try:
        text = render(chart, *values(**chosen), release="reports")
    except HelmFailed as failed:
        sentence = str(failed)
        named = any(part in sentence for name in chosen for part in (name.split(".")[1:] or [name]))
        return "" if named and not any(word in sentence for word in INTERNAL) else f"{chosen}: {sentence[:400]}"
    found = [trace for trace in TRACES if trace in text]
    broken = [each for each in objects(text) if not (each.get("kind") and each.get("metadata", {}).get("name"))]
    return f"{chosen} leaves {found or broken[0]}" if found or broken else ""


BOTH = pytest.mark.parametrize(("chart", "base"), [(LEASEHOLD, EVERYTHING), (SINGLETON, APP)], ids=lambda each: "")


@BOTH
def test_nothing_for_every_value(chart: Path, base: dict[str, Any]) -> None:
    """All that may be left out, left out at once; and each by itself where that comes to another thing."""
    nothing = {name: None for name, value in attempts(chart, base) if value is None}
    innermost = {name: value for name, value in nothing.items() if not any(n.startswith(f"{name}.") for n in nothing)}
    assert len(innermost) > 30
    assert trouble(chart, {**base, **innermost}) == ""


@BOTH
def test_another_kind_of_value(chart: Path, base: dict[str, Any]) -> None:
    """A text for a number, a number for a text, an empty list for a map: one of each, over all values that take it."""
    other = [(name, value) for name, value in attempts(chart, base) if value is not None]
    with ThreadPoolExecutor(4) as pool:
        told = pool.map(lambda each: trouble(chart, {**base, each[0]: each[1]}), other[:: 1 if ALL else 4])
        assert [each for each in told if each] == []
