"""Tasks whose first step is done before their maker goes on, where Python can (3.12 and later)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def begin(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task for this work. A request that the work sends before it first waits is sent when this returns.

    Else the first step is done in the loop's next turn, with what was scheduled before: that costs a handover about
    0.1 ms.
    """
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name, eager_start=True)
    return asyncio.create_task(work, name=name)
