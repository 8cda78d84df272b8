"""Pods as the API server shows them to the webhook, and what the injector is set to."""

import copy
from collections.abc import Mapping
from typing import Any

from leasehold.injector import patch
from leasehold.injector.container import Sidecar

Pod = dict[str, Any]
SIDECAR = Sidecar(
    image="leasehold:0.1.0",
    etcd=("https://etcd-0.etcd:2379", "https://etcd-1.etcd:2379"),
    etcd_secret="leasehold-etcd-client",
    resources={"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}},
)


def pod(labels: dict[str, str] | None = None, spec: dict[str, Any] | None = None, **annotations: str) -> Pod:
    """A labelled pod; annotations by their names without the prefix, `_` for `-`. None of the usual where it is ""."""
    usual = {"lock": "reports", "app_health": ":8080/healthz"}
    given = {f"leasehold.dev/{name.replace('_', '-')}": text for name, text in {**usual, **annotations}.items() if text}
    metadata = {"generateName": "reports-", "labels": {"leasehold.dev/inject": "true", **(labels or {})}}
    containers = [{"name": "app", "image": "app:1"}]
    return {"metadata": {**metadata, "annotations": given}, "spec": {"containers": containers, **(spec or {})}}


def injected(
    original: Pod,
    sidecar: Sidecar = SIDECAR,
    *,
    require_lock: bool = True,
    namespace: Mapping[str, str] | None = None,
) -> Pod:
    """The pod as it is with the patch applied; `namespace` are the namespace's annotations."""
    asked = patch.injection_request(original, "default", require_lock=require_lock)
    changed = copy.deepcopy(original)
    for operation in patch.patch(original, asked, sidecar, namespace):
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = changed
        for part in path:
            place = place[int(part) if isinstance(place, list) else part]
        if operation["op"] == "remove":
            del place[int(last)]
        elif isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), operation["value"])
        else:
            place[last] = operation["value"]
    return changed
