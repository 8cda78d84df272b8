"""The schema in manifests/crd.yaml has the bounds, defaults and names of the code. No server is needed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from leasehold.lock import names, spec

CRD = yaml.safe_load((Path(__file__).parents[3] / "manifests" / "crd.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC: dict[str, dict[str, Any]] = SCHEMA["properties"]["spec"]["properties"]
STATUS: dict[str, dict[str, Any]] = SCHEMA["properties"]["status"]["properties"]


def _nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


NODES = [(path, node) for path, node in _nodes(SCHEMA, "lock") if path != "lock.metadata"]


def test_bounds_match_the_keys() -> None:
    duration, capacity = SPEC["leaseDurationSeconds"], SPEC["capacity"]
    assert (duration["minimum"], duration["maximum"], duration["default"]) == (
        spec.MIN_TTL,
        spec.MAX_TTL,
        spec.DEFAULT_TTL,
    )
    assert (capacity["minimum"], capacity["maximum"], capacity["default"]) == (1, spec.MAX_CAPACITY, 1)
    assert SPEC["preferredHolder"]["maxLength"] == names.MAX_IDENTITY


def test_any_identity_can_be_preferred() -> None:
    """The rule in the CRD and `sanitise` agree on every character."""
    rule = SPEC["preferredHolder"]["x-kubernetes-validations"][0]["rule"]
    found = re.fullmatch(r"self\.matches\(r'\^(\[.+\])\*\$'\)", rule)
    assert found
    allowed = re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: f"\\U{int(m[1], 16):08x}", found[1]))
    differing = [
        code
        for code in range(0x110000)
        if bool(allowed.fullmatch(chr(code))) != (names.sanitise(chr(code)) == chr(code))
    ]
    assert differing == []


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_every_field_is_described(path: str, node: dict[str, Any]) -> None:
    """`kubectl explain` shows a complete sentence."""
    assert re.match(r"[A-Z].*\.$", node["description"], re.DOTALL), path


def test_spec_fields_have_defaults() -> None:
    """A Lock can be declared by its name alone, and older Locks are read with every field.

    The token limits have none: else whoever leaves them out would ask to lower them.
    """
    assert SCHEMA["properties"]["spec"]["default"] == {}
    assert [name for name, field in SPEC.items() if "default" not in field] == ["handoverUpToToken", "revokeUpToToken"]


def test_every_rule_has_a_message() -> None:
    """It is static, names the field and says how to correct it."""
    rules = [(path, rule) for path, node in NODES for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) == 3
    for path, rule in rules:
        assert "messageExpression" not in rule
        assert rule["reason"] == "FieldValueInvalid"
        field = rule.get("fieldPath", "").lstrip(".") or path.removeprefix("lock.")
        assert rule["message"].startswith(field), rule
        assert re.search(r": (leave|remove) ", rule["message"]), rule


def test_the_status_has_no_bounds() -> None:
    """A bound on a field of the status could refuse the operator's report of what etcd holds."""
    bounded = {"minimum", "maximum", "maxLength", "pattern", "enum", "maxItems"}
    found = {path for path, node in NODES if path.startswith("lock.status") and bounded & node.keys()}
    lists = {"lock.status.holders", "lock.status.waiters", "lock.status.absent", "lock.status.conditions"}
    lists |= {"lock.status.recentTerms"}
    assert found == lists | {
        f"lock.status.conditions[].{name}" for name in ("type", "status", "observedGeneration", "reason", "message")
    }


def test_tokens_are_64_bits_wide() -> None:
    tokens = [node for path, node in NODES if path.endswith("Token")]
    assert len(tokens) == 6
    assert {(node["type"], node["format"]) for node in tokens} == {("integer", "int64")}
