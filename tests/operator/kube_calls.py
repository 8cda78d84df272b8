"""A connection to the API server for a test, and the Locks that it makes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from leasehold.operator.reconcile.api import Access, Kube
from tests.cluster import ControlPlane

Body = dict[str, Any]


@asynccontextmanager
async def opened(config: Path, timeout: float = 120, **more: Any) -> AsyncIterator[Kube]:
    access = await Access.load(config)
    kube = Kube.open(access, clock=asyncio.get_running_loop().time, timeout=timeout, **more)
    try:
        yield kube
    finally:
        await kube.close()


def make_lock(api: ControlPlane, namespace: str, name: str = "main", **spec: Any) -> Body:
    body = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, "spec": spec}
    return api.create("locks", body, namespace)


def the_lock(api: ControlPlane, namespace: str, name: str = "main") -> Body:
    body = api.get("locks", name, namespace)
    assert body is not None
    return body
