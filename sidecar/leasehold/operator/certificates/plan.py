"""What the Secrets of the chart's etcd are to hold next, from what they hold now. Time is an argument.

An authority is made once. If it is lost while certificates that it signed are in use, none is made: etcd reads its
authority only as it starts, so a new one would shut out every client. That is told, and what is in use goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from leasehold.operator.certificates.issue import Pair, flaw, issue, make_authority, renew_authority, signed_by
from leasehold.operator.certificates.subject import Leaf

Data = Mapping[str, bytes]
"""What a Secret holds."""


@dataclass(frozen=True, slots=True)
class Step:
    """`authority`: a new one, to be written before all else. `writes`: new content by leaf. `problem`: a sentence."""

    authority: Pair | None = None
    writes: Mapping[Leaf, Data] = field(default_factory=dict)
    problem: str = ""


def step(name: str, kept: Data, leaves: Mapping[Leaf, Data], now: datetime, lifetime: timedelta) -> Step:
    """What is to be written. `name` is the authority's Secret, `kept` what it holds."""
    authority = Pair.read(kept)
    if authority is None:
        if used := [leaf.place for leaf, data in leaves.items() if _is_used(data, now)]:
            return Step(problem=_lost(name, used))
        made = make_authority(name, now)
    elif now < authority.renewal:
        return Step(writes=_renewed(authority, leaves, now, lifetime))
    else:
        made = renew_authority(authority, now)
    return Step(made, _renewed(made, leaves, now, lifetime))


def step_of_given(name: str, kept: Data, leaves: Mapping[Leaf, Data], now: datetime, lifetime: timedelta) -> Step:
    """As `step`, where somebody else makes and renews the authority: it is never written."""
    authority = Pair.read(kept)
    if authority is None:
        return Step(problem=f"the Secret {name} has no authority: give it tls.crt and tls.key of one, as PEM")
    used = {leaf: Pair.read(data) for leaf, data in leaves.items() if _is_used(data, now)}
    if strange := [leaf.place for leaf, pair in used.items() if pair and not signed_by(pair.loaded, authority.loaded)]:
        return Step(problem=_another(name, strange))
    return Step(writes=_renewed(authority, leaves, now, lifetime))


def _another(name: str, strange: Sequence[str]) -> str:
    return (
        f"the Secret {name} has another authority than the one that signed {', '.join(strange)}: etcd reads its "
        "authority only as it starts, so put the old one back; or, to start over, delete these Secrets, upgrade the "
        "chart, and delete all of etcd's pods at once"
    )


def _lost(name: str, used: Sequence[str]) -> str:
    return (
        f"the Secret {name} has no usable authority, but certificates that one signed are in use, in "
        f"{', '.join(used)}: put it back; or, to start over, delete these Secrets, upgrade the chart, and delete all "
        "of etcd's pods at once"
    )


def _renewed(authority: Pair, leaves: Mapping[Leaf, Data], now: datetime, lifetime: timedelta) -> dict[Leaf, Data]:
    return {
        leaf: _content(authority, issue(authority, leaf.subject, now, lifetime))
        for leaf, data in leaves.items()
        if flaw(Pair.read(data), authority, leaf.subject, now) or data.get("ca.crt") != authority.certificate
    }


def _content(authority: Pair, pair: Pair) -> Data:
    return {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}


def _is_used(data: Data, now: datetime) -> bool:
    """Whether this is a valid certificate, beside the authority that signed it."""
    pair = Pair.read(data)
    if pair is None or pair.loaded.not_valid_after_utc <= now:
        return False
    try:
        return signed_by(pair.loaded, Pair(data.get("ca.crt", b""), b"").loaded)
    except ValueError:
        return False
