"""kopf as an informer: list and watch, and hand on what was seen. The only module that imports kopf.

Nothing is decided here. A handler trims an object and posts it; kopf is told to write nothing: no finalizer, no
annotation, no event, no peering. It runs in a thread and a loop of its own, as `informer` arranges.

What kopf does with the API server's troubles, by its settings below: a lost connection, 403, 429 and 5xx are tried
again for ever; a watch that brings nothing, not even a bookmark, for 70 s is opened anew; after 410 everything is
listed again. It never tells of a deletion that it missed meanwhile. Other refusals end it; `informer` starts it anew.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import kopf

from leasehold.kube.access import Access, AccessError
from leasehold.kube.api import GROUP, PLURAL, VERSION
from leasehold.operator.watch.transform import Body, Kind, trim

log = logging.getLogger("leasehold.operator.kopf_watch")

WATCHED: Final[Mapping[Kind, tuple[str, str, str]]] = {
    "Lock": (GROUP, VERSION, PLURAL),
    "Pod": ("", "v1", "pods"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
}
_PAGE: Final = 250
"""Objects per page of a list: kopf starts a task for each object of a page before any of them runs."""
_IDLE: Final = 0.1
"""Seconds after which the task of a quiet object ends: at its default of 5 s ten thousand would live at once."""
_END: Final = 7.0
"""Seconds that kopf gets to end; it waits 5 s for its tasks before it cancels them, once."""
_TELL_AGAIN: Final = 0.3
"""Seconds between two cancellations; less than a watch rests before it goes on."""
_LOGIN_AGAIN: Final = 5.0
"""Seconds between two logins: credentials that are refused would otherwise be tried in a tight loop."""
_IDENTITY: Final[Any] = "leasehold"  # a NewType of kopf's that it does not export
"""kopf's name among its peers, of which there are none. Of itself it would ask who runs this process, and fail where
that is a number without a name, as in a container."""
_TALKATIVE: Final = ("kopf._cogs.clients.watching", "kopf._core.reactor.running")
_SAY_AGAIN: Final = 30.0
"""Seconds between two records of one of kopf's failing attempts: each of four watches makes one every 3 s."""


class Seen(NamedTuple):
    """An object as it is now, trimmed, or as it was when it was deleted."""

    kind: Kind
    body: Body
    deleted: bool
    listed: bool = False
    """Whether it stood in a list: at the start, or because a watch could not be resumed, and deletions were missed."""


async def watch(load: Callable[[], Awaitable[Access]], post: Callable[[Seen], None], stop: asyncio.Event) -> None:
    """Post every watched object, and each change of one, until `stop` is set. Raises what ended kopf otherwise.

    `load` gives credentials of this loop.
    """
    sessions = _Sessions(load)
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_seldom)  # added once, however often
    try:
        await _until_served(sessions, stop)
        if not stop.is_set():
            await _run(sessions, post, stop)
    finally:
        await sessions.close()


async def _run(sessions: _Sessions, post: Callable[[Seen], None], stop: asyncio.Event) -> None:
    """Run kopf to its end. That may take for ever by itself: a watch that is cancelled while it makes a request goes on
    as if nothing had been said, and is waited for. So it is told again.
    """
    ending = asyncio.Event()
    registry = _registry(sessions, post)

    @kopf.on.cleanup(registry=registry)
    async def clean_up(**_: Any) -> None:
        ending.set()

    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=_settings(),
            identity=_IDENTITY,
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )
    )
    kept, ended = asyncio.all_tasks(), asyncio.create_task(ending.wait())
    try:
        await asyncio.wait([operator, ended], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([operator], timeout=_END)
        while not operator.done():
            for task in asyncio.all_tasks() - kept:
                task.cancel()
            await asyncio.wait([operator], timeout=_TELL_AGAIN)
    finally:
        ended.cancel()
        operator.cancel()
    await operator


def _registry(sessions: _Sessions, post: Callable[[Seen], None]) -> kopf.OperatorRegistry:
    """A registry of our own: kopf's global one would be shared by everything in the process."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return await sessions.login()

    for kind, (group, version, plural) in WATCHED.items():
        kopf.on.event(group, version, plural, id=plural, registry=registry)(_handler(kind, post))
    return registry


def _handler(kind: Kind, post: Callable[[Seen], None]) -> Callable[..., Awaitable[None]]:
    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        post(Seen(kind, trim(kind, event["object"]), event["type"] == "DELETED", event["type"] is None))

    return seen


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # it would kill the whole process
    settings.scanning.disabled = True  # no watch of CRDs and namespaces, and no rights for it
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoDiff()
    settings.queueing.idle_timeout = _IDLE
    settings.queueing.exit_timeout = _IDLE
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _ForEver()
    settings.watching.chunk_size = _PAGE
    settings.watching.server_timeout = 290  # seconds, a whole number: it stands in the URL
    settings.watching.client_timeout = 320
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = 70  # the API server sends a bookmark a minute
    settings.watching.reconnect_backoff = 0.5
    return settings


class _Seldom(logging.Filter):
    """Lets kopf complain about an outage now and then, and not at all about running in a thread, as it is meant to."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is to be logged."""
        if not str(record.msg).startswith("Request attempt"):
            return not str(record.msg).startswith("OS signals are ignored")
        record.msg, record.args = in_our_words(str(record.msg)), ()
        if record.created - self._last < _SAY_AGAIN:
            return False
        self._last = record.created
        return True


_seldom: Final = _Seldom()


def in_our_words(said: str) -> str:
    """One line of kopf's on a failed attempt, without its count, the query and the API server's whole answer."""
    found = re.match(r"Request attempt .*?: [A-Z]+ ([^ ?]+)\S*(?: -> (.*))?", said, re.DOTALL)
    if found is None:
        return said
    url, reason = found.groups(default="the connection was closed")
    words = re.match(r"""\w+\((['"])(.*?)\1, \{""", reason)
    return f"{url} cannot be watched: {words[2] if words else reason}; trying again"


class _ForEver:
    """Delays between attempts, in seconds: an outage of the API server, however long, ends no watch."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1, 2)
        while True:
            yield 3


class _NoDiff(kopf.DiffBaseStorage):
    """kopf compares each object with its last state, by two deep copies, for handlers that we do not have."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _Sessions:
    """The HTTP sessions of one run of kopf, which asks for a new one when the API server refuses the last."""

    def __init__(self, load: Callable[[], Awaitable[Access]]) -> None:
        self._load = load
        self._open: list[tuple[Access, aiohttp.ClientSession]] = []
        self._last = float("-inf")

    async def new(self) -> tuple[Access, aiohttp.ClientSession]:
        """Credentials read anew, and a session with them. Raises AccessError."""
        access = await self._load()
        session = access.session()
        self._open.append((access, session))
        return access, session

    async def login(self) -> kopf.AiohttpSession:
        """A session for kopf, which closes it."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._last + _LOGIN_AGAIN - loop.time())
        self._last = loop.time()
        await self.close()  # kopf asks when it has given up all that it had
        try:
            access, session = await self.new()
        except AccessError as error:
            raise kopf.TemporaryError(str(error), delay=_LOGIN_AGAIN) from error
        return kopf.AiohttpSession(server=access.server, aiohttp_session=session)

    async def close(self) -> None:
        """Close whatever is still open."""
        while self._open:
            access, session = self._open.pop()
            await session.close()
            await access.closed()


async def _until_served(sessions: _Sessions, stop: asyncio.Event) -> None:
    """Wait until the API server lists every watched resource: one that kopf does not find when it starts, it never
    watches, in silence. An API server that has just started serves custom resources last.
    """
    said = ""
    while not stop.is_set():
        missing = await _missing(sessions)
        if not missing:
            return
        if missing != said:
            log.warning("waiting to watch: %s", missing)
        said = missing
        try:
            async with asyncio.timeout(1):
                await stop.wait()
        except TimeoutError:
            continue


async def _missing(sessions: _Sessions) -> str:
    """What the API server does not serve yet, or why that is not known; "" if it serves all."""
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
