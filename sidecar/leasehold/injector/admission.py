"""Answers the API server: an AdmissionReview in, an AdmissionReview out.

It fails closed: if a pod cannot be checked, it is refused with a sentence that says why. The API server's request has a
time limit, so each of our calls has a shorter one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

from leasehold.base.time_limit import time_limit
from leasehold.http import lean_aiohttp as web
from leasehold.http.server import refusal
from leasehold.injector import advice, patch
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import Sidecar
from leasehold.injector.metrics import InjectorMetrics
from leasehold.injector.patch import Patch
from leasehold.injector.review_turns import ReviewTurns
from leasehold.kube.call import Body, KubeError, KubeFailure
from leasehold.lock.kube_names import locks_path

log = logging.getLogger("leasehold.injector.admission")

API: Final = "admission.k8s.io/v1"
_POD: Final = "a new pod"
MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""The API server accepts objects of up to 3 MiB."""
LARGE_REQUEST_BYTES: Final = 256 * 1024
"""Above this size, a request waits for its turn to be read. Ordinary pods are far smaller, and never wait."""
_LARGE_AT_ONCE: Final = 8
READ_TIMEOUT_SECONDS: Final = 4.0
"""For reading a request, and until its turn: its webhook allows 5 s for the whole review."""
_LARGE_READ_TIMEOUT_SECONDS: Final = 1.0
"""For a large request, once it is its turn: a silent client must not block the others."""


R = TypeVar("R")


class BadRequest(Exception):
    """A request that is not an AdmissionReview. The text is one sentence."""

    def __init__(self, sentence: str, status: HTTPStatus) -> None:
        super().__init__(sentence)
        self.status = status


class Getter(Protocol):
    """Reads one object from the API server. Raises KubeFailure."""

    async def get(self, path: str, **query: str) -> Body:
        """GET."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the cluster's administrator requires of pods."""

    require_lock: bool = False
    require_opt_in: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """All that is kept of a request during calls to the API server: the parsed body can take thirty times its bytes."""

    uid: str
    namespace: str
    request: InjectionRequest | None
    patch: Patch
    refusal: str = ""


class BodyReader:
    """Reads what the API server sends, large requests in turn, and has it parsed in turn."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._turns = ReviewTurns()

    @asynccontextmanager
    async def reading(self, request: web.BaseRequest, parse: Callable[[bytes], R]) -> AsyncIterator[R]:
        """What `parse` makes of the body; the review is under way until the block ends. Raises BadRequest.

        Neither the body nor anything else of it is kept.
        """
        async with AsyncExitStack() as stack:
            try:
                async with time_limit(READ_TIMEOUT_SECONDS):
                    parsed = await self._read(request, parse, stack)
            except TimeoutError:
                sentence = "The request did not arrive in time, or too many are before it."
                raise BadRequest(sentence, HTTPStatus.REQUEST_TIMEOUT) from None
            yield parsed

    async def _read(self, request: web.BaseRequest, parse: Callable[[bytes], R], stack: AsyncExitStack) -> R:
        length = request.content_length
        if length is None:
            raise BadRequest("A request must say how long it is.", HTTPStatus.LENGTH_REQUIRED)
        if length > MAX_REQUEST_BYTES:
            raise BadRequest(f"A request may have {MAX_REQUEST_BYTES} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if length <= LARGE_REQUEST_BYTES:
            return await self._parse_in_turn(await _body(request, length), parse, stack)
        async with self._large:
            async with time_limit(_LARGE_READ_TIMEOUT_SECONDS):
                body = await _body(request, length)
            return await self._parse_in_turn(body, parse, stack)

    async def _parse_in_turn(self, body: bytes, parse: Callable[[bytes], R], stack: AsyncExitStack) -> R:
        await stack.enter_async_context(self._turns.turn(len(body)))
        return parse(body)  # nothing is awaited in it, so that only one request at a time exists as objects


class Reviewer:
    """Decides about pods."""

    def __init__(
        self, kube: Getter, sidecar: Sidecar, policy: Policy, metrics: InjectorMetrics, reader: BodyReader
    ) -> None:
        self._kube = kube
        self._sidecar = sidecar
        self._policy = policy
        self._metrics = metrics
        self._reader = reader

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """`POST /mutate`."""
        began = time.monotonic()
        try:
            async with self._reader.reading(request, self._prepare) as review:
                response = await self._decide(review)
        except BadRequest as error:
            return refusal(str(error), error.status)
        self._metrics.took(time.monotonic() - began)
        return reply(response)

    def _prepare(self, body: bytes) -> Review:
        """Everything that needs no call."""
        request = _parse(body)
        uid, namespace, pod = request["uid"], str(request.get("namespace") or ""), request["object"]
        try:
            injection = patch.injection_request(pod, namespace, require_lock=self._policy.require_lock)
            return Review(uid, namespace, injection, patch.draft(pod, injection, self._sidecar))
        except RequestRefused as refused:
            return Review(uid, namespace, None, [], str(refused))
        except (AttributeError, KeyError, TypeError):  # lists where objects should be, and the like
            raise no_review(_POD) from None

    async def _decide(self, review: Review) -> dict[str, Any]:
        """The `response` of the AdmissionReview."""
        try:
            changes, warnings = await self._check(review)
        except RequestRefused as refused:
            self._metrics.reviewed("refused")
            log.info("refused a pod of %s: %s", review.namespace, refused)
            return _refusal(review.uid, HTTPStatus.FORBIDDEN, str(refused))
        except KubeFailure as failure:
            self._metrics.reviewed("failed")
            log.warning("refused a pod of %s, which cannot be checked: %s", review.namespace, failure)
            return _refusal(review.uid, HTTPStatus.SERVICE_UNAVAILABLE, f"the pod cannot be checked now: {failure}")
        self._metrics.reviewed("injected" if changes else "unchanged")
        response: dict[str, Any] = {"uid": review.uid, "allowed": True}
        if changes:
            encoded = base64.b64encode(json.dumps(changes).encode()).decode()
            response |= {"patchType": "JSONPatch", "patch": encoded}
        return response | with_warnings(warnings)

    async def _check(self, review: Review) -> tuple[Patch, Sequence[str]]:
        """The patch and warnings, by what only the API server knows. Raises RequestRefused or KubeFailure."""
        request = review.request
        if request is None:
            raise RequestRefused(review.refusal)
        namespace, lock = await asyncio.gather(
            self._namespace(review), find_lock(self._kube, request), return_exceptions=True
        )
        if isinstance(namespace, BaseException):
            raise namespace
        if self._policy.require_opt_in:
            patch.check_opted_in(review.namespace, namespace.get("labels") or {})
        # The sidecar waits for its Lock. A pod that was refused would come much later than the Lock: a controller that
        # is refused tries again after ever longer pauses.
        warnings = (advice.undeclared(request),) if lock is None and request.require_lock else ()
        return patch.complete(review.patch, request, self._sidecar, namespace.get("annotations") or {}), warnings

    async def _namespace(self, review: Review) -> Mapping[str, Any]:
        """Its metadata; empty if nothing depends on it. Raises KubeFailure."""
        if not (self._policy.require_opt_in or review.patch):
            return {}
        found: Mapping[str, Any] = (await self._kube.get(f"/api/v1/namespaces/{review.namespace}"))["metadata"]
        return found


async def find_lock(kube: Getter, request: InjectionRequest) -> Body | None:
    """The Lock that a pod queues for, None if there is none; empty if that cannot be known now. Raises nothing.

    Only warnings depend on it.
    """
    lock = request.lock
    try:
        return await kube.get(locks_path(lock.namespace, lock.name))
    except KubeError as error:
        return None if error.status == HTTPStatus.NOT_FOUND else {}
    except KubeFailure:
        return {}


def reply(response: Mapping[str, Any]) -> web.Response:
    """An AdmissionReview with this response."""
    answer = {"apiVersion": API, "kind": "AdmissionReview", "response": response}
    return web.Response(body=json.dumps(answer).encode(), content_type="application/json")


def with_warnings(warnings: Sequence[str]) -> dict[str, Any]:
    """The part of a response that has the API server tell the client something."""
    return {"warnings": [f"leasehold: {one}" for one in warnings]} if warnings else {}


async def _body(request: web.BaseRequest, length: int) -> bytes:
    try:
        return await request.content.readexactly(length) if length else b""
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the request was broken off") from None


def _parse(body: bytes) -> Mapping[str, Any]:
    """The request of an AdmissionReview about a pod. Raises BadRequest."""
    request = parse(body, _POD)
    if (request["kind"]["kind"], request["operation"]) != ("Pod", "CREATE"):
        raise no_review(_POD)
    return request


def parse(body: bytes, about: str) -> Mapping[str, Any]:
    """The request of an AdmissionReview about a whole object, which has metadata and a spec. Raises BadRequest."""
    try:
        review = json.loads(body)
        request: Mapping[str, Any] = review["request"]
        subject = request["object"]
        known = review["apiVersion"] == API and isinstance(request["uid"], str) and not request.get("subResource")
        known = known and isinstance(request["kind"]["kind"], str) and isinstance(request["operation"], str)
        known = known and isinstance(subject["metadata"], dict) and isinstance(subject["spec"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):  # RecursionError: brackets by the thousand
        raise no_review(about) from None
    if not known:
        raise no_review(about)
    return request


def no_review(about: str) -> BadRequest:
    """The error for a body that is something else."""
    return BadRequest(f"This is no AdmissionReview of {API} about {about}.", HTTPStatus.BAD_REQUEST)


def _refusal(uid: str, status: HTTPStatus, sentence: str) -> dict[str, Any]:
    message = f"leasehold: {sentence}"
    return {"uid": uid, "allowed": False, "status": {"code": status.value, "message": message}}
