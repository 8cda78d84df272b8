"""The judge: what was seen, and whether it can have been right. Pure: a history in, contradictions out.

Each rule only says what the history proves; what may have been otherwise is never held against anybody. An answer of
`/leader` was decided at some instant from `sent` to `received`, so "after" means: asked after the other was received.

Of the answers alone, with the capacity known:
    owner      a token is told by one sidecar only
    order      with capacity 1, nobody is told 200 after a higher token was
    crowd      no more than `capacity` tokens are led under at once: each from its first 200 to its last
    given-up   nobody leads under what it agreed to give up, unless its process was restarted before it could
Against etcd's own record of the queue:
    stranger   a 200 names the create revision of a key in the queue, written under that identity
    early      nobody is told 200 while `capacity` others stand ahead of it
    late       nobody is told 200 after its key has gone
    promise    a key does not go before what its holder's 200s promised has passed, unless the holder let go itself
    disobeyed  nobody leads a lock that was suspended a TTL ago, or under a token that was to be handed over
    fence      the fenced register never goes back, and refuses no holder
Of the end:
    stuck, unsettled, broken   somebody leads again after every heal; the queue is the live sidecars; nothing crashed

A candidate whose key somebody else deleted, or a woken leader of etcd, is excused as the design's seventh guarantee
says: from then on it is not judged by `order`, `crowd`, `promise` and `fence`, and by `late` only one TTL after its key
has gone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise

from tests.nemesis.case import Case, Contradiction
from tests.nemesis.history import (
    Asked,
    Broken,
    Final,
    History,
    Recovery,
    Started,
    Told,
    Wrote,
)
from tests.nemesis.queue_record import Declared

Rule = Callable[[Case], Iterator[str]]


def check(history: History) -> list[Contradiction]:
    """Every contradiction in this history, at most a few of each rule."""
    case = Case(history)
    found = []
    for name, rule in RULES.items():
        stories = list(rule(case))
        found += [Contradiction(name, story) for story in stories[:5]]
        if len(stories) > 5:
            found.append(Contradiction(name, f"and {len(stories) - 5} more"))
    return found


def words(told: Told) -> str:
    """One answer, for a story."""
    return f"{told.name} said {told.status} with token {told.token} ({told.sent:.3f} to {told.received:.3f})"


# --- of the answers alone --------------------------------------------------------------------------------------------


def owner(case: Case) -> Iterator[str]:
    owners: dict[int, str] = {}
    for told in case.yes:
        if owners.setdefault(told.token, told.name) != told.name:
            yield f"{words(told)}, a token of {owners[told.token]}"


def order(case: Case) -> Iterator[str]:
    receipts = [told.received for told in case.judged]
    highest = list(accumulate(case.judged, _higher))
    for told in case.judged:
        count = bisect_left(receipts, told.sent)
        if count and told.token < highest[count - 1].token:
            other = highest[count - 1]
            if case.record.capacity(other.sent - case.setup.ttl, told.received) == 1:
                yield f"{words(told)} after {words(other)}"


def _higher(one: Told, other: Told) -> Told:
    return other if other.token > one.token else one


def crowd(case: Case) -> Iterator[str]:
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for told in case.judged:
        first.setdefault(told.token, told.received)
        last[told.token] = max(told.sent, last.get(told.token, -math.inf))
    for token, start in first.items():
        together = [one for one in first if first[one] <= start <= last[one]]
        if start <= last[token] and len(together) > 1:
            span = min(first[one] for one in together) - case.setup.ttl, max(last[one] for one in together)
            if len(together) > case.record.capacity(*span):
                yield f"tokens {sorted(together)} were all led under at {start:.3f}"


def given_up(case: Case) -> Iterator[str]:
    for act in case.history.all(Asked):
        agreed = _agreed(case, act)
        mine = [told for told in case.yes if told.name == act.name]
        restarts = [one.at for one in case.history.all(Started) if one.name == act.name and one.at > act.sent]
        before = {told.token for told in mine if told.received < act.sent}
        for told in mine:
            if told.token in before and told.sent > agreed and told.received < min(restarts, default=math.inf):
                yield f"{words(told)}, after it had agreed to {act.what} at {agreed:.3f}"


def _agreed(case: Case, act: Asked) -> float:
    """The instant by which it had agreed; infinity if it is not known to have.

    Nobody answers a TERM, and a request that came before it may be answered after it was sent. The first answer
    to a later request that is no 200 shows that it has arrived.
    """
    if act.what != "stop":
        return act.received if act.status == 202 else math.inf
    later = (told for told in case.history.all(Told) if told.name == act.name and told.sent > act.received)
    return min((told.received for told in later if told.status != 200), default=math.inf)


# --- against etcd's own record ---------------------------------------------------------------------------------------


def stranger(case: Case) -> Iterator[str]:
    for told in case.yes:
        one = case.record.candidates.get(told.token)
        if one is None:
            yield f"{words(told)}, but no key in the queue has that create revision"
        elif one.identity != told.name:
            yield f"{words(told)}, but that key is {one.identity}'s"


def early(case: Case) -> Iterator[str]:
    for told in case.judged:
        ahead = case.record.ahead(told.token, case.record.clock.possible(told.received))
        if ahead and ahead >= case.record.capacity(told.sent - case.setup.ttl, told.received):
            yield f"{words(told)}, while {ahead} stood ahead of it"


def late(case: Case) -> Iterator[str]:
    for told in case.yes:
        grace = case.setup.ttl if told.token in case.excused else 0.0
        if told.sent > case.gone_by(told.token) + grace:
            yield f"{words(told)}, but its key had gone by {case.gone_by(told.token):.3f}"


def promise(case: Case) -> Iterator[str]:
    for told in case.judged:
        until = told.sent + told.valid_for / (case.setup.rates.get(told.name, 1.0) * 1.001)
        gone = case.gone_by(told.token)
        if gone < until and told.token not in case.excused and not _let_go(case, told, gone):
            yield f"{words(told)}, good until {until:.3f}, but its key had gone by {gone:.3f}, and it had not let go"


def _let_go(case: Case, told: Told, gone: float) -> bool:
    """Whether the holder gave the lock up itself, as it claims or as it was told to while it led."""
    if (told.name, told.token) in case.released:
        return True
    asked = [act for act in case.history.all(Asked) if act.name == told.name and act.what in ("stop", "pause")]
    return any(told.sent - 2 * case.setup.ttl < act.sent < gone for act in asked)


def disobeyed(case: Case) -> Iterator[str]:
    for told in case.yes:
        specs = case.record.specs_between(told.sent - case.setup.ttl, told.received)
        if all(spec.suspend for spec in specs):
            yield f"{words(told)}, of a lock that is suspended"
        if all(told.token <= spec.handover_up_to for spec in specs):
            yield f"{words(told)}, which was to be handed over"


def fence(case: Case) -> Iterator[str]:
    values = [int(change.value) for change in case.record.register]
    for older, newer in pairwise(values):
        if newer < older:
            yield f"the fenced register went from {older} back to {newer}"
    yield from _refused(case)


def _refused(case: Case) -> Iterator[str]:
    """A refusal shows that a later holder has written: with capacity 1, the refused one has been succeeded."""
    refusals: dict[int, float] = {}
    for write in case.history.all(Wrote):
        if write.accepted is False:
            refusals[write.token] = min(write.received, refusals.get(write.token, math.inf))
    for told in case.judged:
        refused = refusals.get(told.token, math.inf)
        one = case.record.candidates.get(told.token)
        if told.sent > refused and one is not None:
            born = case.record.clock.at_earliest(one.token)
            if case.record.capacity(born - case.setup.ttl, told.received) == 1:
                yield f"{words(told)}, after its write was refused at {refused:.3f}"


# --- of the end ------------------------------------------------------------------------------------------------------


def stuck(case: Case) -> Iterator[str]:
    for one in case.history.all(Recovery):
        if one.leading is None:
            yield f"after {one.step} was healed at {one.healed:.3f}, nobody led"


def unsettled(case: Case) -> Iterator[str]:
    for final in case.history.all(Final):
        yield from ill_settled(final, case.record.specs[-1], case.setup.priorities)


def ill_settled(final: Final, spec: Declared, priorities: Mapping[str, int]) -> Iterator[str]:
    """Why this can't be the end of it, with this spec in force; nothing when all is settled."""
    if sorted(final.queue) != sorted(final.live):
        yield f"alive are {sorted(final.live)}, and the queue is {final.queue}"
    if sorted(final.leading) != sorted(final.queue[: spec.capacity]):
        yield f"the queue is {final.queue} with capacity {spec.capacity}, and {final.leading} lead"
    places = [final.positions.get(name) for name in final.queue]
    if any(believed is None or believed < place for place, believed in enumerate(places)):  # it may lag behind
        yield f"the queue is {final.queue}, and they believe to stand at {final.positions}"
    ranks = {name: (name == spec.preferred, priorities.get(name, 0)) for name in final.queue}
    waiting = [name for name in final.queue if name not in final.leading]
    for name in final.leading:
        better = [other for other in waiting if ranks[other] > ranks.get(name, ranks[other])]
        if better:
            yield f"{name} leads, and {better} are preferred and wait"


def broken(case: Case) -> Iterator[str]:
    for one in case.history.all(Broken):
        yield one.what


RULES: dict[str, Rule] = {
    "owner": owner,
    "order": order,
    "crowd": crowd,
    "given-up": given_up,
    "stranger": stranger,
    "early": early,
    "late": late,
    "promise": promise,
    "disobeyed": disobeyed,
    "fence": fence,
    "stuck": stuck,
    "unsettled": unsettled,
    "broken": broken,
}
