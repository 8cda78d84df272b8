"""Keeps the Secrets filled: reads all, writes what is due, and tells what only a person can mend."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Gauge

from leasehold.base.logs import RepeatedFailureLog
from leasehold.kube.call import Body, KubeError, KubeFailure
from leasehold.operator.certificates.config import CertificatesConfig
from leasehold.operator.certificates.issue import Pair
from leasehold.operator.certificates.plan import Data, step, step_of_given
from leasehold.operator.certificates.subject import Leaf

_log = logging.getLogger("leasehold.operator.certificates")

CHECK_SECONDS: Final = 15.0
"""Between two checks, once all is well: a Secret that somebody damaged is repaired within that time."""
RETRY_SECONDS: Final = 1.0
_CONFLICT, _NOT_FOUND = 409, 404


class Calls(Protocol):
    """The calls to the API server, as KubeCall has them. Both raise KubeFailure."""

    @property
    def server_time(self) -> datetime | None:
        """The time by its clock, in its last answer."""

    async def get(self, path: str, **query: str) -> Body:
        """GET."""

    async def merge(self, path: str, body: Mapping[str, Any]) -> Body:
        """PATCH with a JSON merge patch."""


class CertificatesProblem(Exception):
    """Something that only a person can mend. The text is one sentence."""


def renewal_metric(registry: CollectorRegistry) -> Gauge:
    """When the renewal of each certificate is due, by its Secret, as NAMESPACE/NAME."""
    return Gauge(
        "leasehold_etcd_certificate_renewal_timestamp_seconds",
        "When the renewal of a certificate of the chart's etcd is due, by its Secret.",
        ["secret"],
        registry=registry,
    )


class Keeper:
    """The Secrets of one etcd."""

    def __init__(self, kube: Calls, config: CertificatesConfig, registry: CollectorRegistry) -> None:
        self._kube = kube
        self._config = config
        self._renewals = renewal_metric(registry)
        self.ready = False
        """Whether all certificates were good at the last check."""

    async def run(self) -> None:
        """Check at intervals until cancelled."""
        trouble = RepeatedFailureLog(_log, "the certificates of etcd cannot be looked after")
        while True:
            try:
                await self.refresh()
            except KubeError as error:
                if error.status != _CONFLICT:  # somebody else was faster: the next check sees the result
                    trouble.failed(error)
                self.ready = False
            except (KubeFailure, CertificatesProblem) as error:
                trouble.failed(error)
                self.ready = False
            else:
                trouble.succeeded()
                self.ready = True
            await asyncio.sleep(CHECK_SECONDS if self.ready else RETRY_SECONDS)

    async def refresh(self) -> None:
        """Write what is due. Raises KubeFailure, with 409 if somebody else was faster, or CertificatesProblem."""
        config = self._config
        authority = await self._read(config.namespace, config.authority)
        found = {leaf: await self._read(leaf.namespace, leaf.secret) for leaf in config.leaves}
        now = self._kube.server_time or datetime.now(UTC)
        kept = {leaf: _decoded(secret) for leaf, secret in found.items()}
        decide = step_of_given if config.keep_authority else step
        due = decide(config.authority, _decoded(authority), kept, now, config.lifetime)
        if due.problem:
            raise CertificatesProblem(due.problem)
        if due.authority:
            made = {"tls.crt": due.authority.certificate, "tls.key": due.authority.key}
            await self._write(config.namespace, authority, made)
        for leaf, content in due.writes.items():
            await self._write(leaf.namespace, found[leaf], content)
            _log.info("issued a certificate for %s", leaf.place)
        self._note({**kept, **due.writes})

    async def _read(self, namespace: str, secret: str) -> Body:
        path = f"/api/v1/namespaces/{namespace}/secrets/{secret}"
        try:
            return await self._kube.get(path)
        except KubeError as error:
            if error.status != _NOT_FOUND:
                raise
            raise CertificatesProblem(
                f"there is no Secret {secret} in the namespace {namespace}: upgrade the chart, which makes it"
            ) from None

    async def _write(self, namespace: str, secret: Body, content: Data) -> None:
        """The API server refuses it if the Secret has changed since it was read."""
        metadata = secret["metadata"]
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        path = f"/api/v1/namespaces/{namespace}/secrets/{metadata['name']}"
        await self._kube.merge(path, {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "data": data})

    def _note(self, contents: Mapping[Leaf, Data]) -> None:
        for leaf, content in contents.items():
            pair = Pair.read(content)
            assert pair is not None, "a step makes it"
            self._renewals.labels(leaf.place).set(pair.renewal.timestamp())


def _decoded(secret: Body) -> dict[str, bytes]:
    """A Secret's data, without values that are not base64."""
    found = {}
    for name, text in (secret.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(text)
        except (binascii.Error, TypeError):
            continue
    return found
