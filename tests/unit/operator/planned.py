"""A lock, its keys and its plan, for the tests of the plan, and a check of a status against the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, StoredSpec
from leasehold.operator.plan.model import EtcdState, Memory, ReconcilePlan, Situation
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import FINALIZER, Lock, LockSpec

NAME = LockName("team", "db")
CLUSTER = "cluster-uid"
ROOT = "/leasehold"
MANIFEST = Path(__file__).parents[3] / "manifests" / "crd.yaml"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lock(status: Mapping[str, Any] | None = None, *, deleting: bool = False, uid: str = "u1", **spec: Any) -> Lock:
    return Lock(
        name=NAME,
        uid=uid,
        generation=1,
        resource_version="7",
        deleting=deleting,
        finalizers=(FINALIZER,),
        spec=LockSpec(**spec),
        status=status or {},
    )


def candidate(token: int, identity: str | None = None, *, key: str = "", lease: int = 0, **record: Any) -> Entry:
    """One of ours, of the pod with its name; `foreign=True` for a foreign one."""
    name = f"pod-{token}" if identity is None else identity
    ours = {} if record.get("foreign") else {"incarnation": "i", "pod": name, "pod_namespace": NAME.namespace}
    if not record.get("foreign"):
        ours["pod_uid"] = f"uid-{name}"
    key = key or Keys(NAME, ROOT).entry(lease or token)
    return Entry(key, lease or token, token, token, Record(identity=name, **{**ours, **record}))


def declared(revision: int = 5, **changes: Any) -> StoredSpec:
    """A spec key as the plan writes it for `lock()`, except for these fields."""
    spec = replace(Spec(ttl=15, uid="u1", generation=1, cluster=CLUSTER), **changes)
    return StoredSpec(spec.encode(), revision, spec)


def situation(resource: Lock | None, spec: StoredSpec | None = None, *queue: Entry, **changes: Any) -> Situation:
    """An active replica with a working etcd, except for these changes."""
    given: dict[str, Any] = {
        "lock": resource,
        "stored": StoredLock(spec, queue),
        "ended": (),
        "etcd": EtcdState(True, 1000, 0.0, ""),
        "preferred_group": "",
        "ended_pods": frozenset(),
        "labelled": frozenset(),
        "active": True,
        "cluster": CLUSTER,
        "own_lock": LockName("leasehold-system", "leasehold-operator"),
        "root": ROOT,
        "memory": Memory(),
        "now": 100.0,
        "wall": NOON,
    }
    return Situation(**{**given, **changes})


def settled(resource: Lock, spec: StoredSpec | None, *queue: Entry, **changes: Any) -> tuple[Lock, Memory]:
    """The resource and the memory after a reconcile that needed no write. The resource has its desired status."""
    decided = plan(situation(resource, spec, *queue, **changes))
    assert decided.writes == ()
    return replace(resource, status=decided.status or resource.status), decided.memory


def reason(decided: ReconcilePlan, kind: str) -> tuple[str, str]:
    """Status and reason of a condition of the desired status."""
    assert decided.status is not None
    found = next(one for one in decided.status["conditions"] if one["type"] == kind)
    return found["status"], found["reason"]


def names(decided: ReconcilePlan) -> list[str]:
    """The reasons of the events."""
    return [event.reason for event in decided.events]


def is_idle(decided: ReconcilePlan) -> bool:
    """Whether there is nothing to do, now or later."""
    return decided == ReconcilePlan(memory=decided.memory)


# --- the schema of the status ----------------------------------------------------------------------------------------


@cache
def _schema() -> Mapping[str, Any]:
    version = yaml.safe_load(MANIFEST.read_text())["spec"]["versions"][0]
    found: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    return found


def check_status(status: Mapping[str, Any]) -> None:
    """Fail unless the API server would take this status as it is, nothing refused and nothing pruned."""
    _check("status", status, _schema())


_TYPES: Mapping[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def _check(path: str, value: Any, schema: Mapping[str, Any]) -> None:
    kind = schema["type"]
    assert isinstance(value, _TYPES[kind]), f"{path} is {value!r}, not of the type {kind}"
    assert kind == "boolean" or not isinstance(value, bool), path
    _CHECKS[kind](path, value, schema)


def _check_object(path: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    assert set(schema.get("required", ())) <= value.keys(), f"{path} lacks a field"
    for name, item in value.items():
        assert name in schema["properties"], f"{path}.{name} would be pruned"
        _check(f"{path}.{name}", item, schema["properties"][name])


def _check_array(path: str, value: list[Any], schema: Mapping[str, Any]) -> None:
    assert len(value) <= schema["maxItems"], f"{path} is too long"
    names = schema.get("x-kubernetes-list-map-keys")  # an atomic list has none
    keys = [tuple(item[key] for key in names) for item in value] if names else []
    assert len(set(keys)) == len(keys), f"{path} holds a key twice"
    for item in value:
        _check(f"{path}[]", item, schema["items"])


def _check_text(path: str, value: str, schema: Mapping[str, Any]) -> None:
    assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 20), f"{path} is {len(value)} long"
    assert value in schema.get("enum", (value,)), path
    assert re.search(schema.get("pattern", ""), value), f"{path} is {value!r}"
    if schema.get("format") == "date-time":
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _check_number(path: str, value: int, schema: Mapping[str, Any]) -> None:
    bits = 31 if schema.get("format") == "int32" else 63
    assert schema.get("minimum", -(2**bits)) <= value < 2**bits, f"{path} is {value}"


_CHECKS: Mapping[str, Callable[[str, Any, Mapping[str, Any]], None]] = {
    "object": _check_object,
    "array": _check_array,
    "string": _check_text,
    "integer": _check_number,
}
