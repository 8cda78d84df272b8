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
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from sidecar.injector import injection
from sidecar.injector.asked import Asked, Refused
from sidecar.injector.container import Sidecar
from sidecar.injector.injection import Patch
from sidecar.injector.metrics import InjectorMetrics
from sidecar.keys import LockName
from sidecar.lean import web
from sidecar.operator.kube import API_VERSION
from sidecar.operator.kubecall import Body, KubeError, KubeFailure
from sidecar.web import refusal

log = logging.getLogger(__name__)

API: Final = "admission.k8s.io/v1"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a request: the API server takes objects of up to 3 MiB."""
LARGE: Final = 256 * 1024
"""Bytes from which on a request is read and parsed beside one other such at most: read into objects it may take thirty
times the memory. Usual pods are far smaller, and never wait for it."""
READ_WITHIN: Final = 4.0
"""Seconds for a request to be read: its webhook gives all of the review 5."""


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


class Reviewer:
    """Decides about pods."""

    def __init__(self, kube: Getter, sidecar: Sidecar, policy: Policy, metrics: InjectorMetrics) -> None:
        self._kube = kube
        self._sidecar = sidecar
        self._policy = policy
        self._metrics = metrics
        self._large = asyncio.Semaphore(2)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """`POST /mutate`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(READ_WITHIN):
                asked = await self._read(request)
        except TimeoutError:
            return refusal("The request was not there in time.", HTTPStatus.REQUEST_TIMEOUT)
        except Unwanted as unwanted:
            return refusal(str(unwanted), unwanted.status)
        response = await self.review(asked)
        self._metrics.took(time.monotonic() - began)
        answer = {"apiVersion": API, "kind": "AdmissionReview", "response": response}
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

    async def _read(self, request: web.BaseRequest) -> Mapping[str, Any]:
        """The request that the body holds. Raises Unwanted."""
        length = request.content_length
        if length is None:
            raise Unwanted("A request must say how long it is.", HTTPStatus.LENGTH_REQUIRED)
        if length > LARGEST:
            raise Unwanted(f"A request may have {LARGEST} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        async with self._large if length > LARGE else nullcontext():
            try:
                body = await request.content.readexactly(length) if length else b""
            except asyncio.IncompleteReadError:
                raise ConnectionResetError("the request was broken off") from None
            return _parse(body)

    async def review(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The response to a request; both as the admission API has them."""
        namespace = str(asked.get("namespace") or "")
        pod: Mapping[str, Any] = asked["object"]
        try:
            patch = await self._patch(pod, namespace)
        except Refused as refused:
            self._metrics.reviewed("refused")
            log.info("refused a pod of %s: %s", namespace, refused)
            return _refusal(asked, HTTPStatus.FORBIDDEN, str(refused))
        except KubeFailure as failure:
            self._metrics.reviewed("failed")
            log.warning("a pod of %s is refused, since it cannot be checked: %s", namespace, failure)
            return _refusal(asked, HTTPStatus.SERVICE_UNAVAILABLE, f"the pod cannot be checked now: {failure}")
        self._metrics.reviewed("injected" if patch else "unchanged")
        response: dict[str, Any] = {"uid": asked["uid"], "allowed": True}
        if patch:
            encoded = base64.b64encode(json.dumps(patch).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": encoded}
        return response

    async def _patch(self, pod: Mapping[str, Any], namespace: str) -> Patch:
        asked = injection.asks(pod, namespace, require_lock=self._policy.require_lock)
        patch = injection.patch(pod, asked, self._sidecar)
        if self._policy.require_opt_in:
            await self._check_opted_in(namespace)
        if asked.require_lock:
            await self._check_declared(asked)
        return patch

    async def _check_opted_in(self, namespace: str) -> None:
        found = await self._kube.get(f"/api/v1/namespaces/{namespace}")
        injection.check_opted_in(namespace, found["metadata"].get("labels") or {})

    async def _check_declared(self, asked: Asked) -> None:
        lock: LockName = asked.lock
        try:
            await self._kube.get(f"/apis/{API_VERSION}/namespaces/{lock.namespace}/locks/{lock.name}")
        except KubeError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise Refused(
                f"there is no Lock {lock.name} in the namespace {lock.namespace}: declare it first, or set the "
                'annotation leasehold.dev/require-lock to "false" for a lock without a declaration'
            ) from None


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
        raise Unwanted(f"This is no AdmissionReview of {API} about a new pod.", HTTPStatus.BAD_REQUEST)
    return asked


def _refusal(asked: Mapping[str, Any], status: HTTPStatus, sentence: str) -> dict[str, Any]:
    message = f"leasehold: {sentence}"
    return {"uid": asked["uid"], "allowed": False, "status": {"code": status.value, "message": message}}
