"""kopf as an informer: lists, watches, and posts the observed objects. The only module that imports kopf.

Nothing is decided here. A handler trims an object and posts it. kopf is configured to write nothing: no finalizer, no
annotation, no event, no peering. `informer` runs it in a thread and a loop of its own.

How kopf handles errors of the API server, with the settings below: it retries a lost connection, 403, 429 and 5xx
without end; it reopens a watch that delivers nothing for 70 s, not even a bookmark; after 410 it lists everything
again. It never reports a deletion that it missed meanwhile. Other refusals end it, and `informer` restarts it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import kopf

from leasehold.base.logs import RepeatedFailureLog
from leasehold.kube.access import Access, AccessError
from leasehold.lock.kube_names import GROUP, PLURAL, VERSION
from leasehold.operator.watch.transform import Body, Kind, trim

log = logging.getLogger("leasehold.operator.kopf_watch")

WATCHED: Final[Mapping[Kind, tuple[str, str, str]]] = {
    "Lock": (GROUP, VERSION, PLURAL),
    "Pod": ("", "v1", "pods"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
}
_PAGE_OBJECTS: Final = 250
"""Objects per page of a list: kopf starts a task for each object of a page before any of them runs."""
_IDLE_SECONDS: Final = 0.1
"""How long the task of a quiet object lives: with kopf's default of 5 s ten thousand would live at once."""
_END_SECONDS: Final = 7.0
"""How long kopf may take to end: it waits 5 s for its tasks before it cancels them, once."""
_CANCEL_EVERY_SECONDS: Final = 0.3
"""The time between two cancellations; less than a watch pauses before it goes on."""
_LOGIN_EVERY_SECONDS: Final = 5.0
"""The time between two logins: otherwise refused credentials would be retried in a tight loop."""
_IDENTITY: Final[Any] = "leasehold"  # a NewType of kopf's that it does not export
"""kopf's name among its peers; there are none. By default kopf looks up the name of the user who runs this process, and
fails if the user has only a number, as in a container."""
_NOISY_LOGGERS: Final = ("kopf._cogs.clients.watching", "kopf._core.reactor.running")
_LOG_EVERY_SECONDS: Final = 30.0
"""The time between two records of failed attempts: each of four watches makes one every 3 s."""


class ObjectEvent(NamedTuple):
    """An object as it is now, or as it was when it was deleted. Trimmed."""

    kind: Kind
    body: Body
    deleted: bool
    listed: bool = False
    """Whether it comes from a list: at the start, or after a watch could not be resumed and missed deletions."""


async def watch(
    load: Callable[[], Awaitable[Access]], post: Callable[[ObjectEvent], None], stop: asyncio.Event
) -> None:
    """Post every watched object and every change until `stop` is set. Raises the error if one ends kopf.

    `load` returns credentials of this loop.
    """
    sessions = Sessions(load)
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).addFilter(_outage_filter)  # adding it again has no effect
    try:
        await _wait_until_served(sessions, stop)
        if not stop.is_set():
            await _run(sessions, post, stop)
    finally:
        await sessions.close()


async def _run(sessions: Sessions, post: Callable[[ObjectEvent], None], stop: asyncio.Event) -> None:
    """Run kopf to its end.

    kopf may wait for one of its watches without end: a watch that is cancelled during a request goes on as if nothing
    had happened. So it is cancelled again.
    """
    ending = asyncio.Event()
    registry = make_registry(sessions, post)

    @kopf.on.cleanup(registry=registry)
    async def clean_up(**_: Any) -> None:
        ending.set()

    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=make_settings(),
            identity=_IDENTITY,
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )
    )
    kept, ended = asyncio.all_tasks(), asyncio.create_task(ending.wait())
    try:
        await asyncio.wait([operator, ended], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([operator], timeout=_END_SECONDS)
        while not operator.done():
            for task in asyncio.all_tasks() - kept:
                task.cancel()
            await asyncio.wait([operator], timeout=_CANCEL_EVERY_SECONDS)
    finally:
        ended.cancel()
        operator.cancel()
    await operator


def make_registry(sessions: Sessions, post: Callable[[ObjectEvent], None]) -> kopf.OperatorRegistry:
    """Handlers that only observe. kopf's global registry would be shared by everything in the process."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return await sessions.login()

    for kind, (group, version, plural) in WATCHED.items():
        kopf.on.event(group, version, plural, id=plural, registry=registry)(_handler(kind, post))
    return registry


def _handler(kind: Kind, post: Callable[[ObjectEvent], None]) -> Callable[..., Awaitable[None]]:
    async def observe(event: Mapping[str, Any], **_: Any) -> None:
        post(ObjectEvent(kind, trim(kind, event["object"]), event["type"] == "DELETED", event["type"] is None))

    return observe


def make_settings() -> kopf.OperatorSettings:
    """kopf's settings: it writes nothing, and no outage ends it."""
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # it would kill the whole process
    settings.scanning.disabled = True  # no watch of CRDs and namespaces, and no rights for it
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.queueing.exit_timeout = _IDLE_SECONDS
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _EndlessBackoffs()
    settings.watching.chunk_size = _PAGE_OBJECTS
    settings.watching.server_timeout = 290  # an integer: it is part of the URL
    settings.watching.client_timeout = 320
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70  # the API server sends a bookmark a minute
    settings.watching.reconnect_backoff = 0.5
    return settings


class OutageFilter(logging.Filter):
    """Passes few of kopf's records on failed attempts, and none on running in a thread, which is intended."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log this record."""
        if not str(record.msg).startswith("Request attempt"):
            return not str(record.msg).startswith("OS signals are ignored")
        record.msg, record.args = rewrite_failure(str(record.msg)), ()
        if record.created - self._last < _LOG_EVERY_SECONDS:
            return False
        self._last = record.created
        return True


_outage_filter: Final = OutageFilter()


def rewrite_failure(message: str) -> str:
    """kopf's message on a failed attempt, without its count, the query and the API server's complete answer."""
    found = re.match(r"Request attempt .*?: [A-Z]+ ([^ ?]+)\S*(?: -> (.*))?", message, re.DOTALL)
    if found is None:
        return message
    url, reason = found.groups(default="the connection was closed")
    words = re.match(r"""\w+\((['"])(.*?)\1, \{""", reason)
    return f"{url} cannot be watched: {words[2] if words else reason}; trying again"


class _EndlessBackoffs:
    """Pauses between attempts, in seconds. They never end, so no outage of the API server ends a watch."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1, 2)
        while True:
            yield 3


class _NoDiffs(kopf.DiffBaseStorage):
    """Saves the two deep copies by which kopf compares each object with its last state, for handlers we do not have."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class Sessions:
    """The HTTP sessions of one run of kopf, which asks for a new one if the API server refuses the last."""

    def __init__(self, load: Callable[[], Awaitable[Access]]) -> None:
        self._load = load
        self._open: list[tuple[Access, aiohttp.ClientSession]] = []
        self._last_login = float("-inf")

    async def new(self) -> tuple[Access, aiohttp.ClientSession]:
        """Freshly read credentials and a session with them. Raises AccessError."""
        access = await self._load()
        session = access.session()
        self._open.append((access, session))
        return access, session

    async def login(self) -> kopf.AiohttpSession:
        """A session for kopf, which closes it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._last_login + _LOGIN_EVERY_SECONDS - loop.time())
        self._last_login = loop.time()
        await self.close()  # kopf has given up all earlier ones
        try:
            access, session = await self.new()
        except AccessError as error:
            raise kopf.TemporaryError(str(error), delay=_LOGIN_EVERY_SECONDS) from error
        return kopf.AiohttpSession(server=access.server, aiohttp_session=session)

    async def close(self) -> None:
        """Close all sessions that are still open."""
        while self._open:
            access, session = self._open.pop()
            await session.close()
            await access.closed()


async def _wait_until_served(sessions: Sessions, stop: asyncio.Event) -> None:
    """Wait until the API server serves every watched resource.

    A resource that kopf does not find when it starts is never watched, and kopf does not say so. An API server that has
    just started serves custom resources last.
    """
    failure_log = RepeatedFailureLog(log, "the API server cannot be watched yet")
    while not stop.is_set():
        missing = await _missing(sessions)
        if not missing:
            failure_log.succeeded()
            return
        failure_log.failed(missing)
        try:
            async with asyncio.timeout(1):
                await stop.wait()
        except TimeoutError:
            continue


async def _missing(sessions: Sessions) -> str:
    """The resource that the API server does not serve yet, or why that is unknown; "" if it serves all."""
    try:
        access, session = await sessions.new()
        async with asyncio.timeout(10):
            for group, version, plural in WATCHED.values():
                path = f"/apis/{group}/{version}" if group else f"/api/{version}"
                if plural not in await _served(session, access.server + path):
                    return f"the API server does not serve {plural} of {group or 'core'}/{version}"
            if GROUP not in await _groups(session, access.server + "/apis"):
                return f"the API server does not list the group {GROUP}"
    except aiohttp.ClientResponseError as error:
        what = "the CustomResourceDefinition of Locks is not installed" if error.status == 404 else error.message
        return f"{what} (the API server answered {error.status})"
    except (AccessError, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        await sessions.close()
    return ""


async def _served(session: aiohttp.ClientSession, url: str) -> set[str]:
    async with session.get(url, raise_for_status=True) as response:
        return {str(each["name"]) for each in (await response.json()).get("resources") or ()}


async def _groups(session: aiohttp.ClientSession, url: str) -> set[str]:
    async with session.get(url, raise_for_status=True) as response:
        return {str(each["name"]) for each in (await response.json()).get("groups") or ()}
