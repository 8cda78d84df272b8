"""An operator that dies at any step of a look at a Lock: whoever comes next ends where it would have ended."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from leasehold.lock.record import Record
from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.lock_objects import condition, is_ready, lock
from tests.operator.operator_process import Operator
from tests.operator.operator_scene import Scene
from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock, stored_lock

STEPS = {
    "created": ("finalizer_on", "put_spec", "patch_status"),
    "changed": ("put_spec", "patch_status"),
    "deleted": ("put_spec", "delete_spec", "finalizer_off"),
    "orphaned": ("put_spec", "finalizer_off"),
    "swept": ("put_spec", "delete_spec"),
    "revoked": ("evict", "patch_status"),
    "labelled": ("label_pod", "patch_status"),
}
"""What is done to each Lock while no operator runs, and the operations that follow from it, in their order."""
OLD = ("changed", "deleted", "orphaned", "swept", "revoked", "labelled")
LEASE = 3
"""Seconds: of the lease duration, for which a deletion waits for a holder that does not go."""
# Of a term that ended while no operator was there, the history knows less.
VARYING = (
    "recentTerms",
    "fencingToken",
    "leaseID",
    "acquireTime",
    "lastTransitionTime",
    "message",
    "podUID",
    "uid",
    "cluster",
)
"""Fields that are others each time."""


class Crashes(Scene):
    """One namespace, in which operators die and others go on."""

    def __init__(
        self,
        api: ControlPlane,
        namespace: str,
        stored: Callable[[str], StoredLock],
        start_sidecar: Callable[..., Sidecar],
        start_operator: Callable[..., Operator],
        replicas: StoredLock,
    ) -> None:
        super().__init__(api, namespace, start_operator("whole"), stored, start_sidecar)
        self._start = start_operator
        self._replicas = replicas

    def prepare(self) -> None:
        """Declare those that the operator is to find changed; of two the holder is there."""
        self.operator.wait_active()
        for name in OLD:
            policy = "Orphan" if name == "orphaned" else "Release"
            self.api.create("locks", lock(name, leaseDurationSeconds=LEASE, deletionPolicy=policy), self.namespace)
        for name in OLD:
            self.wait_ready(name)
        pod = self.pod("leader")["metadata"]
        for name in ("revoked", "labelled", "deleted"):
            own = pod if name == "labelled" else {"name": "", "uid": "", "namespace": ""}
            named = Record(f"{name}-0", own["name"], own["namespace"], own["uid"], incarnation="1")
            self.stored(name).stranger(named.encode().decode())
            self.wait_held(f"{name}-0", name=name)
        wait_for(self.operator.is_idle, "the operator to be idle", PATIENCE)

    def kill(self) -> None:
        """Kill the operator and let what it held expire."""
        self.operator.kill()
        self.bury()

    def bury(self) -> None:
        """Let expire now, and not some seconds later, what an operator held that was killed."""
        for entry in self._replicas.entries():
            self._replicas.ctl.revoke(entry.lease)

    def alter(self) -> None:
        """Do to each Lock what its name says."""
        self.api.create("locks", lock("created", leaseDurationSeconds=LEASE), self.namespace)
        self.change("changed", leaseDurationSeconds=9, suspend=True)
        self.api.delete("locks", "deleted", self.namespace)
        self.api.delete("locks", "orphaned", self.namespace)
        self.api.patch("locks", "swept", {"metadata": {"finalizers": None}}, self.namespace)
        self.api.delete("locks", "swept", self.namespace)
        self.change("revoked", revokeUpToToken=self.stored("revoked").entries()[0].create_revision)
        self.change("labelled", podLabel=True)

    def crash(self, points: list[str]) -> None:
        """Run an operator until it has died at these points."""
        command = (sys.executable, "-m", "tests.operator.crashing_operator", ",".join(points), "operator")
        dying = self._start("dying", command=command, begin=True)
        wait_for(lambda: not dying.running, f"the operator to die at {points}", PATIENCE)
        assert dying.wait() == -9, dying.log_tail()
        self.bury()

    def wait_settled(self) -> dict[str, Any]:
        """What is left when the operator has nothing more to do, without what can be the same only by chance."""
        for name in ("created", "changed", "revoked", "labelled"):
            self.wait(is_ready, "ready", name)
        for name in ("deleted", "orphaned"):
            self.api.wait_gone("locks", name, self.namespace)
        wait_for(lambda: not self.spec("swept") and not self.spec("deleted"), "keys to be swept", PATIENCE)
        self.wait_labelled(leader="labelled")
        self.wait(lambda seen: condition(seen, "Held")["status"] == "False", "vacant", "revoked")
        self.wait_idle()
        specs = {name: _plain(self.spec(name)) for name in STEPS}
        queues = {name: self.stored(name).identities() for name in STEPS}
        return {"locks": self._left(), "specs": specs, "queues": queues, "pod": self._pod()}

    def _left(self) -> dict[str, Object]:
        found = {}
        for one in self.api.list("locks", self.namespace):
            fields = {"status": _plain(one["status"]), "finalizers": one["metadata"]["finalizers"]}
            text = json.dumps(fields).replace(self.namespace, "HERE")
            found[one["metadata"]["name"]] = json.loads(text)
        return found

    def _pod(self) -> Object:
        metadata = self.api.wait("pods", "leader", self.namespace)["metadata"]
        return {"labels": metadata["labels"], "annotations": metadata["annotations"]}

    def clear(self) -> None:
        """Leave nothing behind."""
        self.api.remove_namespace(self.namespace)


def _plain(fields: Any) -> Any:
    """Without what is another each time."""
    if isinstance(fields, Mapping):
        return {key: _plain(value) for key, value in fields.items() if key not in VARYING}
    return [_plain(one) for one in fields] if isinstance(fields, list) else fields


@pytest.fixture
def crashes(
    api: ControlPlane,
    etcd: EtcdServer,
    root: str,
    sidecar_factory: Callable[..., Sidecar],
    operator_factory: Callable[..., Operator],
) -> Iterator[Callable[[], Crashes]]:
    """Goes on to a fresh namespace, with the same whole operator."""
    scenes: list[Crashes] = []
    started: list[Operator] = []

    def start(name: str, **kwargs: Any) -> Operator:
        if name == "whole" and started:
            return started[0]
        operator = operator_factory(name, **kwargs)
        started.extend([operator] if name == "whole" else [])
        return operator

    def go_on() -> Crashes:
        namespace = api.make_namespace()
        replicas = StoredLock(etcd.ctl, root, "leasehold-system/leasehold-operator")

        stored = partial(stored_lock, etcd.ctl, root, namespace)
        scenes.append(Crashes(api, namespace, stored, sidecar_factory, start, replicas))
        return scenes[-1]

    yield go_on
    for operator in started:
        operator.kill()
    for scene in scenes:
        scene.clear()


def test_crash_at_any_step(crashes: Callable[[], Crashes]) -> None:
    """Just after each operation, which leaves the world as it is just before the next; several Locks at once."""
    usual = end_after(crashes(), [])
    assert usual["locks"].keys() == {"created", "changed", "revoked", "labelled"}
    for step in range(max(map(len, STEPS.values()))):
        points = [f"{name}:{steps[step]}" for name, steps in STEPS.items() if step < len(steps)]
        assert end_after(crashes(), points) == usual, f"another end after a crash at {points}"


def end_after(scene: Crashes, points: list[str]) -> dict[str, Any]:
    """What one round ends in, whose operator dies at these points, if there are any."""
    scene.prepare()
    scene.kill()
    scene.alter()
    if points:
        scene.crash(points)
    scene.operator.start()
    end = scene.wait_settled()
    assert scene.operator.errors() == 0
    return end
