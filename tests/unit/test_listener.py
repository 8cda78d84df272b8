"""Sockets: bound where asked, refused in a sentence that names the mend, and taken away at the end."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from leasehold.base.address import Address, UnixAddress, is_loopback
from leasehold.http.acceptor import RETRY_SECONDS
from leasehold.http.listener import Listener, ListenError, listen, within_descriptors
from leasehold.http.server import App, answer
from tests.support.http_client import ask, connected


def app() -> App:
    made = App()

    async def hello(request: object) -> object:
        return answer({"hello": "world"})

    made.get("/", hello)  # type: ignore[arg-type]  # needs nothing of the request
    return made


@asynccontextmanager
async def listening(address: Address | UnixAddress) -> AsyncIterator[Listener]:
    listener = await listen(app(), address)
    try:
        yield listener
    finally:
        await listener.close()


async def test_a_port_of_0_becomes_a_real_one() -> None:
    async with listening(Address("127.0.0.1", 0)) as listener:
        assert listener.port > 0
        assert str(listener.address) == f"127.0.0.1:{listener.port}"
        assert (await ask(listener, "GET", "/")).status == 200


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Nothing can be opened here until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    held: list[int] = []
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_clients_wait(caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for all tries, and who waits is answered once there are descriptors again."""
    clients = [socket.socket() for _ in range(20)]
    async with listening(Address("127.0.0.1", 0)) as listener:
        with no_descriptors_left():
            for client in clients:
                client.connect(("127.0.0.1", listener.port))
            await asyncio.sleep(2.5 * RETRY_SECONDS)
        assert [record.getMessage() for record in caplog.records] == [
            "connections cannot be accepted: Too many open files; trying again"
        ]
        loop = asyncio.get_running_loop()
        for client in clients:
            client.setblocking(False)
            await loop.sock_sendall(client, b"GET / HTTP/1.0\r\n\r\n")
            assert b"200 OK" in await loop.sock_recv(client, 1000)
            client.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", ""])
async def test_every_address_is_of_ipv4_and_of_ipv6(host: str) -> None:
    async with listening(Address(host, 0)) as listener:
        for host in ("::1", "127.0.0.1"):
            listener.address = Address(host, listener.port)
            assert (await ask(listener, "GET", "/")).status == 200


async def test_every_address_of_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    async with listening(Address("", 0)) as listener:
        assert str(listener.address) == f":{listener.port}"
        listener.address = Address("127.0.0.1", listener.port)
        assert (await ask(listener, "GET", "/")).status == 200


async def test_a_port_in_use_is_said() -> None:
    async with listening(Address("127.0.0.1", 0)) as first:
        with pytest.raises(ListenError, match="the port is in use; choose another"):
            await listen(app(), Address("127.0.0.1", first.port))


async def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(ListenError, match="no such address; leave the host out"):
        await listen(app(), Address("192.0.2.1", 0))


async def test_a_host_that_cannot_be_is_said() -> None:
    with pytest.raises(ListenError, match="use HOST:PORT with an address of this machine"):
        await listen(app(), Address("no..host", 0))


async def test_a_unix_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    """The listener removes it at its end."""
    path = tmp_path / "control.sock"
    before = os.umask(0)
    try:
        async with listening(UnixAddress(path)) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert (await ask(listener, "GET", "/")).status == 200
            with pytest.raises(TypeError):
                _ = listener.port
    finally:
        os.umask(before)
    assert not path.exists()


CONNECT_AS_ANOTHER = """
import os, socket, sys
path, *groups = sys.argv[1:]
os.setgroups([int(group) for group in groups])
os.setresgid(65533, 65533, 65533)
os.setresuid(65533, 65533, 65533)
try:
    socket.socket(socket.AF_UNIX).connect(path)
except PermissionError:
    sys.exit(3)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_the_group_of_the_directory_may_connect() -> None:
    """Another user may use the socket with that group.

    As in a pod: the volume belongs to the `fsGroup`, which is a further group of every container.
    """
    with tempfile.TemporaryDirectory() as volume:
        os.chown(volume, 0, 54321)
        os.chmod(volume, 0o2775)
        path = Path(volume, "control.sock")
        async with listening(UnixAddress(path)):
            for groups, code in ((["54321"], 0), ([], 3)):
                argv = [sys.executable, "-c", CONNECT_AS_ANOTHER, str(path), *groups]
                process = await asyncio.create_subprocess_exec(*argv)
                assert await process.wait() == code


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(UnixAddress(path)) as listener:
        assert (await ask(listener, "GET", "/")).status == 200


async def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(UnixAddress(path)) as first:
        with pytest.raises(ListenError, match="another process listens there"):
            await listen(app(), UnixAddress(path))
        assert (await ask(first, "GET", "/")).status == 200


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ListenError, match="not a socket"):
        await listen(app(), UnixAddress(path))
    assert path.read_text() == "mine"


async def test_another_ones_socket_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listener = await listen(app(), UnixAddress(path))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(str(path))
        await listener.close()
        assert path.exists()


@pytest.mark.parametrize("name", ["missing/control.sock", "x" * 120])
async def test_a_path_that_cannot_be_used_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ListenError, match="use a path in a writable directory"):
        await listen(app(), UnixAddress(tmp_path / name))


async def test_a_closed_listener_closes_its_connections() -> None:
    listener = await listen(app(), Address("127.0.0.1", 0))
    async with connected(listener) as client:
        await client.ask("GET", "/")
        await listener.close()
        await client.ended()
        with pytest.raises(ConnectionRefusedError):
            await ask(listener, "GET", "/")


@pytest.mark.parametrize(("soft", "allowed"), [(resource.RLIM_INFINITY, 256), (1024, 256), (512, 256), (64, 32)])
def test_half_of_the_descriptors_are_left_free(soft: int, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of connections takes at most half of the process's file descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, resource.RLIM_INFINITY))
    assert within_descriptors(256) == allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "Localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil", "", "::ffff:10.0.0.1", "example.org"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
