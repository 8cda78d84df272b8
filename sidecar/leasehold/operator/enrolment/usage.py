"""Who uses what: the namespaces to enrol, those that may leave, and whether anybody still shares a certificate.

Everything comes from what the operator has observed anyway; only the labels of namespaces are read for this.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Final

from leasehold.kube.call import KubeCall
from leasehold.lock.kube_names import OPT_IN_LABEL
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.operator.enrolment.model import Accounts, Owner, SecretFact, Setup
from leasehold.operator.enrolment.names import account_of
from leasehold.operator.enrolment.uses import Unused
from leasehold.operator.watch.caches import Caches

LEAVE_SECONDS: Final = 60.0
"""How long a namespace stays enrolled that nobody uses: a Lock that is replaced is away for a moment."""
SHARED_SECONDS: Final = 600.0
"""How long nobody must have used the shared certificate before its user goes: kubelets bring new files to the pods
within two minutes, and a sidecar that is not in the queue at a look may come back."""
_PAGE_OBJECTS: Final = 500


@dataclass(frozen=True, slots=True)
class Use:
    """The namespaces to enrol, those that leave, and those where candidates use a certificate that is not theirs."""

    wanted: frozenset[str]
    unused: frozenset[str]
    sharing: frozenset[str]
    shared_unused: bool


class Usage:
    """Watches the use of namespaces and of the shared certificate over time."""

    def __init__(self, caches: Caches, own_lock: LockName) -> None:
        self._caches = caches
        self._own_lock = own_lock
        self._namespaces = Unused(LEAVE_SECONDS)
        self._shared = Unused(SHARED_SECONDS)
        self.labelled: frozenset[str] = frozenset()
        """The namespaces that ask by their label, as last read."""

    @property
    def known(self) -> bool:
        """Whether all Locks and all of etcd were read: before, a namespace may seem unused that is not."""
        return self._caches.locks.complete and self._caches.mirror.cluster != 0

    async def read_labels(self, kube: KubeCall) -> None:
        """Read which namespaces ask by their label. Raises KubeFailure."""
        found: set[str] = set()
        query = {"labelSelector": f"{OPT_IN_LABEL}=enabled", "limit": str(_PAGE_OBJECTS)}
        while True:
            page = await kube.get("/api/v1/namespaces", **query)
            found |= {body["metadata"]["name"] for body in page.get("items") or () if not _is_going(body)}
            if not (following := (page.get("metadata") or {}).get("continue")):
                break
            query["continue"] = following
        self.labelled = frozenset(found)

    def look(self, setup: Setup, accounts: Accounts, secrets: dict[str, SecretFact], now: float) -> Use:
        """The use as of now, in monotonic seconds."""
        candidates = list(self._candidates())
        queued = {name.namespace for name, _ in candidates}
        enrolled = {namespace for namespace, clusters in accounts.records.items() if setup.cluster in clusters}
        enrolled |= {namespace for namespace, secret in secrets.items() if secret.owner is Owner.OURS}
        asked = {name.namespace for name in self._caches.locks.names()} | self.labelled
        wanted = frozenset(asked | (enrolled & queued))
        sharing = frozenset(name.namespace for name, entry in candidates if _shares(setup.root, name, entry))
        return Use(wanted, self._namespaces.look(enrolled, wanted, now), sharing, self._nobody_shares(sharing, now))

    def _nobody_shares(self, sharing: Set[str], now: float) -> bool:
        return bool(self._shared.look({"shared"}, {"shared"} if sharing else set(), now))

    def forget(self) -> None:
        """Start over: for a while nobody has looked."""
        self._namespaces.forget()
        self._shared.forget()

    def _candidates(self) -> Iterator[tuple[LockName, Entry]]:
        mirror = self._caches.mirror
        for name in mirror.names():
            if name != self._own_lock:  # the operator's replicas have certificates of their own
                yield from ((name, entry) for entry in mirror.get(name).queue)


def _shares(root: str, name: LockName, entry: Entry) -> bool:
    """Whether the candidate may depend on the shared certificate: it does not say that it uses its namespace's."""
    return entry.record.certificate != account_of(name.namespace, root)


def _is_going(body: dict[str, object]) -> bool:
    metadata = body["metadata"]
    return isinstance(metadata, dict) and "deletionTimestamp" in metadata
