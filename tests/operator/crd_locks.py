"""Locks written by plain calls, to see what the schema makes of them."""

from typing import Any

from tests.cluster import ControlPlane
from tests.cluster.rest import path_of

MAX_TOKEN = 2**63 - 1
PENDING = {
    "type": "Ready",
    "status": "Unknown",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
    "reason": "Pending",
    "message": "waiting for the operator: none has seen this Lock yet",
}
ROLLED_BACK = {"type": "Degraded", "status": "True", "reason": "StoreRolledBack"}
HANDOVER_GROWS = (
    "spec.handoverUpToToken only grows: leave it out, leave it at its present value or set a higher one (it may be"
    " lowered only while the condition Degraded has the reason StoreRolledBack or TokenAhead)"
)


def condition(**fields: str) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Declared",
        "message": "",
        **fields,
    }


def holder(number: int) -> dict[str, Any]:
    return {"leaseID": f"{number:x}", "identity": f"pod-{number}", "fencingToken": number}


class Locks:
    """The Locks of one namespace, by plain calls."""

    def __init__(self, api: ControlPlane, namespace: str) -> None:
        self.rest = api.rest
        self.namespace = namespace

    def create(self, name: str = "lock", *, keep: bool = True, **fields: Any) -> dict[str, Any]:
        """Create one with these fields beside its name, or only ask whether it could be."""
        body = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, **fields}
        query = {"fieldValidation": "Strict"} | ({} if keep else {"dryRun": "All"})
        path = path_of("locks", namespace=self.namespace, **query)
        return dict(self.rest.call("POST", path, body))

    def patch(self, subresource: str = "", name: str = "lock", **fields: Any) -> dict[str, Any]:
        """Merge these fields into it."""
        path = path_of("locks", name, self.namespace, subresource=subresource, fieldValidation="Strict")
        return dict(self.rest.call("PATCH", path, fields, content_type="application/merge-patch+json"))
