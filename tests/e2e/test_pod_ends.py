"""Pods that end in every way the kubelet knows: no successor leads while the old work goes on.

Each kind of end has a pod whose work trusts its first answer (`programs/worker.py`) and a second pod that queues for
the same lock. The work writes to a store all the time, so its last write is when it ended; the second pod's sidecar is
asked all the time, so its first 200 is when it led. LEASEHOLD_TEST_POD_ENDS says how often each kind is tried; with
`-rP`, pytest shows the table of all tries.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.cluster import Cluster, Object, images
from tests.e2e.witness import PodWitness, Recorder
from tests.servers import wait_for

ROUNDS: Final = int(os.environ.get("LEASEHOLD_TEST_POD_ENDS", "1"))
TTL: Final = 12
"""Longer than a node that starts many pods keeps a sidecar from its CPU: else its lease ends before its pod does."""
HEALTH_PORT: Final = 8080
_PROGRAM: Final = Path(__file__).parent / "programs" / "worker.py"
_AT_ONCE: Final = 4
_QUIET_SECONDS: Final = 3.0
"""Work that has not written for so long has ended."""


@dataclass(frozen=True)
class End:
    """One kind of end. `bound` is for how many seconds the old work may be seen beside the new leader."""

    name: str
    on_term: str = "ignore"
    health: bool = True
    grace: int = 4
    pre_stop: int = 0
    delete: tuple[tuple[str, ...], ...] = ((),)
    """Words for `kubectl delete pod`, for each time that it is called, a second apart."""
    init: bool = False
    """The work is an init container's."""
    kill: str = ""
    """The container that is killed as the pod is deleted."""
    bound: float = 0.0


FORCED: Final = ("--force", "--grace-period=0")
ENDS: Final = (
    End("plain", on_term="exit:0.3", grace=30),
    End("works-on-until-killed"),
    End("hook-as-long-as-the-grace", pre_stop=4),
    End("hook-shorter", grace=6, pre_stop=3),
    End("hook-longer", pre_stop=20),
    End("a-second-of-grace", grace=1),
    End("deleted-with-a-second", grace=30, delete=(("--grace-period=1",),)),
    End("forced", grace=30, delete=(FORCED,)),
    End("deleted-twice", grace=30, delete=((), ("--grace-period=2",))),
    End("no-health", on_term="exit:0.3", health=False, grace=30),
    End("no-health-works-on", health=False),
    End("no-health-hook-as-long", health=False, pre_stop=4),
    End("no-health-forced", health=False, grace=30, delete=(FORCED,)),
    End("init-container", health=False, init=True, grace=5),
    # A node that starts the sidecar's hook 5 s late would let the old work overlap: a third of the period.
    End("closes-its-port-and-works-on", on_term="close", grace=15, pre_stop=15),
    End("app-killed", kill="app"),
    # The TTL decides, and the work may go on for the grace period and the kubelet's two seconds.
    End("sidecar-killed", kill="leasehold", bound=6.0),
    # Nobody tells the sidecar of this period, and the port refuses: its page names the bound.
    End("closes-its-port-with-a-second", on_term="close", grace=30, delete=(("--grace-period=1",),), bound=2.5),
)


class Ended:
    """One end, tried once on a cluster."""

    def __init__(self, cluster: Cluster, namespace: str, end: End, number: int) -> None:
        self._cluster, self._namespace, self._end = cluster, namespace, end
        self.lock = f"{end.name}-{number}"

    def overlap(self) -> float:
        """Seconds for which the old work was seen beside the new leader; negative if it had ended before."""
        cluster, where = self._cluster, ("-n", self._namespace)
        lock = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": self.lock}}
        cluster.apply({**lock, "spec": {"leaseDurationSeconds": TTL}}, namespace=self._namespace)
        with Recorder(cluster) as store, PodWitness(cluster, self._namespace, f"app={self.lock}") as witness:
            cluster.apply(self._old(store.address), namespace=self._namespace)
            token = witness.wait_leader().answer.token
            store.wait_write(token)
            cluster.apply(self._next(), namespace=self._namespace)
            wait_for(lambda: self._queues(f"{self.lock}-next"), f"{self.lock}-next to queue", 120)
            begun = time.monotonic()
            self._kill()
            for words in self._end.delete:
                cluster.kubectl(*where, "delete", "pod", f"{self.lock}-old", "--wait=false", *words)
                time.sleep(1)
            first = witness.wait_above(token)
            wait_for(lambda: cluster.get("pods", f"{self.lock}-old", self._namespace) is None, "the pod to go", 120)
            # a pod that is deleted by force is gone before its containers are
            wait_for(lambda: time.monotonic() - _last(store, token) > _QUIET_SECONDS, "the work to end", 120)
            last = _last(store, token)
            assert first.answer.received > begun, f"{self.lock} changed hands before the pod's end"
            assert witness.contradictions() == []
        cluster.kubectl(*where, "delete", "pod", f"{self.lock}-next", "--wait=false", *FORCED)
        return last - first.answer.received

    def _queues(self, pod: str) -> bool:
        status: Object = (self._cluster.get("locks", self.lock, self._namespace) or {}).get("status", {})
        found = self._cluster.get("pods", pod, self._namespace)
        return status.get("waiterCount") == 1 and found is not None and found["status"].get("phase") == "Running"

    def _kill(self) -> None:
        if self._end.kill:
            first, *_ = self._cluster.pids(f"{self.lock}-old", self._namespace, self._end.kill)
            os.kill(first, signal.SIGKILL)

    def _old(self, recorder: str) -> Object:
        end = self._end
        work: Object = {
            "name": "app",
            "image": images.APP,
            "command": ["python3", "/app/worker.py"],
            "env": [
                {"name": "RECORDER", "value": recorder},
                {"name": "ON_TERM", "value": end.on_term},
                {"name": "HEALTH", "value": str(HEALTH_PORT) if end.health else ""},
            ],
            "volumeMounts": [{"name": "worker", "mountPath": "/app"}],
        }
        if end.pre_stop:
            work["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(end.pre_stop)]}}}
        pod = self._pod("old", work, end.grace)
        if end.health:
            pod["metadata"]["annotations"]["leasehold.dev/app-health"] = f":{HEALTH_PORT}/"
        if end.init:
            pod["spec"]["initContainers"] = [{**work, "name": "migration"}]
        return pod

    def _next(self) -> Object:
        idle = {"name": "app", "image": images.APP, "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"]}
        return self._pod("next", idle, 30)

    def _pod(self, suffix: str, container: Object, grace: int) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{self.lock}-{suffix}",
                "labels": {"app": self.lock, "leasehold.dev/inject": "true"},
                "annotations": {"leasehold.dev/lock": self.lock, "leasehold.dev/gate": "label"},
            },
            "spec": {
                "terminationGracePeriodSeconds": grace,
                "containers": [container],
                "volumes": [{"name": "worker", "configMap": {"name": "worker"}}],
            },
        }


def _last(store: Recorder, token: int) -> float:
    """When the work under this token last wrote, on the monotonic clock."""
    return max(write.at for write in store.writes() if write.token == token)


@pytest.fixture
def place(cluster: Cluster, own: str) -> Callable[[End, int], Ended]:
    """Makes an end in a namespace of the test's own, with the program."""
    data = {"worker.py": _PROGRAM.read_text()}
    cluster.create("configmaps", {"metadata": {"name": "worker"}, "data": data}, own)
    return lambda end, number: Ended(cluster, own, end, number)


@pytest.mark.timeout(300 * ROUNDS * len(ENDS) // _AT_ONCE)
def test_no_successor_leads_beside_the_old_work(place: Callable[[End, int], Ended]) -> None:
    """Some at once: most of each end is waiting for the kubelet."""
    tries = [(end, place(end, number)) for number in range(ROUNDS) for end in ENDS]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda one: one[1].overlap(), tries))
    overlaps = {ended.lock: round(seconds, 2) for (_, ended), seconds in zip(tries, found, strict=True)}
    late = {ended.lock for (end, ended), seconds in zip(tries, found, strict=True) if seconds > end.bound}
    sys.stdout.write(table([end.name for end, _ in tries], found))
    assert not late, overlaps


def table(names: Sequence[str], overlaps: Sequence[float]) -> str:
    """One row for each kind of end, in Markdown; all times in seconds."""
    rows = ["", "| end | tries | old work beside the new leader | after the work's end, the next leads within |"]
    rows.append("| --- | ---: | ---: | ---: |")
    for name in dict.fromkeys(names):
        mine = [overlap for one, overlap in zip(names, overlaps, strict=True) if one == name]
        worst = max(0.0, *mine)
        rows.append(f"| {name} | {len(mine)} | {worst:.2f} | {max(-one for one in mine):.2f} |")
    return "\n".join([*rows, ""])
