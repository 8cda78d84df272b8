"""A process that inherits orphans collects them, and takes no exit code away from those who wait for it."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, os
from leasehold.exec import process_tree
from leasehold.run.reaper import Reaper
from leasehold.run.signals import Signals

def no_children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False

async def hook():
    process = await asyncio.create_subprocess_exec("sh", "-c", "(sleep 0.05 &) ; sleep 0.05 & exit 7")
    return await process.wait()

async def main():
    Reaper(Signals()).start()
    print(set(await asyncio.gather(*(hook() for _ in range(3)))))
    async with asyncio.timeout(600):
        while not no_children():
            await asyncio.sleep(0.05)

process_tree.become_subreaper()  # what PID 1 of a container is by nature
asyncio.run(main())
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux gives orphans to a process other than the machine's own"
)
def test_reaping_takes_no_exit_code_away() -> None:
    """Orphans are collected, and whoever waits for a process of its own still gets its exit code."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=600, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("{7}\n", "", 0)
