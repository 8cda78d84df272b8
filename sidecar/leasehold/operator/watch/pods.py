"""What the operator knows of pods and their owners: who has ended, who carries the leader's label, whose group counts.

Pure: an index by UID, fed with what the API server's watch says. Of each object only the few fields that a decision
needs are kept, so that a cluster's pods fit.

How far a candidate's record is believed. Whoever may write to etcd may claim to be any pod, and a Lock's queue may be
used from other namespaces:
- A record counts as a pod only if a pod with that UID exists in that namespace.
- A pod's end evicts its candidate, and a pod is labelled, only in the Lock's own namespace: who may write Locks in one
  namespace must neither learn when another's pods end nor put a label, and with it a Service's traffic, on them.
- A lie gains nothing else: eviction and preference concern only the queue in which the lie stands.

Which lock a pod was labelled for stands in an annotation beside the label, as a list: a pod may lead several, and the
label stays until it leads none. So two Locks never fight over one pod, and a restarted operator knows what is its own.
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

_GONE_KEPT: Final = 4096
"""Pods remembered after their deletion: their keys may stand in a queue for a TTL more."""


@dataclass(frozen=True, slots=True)
class ChangedPod:
    """What may be decided otherwise now: by the pods that a queue's records name, and by the locks named on labels."""

    pods: frozenset[str] = frozenset()
    locks: frozenset[LockName] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pods or self.locks)


_NOTHING: Final = ChangedPod()


class Pods:
    """The index. A body that is older than what is known changes nothing: lists and watches may cross.

    A pod that was deleted is remembered for a while: its key may outlive it by a TTL.
    """

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._gone: OrderedDict[str, Pod] = OrderedDict()
        self._replicasets: dict[str, ReplicaSet] = {}
        self._statefulsets: dict[str, StatefulSet] = {}
        self._owned: dict[str, set[str]] = {}  # a controller's UID: the UIDs of its pods or ReplicaSets
        self._labelled: dict[LockName, set[str]] = {}
        self.complete = False
        """Whether whole lists of all kinds were ever taken: until then a pod or owner that is not here may exist."""

    def apply(self, kind: Kind, body: Mapping[str, Any], deleted: bool) -> ChangedPod:
        """Take up an object as it is, or as it was when it was deleted. Gives what that touches."""
        uid = body["metadata"]["uid"]
        if kind == "Pod":
            return self._pod_gone(read_pod(body)) if deleted else self._put_pod(read_pod(body))
        if kind == "ReplicaSet":
            return self._put_replicaset(uid, None if deleted else read_replicaset(body))
        return self._put_statefulset(uid, None if deleted else read_statefulset(body))

    def known(self, kind: Kind) -> frozenset[str]:
        """The UIDs of all present objects of a kind, to compare with a list that is made *after* this was asked."""
        if kind == "Pod":
            return frozenset(self._pods)
        return frozenset(self._replicasets if kind == "ReplicaSet" else self._statefulsets)

    def forget(self, kind: Kind, uids: Iterable[str]) -> ChangedPod:
        """Drop objects whose deletion was missed: a watch says nothing of what was deleted while it was down."""
        pods: set[str] = set()
        locks: set[LockName] = set()
        for uid in uids:
            touched = self._forget(kind, uid)
            pods |= touched.pods
            locks |= touched.locks
        return ChangedPod(frozenset(pods), frozenset(locks))

    def preferred_group(self, queue: Iterable[Entry]) -> str:
        """The group of the current revision of the one Deployment or StatefulSet whose pods queue here.

        "" when that is not known for every one of our candidates, or there are several owners: no preference. Foreign
        candidates have no group and do not count.
        """
        owners = {self._top_owner(entry) for entry in queue if not entry.record.foreign}
        if len(owners) != 1 or (owner := owners.pop()) is None:
            return ""
        statefulset = self._statefulsets.get(owner)
        return statefulset.group if statefulset else self._newest_group(owner)

    def ended(self, lock: LockName, queue: Iterable[Entry]) -> frozenset[str]:
        """The UIDs of candidates' pods, of the lock's own namespace, that the kubelet has confirmed to have ended."""
        candidates = (self._candidate(entry) for entry in queue)
        return frozenset(pod.uid for pod in candidates if pod and pod.ended and pod.namespace == lock.namespace)

    def labelled(self, lock: LockName) -> frozenset[tuple[str, str, str]]:
        """Namespace, name and UID of the pods that carry the leader's label on behalf of this lock."""
        pods = (self._pods[uid] for uid in self._labelled.get(lock, ()))
        return frozenset((pod.namespace, pod.name, pod.uid) for pod in pods)

    def is_there(self, namespace: str, name: str, uid: str) -> bool:
        """Whether there is such a pod, by all three: only that one can be labelled."""
        pod = self._pods.get(uid)
        return pod is not None and (pod.namespace, pod.name) == (namespace, name)

    def _candidate(self, entry: Entry) -> Pod | None:
        record = entry.record
        pod = self._pods.get(record.pod_uid) or self._gone.get(record.pod_uid)
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
        if pod.uid in self._gone or _is_older(pod, before):
            return _NOTHING
        if before:
            self._unlink(before.owner, pod.uid)
            self._unlabel(before)
        self._pods[pod.uid] = pod
        self._link(pod.owner, pod.uid)
        for lock in _locks_of(pod):
            self._labelled.setdefault(lock, set()).add(pod.uid)
        return _NOTHING if pod == before else ChangedPod(frozenset({pod.uid}), _locks_of(before) | _locks_of(pod))

    def _pod_gone(self, pod: Pod) -> ChangedPod:
        self._gone[pod.uid] = pod
        if len(self._gone) > _GONE_KEPT:
            self._gone.popitem(last=False)
        if before := self._pods.pop(pod.uid, None):
            self._unlink(before.owner, pod.uid)
            self._unlabel(before)
        return ChangedPod(frozenset({pod.uid}), _locks_of(before))

    def _put_replicaset(self, uid: str, now: ReplicaSet | None) -> ChangedPod:
        before = self._replicasets.get(uid)
        if _is_older(now, before):
            return _NOTHING
        touched = {uid} | self._siblings(before)
        if before:
            self._unlink(before.owner, uid)
            del self._replicasets[uid]
        if now:
            self._replicasets[uid] = now
            self._link(now.owner, uid)
        if now == before:
            return _NOTHING
        touched |= self._siblings(now)
        return ChangedPod(frozenset(pod for each in touched for pod in self._owned.get(each, ())))

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
        return self._pod_gone(self._pods[uid]) if uid in self._pods else _NOTHING

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
        for lock in _locks_of(pod):
            self._labelled[lock].discard(pod.uid)
            if not self._labelled[lock]:
                del self._labelled[lock]


def _is_older(now: Pod | ReplicaSet | StatefulSet | None, before: Pod | ReplicaSet | StatefulSet | None) -> bool:
    return now is not None and before is not None and now.version < before.version


def _locks_of(pod: Pod | None) -> frozenset[LockName]:
    return frozenset(LockName(pod.namespace, name) for name in pod.leader_of) if pod else frozenset()
