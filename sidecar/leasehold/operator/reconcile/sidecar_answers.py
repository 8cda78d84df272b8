"""Asks sidecars that are not in the queue why they are not: `GET /leader` at their pods' addresses.

The operator needs no further right for that, and learns what only the sidecar knows. An answer only words a status;
nothing is decided by it. It comes from a pod that anybody may have made: it is short, its code is one word, its
sentence printable, and no redirect is followed. A sidecar is asked every few seconds while its pod is missing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from leasehold.base.time_limit import time_limit
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code
from leasehold.operator.plan.model import AbsentPod
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.pod_facts import Pod
from leasehold.operator.watch.pod_request import short

ASK_AGAIN_SECONDS: Final = 5.0
ASKERS: Final = 8
"""Sidecars that are asked at the same time."""
TIMEOUT_SECONDS: Final = 2.0
_MAX_BODY_BYTES: Final = 16384
_CODE: Final = re.compile(r"[a-z][a-z-]{0,39}")
_COUNTDOWN: Final = re.compile(r"; [^;]*\b\d+ s\b[^;]*$")
"""The end of a sentence that differs each time: a status must not change by itself."""
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_IN_QUEUE: Final = {
    Code.DRAINING,
    Code.DELETING,
    Code.SUSPENDED,
    Code.SPEC_UNREADABLE,
    Code.BEHIND,
    Code.TOKEN_LIMIT,
    Code.PREFERRED,
    Code.NEXT,
}
"""With these it has a key in some queue. With `unconfirmed` and `leaving` its key may be gone, and not shown then."""
_SILENT: Final = "silent"


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a sidecar is not in the queue. `until` is a time of day as Kubernetes writes it, or empty."""

    code: str
    message: str
    until: str = field(default="", compare=False)
    """Not compared: it is counted back from a clock, and may differ by a second each time."""


class SidecarAnswers:
    """The answers of the sidecars that are missing now. Calls `changed` with the lock when one differs."""

    def __init__(self, clock: Callable[[], float], changed: Callable[[LockName], None]) -> None:
        self._changed = changed
        self._queue: WorkQueue[str] = WorkQueue(clock)
        self._wanted: dict[str, tuple[LockName, str]] = {}
        self._of: dict[LockName, frozenset[str]] = {}
        self._answers: dict[str, Answer] = {}

    def absent(self, lock: LockName, pods: Iterable[Pod]) -> tuple[AbsentPod, ...]:
        """These pods name the lock and are not in its queue: why, as far as it is known; the others are forgotten."""
        listed = tuple(pods)
        self._want(lock, {pod.uid: pod.request.address for pod in listed if pod.request and pod.request.address})
        return tuple(self._describe(pod) for pod in listed)

    def _describe(self, pod: Pod) -> AbsentPod:
        request = pod.request
        if request is not None and request.code:
            return AbsentPod(pod.name, pod.uid, request.code, request.message)
        answer = self._answers.get(pod.uid)
        if answer is not None:
            return AbsentPod(pod.name, pod.uid, answer.code, answer.message, answer.until)
        asked = request is not None and request.address
        text = "its sidecar runs, and has not been asked yet" if asked else "its sidecar answers only within its pod"
        return AbsentPod(pod.name, pod.uid, "unknown", text)

    def _want(self, lock: LockName, addresses: dict[str, str]) -> None:
        before, now = self._of.get(lock, frozenset()), frozenset(addresses)
        for uid in before - now:
            self._wanted.pop(uid, None)
            self._answers.pop(uid, None)
        for uid, address in addresses.items():
            self._wanted[uid] = lock, address
            if uid not in before:
                self._queue.add(uid)
        if now:
            self._of[lock] = now
        else:
            self._of.pop(lock, None)

    async def work(self) -> None:
        """Ask until cancelled."""
        timeout = aiohttp.ClientTimeout()  # none of its own: `ask` has one
        connector = aiohttp.TCPConnector(force_close=True, limit=ASKERS)
        jar = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(ASKERS):
                group.create_task(self._ask_one_after_the_other(session))

    async def _ask_one_after_the_other(self, session: aiohttp.ClientSession) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._ask(session, uid)
            finally:
                self._queue.done(uid)

    async def _ask(self, session: aiohttp.ClientSession, uid: str) -> None:
        wanted = self._wanted.get(uid)
        if wanted is None:
            return
        lock, address = wanted
        answer = await ask(session, address, lock)
        if self._wanted.get(uid) != wanted:
            return  # it has joined meanwhile, or has another address
        before, self._answers[uid] = self._answers.get(uid), answer
        self._queue.add_after(uid, ASK_AGAIN_SECONDS)
        if answer != before:
            self._changed(lock)


async def ask(session: aiohttp.ClientSession, address: str, lock: LockName) -> Answer:
    """Why the sidecar at this address is not in the lock's queue. Raises nothing."""
    try:
        url = f"http://{address}/leader"
        async with time_limit(TIMEOUT_SECONDS), session.get(url, allow_redirects=False) as response:
            fields = json.loads(await _body(response))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        return Answer(_SILENT, short(f"its sidecar at {address} does not answer: {why}"))
    except (ValueError, RecursionError):
        return Answer(_SILENT, f"what answers at {address} is no Leasehold sidecar")
    return read(fields, address, lock)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_chunked(_MAX_BODY_BYTES):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise ValueError("too long")
    return body


def read(fields: Any, address: str, lock: LockName) -> Answer:
    """What the body of `/leader` says. Anybody may have written it."""
    if not isinstance(fields, dict) or not isinstance(fields.get("lock"), str):
        return Answer(_SILENT, f"what answers at {address} is no Leasehold sidecar")
    if fields["lock"] != str(lock):
        return Answer("other-lock", short(f"its sidecar stands for the lock {fields['lock']}"))
    code, text, until = (fields.get(name) for name in ("reasonCode", "reason", "reasonUntil"))
    if fields.get("leading") is True or (isinstance(code, str) and code in _IN_QUEUE):
        where = (
            "its sidecar is in a queue that this operator does not see: do both use the same etcd and the same root?"
        )
        return Answer("elsewhere", where)
    if not isinstance(code, str) or not _CODE.fullmatch(code) or not isinstance(text, str):
        return Answer("unknown", "its sidecar is of a version that does not say why it is not in the queue")
    at = until if isinstance(until, str) and _TIME.fullmatch(until) else ""
    return Answer(code, short(_COUNTDOWN.sub("", text)), at)
