"""Locks as an API server might send them."""

from collections.abc import Mapping
from typing import Any

from leasehold.kubectl.lock import LockView


def holder(identity: str, token: int, **more: Any) -> dict[str, Any]:
    """One holder of a status."""
    return {"identity": identity, "fencingToken": token, "leaseID": f"{token:x}", **more}


def view(
    *holders: Mapping[str, Any],
    held: str = "",
    version: str = "1",
    uid: str = "u",
    observed: int = 1,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> LockView:
    """The Lock prod/db, held by these."""
    conditions = [{"type": "Held", "status": held or str(bool(holders)), "reason": "Seen", "message": "etcd is away."}]
    seen: dict[str, Any] = {"observedGeneration": observed, "conditions": conditions, "holders": list(holders)}
    seen |= {"holderCount": len(holders), "waiterCount": 2, **(status or {})}
    metadata = {"namespace": "prod", "name": "db", "uid": uid, "resourceVersion": version, "generation": 1}
    return LockView({"kind": "Lock", "metadata": metadata, "spec": spec, "status": seen})


A, B = holder("a", 217), holder("b", 230)
