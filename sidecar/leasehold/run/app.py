"""The sidecar put together: election, listeners, metrics, state file, hooks and app health, up and down again.

`composed` is for those who bring their own signal handling (`leasehold exec`); `run` is `leasehold run`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry

from leasehold import clock
from leasehold.candidate.connect import client_for
from leasehold.candidate.journal import Journal
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.record_file import RecordFile
from leasehold.candidate.resume_file import DirectoryInUse, ResumeFile
from leasehold.candidate.runner import LONGEST_SLEEP, Runner
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.http.listener import ListenError, listen
from leasehold.http.server import App
from leasehold.run import control, endpoint
from leasehold.run.reaper import Reaper
from leasehold.run.state_file import StateFile
from leasehold.settings.config import Config, UnixAddress

_log = logging.getLogger("leasehold.app")

STUCK: Final = 10 * LONGEST_SLEEP
"""Seconds without a turn of the election's loop after which `/livez` says so."""


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A running sidecar, as whoever composed it sees it."""

    board: Publisher
    runner: Runner
    tasks: Sequence[asyncio.Task[None]]

    def submit(self, event: ev.Event) -> None:
        """Tell the election something, on the loop."""
        self.runner.submit(event)

    async def stopped(self) -> None:
        """Wait until the election has ended after a Stop. Raises what a bug raised, in it or in what it relies on."""
        await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks:
            if task.done():
                task.result()
        if not self.tasks[0].done():
            raise RuntimeError("a task that should outlive the election has ended")


def run(config: Config) -> int:
    """Be a sidecar until TERM or INT; returns the exit code. Raises ConfigError for what only a start can find out."""
    return asyncio.run(_run(config))


async def _run(config: Config) -> int:
    async with composed(config) as parts:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _shut_down, parts, config.native_sidecar)
        if os.getpid() == 1:  # a container's first process: what its hooks leave behind becomes its own
            Reaper().start()
        await parts.stopped()
    return 0


def _shut_down(parts: RunningSidecar, native_sidecar: bool) -> None:
    """As a native sidecar we are told to stop after the app has: then there is no work left to wait for."""
    parts.submit(ev.Stop())
    if native_sidecar:
        parts.submit(ev.WorkStopped())


@asynccontextmanager
async def composed(config: Config, *, guarded: bool = False) -> AsyncIterator[RunningSidecar]:
    """A sidecar, up; on leaving it is taken down, with /leader answering to the end. Raises ConfigError.

    With `guarded`, the caller alone knows when the work has stopped: `POST /drained` then only hands over.
    """
    # What is loaded stays. Looking through all of it for garbage would stop the loop, and with it /leader and
    # keep-alives, for nearly 30 ms of CPU time at a time.
    gc.freeze()
    async with AsyncExitStack() as stack:
        settings = election_settings(config)
        files = _resume_file(config, stack)
        client = client_for(config.etcd)
        stack.push_async_callback(client.close)
        board = Publisher(Snapshot(config.lock, config.record.identity, State.IDLE), clock.now)
        registry = CollectorRegistry()
        metrics = Metrics(registry, board)
        stack.callback(metrics.close)
        runner = Runner(settings, client, board, metrics, files)
        await _listeners(config, stack, board, registry, runner, guarded)
        _followers(config, stack, board, runner)
        tasks = [_start(stack, runner.run(), "election")]
        if config.app_health is not None:
            from leasehold.run.app_health import AppHealth  # memory is paid once per pod: only by those who want it

            tasks.append(_start(stack, AppHealth(config.app_health, runner.submit).run(), "app health"))
        yield RunningSidecar(board, runner, tasks)


def election_settings(config: Config) -> ElectionConfig:
    """What the election needs of the configuration."""
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
        files = ResumeFile(config.state_dir, binding)
    except DirectoryInUse:
        raise config.mistake("state_dir", "another process is using it; give each sidecar one of its own") from None
    except OSError as error:
        raise config.mistake("state_dir", f"it cannot be used ({error.strerror}); name a writable directory") from None
    stack.callback(files.close)
    return files


async def _listeners(
    config: Config,
    stack: AsyncExitStack,
    board: Publisher,
    registry: CollectorRegistry,
    runner: Runner,
    guarded: bool,
) -> None:
    """Both listeners, before anything is joined: a port in use must not cost a failover."""
    local = not isinstance(config.control, UnixAddress)
    public = endpoint.make_app(board, registry, lambda: runner.beat_age() < STUCK)
    submit = _but_drained(runner) if guarded else runner.submit
    for name, app in (
        ("control", control.make_app(submit, board, runner.recorder.recording, tcp=local)),
        ("listen", public),
    ):
        await _serve(config, stack, name, app)


def _but_drained(runner: Runner) -> Callable[[ev.Event], None]:
    def submit(event: ev.Event) -> None:
        if not isinstance(event, ev.WorkStopped):
            runner.submit(event)

    return submit


async def _serve(config: Config, stack: AsyncExitStack, name: str, app: App) -> None:
    try:
        listener = await listen(app, config.listen if name == "listen" else config.control)
    except ListenError as error:
        raise config.mistake(name, str(error)) from None
    stack.push_async_callback(listener.close)
    _log.info("listening", extra={"fields": {name: str(listener.address)}})


def _followers(config: Config, stack: AsyncExitStack, board: Publisher, runner: Runner) -> None:
    """Those who only look: the log, the state file, the flight record and the hooks."""
    journal = Journal(board)
    journal.start()
    stack.callback(journal.stop)
    if config.state_dir is not None:
        state_file = StateFile(config.state_dir, board)
        state_file.start()
        stack.callback(state_file.close)
        record_file = RecordFile(config.state_dir, runner.recorder)
        record_file.start()
        stack.callback(record_file.close)
    if config.on_gained or config.on_lost:
        from leasehold.run.hooks import Hooks  # likewise

        hooks = Hooks(board, config.on_gained, config.on_lost)
        hooks.start()
        stack.push_async_callback(hooks.close)


def _start(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A long-lived task, ended with the sidecar. The election's own end is what everyone waits for."""
    task = asyncio.create_task(work, name=name)
    stack.push_async_callback(_end, task)
    return task


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
