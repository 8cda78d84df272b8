"""The page of Locks documents every condition and event of Locks that the operator has."""

import ast
import re
from collections.abc import Iterator

import yaml

from leasehold.operator.plan import conditions
from leasehold.operator.plan import plan as planning
from tests.support.documentation import ROOT, table

PAGE = "manifests/README.md"
ENROLMENT = "sidecar/leasehold/operator/enrolment/README.md"


def calls(name: str) -> Iterator[list[str]]:
    """The leading arguments of every call of this name in the operator that are plain words."""
    for path in (ROOT / "sidecar" / "leasehold" / "operator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield [_word(one) for one in node.args]


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Name) and node.id in ("TRUE", "FALSE", "UNKNOWN"):
        return node.id.capitalize()
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def reasons() -> set[tuple[str, str, str]]:
    """Every condition that the operator can set: type, status, reason."""
    found = {(kind, status, reason) for kind, status, reason, *_ in calls("Condition") if reason}
    found |= {("Ready", "False", reason) for reason in conditions.PENDING_MESSAGES}
    return found | {("Stalled", "True", reason) for reason in conditions.STALLED_REASONS} | {_before_any_operator()}


def _before_any_operator() -> tuple[str, str, str]:
    """The condition that a Lock has by the schema's default."""
    schema = yaml.safe_load((ROOT / "manifests/crd.yaml").read_text())["spec"]["versions"][0]["schema"]
    (one,) = schema["openAPIV3Schema"]["properties"]["status"]["default"]["conditions"]
    return one["type"], one["status"], one["reason"]


def test_every_condition_is_documented() -> None:
    """Each has its reasons."""
    told, kind = set(), ""
    for row in table("condition | status | reason | meaning", PAGE):
        kind = row[0].strip("`") or kind
        told |= {(kind, row[1], reason) for reason in re.findall(r"`(\w+)`", row[2])}
    assert told == reasons()


def test_every_event_is_documented() -> None:
    told = {word for row in table("event | when", PAGE) for word in re.findall(r"`(\w+)`", row[0])}
    trouble = {reason for kind, status, reason in reasons() if (kind, status) in _TROUBLE}
    own = {name for kind in ("Event", "Ending") for name, *_ in calls(kind) if name}
    # EtcdUnavailable is the event of an unreachable etcd; whoever uninstalls needs none
    assert told == own | trouble - {*planning.TRANSIENT_REASONS, "EtcdUnreachable", "OperatorRemoved"}


_TROUBLE = (("Ready", "False"), ("Degraded", "True"))


def test_every_isolation_is_documented() -> None:
    """Each reason of NamespacesIsolated, and its status."""
    told = {(row[0], row[1].strip("`")) for row in table("status | reason | meaning", ENROLMENT)}
    made = {(status, reason) for status, reason, *_ in calls("Isolation") if reason}
    tree = ast.parse((ROOT / "sidecar/leasehold/operator/enrolment/report.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            made |= {("False", reason) for reason in [_word(node.value.elts[0])] if reason}
    assert told == made
