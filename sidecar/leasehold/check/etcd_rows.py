"""What the facts about etcd mean. Pure: `now` is the wall clock's time, for certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from leasehold.base.etcd_bugs import known_bug_of
from leasehold.check.etcd_facts import EtcdFacts, Member
from leasehold.check.rows import Level, Row, unasked
from leasehold.etcd.model import ListedMember

SECTION: Final = "etcd"
SLOW_READ_SECONDS: Final = 0.1
VERY_SLOW_READ_SECONDS: Final = 1.0
FULL_PART: Final = 0.8
DEFAULT_QUOTA_BYTES: Final = 2 * 1024**3
CLOCK_OFF_SECONDS: Final = 5.0
CERTIFICATE_SOON: Final = timedelta(days=14)
_SUPPORTED: Final = ((3, 4), (3, 7))


def rows_of(facts: EtcdFacts, now: datetime) -> list[Row]:
    """All rows about etcd itself."""
    found = [row for member in facts.members for row in _member_rows(member, now)]
    return [*found, *_cluster_rows(facts), *_client_certificate(facts, now)]


def certificate_row(section: str, check: str, about: str, end: datetime, now: datetime) -> Row:
    """How long a certificate has left."""
    day = f"{end:%Y-%m-%d %H:%M} UTC"
    if end <= now:
        return Row(section, check, Level.FAILED, f"ended on {day}", "issue a new certificate", about)
    if end - now < CERTIFICATE_SOON:
        return Row(section, check, Level.WARNING, f"ends soon, on {day}", "issue a new certificate", about)
    return Row(section, check, Level.OK, f"is valid until {day}", about=about)


# --- one member ---


def _member_rows(member: Member, now: datetime) -> Iterator[Row]:
    if member.failure:
        cure = "check the address in --etcd, that this member runs, and that the network lets you reach it"
        yield Row(
            SECTION, "etcd-member", Level.FAILED, f"does not answer: {member.failure.rstrip('.')}", cure, member.url
        )
    else:
        yield _version(member)
        yield from _role(member)
        yield from _alarms(member)
        yield _space(member)
        yield _latency(member)
        yield from _clock(member)
    if member.probe.certificate_end is not None:
        yield certificate_row(
            SECTION, "etcd-certificate", f"the certificate of {member.url}", member.probe.certificate_end, now
        )


def _version(member: Member) -> Row:
    bug = known_bug_of(member.version)
    if bug:
        return Row(SECTION, "etcd-version", Level.WARNING, bug.split(";")[0], "use 3.4.31, 3.5.13 or newer", member.url)
    minor = tuple(int(part) for part in member.version.split(".")[:2] if part.isdigit())
    if len(minor) == 2 and not _SUPPORTED[0] <= minor <= _SUPPORTED[1]:
        found = f"runs etcd {member.version}, which Leasehold is not tested with"
        return Row(SECTION, "etcd-version", Level.WARNING, found, "use etcd 3.4 to 3.7", member.url)
    return Row(SECTION, "etcd-version", Level.OK, f"runs etcd {member.version}", about=member.url)


def _role(member: Member) -> Iterator[Row]:
    if member.is_learner:
        cure = "name voting members in --etcd, or promote it: etcdctl member promote"
        yield Row(SECTION, "etcd-learner", Level.FAILED, "is a learner, which serves no candidates", cure, member.url)
    if not member.leader:
        cure = "start the other members: more than half of them must run and reach each other"
        yield Row(SECTION, "etcd-leader", Level.FAILED, "knows no leader, so nobody can lead", cure, member.url)


_ALARMS: Final = {
    "NOSPACE": "compact and defragment it, or raise --quota-backend-bytes; then etcdctl alarm disarm",
    "CORRUPT": "replace the member whose data differs; then etcdctl alarm disarm",
}


def _alarms(member: Member) -> Iterator[Row]:
    for alarm in member.alarms:
        word = next((name for name in _ALARMS if name in alarm), "")
        if word:
            yield Row(SECTION, "etcd-alarms", Level.FAILED, f"has the alarm {word}", _ALARMS[word], member.url)
        elif "leader" not in alarm:  # etcd also lists here that it has no leader
            yield Row(SECTION, "etcd-alarms", Level.WARNING, f"says: {alarm}", "see etcd's log", member.url)


def _space(member: Member) -> Row:
    quota = member.quota or DEFAULT_QUOTA_BYTES
    part = member.size / quota
    found = f"uses {member.size / 1024**2:.0f} MiB of {quota / 1024**2:.0f} MiB"
    if not member.quota:
        found += " (etcd's default; before 3.6 it does not tell)"
    if part < FULL_PART:
        return Row(SECTION, "etcd-space", Level.OK, found, about=member.url)
    cure = "compact and defragment it, or raise --quota-backend-bytes: at the limit nobody can join a queue"
    return Row(SECTION, "etcd-space", Level.WARNING, found, cure, member.url)


def _latency(member: Member) -> Row:
    if member.read_seconds is None:
        cure = "without such reads nobody can keep leading; see etcd's log, its disk and its network"
        found = f"answers no linearizable read: {member.read_failure.rstrip('.') or 'not in time'}"
        return Row(SECTION, "etcd-latency", Level.FAILED, found, cure, member.url)
    found = f"answers a linearizable read in {member.read_seconds * 1000:.1f} ms"
    if member.read_seconds < SLOW_READ_SECONDS:
        return Row(SECTION, "etcd-latency", Level.OK, found, about=member.url)
    level = Level.FAILED if member.read_seconds >= VERY_SLOW_READ_SECONDS else Level.WARNING
    cure = "give etcd a disk with quick fsync and enough CPU; a keep-alive needs two such round trips"
    return Row(SECTION, "etcd-latency", level, found, cure, member.url)


def _clock(member: Member) -> Iterator[Row]:
    probe = member.probe
    if probe.clock is None or probe.asked_at is None:
        return
    off = (probe.clock - probe.asked_at).total_seconds()
    if abs(off) < CLOCK_OFF_SECONDS:
        yield Row(SECTION, "etcd-clock", Level.OK, "has this machine's time", about=member.url)
    else:
        found = f"has a clock {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's"
        cure = "no election depends on it, but certificates and the times that are shown do: run an NTP client on both"
        yield Row(SECTION, "etcd-clock", Level.WARNING, found, cure, member.url)


# --- the cluster ---


def _cluster_rows(facts: EtcdFacts) -> Iterator[Row]:
    answered = [member for member in facts.members if not member.failure]
    if not answered:
        return
    if len({member.cluster for member in answered}) > 1:
        cure = "name the members of one cluster in --etcd: candidates in two of them do not see each other"
        yield Row(SECTION, "etcd-members", Level.FAILED, "the endpoints belong to different clusters", cure)
    elif facts.listed is None:
        yield unasked(SECTION, "etcd-members", "etcd does not list its members")
    else:
        yield _members(facts.listed, answered, facts.members)


def _members(listed: Sequence[ListedMember], answered: Sequence[Member], asked: Sequence[Member]) -> Row:
    voting = [member for member in listed if not member.is_learner]
    missing = [member for member in voting if member.id not in {one.id for one in answered}]
    if not missing:
        return Row(SECTION, "etcd-members", Level.OK, f"all {len(voting)} voting members answer")
    names = ", ".join(member.name or f"{member.id:x}" for member in missing)
    if any(member.failure for member in asked):
        found = f"{len(missing)} of {len(voting)} voting members do not answer: {names}"
        return Row(SECTION, "etcd-members", Level.WARNING, found, "start them, or replace them: etcdctl member list")
    urls = ",".join(url for member in missing for url in member.urls)
    cure = f"add them, so that each can be used when another is down: {urls}"
    return Row(SECTION, "etcd-members", Level.WARNING, f"--etcd does not name {names}", cure)


def _client_certificate(facts: EtcdFacts, now: datetime) -> Iterator[Row]:
    about, end = "your own certificate (--etcd-cert)", facts.client_certificate
    if isinstance(end, str):
        yield unasked(SECTION, "client-certificate", end, about=about)
    elif end is not None:
        yield certificate_row(SECTION, "client-certificate", about, end, now)
