"""An operator and sidecars on an etcd of the test's own, to be killed, frozen, wiped and restored under them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.lock_objects import condition, is_ready
from tests.operator.operator_process import Operator
from tests.operator.operator_scene import Scene
from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import stored_lock

REASON = "EtcdUnreachable"


class OwnEtcd(Scene):
    """A scene whose `etcd` the test may harm."""

    def __init__(
        self,
        api: ControlPlane,
        namespace: str,
        root: str,
        etcd: EtcdServer,
        start_operator: Callable[..., Operator],
        start_sidecar: Callable[..., Sidecar],
    ) -> None:
        stored = partial(stored_lock, etcd.ctl, root, namespace)

        def sidecar(name: str, **kwargs: Any) -> Sidecar:
            return start_sidecar(name, etcd.url, **kwargs)

        super().__init__(api, namespace, start_operator("first", etcd.url), stored, sidecar)
        self.etcd = etcd
        self.root = root
        self.operator.wait_active()

    def wait_away(self, name: str = "db") -> Object:
        """The Lock once its status says that etcd cannot be reached."""
        return self.wait(is_away, "said to be out of reach", name)

    def wait_back(self, name: str = "db") -> Object:
        """The Lock once it is declared again and nothing in its status is of the outage."""
        return self.wait(lambda seen: is_ready(seen) and not is_away(seen), "back", name)

    def wait_degraded(self, reason: str, name: str = "db") -> Object:
        """The Lock once its condition Degraded has this reason; `AsExpected` when nothing is the matter."""
        return self.wait(lambda seen: condition(seen, "Degraded")["reason"] == reason, reason, name)

    def wait_event(self, reason: str, name: str = "db") -> None:
        """Return when such an event was emitted on the Lock."""
        wait_for(lambda: reason in {one for one, _ in self.told(name)}, f"the event {reason}", PATIENCE)

    def age(self, revisions: int = 500) -> None:
        """Raise etcd's revision by that many, as months of use would."""
        asyncio.run(_write(self.etcd.url, [(f"{self.root}/age", b"")] * revisions))

    def put(self, *pairs: tuple[str | bytes, bytes]) -> None:
        """Write keys, of any bytes at all."""
        asyncio.run(_write(self.etcd.url, pairs))


def is_away(seen: Object) -> bool:
    """Whether the status says in all its conditions that etcd cannot be reached."""
    ready, held = condition(seen, "Ready"), condition(seen, "Held")
    return (ready["status"], ready["reason"], held["status"], held["reason"]) == ("False", REASON, "Unknown", REASON)


async def _write(url: str, pairs: Any) -> None:
    async with EtcdClient([url], clock=clock.now, timeout=PATIENCE) as client:
        for key, value in pairs:
            await client.put(key, value)
