"""A cache of pods and their owners: which have ended, which carry the leader's label, which group is preferred. Pure.

An index by UID, fed by the API server's watch. Only the few fields that decisions need are kept, so that all pods of a
cluster fit into memory.

How far a candidate's record is trusted: anybody who may write to etcd can claim to be any pod, and pods of other
namespaces may use a Lock's queue.
- A record counts as a pod only if a pod with that UID exists in that namespace.
- Only in the Lock's own namespace does the end of a pod evict its candidate, and only there are pods labelled. Whoever
  may write Locks in one namespace must not learn when pods of another end, nor label them, which would direct a
  Service's traffic to them.
- A false record has no other effect: eviction and preference concern only its own queue.

An annotation beside the label lists the locks that a pod was labelled for. A pod may lead several, and the label stays
until it leads none. So two Locks never fight over one pod, and a restarted operator recognizes its own labels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.operator.watch.pod_facts import Pod, ReplicaSet, StatefulSet, read_pod, read_replicaset, read_statefulset
from leasehold.operator.watch.transform import Kind

_MAX_DELETED_KEPT: Final = 4096
"""Deleted pods to remember: their keys may stay in a queue for another TTL."""


@dataclass(frozen=True, slots=True)
class ChangedPod:
    """What a change may affect: queues whose records name one of these pods, and these locks, named on labels."""

    pods: frozenset[str] = frozenset()
    locks: frozenset[LockName] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pods or self.locks)


_NOTHING: Final = ChangedPod()


class Pods:
    """The cache. A body that is older than the known one changes nothing: lists and watches may overtake each other.

    A deleted pod is remembered for a while: its key may outlive it by a TTL.
    """

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._deleted: OrderedDict[str, Pod] = OrderedDict()
        self._replicasets: dict[str, ReplicaSet] = {}
        self._statefulsets: dict[str, StatefulSet] = {}
        self._owned: dict[str, set[str]] = {}  # a controller's UID: the UIDs of its pods or ReplicaSets
        self._labelled: dict[LockName, set[str]] = {}
        self._naming: dict[LockName, set[str]] = {}
        self.complete = False
        """Whether full lists of all kinds were ever taken. Until then, a pod or owner missing here may exist."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many entries each index has."""
        return {
            "pods": len(self._pods),
            "deleted": len(self._deleted),
            "replicasets": len(self._replicasets),
            "statefulsets": len(self._statefulsets),
            "owned": len(self._owned),
            "labelled": len(self._labelled),
            "naming": len(self._naming),
        }

    def apply(self, kind: Kind, body: Mapping[str, Any], deleted: bool) -> ChangedPod:
        """Take an object as it is now or was when deleted; what that affects."""
        uid = body["metadata"]["uid"]
        if kind == "Pod":
            return self._delete_pod(read_pod(body)) if deleted else self._put_pod(read_pod(body))
        if kind == "ReplicaSet":
            return self._put_replicaset(uid, None if deleted else read_replicaset(body))
        return self._put_statefulset(uid, None if deleted else read_statefulset(body))

    def uids(self, kind: Kind) -> frozenset[str]:
        """The UIDs of all existing objects of a kind, to compare with a list that is requested *after* this call."""
        if kind == "Pod":
            return frozenset(self._pods)
        return frozenset(self._replicasets if kind == "ReplicaSet" else self._statefulsets)

    def forget(self, kind: Kind, uids: Iterable[str]) -> ChangedPod:
        """Drop objects whose deletion was missed: a watch does not report what was deleted while it was down."""
        pods: set[str] = set()
        locks: set[LockName] = set()
        for uid in uids:
            affected = self._forget(kind, uid)
            pods |= affected.pods
            locks |= affected.locks
        return ChangedPod(frozenset(pods), frozenset(locks))

    def preferred_group(self, queue: Iterable[Entry]) -> str:
        """The current revision's group of the one Deployment or StatefulSet whose pods are in this queue.

        "" for no preference: an owner is unknown, or there are several. Foreign candidates have no group and do not
        count.
        """
        owners = {self._top_owner(entry) for entry in queue if not entry.record.foreign}
        if len(owners) != 1 or (owner := owners.pop()) is None:
            return ""
        statefulset = self._statefulsets.get(owner)
        return statefulset.group if statefulset else self._newest_group(owner)

    def ended(self, lock: LockName, queue: Iterable[Entry]) -> frozenset[str]:
        """The UIDs of candidates' pods in the lock's own namespace whose end the kubelet has confirmed."""
        candidates = (self._candidate(entry) for entry in queue)
        return frozenset(pod.uid for pod in candidates if pod and pod.ended and pod.namespace == lock.namespace)

    def labelled(self, lock: LockName) -> frozenset[tuple[str, str, str]]:
        """Namespace, name and UID of the pods that carry the leader's label for this lock."""
        pods = (self._pods[uid] for uid in self._labelled.get(lock, ()))
        return frozenset((pod.namespace, pod.name, pod.uid) for pod in pods)

    def absent(self, lock: LockName, queue: Iterable[Entry]) -> tuple[Pod, ...]:
        """The pods that name the lock and are not in its queue, by name."""
        queued = {entry.record.pod_uid for entry in queue}
        pods = (self._pods[uid] for uid in self._naming.get(lock, ()) if uid not in queued)
        return tuple(sorted(pods, key=lambda pod: pod.name))

    def exists(self, namespace: str, name: str, uid: str) -> bool:
        """Whether there is a pod with this namespace, name and UID: only that one can be labelled."""
        pod = self._pods.get(uid)
        return pod is not None and (pod.namespace, pod.name) == (namespace, name)

    def _candidate(self, entry: Entry) -> Pod | None:
        record = entry.record
        pod = self._pods.get(record.pod_uid) or self._deleted.get(record.pod_uid)
        claimed = (record.pod_namespace, record.pod)
        return pod if pod and not record.foreign and (pod.namespace, pod.name) == claimed else None

    def _top_owner(self, entry: Entry) -> str | None:
        pod = self._candidate(entry)
        if pod is None or not pod.owner:
            return None
        if pod.owner in self._statefulsets:
            return pod.owner
        replicaset = self._replicasets.get(pod.owner)
        return replicaset.owner or None if replicaset else None

    def _newest_group(self, deployment: str) -> str:
        siblings = (self._replicasets.get(uid) for uid in self._owned.get(deployment, ()))
        newest = max((each for each in siblings if each), key=lambda each: each.revision, default=None)
        return newest.group if newest else ""

    def _put_pod(self, pod: Pod) -> ChangedPod:
        before = self._pods.get(pod.uid)
        if pod.uid in self._deleted or _is_older(pod, before):
            return _NOTHING
        if before:
            self._unlink(before.owner, pod.uid)
            self._unlabel(before)
        self._pods[pod.uid] = pod
        self._link(pod.owner, pod.uid)
        for lock in _labelled_for(pod):
            self._labelled.setdefault(lock, set()).add(pod.uid)
        for lock in _named_by(pod):
            self._naming.setdefault(lock, set()).add(pod.uid)
        return _NOTHING if pod == before else ChangedPod(frozenset({pod.uid}), _locks_of(before) | _locks_of(pod))

    def _delete_pod(self, pod: Pod) -> ChangedPod:
        self._deleted[pod.uid] = pod
        if len(self._deleted) > _MAX_DELETED_KEPT:
            self._deleted.popitem(last=False)
        if before := self._pods.pop(pod.uid, None):
            self._unlink(before.owner, pod.uid)
            self._unlabel(before)
        return ChangedPod(frozenset({pod.uid}), _locks_of(before))

    def _put_replicaset(self, uid: str, now: ReplicaSet | None) -> ChangedPod:
        before = self._replicasets.get(uid)
        if _is_older(now, before):
            return _NOTHING
        affected = {uid} | self._siblings(before)
        if before:
            self._unlink(before.owner, uid)
            del self._replicasets[uid]
        if now:
            self._replicasets[uid] = now
            self._link(now.owner, uid)
        if now == before:
            return _NOTHING
        affected |= self._siblings(now)
        return ChangedPod(frozenset(pod for each in affected for pod in self._owned.get(each, ())))

    def _put_statefulset(self, uid: str, now: StatefulSet | None) -> ChangedPod:
        before = self._statefulsets.get(uid)
        if _is_older(now, before):
            return _NOTHING
        self._statefulsets.pop(uid, None)
        if now:
            self._statefulsets[uid] = now
        return _NOTHING if now == before else ChangedPod(frozenset(self._owned.get(uid, ())))

    def _forget(self, kind: Kind, uid: str) -> ChangedPod:
        if kind == "ReplicaSet":
            return self._put_replicaset(uid, None)
        if kind == "StatefulSet":
            return self._put_statefulset(uid, None)
        return self._delete_pod(self._pods[uid]) if uid in self._pods else _NOTHING

    def _siblings(self, replicaset: ReplicaSet | None) -> set[str]:
        return set(self._owned.get(replicaset.owner, ())) if replicaset and replicaset.owner else set()

    def _link(self, owner: str, uid: str) -> None:
        if owner:
            self._owned.setdefault(owner, set()).add(uid)

    def _unlink(self, owner: str, uid: str) -> None:
        if owned := self._owned.get(owner):
            owned.discard(uid)
            if not owned:
                del self._owned[owner]

    def _unlabel(self, pod: Pod) -> None:
        for index, locks in ((self._labelled, _labelled_for(pod)), (self._naming, _named_by(pod))):
            for lock in locks:
                index[lock].discard(pod.uid)
                if not index[lock]:
                    del index[lock]


def _is_older(now: Pod | ReplicaSet | StatefulSet | None, before: Pod | ReplicaSet | StatefulSet | None) -> bool:
    return now is not None and before is not None and now.version < before.version


def _labelled_for(pod: Pod) -> frozenset[LockName]:
    return frozenset(LockName(pod.namespace, name) for name in pod.leader_of)


def _named_by(pod: Pod) -> frozenset[LockName]:
    return frozenset({LockName(pod.namespace, pod.request.lock)} if pod.request else ())


def _locks_of(pod: Pod | None) -> frozenset[LockName]:
    return _labelled_for(pod) | _named_by(pod) if pod else frozenset()
