"""The informer's thread: keeps kopf watching and passes the observed objects to the main loop.

After `start`, batches go to the sink on the main loop until `stop`, or until the informer fails; `exited` is done in
both cases. An operator that no longer sees its Locks is useless, so its owner ends the process when it exits.

kopf survives outages of the API server on its own. If another error ends it, such as a refusal while an API server
starts, it is restarted and lists everything again. If that happens five times in a row without a minute of work in
between, the thread ends.
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

from leasehold.base.backoff import Backoff
from leasehold.kube.access import Access
from leasehold.operator.watch.kopf_watch import ObjectEvent, watch

log = logging.getLogger("leasehold.operator.informer")

BATCH_OBJECTS: Final = 200
"""Objects per call of the sink: ten thousand at once would hold up the main loop, which keeps the lease alive."""
MAX_FAILURES: Final = 5
FIRST_PAUSE_SECONDS: Final = 1.0
"""The pause before kopf is restarted; doubled by each failure in a row."""
LONG_RUN_SECONDS: Final = 60.0
"""A run of this length counts as successful, whatever ended it."""
STOP_TIMEOUT_SECONDS: Final = 10.0

Sink = Callable[[Sequence[ObjectEvent]], None]


class Inbox:
    """Objects that wait for the main loop: the latest event of each. Any thread may post."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        """`sink` is called on `loop` with at most BATCH_OBJECTS events. Between batches the loop does other work."""
        self._loop = loop
        self._sink = sink
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], ObjectEvent] = {}
        self._scheduled = False

    def post(self, event: ObjectEvent) -> None:
        """Pass this event to the sink soon. It replaces an earlier one of the same object that still waits."""
        key = event.kind, event.body["metadata"]["uid"]
        with self._lock:
            earlier = self._waiting.get(key)
            self._waiting[key] = event._replace(listed=event.listed or (earlier is not None and earlier.listed))
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            keys = list(islice(self._waiting, BATCH_OBJECTS))
            batch = [self._waiting.pop(key) for key in keys]
            self._scheduled = bool(self._waiting)
            if self._scheduled:
                self._loop.call_soon(self._deliver)
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
        self.last_error = ""
        """The error that ended kopf last, "" if none did."""

    def start(self) -> None:
        """Start the thread. `exited` is then a future: it gets a result after `stop`, else the thread's exception."""
        loop = asyncio.get_running_loop()
        self.exited = loop.create_future()
        # A daemon, so that the process can end even if the thread hangs.
        threading.Thread(target=self._run, args=(loop,), name="informer", daemon=True).start()

    async def stop(self) -> None:
        """End the thread and wait for it, at most 10 s. `exited` has its result."""
        with self._lock:
            self._stopping.set()
            self._interrupt()
        await asyncio.wait([self.exited], timeout=STOP_TIMEOUT_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            self._keep_watching(Inbox(loop, self._sink))
        except BaseException as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(self._set_exited, error)
        except RuntimeError:
            log.debug("the main loop was closed before the informer had ended")

    def _set_exited(self, error: BaseException | None) -> None:
        if self.exited.done():
            return
        if error is None:
            self.exited.set_result(None)
        else:
            self.exited.set_exception(error)

    def _keep_watching(self, inbox: Inbox) -> None:
        backoff = Backoff(FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**MAX_FAILURES, jitter=0.0)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._watch(inbox))
                if not self._stopping.is_set():
                    raise RuntimeError("kopf ended without an error")
            except Exception as error:
                if time.monotonic() - began > LONG_RUN_SECONDS:
                    backoff.reset()
                pause = backoff.next_pause()
                self._on_failure(error, backoff.failures)
                self._stopping.wait(pause)

    def _on_failure(self, error: Exception, failures: int) -> None:
        """Note the error that ended kopf. Raises it if it is one too many in a row."""
        self.last_error = f"{type(error).__name__}: {error}"
        if self._stopping.is_set():
            return
        if failures >= MAX_FAILURES:
            raise error
        self.restarts += 1
        log.warning("the watch of the API server ended and is restarted: %s", self.last_error)

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
