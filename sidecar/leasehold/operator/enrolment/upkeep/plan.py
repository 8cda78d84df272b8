"""What is to be done next about etcd's space, if anything. Pure; time is an argument.

Nothing is done while no database is near its quota: etcd compacts by itself, and a defragmentation holds a member up.
Near it, or at the alarm, history goes first. Then a member whose file is mostly free pages gives them back: one at a
time, the leader last, none while any member is unhealthy, and none again soon after. The alarm ends once every database
is well below its quota; a tenant that fills it again at once finds it full until the next turn.
"""

from __future__ import annotations

from typing import Final

from leasehold.operator.enrolment.upkeep.model import (
    CORRUPT,
    NOSPACE,
    Action,
    Compact,
    Defragment,
    Disarm,
    Member,
    Past,
    Seen,
)
from leasehold.operator.plan.status import FALSE, TRUE

NEAR_QUOTA: Final = 0.8
"""The part of its quota above which a database is looked after. The alert LeaseholdEtcdAlmostFull has the same."""
WORTH_IT: Final = 0.75
"""A file is defragmented if at most this part of it is in use."""
COMPACT_EVERY_SECONDS: Final = 60.0
DEFRAGMENT_EVERY_SECONDS: Final = 600.0
"""Between two defragmentations of one member."""


def next_action(seen: Seen, past: Past, now: float) -> Action | None:
    """The one thing to do now. `now`: monotonic seconds."""
    if not is_short(seen) or obstacle(seen):
        return None
    if seen.revision > past.compacted_revision and now >= past.compacted + COMPACT_EVERY_SECONDS:
        return Compact(seen.revision)
    for member in sorted(seen.members, key=lambda each: (each.is_leader, each.id)):
        if is_fragmented(member) and now >= past.defragmented.get(member.id, float("-inf")) + DEFRAGMENT_EVERY_SECONDS:
            return Defragment(member)
    armed = tuple(sorted(member for member, alarm in seen.alarms if alarm == NOSPACE))
    return Disarm(armed) if armed and all(_has_room(member, past) for member in seen.members) else None


def is_short(seen: Seen) -> bool:
    """Whether some database is full, or nearly so."""
    return has_alarm(seen) or any(_is_near(member) for member in seen.members)


def has_alarm(seen: Seen) -> bool:
    """Whether etcd refuses writes."""
    return any(alarm == NOSPACE for _, alarm in seen.alarms)


def is_fragmented(member: Member) -> bool:
    """Whether much of its file is free."""
    return member.in_use <= WORTH_IT * member.size


def _is_near(member: Member) -> bool:
    return bool(member.quota) and member.size >= NEAR_QUOTA * member.quota


def _has_room(member: Member, past: Past) -> bool:
    """Whether it takes writes again. One that does not tell its quota does after a defragmentation that helped."""
    if member.quota:
        return not _is_near(member)
    since = past.alarm_since
    return since is not None and past.defragmented.get(member.id, float("-inf")) >= since


def obstacle(seen: Seen) -> str:
    """Why nothing may be done: a sentence without a full stop, "" if there is nothing."""
    if any(alarm == CORRUPT for _, alarm in seen.alarms):
        return "etcd has the alarm CORRUPT: replace the member that differs from the others before anything else"
    problems = [f"the member {member.name} {member.problem}" for member in seen.members if member.problem]
    return "; ".join(problems)


def verdict(seen: Seen, past: Past, now: float, most_keys: str) -> tuple[str, str, str]:
    """Status, reason and message of the condition. `most_keys`: who has the most keys, in words, or ""."""
    if not is_short(seen):
        return TRUE, "Enough", "no member's database is near its quota"
    what = "etcd's database is full and takes no writes, so nobody new can lead" if has_alarm(seen) else _near(seen)
    if reason := obstacle(seen):
        return FALSE, "MemberUnhealthy", f"{what}; it is compacted once all members are well: {reason}"
    if next_action(seen, past, now) or now < past.compacted + COMPACT_EVERY_SECONDS:
        return FALSE, "MakingSpace", f"{what}; it is compacted, and its members defragmented one after the other"
    if any(is_fragmented(member) for member in seen.members):
        return FALSE, "FilledAgain", f"{what}, again within {DEFRAGMENT_EVERY_SECONDS / 60:.0f} minutes{most_keys}"
    return FALSE, "Full", f"{what}, and nothing is left to compact: delete keys, or enlarge its volume{most_keys}"


def _near(seen: Seen) -> str:
    names = sorted(member.name for member in seen.members if _is_near(member))
    return f"the database of {', '.join(names)} is above {NEAR_QUOTA:.0%} of its quota"
