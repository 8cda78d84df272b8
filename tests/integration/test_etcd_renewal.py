"""New certificate files under a running candidate: a new connection as the new user, and no term lost."""

# files of a few bytes, written by the test itself

import asyncio
import contextlib
import logging
from collections.abc import Callable

import psutil
import pytest

from leasehold.base.clock import now
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import Runner
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd import rotation
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import Refused, WatchLost
from leasehold.etcd.tls import TLSFiles
from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.servers import PATIENCE, Certificate, CertificateAuthority, EtcdServer
from tests.support import tenants
from tests.support.http_client import until
from tests.support.loop_turns import turns
from tests.support.sidecars import Sidecar

PREFIX = "/leasehold/locks/shop/"
TTL = 15
LEADERS = 50


def client_of(server: EtcdServer, files: Certificate) -> EtcdClient:
    return EtcdClient([server.url], clock=now, tls=TLSFiles(files.ca, files.cert, files.key), timeout=30)


@pytest.fixture
def server(etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority) -> EtcdServer:
    """An etcd that knows the operator, and the namespace `shop`."""
    made = etcd_factory(authority=certs, mutual=True)
    tenants.enable(made.ctl)
    tenants.admit(made.ctl, "shop")
    return made


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at ten times a second, also those that were of no use."""
    monkeypatch.setattr(rotation, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(rotation, "_LONGEST_PAUSE_SECONDS", 0.1)


@pytest.mark.usefixtures("soon")
async def test_bad_files_keep_the_old(
    server: EtcdServer, certs: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-written, of a user without rights, of another authority: told once each, and the connection goes on."""
    files = certs.client(tenants.OPERATOR, name="sidecar")
    strangers = CertificateAuthority(certs.directory / "strangers")

    def write(pair: Certificate) -> None:
        files.key.write_bytes(pair.key.read_bytes())
        files.cert.write_bytes(pair.cert.read_bytes())

    def told() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.name == "leasehold.etcd.rotation"]

    async with client_of(server, files) as client:
        client.prove_by(f"{PREFIX}db/queue/0")
        await client.put(f"{PREFIX}k", b"1")
        for bad, reason in (
            (lambda: files.cert.write_text("-----BEGIN CERT"), "do not hold a PEM certificate"),
            (lambda: files.cert.unlink(), "cannot be read"),
            (lambda: write(strangers.client(tenants.OPERATOR)), "did not accept our client certificate"),
            (lambda: write(certs.client("nobody")), "refused"),
        ):
            before, tried = len(told()), client.connects
            bad()
            # half of them may be written when they are read for the first time
            await until(lambda: any(reason in text for text in told()[before:]))  # noqa: B023  # waited for within the loop
            await asyncio.sleep(0.5)
            assert client.connects - tried < 10
            assert len(set(told())) == len(told())
            assert client.common_name == tenants.OPERATOR
            await client.put(f"{PREFIX}k", b"2")
        certs.client(tenants.user_of("shop"), name="sidecar")
        await until(lambda: client.common_name == tenants.user_of("shop"))
        with pytest.raises(Refused, match="permission denied"):
            await client.put("/leasehold/locks/other/k", b"")
    assert all(one.levelno == logging.WARNING for one in caplog.records if "is not used" in one.getMessage())


@pytest.mark.usefixtures("soon")
async def test_what_is_under_way_is_answered(server: EtcdServer, certs: CertificateAuthority) -> None:
    """Calls go on throughout, none without an answer; the lease lives on; the watch ends when all else has moved."""
    files = certs.client(tenants.OPERATOR, name="sidecar")
    async with client_of(server, files) as client, client.watch() as watcher:
        lease = (await client.grant(60)).lease
        await client.put(f"{PREFIX}k", b"", lease=lease)
        await client.keep_alive(lease)
        revision = (await client.range(f"{PREFIX}k")).origin.revision
        await watcher.add(f"{PREFIX}other", start_revision=revision + 1)
        lost = asyncio.create_task(anext(watcher))
        over = asyncio.Event()

        async def call() -> int:
            done = 0
            while not over.is_set():
                await client.txn()
                await client.range(f"{PREFIX}k")
                done += 1
            return done

        calls = [asyncio.create_task(call()) for _ in range(8)]
        certs.client(tenants.user_of("shop"), name="sidecar")
        await until(lambda: client.common_name == tenants.user_of("shop"))
        await asyncio.sleep(0.5)
        assert not lost.done(), "no lease has been renewed over the new connection yet"
        await client.keep_alive(lease)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(WatchLost, match="new client certificate has taken its place"):
                await lost
        over.set()
        assert all([await one for one in calls])
        assert client.connects == 2


@pytest.mark.usefixtures("soon")
async def test_closing_amid_the_change_leaves_no_connection(server: EtcdServer, certs: CertificateAuthority) -> None:
    """Neither the new one nor the old one, which stays until the lease has been renewed over the new one."""

    def connections() -> int:
        return sum(bool(one.raddr) and one.raddr.port == server.port for one in psutil.Process().net_connections())

    files = certs.client(tenants.OPERATOR, name="sidecar")
    async with client_of(server, files) as client:
        lease = (await client.grant(60)).lease
        await client.put(f"{PREFIX}k", b"", lease=lease)
        await client.keep_alive(lease)
        certs.client(tenants.user_of("shop"), name="sidecar")
        await until(lambda: client.common_name == tenants.user_of("shop"))
        assert connections() == 2
    await turns()
    assert connections() == 0


@pytest.mark.usefixtures("soon")
async def test_fifty_leaders_keep_their_terms(
    server: EtcdServer, certs: CertificateAuthority, sidecar_factory: Callable[..., Sidecar]
) -> None:
    """From the shared user to the namespace's, whose renewal follows; then the shared user is deleted."""
    files = certs.client(tenants.OPERATOR, name="sidecar")
    flags = ["--etcd-ca", str(files.ca), "--etcd-cert", str(files.cert), "--etcd-key", str(files.key)]
    start = {"root": "/leasehold", "lock": "shop/real", "ttl": TTL, "flags": flags}
    real = await asyncio.to_thread(sidecar_factory, "real", server.url, **start)
    token = (await asyncio.to_thread(real.wait_leading)).token
    locks = [LockName("shop", f"lock-{n}") for n in range(LEADERS)]
    boards = [Publisher(Snapshot(lock, "me", State.IDLE), now) for lock in locks]
    changes: list[Snapshot] = []
    async with contextlib.AsyncExitStack() as stack:
        clients, runs = list[EtcdClient](), list[asyncio.Task[None]]()
        for lock, board in zip(locks, boards, strict=True):
            client = await stack.enter_async_context(client_of(server, files))
            clients.append(client)
            settings = ElectionConfig(lock, Record("me", incarnation="1"), ttl=TTL)
            runs.append(asyncio.create_task(Runner(settings, EtcdStore(client, Keys(lock)), board).run()))
        await until(lambda: all(board.snapshot.is_holding(now()) for board in boards))
        terms = [board.snapshot.token for board in boards]
        for board in boards:
            board.listen(lambda before, after: changes.append(after) if after.state is not State.HOLDING else None)

        reader = clients[0]  # whoever it is, it may read all of the namespace
        await wait_names(reader, tenants.OPERATOR)
        for _ in range(2):
            before = [client.connects for client in clients]
            certs.client(tenants.user_of("shop"), name="sidecar")
            await wait_names(reader, tenants.user_of("shop"))
            # more than once, where the machine is so busy that a connection was given up
            await until(lambda: all(client.connects > n for client, n in zip(clients, before, strict=True)))  # noqa: B023  # as above
        await asyncio.to_thread(server.ctl.run, "user", "delete", tenants.OPERATOR)
        deleted = now()
        # a deadline is less than a TTL after the request that renewed it: all of them were sent since then
        await until(lambda: all((board.snapshot.deadline or 0.0) > deleted + TTL for board in boards))
        assert changes == []
        assert [board.snapshot.token for board in boards] == terms
        assert all(board.snapshot.is_holding(now()) for board in boards)
        assert (await asyncio.to_thread(real.ask)).token == token
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)


async def wait_names(client: EtcdClient, name: str) -> None:
    """Return when all candidates of `shop` are connected by this name, as their records say."""
    async with asyncio.timeout(PATIENCE):
        while await names(client) != {name}:  # noqa: ASYNC110  # etcd is asked, and has fifty leaders to serve
            await asyncio.sleep(0.1)


async def names(client: EtcdClient) -> set[str]:
    """By which names the candidates of `shop` are connected."""
    found = (await client.range(PREFIX, end=prefix_end(PREFIX))).kvs
    return {Record.decode(kv.value).certificate for kv in found if b"/queue/" in kv.key}


async def test_users_that_change_all_the_time(server: EtcdServer, certs: CertificateAuthority) -> None:
    """etcd refuses what a change of its users overtakes; the client asks again at once, and nobody hears of it."""
    files = certs.client(tenants.user_of("shop"), name="sidecar")
    async with client_of(server, files) as client:
        lease = (await client.grant(60)).lease
        over = asyncio.Event()

        async def change() -> None:
            while not over.is_set():
                for verb in ("add", "delete"):
                    await asyncio.to_thread(server.ctl.run, "role", verb, "another")

        changing = asyncio.create_task(change())
        for n in range(400):
            await client.put(f"{PREFIX}k", b"%d" % n)
            assert (await client.keep_alive(lease)).ttl == 60
        over.set()
        await changing
        assert client.connects == 1


async def test_a_lease_id_that_is_taken(server: EtcdServer, certs: CertificateAuthority) -> None:
    """Ids are random, since anybody may use a lease that has no key; one that is taken is a refusal."""
    async with client_of(server, certs.client(tenants.user_of("shop"), name="sidecar")) as client:
        leases = [(await client.grant(60)).lease for _ in range(100)]
        assert len({lease >> 40 for lease in leases}) == len(leases)
        assert max(leases) >> 62 == 1
        with pytest.raises(Refused, match="lease already exists"):
            await client.grant(60, lease=leases[0])
        assert (await client.time_to_live(leases[0])).ttl > 0
