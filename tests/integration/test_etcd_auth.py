"""Authentication by name and password on a real etcd: tokens that expire, passwords that change or are wrong."""

# ruff: noqa: ASYNC240  # files of a few bytes, written by the test itself

import asyncio
import contextlib
import re
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from leasehold.base.clock import now
from leasehold.etcd.admin import AdminClient
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import Code, NotSent, OutcomeUnknown, Refused, WatchLost
from tests.servers import PATIENCE, EtcdServer

PREFIX = "/leasehold/"
SHORT_TOKENS = ("--auth-token-ttl=1", "--bcrypt-cost=4")
"""A second, etcd's least; and hashes that a busy machine makes in time."""

TOKENS_ARE_GONE = 2.5
"""Seconds: etcd looks once a second for tokens to drop."""


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("secret\n")
    return path


def app(server: EtcdServer, password: Path) -> EtcdClient:
    return EtcdClient([server.url], clock=now, user="app", password_file=password, timeout=PATIENCE)


async def renewed(client: EtcdClient, lease: int) -> int | None:
    """The lease's new TTL; None while there is no connection. A refusal is not forgiven."""
    try:
        return (await client.keep_alive(lease)).ttl
    except (NotSent, OutcomeUnknown):
        return None


@pytest.mark.parametrize("version", ["3.7", "3.5", "3.4"])
async def test_tokens_that_expire_between_calls(
    etcd_factory: Callable[..., EtcdServer], password: Path, version: str
) -> None:
    """Every kind of call finds its token expired, and is answered all the same; a watch that stands goes on."""
    server = etcd_factory(version, flags=SHORT_TOKENS)
    server.enable_auth({"app": "secret"}, PREFIX)
    async with contextlib.AsyncExitStack() as stack:
        kinds: list[Callable[[EtcdClient, int], Awaitable[object]]] = [
            lambda client, lease: client.put(f"{PREFIX}k", b"1", lease=lease),
            lambda client, lease: client.keep_alive(lease),
            lambda client, _: client.range(f"{PREFIX}k"),
            lambda client, lease: client.time_to_live(lease, keys=True),
            lambda client, _: client.txn(),
            lambda client, _: client.grant(60),
            lambda client, lease: client.revoke(lease),
            lambda client, _: client.status(),
        ]
        clients = [await stack.enter_async_context(app(server, password)) for _ in kinds]
        leases = [(await client.grant(60)).lease for client in clients]
        for client, lease in zip(clients, leases, strict=True):
            await client.keep_alive(lease)
        start = (await clients[0].range(f"{PREFIX}k")).origin.revision + 1
        watcher = await stack.enter_async_context(clients[0].watch())
        await watcher.add(f"{PREFIX}k", start_revision=start)

        await asyncio.sleep(TOKENS_ARE_GONE)
        calls = zip(kinds, clients, leases, strict=True)
        await asyncio.gather(*(kind(client, lease) for kind, client, lease in calls))
        async with asyncio.timeout(PATIENCE):
            assert (await anext(watcher)).events[0].kv.value == b"1"
        assert [client.connects for client in clients] == [1] * len(clients)


async def test_a_keep_alive_stream_older_than_two_tokens(
    etcd_factory: Callable[..., EtcdServer], password: Path
) -> None:
    """Its own token has expired, and so has the one that another call fetched since."""
    server = etcd_factory(flags=SHORT_TOKENS)
    server.enable_auth({"app": "secret"}, PREFIX)
    async with app(server, password) as client:
        lease = (await client.grant(60)).lease
        await client.keep_alive(lease)
        await asyncio.sleep(TOKENS_ARE_GONE)
        await client.range(f"{PREFIX}k")
        await asyncio.sleep(TOKENS_ARE_GONE)
        assert (await client.keep_alive(lease)).ttl == 60


@pytest.mark.parametrize("version", ["3.7", "3.5", "3.4"])
async def test_a_watch_over_a_stream_with_an_expired_token(
    etcd_factory: Callable[..., EtcdServer], password: Path, version: str
) -> None:
    """The stream carries the token it was opened with: it is lost, and the next one has a new token."""
    server = etcd_factory(version, flags=SHORT_TOKENS)
    server.enable_auth({"app": "secret"}, PREFIX)
    async with app(server, password) as client:
        revision = (await client.put(f"{PREFIX}k", b"1")).origin.revision
        async with client.watch() as old:
            await old.add(f"{PREFIX}k", start_revision=revision + 1)
            await asyncio.sleep(TOKENS_ARE_GONE)
            await old.add(f"{PREFIX}k", start_revision=revision)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(WatchLost, match=r"invalid auth token|permission denied"):
                    await anext(old)
        async with client.watch() as new:
            await new.add(f"{PREFIX}k", start_revision=revision)
            async with asyncio.timeout(PATIENCE):
                assert (await anext(new)).events[0].kv.value == b"1"


async def test_a_restarted_etcd_has_forgotten_all_tokens(
    etcd_factory: Callable[..., EtcdServer], password: Path
) -> None:
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"app": "secret"}, PREFIX)
    async with app(server, password) as client:
        lease = (await client.grant(60)).lease
        await asyncio.to_thread(server.restart)
        async with asyncio.timeout(PATIENCE):
            while (await renewed(client, lease)) is None:
                pass
        await client.put(f"{PREFIX}k", b"")


async def proposals(server: EtcdServer) -> float:
    """How many proposals the server has committed, by its metrics: they need no login, which would be one more."""

    def ask() -> str:
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
            return str(answer.read(), "utf-8")

    found = re.search(r"^etcd_server_proposals_committed_total (\S+)$", await asyncio.to_thread(ask), re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_many_calls_fetch_one_token(etcd_factory: Callable[..., EtcdServer], password: Path) -> None:
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"app": "secret"}, PREFIX)
    async with app(server, password) as client:
        await client.status()
        before = await proposals(server)
        await asyncio.gather(*(client.range(f"{PREFIX}k") for _ in range(30)))
        # Each authentication is a proposal to raft; reads are none. The first call had made the one.
        assert await proposals(server) == before


async def test_a_changed_role_makes_tokens_old_and_calls_go_on(
    etcd_factory: Callable[..., EtcdServer], password: Path
) -> None:
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"app": "secret"}, PREFIX)
    async with app(server, password) as client:
        await client.put(f"{PREFIX}k", b"")
        await asyncio.to_thread(server.ctl.run, "role", "add", "another")
        await client.put(f"{PREFIX}k", b"")
        await client.range(f"{PREFIX}k")
        with pytest.raises(Refused, match="permission denied") as refused:
            await client.put("/elsewhere", b"")
        assert refused.value.code is Code.PERMISSION_DENIED
        async with client.watch() as watcher:
            await watcher.add("/elsewhere", start_revision=1)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(WatchLost, match="permission denied"):
                    await anext(watcher)


async def test_a_wrong_password_then_the_right_one(etcd_factory: Callable[..., EtcdServer], password: Path) -> None:
    """The file is read for each new token: a changed password needs no restart."""
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"app": "secret"}, PREFIX)
    password.write_text("wrong")
    async with app(server, password) as client:
        for call in (client.range(f"{PREFIX}k"), client.keep_alive(1)):
            with pytest.raises(Refused, match="authentication failed") as refused:
                await call
            assert "'app'" in refused.value.reason
            assert str(password) in refused.value.reason
        password.unlink()
        with pytest.raises(NotSent, match="cannot be read"):
            await client.range(f"{PREFIX}k")
        password.write_text("secret\r\n")
        await client.range(f"{PREFIX}k")
        assert client.connects == 1


async def test_auth_is_enabled_and_disabled_meanwhile(etcd_factory: Callable[..., EtcdServer], password: Path) -> None:
    """A client with a user works before, meanwhile and after; one without is refused while it is on."""
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    async with app(server, password) as client:
        await client.put(f"{PREFIX}k", b"")  # etcd knows no users: none is needed
        await asyncio.to_thread(server.enable_auth, {"app": "secret"}, PREFIX)
        await client.put(f"{PREFIX}k", b"")  # now it is
        await asyncio.to_thread(server.disable_auth)
        await client.put(f"{PREFIX}k", b"")
        await asyncio.to_thread(server.ctl.run, "auth", "enable")
        async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as nobody:
            with pytest.raises(Refused, match="demands a user name and a password"):
                await nobody.put(f"{PREFIX}k", b"")


async def test_a_password_that_changes_under_a_leader(etcd_factory: Callable[..., EtcdServer], password: Path) -> None:
    """A file with this password and the next one: etcd may have either, and no call is lost when it changes."""
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"app": "secret", "boss": "secret"}, PREFIX)
    server.ctl.run("user", "grant-role", "boss", "root")
    (bosses := password.with_name("boss")).write_text("secret")
    boss = AdminClient([server.url], clock=now, user="boss", password_file=bosses, timeout=PATIENCE)
    async with app(server, password) as client, boss:
        lease = (await client.grant(60)).lease
        password.write_text("secret\nthe-next\n")
        await client.keep_alive(lease)
        await boss.change_password("app", "the-next")
        await client.keep_alive(lease)
        await client.put(f"{PREFIX}k", b"1", lease=lease)
        password.write_text("the-next\n")
        await client.put(f"{PREFIX}k", b"2", lease=lease)
        assert client.connects == 1
    async with app(server, password) as later:
        assert (await later.range(f"{PREFIX}k")).kvs[0].value == b"2"
