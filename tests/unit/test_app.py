"""The sidecar put together, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, gc
from leasehold.run import app
from leasehold.settings.config import run_config

async def main():
    async with app.composed(config):
        assert len(gc.get_objects()) < gc.get_freeze_count() / 5, (len(gc.get_objects()), gc.get_freeze_count())

any_port = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
config = run_config(["--lock", "a", "--identity", "b", "--etcd", "http://127.0.0.1:1", *any_port], {})
asyncio.run(main())
"""


def test_the_garbage_collector_leaves_out_what_was_loaded() -> None:
    """A full collection of all modules' objects would stop the loop for tens of milliseconds."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=600)
