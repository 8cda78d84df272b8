"""A namespace with an operator at work, its Locks and their sidecars: pods are mere objects, sidecars processes."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.lock_objects import is_ready, lock
from tests.operator.operator_process import Operator
from tests.servers import wait_for
from tests.support.exclusion_checker import Witness
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

AN_HOUR = 3600
"""Seconds of a lease that no test outlives: whatever happens was not the lease's doing."""


class Scene:
    """One namespace with an operator at work. `name` is the Lock `db` wherever none is named."""

    def __init__(
        self,
        api: ControlPlane,
        namespace: str,
        operator: Operator,
        stored: Callable[[str], StoredLock],
        start_sidecar: Callable[..., Sidecar],
    ) -> None:
        self.api = api
        self.namespace = namespace
        self.operator = operator
        self.stored = stored
        self._start_sidecar = start_sidecar

    # --- the Lock -------------------------------------------------------------------------------------------

    def declare(self, name: str = "db", **spec: Any) -> Object:
        """Create a Lock, with a lease of an hour unless told otherwise; return it when it is ready."""
        self.api.create("locks", lock(name, **{"leaseDurationSeconds": AN_HOUR, **spec}), self.namespace)
        return self.wait_ready(name)

    def change(self, name: str = "db", **spec: Any) -> Object:
        """Change some fields of its spec; the Lock as it then is, which the operator need not have seen."""
        return self.api.patch("locks", name, {"spec": spec}, self.namespace)

    def wait(self, until: Callable[[Object], object], what: str, name: str = "db") -> Object:
        """The Lock once that is so."""
        return self.api.wait("locks", name, self.namespace, until=until, what=what, timeout=PATIENCE)

    def wait_ready(self, name: str = "db") -> Object:
        """The Lock once it is declared as it is now specified."""
        return self.wait(is_ready, "ready", name)

    def wait_held(self, *identities: str, name: str = "db") -> Object:
        """The Lock once its status names these holders, eldest first."""
        return self.wait(lambda seen: holders(seen) == list(identities), f"held by {identities}", name)

    def wait_spec(self, name: str = "db", **fields: Any) -> None:
        """Return when the spec key in etcd has these fields; None: it has none of that name."""
        wait_for(lambda: fields.items() <= self.spec(name, fields).items(), f"{fields} in the spec key", PATIENCE)

    def spec(self, name: str = "db", names: Sequence[str] | Mapping[str, Any] = ()) -> dict[str, Any]:
        """The fields of the spec key; those of `names` that it leaves out are None."""
        kv = self.stored(name).ctl.get(self.stored(name).keys.spec)
        return dict.fromkeys(names) | (_json(kv.value) if kv else {})

    def end_lease(self, identity: str, name: str = "db") -> None:
        """As `StoredLock.end_lease`."""
        self.stored(name).end_lease(identity)

    # --- what was told --------------------------------------------------------------------------------------

    def told(self, name: str = "db") -> Counter[tuple[str, int]]:
        """How often each event was emitted on the Lock: its reason, and the fencing token that its message names.

        `Unsure` is a release that may have been an expiry: on a busy machine the operator asks etcd too late to know.
        """
        found: Counter[tuple[str, int]] = Counter()
        for event in self.api.list("events", self.namespace):
            about = event["involvedObject"]
            if (about["kind"], about["name"]) == ("Lock", name):
                token = re.search(r"fencing token (\d+)", event["message"])
                reason = "Unsure" if "unless its lease has expired" in event["message"] else event["reason"]
                found[reason, int(token[1]) if token else 0] += event["count"]
        return found

    def wait_told(self, *events: tuple[str, int], name: str = "db") -> None:
        """Return when these events were emitted, each once; fail at once if another one was, or one of them twice."""

        def complete() -> bool:
            told = self.told(name)
            expected = Counter(_unless_unsure(told, *event) for event in events)
            assert told <= expected, f"told too much: {told}, not only {events}"
            return told == expected

        wait_for(complete, f"the events {events}", PATIENCE)
        self.wait_idle()
        assert complete()

    # --- pods and sidecars ----------------------------------------------------------------------------------

    def sidecar(
        self, name: str, lock: str = "db", *, pod: Object | None = None, group: str = "", env: Mapping[str, str] = {}
    ) -> Sidecar:
        """A sidecar in the queue; of that pod, if one is given, as the downward API would tell it."""
        found = {**(downward(pod) if pod else {}), **env}
        flags = ["--group", group] if group else []
        started = self._start_sidecar(name, lock=f"{self.namespace}/{lock}", ttl=None, env=found, flags=flags)
        started.wait_queued()
        return started

    def pod(self, name: str, **options: Any) -> Object:
        """A running pod, on a node that does not exist."""
        self.api.make_pod(name, self.namespace, **options)
        self.api.set_pod(name, self.namespace, "Running")
        return self.api.wait("pods", name, self.namespace)

    def end_pod(self, name: str, phase: str = "Succeeded", **running: bool) -> None:
        """Report as a kubelet does that a pod has ended, all but the containers that are said to be `running`."""
        pod = self.api.wait("pods", name, self.namespace)
        kinds = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
        statuses: dict[str, Any] = {
            status: [_container(one["name"], running.get(one["name"], False)) for one in pod["spec"].get(kind, [])]
            for kind, status in kinds.items()
        }
        self.api.set_pod(name, self.namespace, phase, **statuses)

    def is_labelled(self, pod: str) -> bool:
        """Whether the pod carries the leader's label; False also when it is gone."""
        return self.leader_of(pod) is not None

    def leader_of(self, pod: str) -> str | None:
        """The Locks that the annotation beside a pod's label names; None without the label."""
        metadata = (self.api.get("pods", pod, self.namespace) or {"metadata": {}})["metadata"]
        if metadata.get("labels", {}).get("leasehold.dev/leader") != "true":
            return None
        return str(metadata.get("annotations", {}).get("leasehold.dev/leader-of", ""))

    def wait_labelled(self, **pods: str | None) -> None:
        """Return when these pods (`a_0` is the pod a-0) are labelled for these Locks, or not at all (None)."""
        for name, locks in pods.items():
            pod = name.replace("_", "-")
            wait_for(lambda: self.leader_of(pod) == locks, f"{pod} to be labelled for {locks}", PATIENCE)  # noqa: B023  # it is called before the next one's turn

    def wait_seen(self) -> None:
        """Return when the operator has seen every pod as it is now, and has done all that follows from that.

        A pod made now, with the label of a leader of a Lock that never was, comes after all of that in its watch.
        """
        name = f"last-{uuid.uuid4().hex[:8]}"
        label, annotation = {"leasehold.dev/leader": "true"}, {"leasehold.dev/leader-of": name}
        self.api.make_pod(name, self.namespace, labels=label, annotations=annotation)
        wait_for(lambda: not self.is_labelled(name), f"the label of {name} to be taken off", PATIENCE)
        self.wait_idle()

    def wait_idle(self) -> None:
        """Return when the operator has nothing to do."""
        wait_for(self.operator.is_idle, "the operator to be idle", PATIENCE)


def holders(seen: Object) -> list[str]:
    """The identities of the holders that the status names."""
    return [one["identity"] for one in seen.get("status", {}).get("holders", [])]


def tokens(seen: Object) -> list[int]:
    """The fencing tokens of the holders that the status names."""
    return [one["fencingToken"] for one in seen.get("status", {}).get("holders", [])]


def downward(pod: Object) -> dict[str, str]:
    """The environment of a sidecar in that pod."""
    metadata = pod["metadata"]
    return {
        "POD_NAME": metadata["name"],
        "POD_NAMESPACE": metadata["namespace"],
        "POD_UID": metadata["uid"],
        "NODE_NAME": pod["spec"].get("nodeName", ""),
    }


def most_at_once(witness: Witness) -> int:
    """How many were certainly holders at one instant.

    Between the first and the last 200 with a token its key stood among the first of the queue, whatever was answered
    in between.
    """
    spans: dict[int, tuple[float, float]] = {}
    for said in witness.said:
        answer = said.answer
        first, last = spans.get(answer.token, (answer.received, answer.sent))
        spans[answer.token] = (min(first, answer.received), max(last, answer.sent))
    real = [(first, last) for first, last in spans.values() if first < last]
    return max((sum(first <= start < last for first, last in real) for start, _ in real), default=0)


def _unless_unsure(told: Counter[tuple[str, int]], reason: str, token: int) -> tuple[str, int]:
    """The event as it was told, where the operator itself could not know more."""
    unsure = ("Unsure", token)
    return unsure if reason in ("LockExpired", "LockReleased") and unsure in told else (reason, token)


def _container(name: str, running: bool) -> Object:
    state = {"running": {}} if running else {"terminated": {"exitCode": 0, "reason": "Completed"}}
    common = {"ready": False, "restartCount": 0, "image": "none", "imageID": ""}
    return {"name": name, "state": state, **common}


def _json(text: str) -> dict[str, Any]:
    return dict(json.loads(text))
