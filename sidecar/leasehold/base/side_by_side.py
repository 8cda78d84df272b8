"""Several works of one thing, of which none is of use without the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any


async def side_by_side(failure: type[Exception], works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run them as tasks of these names; when one fails, all end. Raises its `failure`, or a group that has a bug."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for name, work in works.items():
                tasks.create_task(work, name=name)
    except ExceptionGroup as group:
        failures, bugs = group.split(failure)
        if failures is None or bugs is not None:
            raise
        raise failures.exceptions[0] from None
