"""Answers the API server about workloads: it allows each, with warnings about what will not work.

Nothing depends on these answers: the API server goes on without one, and what cannot be read, or checked now, is
allowed without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.http import lean_aiohttp as web
from leasehold.http.server import refusal
from leasehold.injector import advice
from leasehold.injector.admission import (
    BadRequest,
    BodyReader,
    Getter,
    Policy,
    find_lock,
    no_review,
    parse,
    reply,
    with_warnings,
)
from leasehold.injector.advice import Workload
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import Sidecar

_WORKLOAD: Final = "a workload"


@dataclass(frozen=True, slots=True)
class _Review:
    """All that is kept of a request during the call to the API server; `replicas` as Workload has them."""

    uid: str
    found: tuple[str, ...]
    request: InjectionRequest | None
    replicas: int | None


class WorkloadReviewer:
    """Says what is wrong with workloads."""

    def __init__(self, kube: Getter, sidecar: Sidecar, policy: Policy, reader: BodyReader) -> None:
        self._kube = kube
        self._sidecar = sidecar
        self._policy = policy
        self._reader = reader

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """`POST /advise`."""
        try:
            async with self._reader.reading(request, self._prepare) as review:
                found = review.found + await self._about_lock(review)
        except BadRequest as error:
            return refusal(str(error), error.status)
        return reply({"uid": review.uid, "allowed": True} | with_warnings(found[: advice.MAX_WARNINGS]))

    def _prepare(self, body: bytes) -> _Review:
        """Everything that needs no call. Raises BadRequest."""
        asked = parse(body, _WORKLOAD)
        kind, namespace = asked["kind"]["kind"], str(asked.get("namespace") or "")
        if kind not in advice.REVISION_LABELS:
            raise no_review(_WORKLOAD)
        try:
            workload = Workload.read(kind, asked["object"])
            found, uid, replicas = tuple(advice.misplaced(workload)), asked["uid"], workload.replicas
            require = self._policy.require_lock
            try:
                injection = advice.request_of(workload, namespace, self._sidecar, require_lock=require)
            except RequestRefused as why:
                return _Review(uid, (*found, advice.refused(workload, why)), None, replicas)
            return _Review(uid, found, injection, replicas)
        except (AttributeError, KeyError, TypeError, ValueError):  # lists where objects should be, and the like
            raise no_review(_WORKLOAD) from None

    async def _about_lock(self, review: _Review) -> tuple[str, ...]:
        """What is wrong with the lock, or with the workload for such a lock."""
        request = review.request
        if request is None:
            return ()
        lock = await find_lock(self._kube, request)
        return tuple(_of_lock(request, review.replicas, lock))


def _of_lock(request: InjectionRequest, replicas: int | None, lock: Mapping[str, Any] | None) -> Iterator[str]:
    if lock is None and request.require_lock:
        yield advice.undeclared(request)
    if lock != {}:  # else it is not known
        yield from advice.gate(replicas, request, lock)
