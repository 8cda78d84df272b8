"""Answers the API server: an AdmissionReview in, an AdmissionReview out.

It fails closed. A pod about which something cannot be found out is refused, in a sentence; the API server's own request
has a time limit, so every question of ours has a shorter one.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping
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

log = logging.getLogger(__name__)

API: Final = "admission.k8s.io/v1"
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a request: an object is at most 3 MB, and may stand in it twice."""


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

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """`POST /mutate`."""
        began = time.monotonic()
        try:
            asked = _parse(await request.read())
        except ValueError as error:
            return web.Response(text=f"{error}\n", status=HTTPStatus.BAD_REQUEST)
        response = await self.review(asked)
        self._metrics.took(time.monotonic() - began)
        answer = {"apiVersion": API, "kind": "AdmissionReview", "response": response}
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

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
        if injection.is_injected(pod):
            return []
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
    """The request of an AdmissionReview about a pod. Raises ValueError with a sentence."""
    try:
        review = json.loads(body)
        asked: Mapping[str, Any] = review["request"]
        pod = asked["object"]
        known = review["apiVersion"] == API and isinstance(asked["uid"], str)
        about_a_pod = isinstance(pod["metadata"], dict) and isinstance(pod["spec"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):  # the last of brackets by the thousand
        known = about_a_pod = False
        asked = {}
    if not (known and about_a_pod):
        raise ValueError(f"This is no AdmissionReview of {API} about a pod.")
    return asked


def _refusal(asked: Mapping[str, Any], status: HTTPStatus, sentence: str) -> dict[str, Any]:
    message = f"leasehold: {sentence}"
    return {"uid": asked["uid"], "allowed": False, "status": {"code": status.value, "message": message}}
