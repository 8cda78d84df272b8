"""Answers the API server: an AdmissionReview in, an AdmissionReview out.

It fails closed. A pod about which something cannot be found out is refused, in a sentence; the API server's own request
has a time limit, so every question of ours has a shorter one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from leasehold.http.lean_aiohttp import web
from leasehold.http.server import refusal
from leasehold.injector import patch
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import Sidecar
from leasehold.injector.metrics import InjectorMetrics
from leasehold.injector.patch import Patch
from leasehold.kube.call import Body, KubeError, KubeFailure
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.api import API_VERSION

log = logging.getLogger("leasehold.injector.admission")

API: Final = "admission.k8s.io/v1"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a request: the API server takes objects of up to 3 MiB."""
LARGE: Final = 256 * 1024
"""Bytes from which on a request waits for its turn to be read. Usual pods are far smaller, and never wait."""
_LARGE_AT_ONCE: Final = 8
READ_WITHIN: Final = 4.0
"""Seconds for a request to be read: its webhook gives all of the review 5."""
_LARGE_WITHIN: Final = 1.0
"""Seconds for a large one, from its turn on: nobody may take a turn and then say nothing."""


class Unwanted(Exception):
    """A request that is no review. The text is one sentence."""

    def __init__(self, sentence: str, status: HTTPStatus) -> None:
        super().__init__(sentence)
        self.status = status


class Getter(Protocol):
    """Reads one object of the API server's. Raises KubeFailure."""

    async def get(self, path: str, **query: str) -> Body:
        """GET."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the cluster's administrator asks of pods."""

    require_lock: bool = False
    require_opt_in: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that is kept of a request while the API server is asked: read, it may take thirty times its bytes."""

    uid: str
    namespace: str
    asked: InjectionRequest | None
    patch: Patch
    refused: str = ""


class Reviewer:
    """Decides about pods."""

    def __init__(self, kube: Getter, sidecar: Sidecar, policy: Policy, metrics: InjectorMetrics) -> None:
        self._kube = kube
        self._sidecar = sidecar
        self._policy = policy
        self._metrics = metrics
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """`POST /mutate`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(READ_WITHIN):
                wanted = await self._read(request)
        except TimeoutError:
            return refusal("The request was not there in time.", HTTPStatus.REQUEST_TIMEOUT)
        except Unwanted as unwanted:
            return refusal(str(unwanted), unwanted.status)
        response = await self._review(wanted)
        self._metrics.took(time.monotonic() - began)
        answer = {"apiVersion": API, "kind": "AdmissionReview", "response": response}
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

    async def _read(self, request: web.BaseRequest) -> Wanted:
        """What the body asks for. Raises Unwanted, or TimeoutError."""
        length = request.content_length
        if length is None:
            raise Unwanted("A request must say how long it is.", HTTPStatus.LENGTH_REQUIRED)
        if length > LARGEST:
            raise Unwanted(f"A request may have {LARGEST} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if length <= LARGE:
            return self._decide(await _body(request, length))
        async with self._large, asyncio.timeout(_LARGE_WITHIN):
            return self._decide(await _body(request, length))

    def _decide(self, body: bytes) -> Wanted:
        """All that can be decided without asking anybody, so that one request at a time is read into objects."""
        request = _parse(body)
        uid, namespace, pod = request["uid"], str(request.get("namespace") or ""), request["object"]
        try:
            asked = patch.asks(pod, namespace, require_lock=self._policy.require_lock)
            return Wanted(uid, namespace, asked, patch.patch(pod, asked, self._sidecar))
        except RequestRefused as refused:
            return Wanted(uid, namespace, None, [], str(refused))
        except (AttributeError, KeyError, TypeError):  # lists where objects should be, and the like
            raise _no_review() from None

    async def _review(self, wanted: Wanted) -> dict[str, Any]:
        """The response, as the admission API has it."""
        try:
            await self._check(wanted)
        except RequestRefused as refused:
            self._metrics.reviewed("refused")
            log.info("refused a pod of %s: %s", wanted.namespace, refused)
            return _refusal(wanted.uid, HTTPStatus.FORBIDDEN, str(refused))
        except KubeFailure as failure:
            self._metrics.reviewed("failed")
            log.warning("a pod of %s is refused, since it cannot be checked: %s", wanted.namespace, failure)
            return _refusal(wanted.uid, HTTPStatus.SERVICE_UNAVAILABLE, f"the pod cannot be checked now: {failure}")
        self._metrics.reviewed("injected" if wanted.patch else "unchanged")
        response: dict[str, Any] = {"uid": wanted.uid, "allowed": True}
        if wanted.patch:
            encoded = base64.b64encode(json.dumps(wanted.patch).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": encoded}
        return response

    async def _check(self, wanted: Wanted) -> None:
        """What only the API server knows. Raises Refused, KubeFailure."""
        if wanted.asked is None:
            raise RequestRefused(wanted.refused)
        if self._policy.require_opt_in:
            await self._check_opted_in(wanted.namespace)
        if wanted.asked.require_lock:
            await self._check_declared(wanted.asked)

    async def _check_opted_in(self, namespace: str) -> None:
        found = await self._kube.get(f"/api/v1/namespaces/{namespace}")
        patch.check_opted_in(namespace, found["metadata"].get("labels") or {})

    async def _check_declared(self, asked: InjectionRequest) -> None:
        lock: LockName = asked.lock
        try:
            await self._kube.get(f"/apis/{API_VERSION}/namespaces/{lock.namespace}/locks/{lock.name}")
        except KubeError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise RequestRefused(
                f"there is no Lock {lock.name} in the namespace {lock.namespace}: declare it first, or set the "
                'annotation leasehold.dev/require-lock to "false" for a lock without a declaration'
            ) from None


async def _body(request: web.BaseRequest, length: int) -> bytes:
    try:
        return await request.content.readexactly(length) if length else b""
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the request was broken off") from None


def _parse(body: bytes) -> Mapping[str, Any]:
    """The request of an AdmissionReview about a pod. Raises Unwanted."""
    try:
        review = json.loads(body)
        asked: Mapping[str, Any] = review["request"]
        pod = asked["object"]
        known = review["apiVersion"] == API and isinstance(asked["uid"], str)
        about_a_pod = (asked["kind"]["kind"], asked["operation"]) == ("Pod", "CREATE") and not asked.get("subResource")
        about_a_pod = about_a_pod and isinstance(pod["metadata"], dict) and isinstance(pod["spec"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):  # the last of brackets by the thousand
        known = about_a_pod = False
        asked = {}
    if not (known and about_a_pod):
        raise _no_review()
    return asked


def _no_review() -> Unwanted:
    return Unwanted(f"This is no AdmissionReview of {API} about a new pod.", HTTPStatus.BAD_REQUEST)


def _refusal(uid: str, status: HTTPStatus, sentence: str) -> dict[str, Any]:
    message = f"leasehold: {sentence}"
    return {"uid": uid, "allowed": False, "status": {"code": status.value, "message": message}}
