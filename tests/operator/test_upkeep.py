"""A database that a tenant fills: the operator makes space, one member at a time, and tells what it cannot mend."""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import OutcomeUnknown
from leasehold.etcd.tls import TLSFiles
from leasehold.operator.enrolment.names import locks_of
from tests.cluster import ControlPlane
from tests.operator.enrolled import ROOT, Enrolled
from tests.servers import PATIENCE, Certificate, CertificateAuthority, EtcdCluster, EtcdServer, wait_for

QUOTA = "--quota-backend-bytes=16777216"
_VALUE_BYTES = 1_000_000
Make = Callable[[EtcdServer | EtcdCluster], Enrolled]


@pytest.fixture
def tenant(api: ControlPlane) -> Iterator[str]:
    """The namespace of whoever fills the database."""
    name = api.make_namespace()
    yield name
    api.remove_namespace(name)


def fill(enrolled: Enrolled, files: Certificate, namespace: str, live: str = "") -> None:
    """Write with that namespace's certificate until etcd takes no more: over one key, or over many that begin so."""

    async def write() -> None:
        tls = TLSFiles(files.ca, files.cert, files.key)
        urls = enrolled.etcd.endpoints.split(",")
        async with EtcdClient(urls, clock=clock.now, tls=tls, timeout=PATIENCE) as client:
            for number in range(1000):
                key = f"{locks_of(ROOT, namespace)}db/junk{f'{live}-{number}' if live else ''}"
                await client.put(key, b"x" * _VALUE_BYTES)

    with pytest.raises(OutcomeUnknown, match="NOSPACE"):
        asyncio.run(write())


def wait_space(enrolled: Enrolled, reason: str) -> str:
    """Return the condition's message once it has this reason."""
    wait_for(lambda: enrolled.space().get("reason") == reason, reason, PATIENCE)
    return str(enrolled.space()["message"])


def test_a_full_database_is_emptied(
    enrol: Make, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, namespace: str, tenant: str
) -> None:
    """Although no operator was there when it filled up, and none can become active before: others' leaders lead on."""
    enrolled = enrol(etcd_factory(authority=certs, mutual=True, flags=[QUOTA]))
    operator = enrolled.start("--enrol-days=365")
    for each in (namespace, tenant):
        enrolled.declare(each)
    leader = enrolled.sidecar("leader", namespace, enrolled.files(namespace))
    token = leader.wait_leading().token
    files = enrolled.files(tenant)
    operator.terminate()
    fill(enrolled, files, tenant)
    late = enrolled.sidecar("late", namespace, enrolled.files(namespace), "another")
    wait_for(lambda: "NOSPACE" in late.log_since_start, "the late one to be refused", PATIENCE)
    operator.start()
    late.wait_leading()
    operator.wait_active()
    wait_space(enrolled, "Enough")
    assert leader.ask().token == token
    done = {
        action: operator.metric("etcd_upkeep_total", action=action) for action in ("compact", "defragment", "disarm")
    }
    assert min(done.values()) >= 1
    assert enrolled.etcd.ctl.run("alarm", "list") == ""
    fill(enrolled, files, tenant)  # it takes as much again
    wait_for(lambda: enrolled.etcd.ctl.run("alarm", "list") == "", "etcd to take writes again", PATIENCE)


def test_what_only_a_person_can_mend(
    enrol: Make, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, namespace: str, tenant: str
) -> None:
    """Live keys fill it: the condition names whose they are. Once they are deleted, the operator does the rest."""
    enrolled = enrol(etcd_factory(authority=certs, mutual=True, flags=[QUOTA]))
    enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    enrolled.declare(tenant)
    leader = enrolled.sidecar("leader", namespace, enrolled.files(namespace))
    token = leader.wait_leading().token
    files, rounds = enrolled.files(tenant), itertools.count()

    def is_full() -> bool:
        """What was free in the file until now is given back, and filled as well."""
        fill(enrolled, files, tenant, f"live-{next(rounds)}")
        wait_for(lambda: enrolled.space()["reason"] in ("Full", "Enough"), "the operator to have done all", PATIENCE)
        return bool(enrolled.space()["reason"] == "Full")

    wait_for(is_full, "nothing to be left to compact", PATIENCE)
    assert str(enrolled.space()["message"]).endswith(f"are the namespace {tenant}'s")
    assert "NOSPACE" in enrolled.etcd.ctl.run("alarm", "list")
    enrolled.etcd.ctl.run("del", "--prefix", f"{locks_of(ROOT, tenant)}db/junk")
    wait_space(enrolled, "Enough")
    assert leader.ask().token == token


def test_one_member_at_a_time(
    enrol: Make, cluster_factory: Callable[..., EtcdCluster], certs: CertificateAuthority, namespace: str, tenant: str
) -> None:
    """The leader last; and nobody is held up while a member is away."""
    cluster = cluster_factory(authority=certs, mutual=True, flags=[QUOTA])
    enrolled = enrol(cluster)
    operator = enrolled.start("--enrol-days=365")
    for each in (namespace, tenant):
        enrolled.declare(each)
    leader = enrolled.sidecar("leader", namespace, enrolled.files(namespace))
    token = leader.wait_leading().token
    away = cluster.followers()[0]
    away.pause()
    fill(enrolled, enrolled.files(tenant), tenant)
    assert away.name in wait_space(enrolled, "MemberUnhealthy")
    assert "defragmented" not in operator.log_since_start
    away.resume()
    wait_space(enrolled, "Enough")
    assert leader.ask().token == token
    words = [str(record["message"]) for record in operator.records() if "defragmented etcd" in str(record["message"])]
    assert len({each.partition("defragmented ")[2].partition(",")[0] for each in words}) == 3
