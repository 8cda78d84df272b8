"""The informer's thread: it keeps kopf watching, and brings what it sees to the main loop.

Its life: `start`, then batches go to the sink, on the main loop, until `stop` or an unwanted end; `exited` tells both.
An operator that no longer sees its Locks is worth nothing, so whoever started it ends the process when it exits.

kopf survives outages of the API server by itself. What it does not survive, such as a refusal while an API server
starts, is answered by starting it anew, which lists everything again; only when that fails five times in a row, without
a minute of work in between, the thread ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from leasehold.kube.access import Access
from leasehold.operator.watch.kopf_watch import Seen, watch

log = logging.getLogger("leasehold.operator.informer")

BATCH: Final = 200
"""Objects that are handed on at once: ten thousand together would hold up the main loop, and its lease, for long."""
MOST_FAILURES: Final = 5
FIRST_DELAY: Final = 1.0
"""Seconds before kopf is started anew; doubled by each failure in a row."""
LONG_RUN: Final = 60.0
"""Seconds after which a run counts as a good one, whatever ended it."""
STOP_WITHIN: Final = 10.0

Sink = Callable[[Sequence[Seen]], None]


class Inbox:
    """What was seen and not handed on yet: of each object the last. Posted to from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        """`sink` is called on `loop`, with at most BATCH objects; between two batches the loop does its other work."""
        self._loop = loop
        self._sink = sink
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Seen] = {}
        self._scheduled = False

    def post(self, seen: Seen) -> None:
        """Hand this on soon; in place of what was seen of the same object before, if that still waits."""
        key = seen.kind, seen.body["metadata"]["uid"]
        with self._lock:
            earlier = self._waiting.get(key)
            self._waiting[key] = seen._replace(listed=seen.listed or (earlier is not None and earlier.listed))
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon_threadsafe(self._hand_on)

    def _hand_on(self) -> None:
        with self._lock:
            keys = list(islice(self._waiting, BATCH))
            batch = [self._waiting.pop(key) for key in keys]
            self._scheduled = bool(self._waiting)
            if self._scheduled:
                self._loop.call_soon(self._hand_on)
        self._sink(batch)


class Informer:
    """Watches Locks, pods, ReplicaSets and StatefulSets of all namespaces."""

    def __init__(self, kubeconfig: Path | None, sink: Sink) -> None:
        """`kubeconfig` None: the pod's own service account. The sink is called on the loop that calls `start`."""
        self._kubeconfig = kubeconfig
        self._sink = sink
        self._stopping = threading.Event()
        self._interrupt: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self.exited: asyncio.Future[None]
        self.restarts = 0
        self.trouble = ""
        """What ended kopf last, "" if nothing did."""

    def start(self) -> None:
        """Start the thread. `exited` is then a future: with a result after `stop`, else an exception that says why."""
        loop = asyncio.get_running_loop()
        self.exited = loop.create_future()
        # A daemon: should it hang for all that, the process can still end.
        threading.Thread(target=self._run, args=(loop,), name="informer", daemon=True).start()

    async def stop(self) -> None:
        """End the thread, and wait for it for at most 10 s; whatever it ended with is in `exited`."""
        with self._lock:
            self._stopping.set()
            self._interrupt()
        await asyncio.wait([self.exited], timeout=STOP_WITHIN)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            self._keep_watching(Inbox(loop, self._sink))
        except BaseException as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(self._settle, error)
        except RuntimeError:
            log.debug("the main loop was closed before the informer had ended")

    def _settle(self, error: BaseException | None) -> None:
        if self.exited.done():
            return
        if error is None:
            self.exited.set_result(None)
        else:
            self.exited.set_exception(error)

    def _keep_watching(self, inbox: Inbox) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._watch(inbox))
                if not self._stopping.is_set():
                    raise RuntimeError("kopf ended by itself")
            except Exception as error:
                failures = 1 if time.monotonic() - began > LONG_RUN else failures + 1
                self._failed(error, failures)
                self._stopping.wait(FIRST_DELAY * 2.0 ** (failures - 1))

    def _failed(self, error: Exception, failures: int) -> None:
        """Note what ended kopf; raises it when that has happened too often."""
        self.trouble = f"{type(error).__name__}: {error}"
        if self._stopping.is_set():
            return
        if failures >= MOST_FAILURES:
            raise error
        self.restarts += 1
        log.warning("the watch of the API server ended and is started anew: %s", self.trouble)

    async def _watch(self, inbox: Inbox) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        with self._lock:
            self._interrupt = lambda: loop.call_soon_threadsafe(stop.set)
            if self._stopping.is_set():
                return
        try:
            await watch(lambda: Access.load(self._kubeconfig), inbox.post, stop)
        finally:
            with self._lock:
                self._interrupt = lambda: None
