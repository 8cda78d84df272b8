"""A blocking call off the loop that cannot hold up the end of the process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from leasehold.base.threads.daemon_thread import run_in_daemon_thread


async def test_the_result_and_the_error_come_back() -> None:
    assert await run_in_daemon_thread(lambda: threading.current_thread().name, "worker") == "worker"
    with pytest.raises(ZeroDivisionError):
        await run_in_daemon_thread(lambda: 1 // 0, "worker")


async def test_a_caller_that_gave_up_is_no_error() -> None:
    """Neither the result nor the exception of a call that was given up is reported anywhere."""
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    go = threading.Event()
    future = run_in_daemon_thread(lambda: go.wait() and 1 // 0, "worker")
    future.cancel()
    go.set()
    await run_in_daemon_thread(lambda: None, "after")
    assert problems == []


async def test_no_thread_left_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="can't start new thread"):
        run_in_daemon_thread(lambda: None, "worker")


def test_a_hung_call_does_not_hold_up_the_end() -> None:
    code = (
        "import asyncio, threading; from leasehold.base.threads.daemon_thread import run_in_daemon_thread\n"
        "async def main(): run_in_daemon_thread(threading.Event().wait, 'hung')\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
