"""`leasehold run`, sabotaged; the checker must catch it: `python -m tests.nemesis.sabotaged_sidecar KIND run …`

late         believes in its lease for three times its TTL
unconfirmed  believes every keep-alive that was answered, whoever answered it, without any further proof
"""

import sys

from leasehold.__main__ import main
from leasehold.election.events import ResponseHeader
from leasehold.election.lease import LeaseClock

_honest_post_init = LeaseClock.__post_init__
_honest_answered = LeaseClock.answered


def _post_init(self: LeaseClock) -> None:
    _honest_post_init(self)
    self.factor *= 3


def _answered(self: LeaseClock, origin: ResponseHeader, sent: float, ttl: int) -> None:
    _honest_answered(self, origin, sent, ttl)
    self.renewed_since = None
    self.deadline = sent + self.ttl * self.factor


if __name__ == "__main__":
    match sys.argv.pop(1):
        case "late":
            LeaseClock.__post_init__ = _post_init  # type: ignore[method-assign]  # sabotage is the point
        case "unconfirmed":
            LeaseClock.answered = _answered  # type: ignore[method-assign]  # likewise
        case kind:
            raise SystemExit(f"there is no sabotage {kind!r}")
    raise SystemExit(main())
