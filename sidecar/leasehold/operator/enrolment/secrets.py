"""The Secrets of one name in all namespaces: read, written and deleted. The operator may touch no other."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from leasehold.kube.api import PREFIX
from leasehold.kube.call import Body, KubeCall, KubeError
from leasehold.operator.enrolment.authority import Authority, Examined, Issued, examine
from leasehold.operator.enrolment.model import DeleteSecret, Owner, SecretFact, WriteSecret
from leasehold.operator.enrolment.names import account_of

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "leasehold-operator"
KEEP: Final = "helm.sh/resource-policy"
"""Annotation that keeps Helm from deleting a Secret which an earlier release of the chart had made."""
USER: Final = f"{PREFIX}etcd-user"
"""Annotation: the etcd user whose certificate it is."""
_PAGE_OBJECTS: Final = 250
_CONFLICT, _NOT_FOUND, _FORBIDDEN = 409, 404, 403


@dataclass(frozen=True, slots=True)
class Expected:
    """What a good Secret is measured by. `authority` None: unknown now; `shared`: the shared certificate's user."""

    authority: Authority | None
    server_ca: bytes
    shared: str
    root: str
    now: datetime

    @property
    def key(self) -> tuple[str, bytes]:
        """What an examination depends on, besides the Secret."""
        return self.authority.fingerprint if self.authority else "", self.server_ca


class NamespaceGone(Exception):
    """The namespace does not exist, or is being deleted: nothing can be created in it."""


class Secrets:
    """Reads and writes them. All calls raise KubeFailure."""

    def __init__(self, kube: KubeCall, name: str) -> None:
        self._kube = kube
        self._name = name
        self._examined: dict[tuple[str, str], tuple[tuple[str, bytes], Examined]] = {}
        """By UID and version: a thousand certificates are not read again for nothing."""

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
            "annotations": {USER: order.user, KEEP: "keep"},
        }
        try:
            body = await self._put(order, metadata, data)
        except KubeError as error:
            if (error.status == _NOT_FOUND and order.replaces is None) or _is_terminating(error):
                raise NamespaceGone(order.namespace) from error
            raise
        return self._fact(body, expected, {})

    async def _put(self, order: WriteSecret, metadata: Body, data: Mapping[str, str]) -> Body:
        path = f"/api/v1/namespaces/{order.namespace}/secrets"
        if order.replaces is None:
            metadata |= {"name": self._name}
            return await self._kube.create(path, {"metadata": metadata, "type": "kubernetes.io/tls", "data": data})
        metadata |= {"resourceVersion": order.replaces.version}
        return await self._kube.merge(f"{path}/{self._name}", {"metadata": metadata, "data": data})

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
            known = expected.key, examine(_decoded(body), user, expected.authority, expected.server_ca)
        self._examined[identity] = known
        seen = known[1]
        labelled = (metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER
        flaw = seen.flaw or ("its certificate is due for renewal" if seen.due and expected.now >= seen.due else "")
        if not seen.flaw and not labelled:
            flaw = flaw or f"the label {MANAGED_BY} was changed"
        return SecretFact(_owner(seen, labelled, user, expected.shared), *identity, flaw)


def _owner(seen: Examined, labelled: bool, user: str, shared: str) -> Owner:
    if labelled or (seen.signed_by_us and seen.common_name == user):
        return Owner.OURS
    if seen.signed_by_us and shared and seen.common_name == shared:
        return Owner.SHARED
    return Owner.FOREIGN


def _is_terminating(error: KubeError) -> bool:
    """The API server creates nothing in a namespace that is being deleted."""
    return error.status == _FORBIDDEN and "being terminated" in error.sentence


def _decoded(body: Body) -> dict[str, bytes]:
    """Its data, without values that are not base64."""
    found: dict[str, bytes] = {}
    for name, value in (body.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError):
            continue
    return found
