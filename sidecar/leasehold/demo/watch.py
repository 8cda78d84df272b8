"""Asks every sidecar for `/leader` continuously, and checks that the answers never contradict each other.

An answer is decided at some time between its question and its receipt. So once a 200 with token T has been received, no
question sent after that may be answered 200 with a lower token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from leasehold.demo.candidates import Candidate
from leasehold.demo.fenced_write import fenced_write

if TYPE_CHECKING:
    import aiohttp

_PAUSE_SECONDS: Final = 0.01
"""From an answer to the next question; longer on a busy machine, so that this does not slow the sidecars down."""
_LONGEST_PAUSE_SECONDS: Final = 0.3
"""A sidecar that was frozen answered late, and is not asked any less for that."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer of a sidecar; times of `time.monotonic`.

    `position` is how many candidates are ahead of it, `reason` and its `code` why it does not lead, `key` a
    leader's key in etcd.
    """

    leading: bool
    token: int
    leader: str
    valid_for: float
    position: int | None
    key: str
    reason: str
    code: str
    sent: float
    received: float

    def left(self) -> float:
        """Seconds that are left of what it was valid for."""
        return max(0.0, self.sent + self.valid_for - time.monotonic())


class Watchman:
    """The newest answer of each sidecar, and how many there were."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = candidates
        self.seen: dict[str, Seen] = {}
        self.led: dict[str, Seen] = {}
        """The last answer of each in which it led: its lease lasts no longer than that says."""
        self.answers = 0
        self.contradictions = 0
        self._highest: tuple[int, float] = (0, 0.0)
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Watchman:
        import aiohttp  # takes longer than all that the first frame needs

        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self._tasks = [asyncio.create_task(self._poll(one), name=f"ask {one.name}") for one in self.candidates]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def leader(self) -> Candidate | None:
        """The sidecar whose newest answer says that it leads, and that is still alive."""
        now = time.monotonic()
        for one in self.candidates:
            seen = self.seen.get(one.name)
            if one.alive and not one.frozen and seen and seen.leading and now < seen.sent + seen.valid_for:
                return one
        return None

    async def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Whether the condition, checked after every answer, came true in time."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            return False
        return True

    async def write_fenced(self, etcd: str, as_leader: Seen, text: str) -> bool:
        """Write to etcd as the leader of that answer. Returns whether etcd has taken it."""
        assert self._session is not None, "only usable inside the context"
        return await fenced_write(self._session, etcd, as_leader.key, as_leader.token, text)

    async def post(self, url: str) -> int:
        """POST to a control listener; returns the status."""
        assert self._session is not None, "only usable inside the context"
        async with self._session.post(url) as answer:
            return answer.status

    async def ask(self, candidate: Candidate) -> Seen | None:
        """One question; None when there is no answer."""
        import aiohttp

        assert self._session is not None, "only usable inside the context"
        sent = time.monotonic()
        try:
            async with self._session.get(f"{candidate.url}/leader") as answer:
                fields = await answer.json()
                return self._note(candidate, answer.status == 200, fields, sent)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    def _note(self, candidate: Candidate, leading: bool, fields: dict[str, Any], sent: float) -> Seen:
        seen = Seen(
            leading=leading,
            token=fields["token"] or 0,
            leader=fields["leader"] or "",
            valid_for=fields["validForSeconds"],
            position=fields["position"],
            key=fields["key"] or "",
            reason=fields["reason"] or "",
            code=fields["reasonCode"] or "",
            sent=sent,
            received=time.monotonic(),
        )
        self.answers += 1
        self._check(seen)
        self.seen[candidate.name] = seen
        if seen.leading:
            self.led[candidate.name] = seen
        return seen

    def _check(self, seen: Seen) -> None:
        if not seen.leading:
            return
        token, received = self._highest
        if seen.token < token and seen.sent > received:
            self.contradictions += 1
        if seen.token > token:
            self._highest = (seen.token, seen.received)

    async def _poll(self, candidate: Candidate) -> None:
        while True:
            began = time.monotonic()
            if candidate.alive and await self.ask(candidate) is not None:
                async with self._news:
                    self._news.notify_all()
            elif not candidate.alive:
                with suppress(KeyError):
                    del self.seen[candidate.name]
            pause = max(_PAUSE_SECONDS, 2 * (time.monotonic() - began))
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
