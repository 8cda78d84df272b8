"""What TERM does to `leasehold run`: the answer is no at once, and the key goes when the guarded work has ended.

The app beside an ordinary container has TERM at the same time, so its drain time decides. A native sidecar looks for
signs that the app has ended (`work_end.py`), and if it cannot tell, it does not release.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from leasehold.election import events as ev
from leasehold.run.work_end import Surroundings, wait_for_end

_log = logging.getLogger("leasehold.shutdown")


class Shutdown:
    """Ends one election at TERM. `around` is None unless this is a native sidecar. To be used on the loop."""

    def __init__(self, submit: Callable[[ev.Event], None], around: Surroundings | None) -> None:
        self._submit = submit
        self._around = around
        self._release: asyncio.Task[None] | None = None
        self._left = asyncio.Event()

    def begin(self) -> None:
        """Stop the election. Another TERM changes nothing."""
        if self._around is None:
            self._submit(ev.Stop())
        elif self._release is None:
            self._submit(ev.Stop(awaits_work=True))
            self._release = asyncio.create_task(self._release_after_work(self._around), name="release")

    async def left(self) -> None:
        """Wait until this process is to end with its key in place."""
        await self._left.wait()

    async def close(self) -> None:
        """Wait for nothing any more."""
        if self._release is not None:
            self._release.cancel()
            await asyncio.gather(self._release, return_exceptions=True)

    async def _release_after_work(self, around: Surroundings) -> None:
        longest = around.longest_seconds()
        try:
            async with asyncio.timeout(longest):
                await wait_for_end(around)
        except TimeoutError:
            # Kubernetes would have killed us before: somebody else sent TERM, and the container is started again
            _log.warning("the app still works %.0f s after TERM: this process ends, and keeps the key", longest)
            self._left.set()
        except Exception:
            _log.exception("no telling whether the app has ended: the lock is not given up; this ends with the process")
            await asyncio.sleep(longest)
            self._left.set()
        else:
            self._submit(ev.WorkStopped())
