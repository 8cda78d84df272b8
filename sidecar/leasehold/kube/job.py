"""A short job of the chart that calls the API server by the pod's own service account."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from leasehold.kube.access import Access, AccessError
from leasehold.kube.call import KubeCall, KubeFailure

CALL_TIMEOUT_SECONDS: Final = 10.0


def run_job(job: Callable[[KubeCall], Awaitable[str]]) -> int:
    """Run the job; its exit code. What it returns is what it could not do, as a sentence, or empty."""
    try:
        failure = asyncio.run(_run(job))
    except (AccessError, KubeFailure) as error:
        failure = str(error)
    if failure:
        sys.stderr.write(f"leasehold: {failure}\n")
    return 1 if failure else 0


async def _run(job: Callable[[KubeCall], Awaitable[str]]) -> str:
    call = KubeCall(await Access.load(None), CALL_TIMEOUT_SECONDS)
    try:
        return await job(call)
    finally:
        await call.close()
