"""Locks as tests apply them, and as they are seen in Kubernetes and in etcd."""

import json
from typing import Any

from tests.cluster.objects import Object
from tests.support.stored_lock import StoredLock


def lock(name: str, **spec: Any) -> Object:
    """A Lock to apply."""
    return {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, "spec": spec}


def declared(stored: StoredLock) -> dict[str, Any]:
    """The fields of the Lock's spec key; empty when there is none, or none that can be read."""
    kv = stored.ctl.get(stored.keys.spec)
    try:
        fields = json.loads(kv.value) if kv else {}
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def condition(seen: Object, kind: str) -> Object:
    """One of the Lock's conditions; one without status and reason when it is not there."""
    conditions = seen.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {"status": "", "reason": ""})


def is_ready(seen: Object) -> bool:
    """Whether the Lock, as it is now specified, is declared in etcd."""
    current = bool(seen.get("status", {}).get("observedGeneration") == seen["metadata"]["generation"])
    return current and condition(seen, "Ready")["status"] == "True"


def is_held(seen: Object) -> bool:
    """Whether its status names a holder."""
    return bool(condition(seen, "Held")["status"] == "True")
