"""Answers the API server about workloads: it allows each, with warnings about what will not work.

Nothing depends on these answers: the API server goes on without one, and what cannot be read, or checked now, is
allowed without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
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
            asked = parse(await self._reader.read(request), _WORKLOAD)
            workload, found, injection = self._read(asked)
        except BadRequest as error:
            return refusal(str(error), error.status)
        if injection is not None:
            lock = await find_lock(self._kube, injection)
            found += self._about_lock(workload, injection, lock)
        warnings = tuple(islice(found, advice.MAX_WARNINGS))
        return reply({"uid": asked["uid"], "allowed": True} | with_warnings(warnings))

    def _read(self, asked: Mapping[str, Any]) -> tuple[Workload, list[str], InjectionRequest | None]:
        """The workload, what is wrong with it, and what its pods will request. Raises BadRequest."""
        kind, namespace = asked["kind"]["kind"], str(asked.get("namespace") or "")
        if kind not in advice.REVISION_LABELS:
            raise no_review(_WORKLOAD)
        try:
            workload = Workload.read(kind, asked["object"])
            found = list(advice.misplaced(workload))
            require = self._policy.require_lock
            try:
                return workload, found, advice.request_of(workload, namespace, self._sidecar, require_lock=require)
            except RequestRefused as why:
                return workload, [*found, advice.refused(workload, why)], None
        except (AttributeError, KeyError, TypeError, ValueError):  # lists where objects should be, and the like
            raise no_review(_WORKLOAD) from None

    def _about_lock(
        self, workload: Workload, request: InjectionRequest, lock: Mapping[str, Any] | None
    ) -> Iterator[str]:
        if lock is None and request.require_lock:
            yield advice.undeclared(request)
        if lock != {}:  # else it is not known
            yield from advice.gate(workload, request, lock)
