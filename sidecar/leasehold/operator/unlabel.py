"""Takes the leader's label off all pods, after the operator has been deleted: nobody would move it any more.

A label that stayed would route a Service to a pod that may lead no longer. An operator that is just ending can still
put a label on, so the pods are listed until none has been found twice in a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from leasehold.kube.call import Body, KubeCall, KubeError
from leasehold.lock.kube_names import LEADER_LABEL, LEADER_OF

TIMEOUT_SECONDS: Final = 100.0
PAUSE_SECONDS: Final = 5.0
"""Between two looks: an operator that is told to end has done so by then."""
_PAGE: Final = "500"


async def remove_labels(call: KubeCall, now: Callable[[], float], timeout: float = TIMEOUT_SECONDS) -> bool:
    """Take the label off every pod that has it from an operator. False if some may have it. Raises KubeFailure."""
    deadline, clean = now() + timeout, 0
    while now() < deadline:
        found = [pod async for pod in _labelled(call)]
        for pod in found:
            await _unlabel(call, pod)
        clean = 0 if found else clean + 1
        if clean == 2:
            return True
        await asyncio.sleep(PAUSE_SECONDS)
    return False


async def _labelled(call: KubeCall) -> AsyncIterator[Body]:
    """The pods with the label, but for those on which somebody else has put it: they have no annotation."""
    more = ""
    while True:
        query = {"labelSelector": f"{LEADER_LABEL}=true", "limit": _PAGE} | ({"continue": more} if more else {})
        page = await call.get("/api/v1/pods", **query)
        for pod in page["items"]:
            if LEADER_OF in (pod["metadata"].get("annotations") or {}):
                yield pod
        more = page["metadata"].get("continue") or ""
        if not more:
            return


async def _unlabel(call: KubeCall, pod: Body) -> None:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    marks = {"uid": metadata["uid"], "labels": {LEADER_LABEL: None}, "annotations": {LEADER_OF: None}}
    try:
        await call.merge(path, {"metadata": marks})
    except KubeError as error:
        if error.status not in (404, 409):  # it is gone, or another has its name
            raise
