"""The sidecar put together: election, listeners, metrics, state file, hooks and app health, up and down again.

`run` is `leasehold run`; `composed` is for callers with their own signal handling (`leasehold exec`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from leasehold.base import clock
from leasehold.base.address import UnixAddress
from leasehold.base.records import dataclass
from leasehold.candidate.alarm import STUCK_SECONDS
from leasehold.candidate.etcd_run_log import EtcdRunLog
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.journal import Journal
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher, first_snapshot
from leasehold.candidate.record_file import RecordFile
from leasehold.candidate.resume_file import DirectoryInUse, ResumeFile, boot_id
from leasehold.candidate.run_log import RunLog
from leasehold.candidate.runner import Runner
from leasehold.candidate.store import Store
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.http.listener import Listener, ListenError, listen
from leasehold.http.server import App
from leasehold.run import control, endpoint
from leasehold.run.leader_label import LeaderLabel
from leasehold.run.reaper import Reaper
from leasehold.run.shutdown import Shutdown
from leasehold.run.signals import Signals
from leasehold.run.state_file import StateFile
from leasehold.run.work_end import Surroundings, forget_mark
from leasehold.settings.config import Config
from leasehold.settings.connect import client_for

_log = logging.getLogger("leasehold.app")


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A running sidecar, for the caller that composed it."""

    publisher: Publisher
    runner: Runner
    tasks: Sequence[asyncio.Task[None]]
    around: Surroundings
    store: Store
    run_log: RunLog

    def submit(self, event: ev.Event) -> None:
        """Send the election an event. To be called on the loop."""
        self.runner.submit(event)

    async def stopped(self) -> None:
        """Wait until the election has ended after a Stop. Raises the exception of any task that failed."""
        await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks:
            if task.done():
                task.result()
        if not self.tasks[0].done():
            raise RuntimeError("a task that must outlive the election has ended")


def run(config: Config) -> int:
    """Run the sidecar until TERM or INT; returns the exit code, -n to end by signal n. May still raise ConfigError.

    After Ctrl-C it ends by SIGINT, in order, so that a shell's script or loop ends, too; a container's first process
    has no shell.
    """
    interrupted = asyncio.run(_run(config)) == signal.SIGINT and os.getpid() != 1
    return -signal.SIGINT if interrupted else 0


async def _run(config: Config) -> int:
    """The signal that came first; 0 if none did."""
    came: list[int] = []
    async with composed(config) as sidecar:
        shutdown = Shutdown(sidecar.submit, sidecar.around if config.native_sidecar else None)
        signals = Signals()

        def stop(number: int) -> None:
            came.append(number)
            shutdown.begin()

        for number in (signal.SIGTERM, signal.SIGINT):
            signals.on(number, partial(stop, number))
        if os.getpid() == 1:  # as a container's first process, we inherit the processes that hooks leave behind
            Reaper(signals).start()
        await _first(sidecar.stopped(), shutdown.left())
        await shutdown.close()
    return came[0] if came else 0


async def _first(*ends: Coroutine[Any, Any, None]) -> None:
    """Wait until one of them returns. Raises what it raised."""
    tasks = [asyncio.create_task(end) for end in ends]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in done:
        task.result()


@asynccontextmanager
async def composed(config: Config, *, external_drain: bool = False) -> AsyncIterator[RunningSidecar]:
    """A running sidecar; leaving the context stops it, and /leader answers to the end. Raises ConfigError.

    With `external_drain`, only the caller knows when the protected work has stopped: `POST /drained` just hands over.
    """
    # Loaded modules stay. A garbage collection that searches all of them would stop the loop, and with it /leader and
    # keep-alives, for nearly 30 ms of CPU time.
    gc.freeze()
    gc.enable()  # `leasehold run` has disabled it for its imports
    async with AsyncExitStack() as stack:
        settings = election_settings(config)
        files = _resume_file(config, stack)
        client = client_for(config.etcd)
        stack.push_async_callback(client.close)
        publisher = Publisher(first_snapshot(config.lock, config.record.identity, clock.now()), clock.now)
        registry = CollectorRegistry()
        metrics = Metrics(registry, publisher)
        stack.callback(metrics.close)
        store = EtcdStore(client, settings.keys)
        runner = Runner(settings, store, publisher, metrics, files)
        label = LeaderLabel(config.pod_labels, clock.now) if config.pod_labels else None
        alive = partial(_turns, runner)
        public = endpoint.make_app(publisher, registry, alive, label=label)
        # Both listen before the election joins: a port in use must not cost a failover.
        forgiveness: list[Callable[[], None]] = []
        control_app = _control_app(config, runner, publisher, external_drain, forgiveness)
        controller = await _serve(config, stack, "control", control_app)
        await _serve(config, stack, "listen", public)
        _observers(config, stack, runner, publisher)
        tasks = [_start(stack, runner.run(), "election")]
        app_answered = _no_app
        if config.app_health is not None:
            # Only here: the memory of imports is paid once per pod.
            from leasehold.run.app_health import AppHealth

            health = AppHealth(config.app_health, runner.submit)
            app_answered = health.has_answered
            forgiveness.append(health.forgive)
            tasks.append(_start(stack, health.run(), "app health"))
        connections = controller.connections if controller else _no_connections
        around = _around(config, app_answered, connections)
        yield RunningSidecar(publisher, runner, tasks, around, store, EtcdRunLog(client, settings.keys))


def _turns(runner: Runner) -> bool:
    return runner.seconds_since_progress() < STUCK_SECONDS


def _no_app() -> bool:
    return False


def _no_connections() -> int:
    return 0


def _around(config: Config, app_answered: Callable[[], bool], connections: Callable[[], int]) -> Surroundings:
    return Surroundings(
        config.app_health or "",
        app_answered,
        connections,
        config.state_dir,
        config.termination_grace,
        config.init_work,
    )


def election_settings(config: Config) -> ElectionConfig:
    """The part of the settings that the election needs."""
    return ElectionConfig(
        lock=config.lock,
        record=config.record,
        root=config.root,
        ttl=config.ttl,
        require_lock=config.require_lock,
        drain=config.drain,
        max_drift=config.max_drift,
        starts_healthy=config.app_health is None,
    )


def _resume_file(config: Config, stack: AsyncExitStack) -> ResumeFile | None:
    if config.state_dir is None:
        return None
    binding = {"root": config.root, "lock": str(config.lock), "podUID": config.record.pod_uid}
    try:
        files = ResumeFile(config.state_dir, binding, boot_id())
        forget_mark(config.state_dir)
    except DirectoryInUse:
        raise config.mistake("state_dir", "another process is using it; give each sidecar one of its own") from None
    except OSError as error:
        raise config.mistake("state_dir", f"it cannot be used ({error.strerror}); name a writable directory") from None
    stack.callback(files.close)
    return files


def _control_app(
    config: Config,
    runner: Runner,
    publisher: Publisher,
    external_drain: bool,
    forgiveness: Sequence[Callable[[], None]],
) -> App:
    """The control routes. What is in `forgiveness` by then is called at each Resume."""
    submit = _without_work_stopped(runner) if external_drain else runner.submit

    def forgiving(event: ev.Event) -> None:
        if isinstance(event, ev.Resume):
            for forgive in forgiveness:
                forgive()
        submit(event)

    tcp = not isinstance(config.control, UnixAddress)
    return control.make_app(forgiving, publisher, runner.recorder.recording, tcp=tcp)


def _without_work_stopped(runner: Runner) -> Callable[[ev.Event], None]:
    def submit(event: ev.Event) -> None:
        if not isinstance(event, ev.WorkStopped):
            runner.submit(event)

    return submit


async def _serve(config: Config, stack: AsyncExitStack, name: str, app: App) -> Listener | None:
    address = config.listen if name == "listen" else config.control
    if address is None:
        return None
    try:
        listener = await listen(app, address)
    except ListenError as error:
        raise config.mistake(name, str(error)) from None
    stack.push_async_callback(listener.close)
    _log.info("listening", extra={"fields": {name: str(listener.address)}})
    return listener


def _observers(config: Config, stack: AsyncExitStack, runner: Runner, publisher: Publisher) -> None:
    """Everything that only observes: the log, the state file, the flight record and the hooks."""
    journal = Journal(publisher)
    journal.start()
    stack.callback(journal.stop)
    if config.state_dir is not None:
        state_file = StateFile(config.state_dir, publisher)
        state_file.start()
        stack.callback(state_file.close)
        record_file = RecordFile(config.state_dir, runner.recorder)
        record_file.start()
        stack.callback(record_file.close)
    if config.on_gained or config.on_lost:
        from leasehold.run.hooks import Hooks  # only here, for its memory

        hooks = Hooks(publisher, config.on_gained, config.on_lost)
        hooks.start()
        stack.push_async_callback(hooks.close)


def _start(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that is cancelled when the sidecar stops."""
    task = asyncio.create_task(work, name=name)
    stack.push_async_callback(_end, task)
    return task


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
