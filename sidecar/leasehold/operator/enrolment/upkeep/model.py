"""What is known of etcd's members and what can be done about their space, as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

NOSPACE, CORRUPT = "NOSPACE", "CORRUPT"


@dataclass(frozen=True, slots=True)
class Member:
    """One member. Sizes are in bytes; `quota` is 0 if it does not tell. `problem` is "" if it is healthy."""

    id: int
    name: str
    version: str = ""
    size: int = 0
    in_use: int = 0
    quota: int = 0
    is_leader: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """All members at one look: those that etcd lists, by what they say of themselves.

    `alarms`: pairs of a member's id and NOSPACE or CORRUPT. `revision`: etcd's newest.
    """

    members: tuple[Member, ...]
    alarms: frozenset[tuple[int, str]] = frozenset()
    revision: int = 0


@dataclass(slots=True)
class Past:
    """What has been done: when, in monotonic seconds. `defragmented` is by the member's id."""

    compacted: float = float("-inf")
    compacted_revision: int = 0
    defragmented: dict[int, float] = field(default_factory=dict)
    alarm_since: float | None = None
    """Since when an alarm has been seen."""


@dataclass(frozen=True, slots=True)
class Compact:
    """Forget all that was before this revision."""

    revision: int


@dataclass(frozen=True, slots=True)
class Defragment:
    """Have a member give the free pages of its file back. It answers nobody meanwhile."""

    member: Member


@dataclass(frozen=True, slots=True)
class Disarm:
    """End these members' NOSPACE alarms: etcd takes writes again."""

    members: tuple[int, ...]


Action = Compact | Defragment | Disarm
