"""The Secrets of one name in all namespaces: read, written and deleted. The operator may touch no other."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from leasehold.kube.call import Body, KubeCall, KubeError
from leasehold.lock.kube_names import PREFIX
from leasehold.operator.enrolment.actions import DeleteSecret, WriteLogin, WriteSecret
from leasehold.operator.enrolment.authority import Authority, Examined, Issued, examine
from leasehold.operator.enrolment.model import Owner, SecretFact
from leasehold.operator.enrolment.names import account_of

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "leasehold-operator"
KEEP: Final = "helm.sh/resource-policy"
"""Annotation that keeps Helm from deleting a Secret which an earlier release of the chart had made."""
USER: Final = f"{PREFIX}etcd-user"
"""Annotation: the etcd user whose certificate it is."""
ENROLLED_BY: Final = f"{PREFIX}enrolled-by"
"""Annotation: the operator that writes it, by its namespace and the root of its locks."""
CONTESTED_FOR: Final = timedelta(minutes=10)
"""How long a Secret is left alone that another operator has written after us: nobody fights over it."""
LABEL_CHANGED: Final = f"the label {MANAGED_BY} was changed"
"""A Secret's flaw."""
_ANOTHER_WRITES: Final = "another operator writes its Secret, too, by another authority"
_PAGE_OBJECTS: Final = 250
_CONFLICT, _NOT_FOUND, _FORBIDDEN = 409, 404, 403


@dataclass(frozen=True, slots=True)
class Expected:
    """What a good Secret is measured by. `authority` None: unknown now; `shared`: the shared certificate's user.

    `instance`: the operator, by its namespace and its root, which no other one in the cluster has.
    """

    authority: Authority | None
    server_ca: bytes
    shared: str
    root: str
    now: datetime
    instance: str

    @property
    def key(self) -> tuple[str, bytes]:
        """What an examination depends on, besides the Secret."""
        return self.authority.fingerprint if self.authority else "", self.server_ca


class NamespaceGone(Exception):
    """The namespace does not exist, or is being deleted: nothing can be created in it."""


class Secrets:
    """Reads and writes them. All calls raise KubeFailure."""

    TYPE = "kubernetes.io/tls"

    def __init__(self, kube: KubeCall, name: str) -> None:
        self._kube = kube
        self._name = name
        self._examined: dict[tuple[str, str], tuple[tuple[str, bytes], Examined]] = {}
        """By UID and version: a thousand certificates are not read again for nothing."""
        self._written: dict[str, tuple[str, datetime]] = {}
        """By namespace: the fingerprint of the authority that we have signed by, and when."""

    async def read(self, expected: Expected) -> dict[str, SecretFact]:
        """All of them, by namespace."""
        found: dict[str, SecretFact] = {}
        before, self._examined = self._examined, {}
        query = {"fieldSelector": f"metadata.name={self._name}", "limit": str(_PAGE_OBJECTS)}
        while True:
            page = await self._kube.get("/api/v1/secrets", **query)
            for body in page.get("items") or ():
                found[body["metadata"]["namespace"]] = self._fact(body, expected, before)
            if not (following := (page.get("metadata") or {}).get("continue")):
                return found
            query["continue"] = following

    async def write(self, order: WriteSecret, issued: Issued, expected: Expected) -> SecretFact:
        """Create it, or replace the one that was read. Raises NamespaceGone, too."""
        content = {"ca.crt": expected.server_ca, "tls.crt": issued.chain, "tls.key": issued.key}
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        metadata: Body = {
            "labels": {MANAGED_BY: MANAGER},
            "annotations": {USER: order.user, ENROLLED_BY: expected.instance, KEEP: "keep"},
        }
        body = await self._put(order, metadata, data)
        self._written[order.namespace] = expected.key[0], expected.now
        return self._fact(body, expected, {})

    async def _put(self, order: WriteSecret | WriteLogin, metadata: Body, data: Mapping[str, str]) -> Body:
        path = f"/api/v1/namespaces/{order.namespace}/secrets"
        try:
            if order.replaces is None:
                metadata |= {"name": self._name}
                return await self._kube.create(path, {"metadata": metadata, "type": self.TYPE, "data": data})
            metadata |= {"resourceVersion": order.replaces.version}
            return await self._kube.merge(f"{path}/{self._name}", {"metadata": metadata, "data": data})
        except KubeError as error:
            if (error.status == _NOT_FOUND and order.replaces is None) or _is_terminating(error):
                raise NamespaceGone(order.namespace) from error
            raise

    async def delete(self, order: DeleteSecret) -> None:
        """Delete it, unless it is gone or another one has its name."""
        path = f"/api/v1/namespaces/{order.namespace}/secrets/{self._name}"
        try:
            await self._kube.delete(path, uid=order.fact.uid)
        except KubeError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):
                raise

    def _fact(self, body: Body, expected: Expected, before: Mapping[tuple[str, str], Any]) -> SecretFact:
        metadata = body["metadata"]
        identity = metadata["uid"], metadata["resourceVersion"]
        user = account_of(metadata["namespace"], expected.root)
        known = before.get(identity)
        if known is None or known[0] != expected.key:
            known = expected.key, examine(decoded(body), user, expected.authority, expected.server_ca)
        self._examined[identity] = known
        seen = known[1]
        labelled = is_labelled(metadata)
        flaw = seen.flaw or ("its certificate is due for renewal" if seen.due and expected.now >= seen.due else "")
        if not seen.flaw and not labelled:
            flaw = flaw or LABEL_CHANGED
        owner = _owner(seen, labelled, user, expected.shared)
        if owner is Owner.OURS and (who := self._rival(metadata, seen, expected)):
            owner, flaw = Owner.CONTESTED, who
        return SecretFact(owner, *identity, flaw, mistyped=body.get("type") != self.TYPE)

    def _rival(self, metadata: Body, seen: Examined, expected: Expected) -> str:
        """Which other operator writes it, too, in a sentence without a full stop; "" if there is none.

        One by the same name may be we ourselves, before the authority was replaced. So it takes our own writing to be
        undone: a person has no other authority at hand.
        """
        if who := other_writer(metadata, expected):
            return who
        authority, when = self._written.get(metadata["namespace"], ("", expected.now))
        is_undone = not seen.signed_by_us and seen.common_name and authority == expected.key[0]
        return _ANOTHER_WRITES if is_undone and authority and expected.now < when + CONTESTED_FOR else ""


def _owner(seen: Examined, labelled: bool, user: str, shared: str) -> Owner:
    if labelled or (seen.signed_by_us and seen.common_name == user):
        return Owner.OURS
    if seen.signed_by_us and shared and seen.common_name == shared:
        return Owner.SHARED
    return Owner.FOREIGN


def is_labelled(metadata: Body) -> bool:
    """Whether the Secret is marked as the operator's."""
    return bool((metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER)


def other_writer(metadata: Body, expected: Expected) -> str:
    """Which other operator has noted that it writes the Secret, in a sentence without a full stop; "" if none has."""
    writer = (metadata.get("annotations") or {}).get(ENROLLED_BY, expected.instance)
    if writer == expected.instance:
        return ""
    return f"the operator of {writer} writes its Secret, and this one is {expected.instance}"


def _is_terminating(error: KubeError) -> bool:
    """The API server creates nothing in a namespace that is being deleted."""
    return error.status == _FORBIDDEN and "being terminated" in error.sentence


def decoded(body: Body) -> dict[str, bytes]:
    """Its data, without values that are not base64."""
    found: dict[str, bytes] = {}
    for name, value in (body.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError):
            continue
    return found
