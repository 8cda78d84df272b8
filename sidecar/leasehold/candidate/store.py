"""What the runner needs of the place that keeps the queue. `etcd_store.EtcdStore` is the one implementation.

Another store is one class with these methods. The guarantees of the election rest on what it promises:

- Every write has a revision higher than all before it. The revision that created a key is the fencing token.
- A key lives no longer than its lease. A lease is renewed by `KeepAlive`, else it ends after its TTL.
- A question is answered as its class says, each transaction at one revision: all of it is done, or nothing.
- Reads are linearizable: an answer shows every write that was done before the question was asked.
- Each answer carries one header, with the cluster, the member that gave it, that member's raft term and the revision.
  The keep-alive rule (`election/lease.py`) needs member and term: a renewal counts only once the member that made it
  has also answered a read in the same term. So a read after a keep-alive goes to the same member while it answers.
- `Granted` and `KeptAlive` say when their request was *sent*, on the clock of `leasehold.base.clock`: a lease runs from
  the moment when the store may have begun to count, not from the answer.
- Every question gets exactly one answer: the event that its class names, or `Failed`. No exception stands for one.
- `Failed.refused` is set only if it is certain that nothing was done and nothing will be. Without it the outcome is
  unknown: the request may have been done, or may be done later.
- Watch events come in the order of their revisions, from the revision that the watch names. If any of them may have
  been missed, `follow` ends with `WatchLost`; the store does not resume a watch.
- Every call ends within its `timeout` in seconds. `follow` alone lasts until the watch is lost; connecting is bounded.
- Any call may be cancelled at any moment. That leaves its outcome unknown, and does no harm to the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from leasehold.election import commands as cmd
from leasehold.election import events as ev

_LONGEST_TIMEOUT_SECONDS: Final = 2.0
_SHORTEST_TIMEOUT_SECONDS: Final = 0.5


def timeout_for(ttl: int) -> float:
    """Seconds that one request may take: a fifth of the TTL, so that a hung member costs one try, not the lease."""
    return min(_LONGEST_TIMEOUT_SECONDS, max(_SHORTEST_TIMEOUT_SECONDS, ttl / 5))


class Store(Protocol):
    """One lock, as the election asks about it."""

    async def perform(self, question: cmd.Question, timeout: float) -> ev.Event:
        """Ask, and return the answer: an event with the question's `op`. Raises nothing but what a bug raises."""

    def prepare(self, lease: int, token: int) -> None:
        """Get ready for a plain Resign of this candidate, which now stands in the queue: it will be urgent."""

    async def revoke(self, lease: int, timeout: float) -> str | None:
        """End a lease, and with it its key. None if the lease is gone, else one sentence that says why it may not be.

        Raises nothing but what a bug raises.
        """

    async def follow(self, watch: cmd.Watch, on_event: Callable[[ev.Event], None]) -> ev.WatchLost:
        """Call `on_event` with each change of what `watch` names, in the turn of the loop in which the change comes.

        Returns when changes may have been missed; cancel it to end it before. `on_event` does not block.

        If `on_event` or the decoding of a change raises, the exception is raised here, and no later change is reported.
        It must not reach the connection: that would be closed, made again, and meet the same change again.
        """

    async def time_to_live(self, lease: int, timeout: float) -> int | None:
        """Whole seconds that are left of a lease, negative if it is gone; None if the store does not say."""

    async def known_bug(self, timeout: float) -> str | None:
        """One sentence if this version of the store is known to break a promise; None if not, or if it does not say."""
