"""TLS towards a real etcd: mutual, by common name, rotated; and every mistake told in one clear sentence."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, Refused
from leasehold.etcd.tls import TLSFiles
from tests.servers import PATIENCE, Certificate, CertificateAuthority, EtcdServer
from tests.support.etcd_keys import delete


def files(certificate: Certificate) -> TLSFiles:
    return TLSFiles(certificate.ca, certificate.cert, certificate.key)


def client_of(url: str, tls: TLSFiles | None = None) -> EtcdClient:
    return EtcdClient([url], clock=now, tls=tls, timeout=PATIENCE)


async def why_not(url: str, tls: TLSFiles | None = None) -> str:
    """The sentence that a client gives for not reaching etcd; nothing was sent."""
    async with client_of(url, tls) as client:
        with pytest.raises(NotSent) as caught:
            await client.status()
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("version", ["3.7", "3.5", "3.4"])
async def test_mutual_tls(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, version: str, root: str
) -> None:
    """A certificate with a common name, too: etcd's JSON gateway refuses those, gRPC does not."""
    server = etcd_factory(version, authority=certs, mutual=True)
    async with client_of(server.url, files(certs.client("app"))) as client:
        lease = (await client.grant(60)).lease
        await client.put(root, b"", lease=lease)
        assert (await client.keep_alive(lease)).ttl == 60
        async with client.watch() as watcher:
            await watcher.add(root, start_revision=(await client.range(root)).origin.revision + 1)
            await delete(client, root)
            async with asyncio.timeout(PATIENCE):
                assert (await anext(watcher)).events[0].deleted
        # Go's TLS listener allows 250 streams at once: the others must wait their turn, not fail.
        await asyncio.gather(*(client.put(f"{root}/{n}", b"") for n in range(400)))
        assert client.connects == 1


async def test_the_common_name_is_the_user(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority
) -> None:
    server = etcd_factory(authority=certs, mutual=True)
    server.enable_auth({"app": "unused"}, "/leasehold/")
    async with client_of(server.url, files(certs.client("app"))) as client:
        await client.put("/leasehold/x", b"")
        with pytest.raises(Refused, match="permission denied"):
            await client.put("/elsewhere", b"")
    async with client_of(server.url, files(certs.client("nobody"))) as client:
        with pytest.raises(Refused):
            await client.put("/leasehold/x", b"")


async def test_each_host_must_be_in_the_certificate(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority
) -> None:
    """An address that the server's certificate does not name is refused."""
    server = etcd_factory(authority=certs)
    tls = TLSFiles(ca=certs.path)
    for host in ("127.0.0.1", "localhost"):
        async with client_of(f"https://{host}:{server.port}", tls) as client:
            assert (await client.status()).leader
    server.stop()
    server.flags += [f"--listen-client-urls=https://127.0.0.2:{server.port}"]
    server.start()
    reason = await why_not(f"https://127.0.0.2:{server.port}", tls)
    assert "its certificate was not accepted: IP address mismatch" in reason


async def test_a_fully_qualified_name_may_end_in_a_dot(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As spares a cluster's resolver its search list. The dot is for the resolver alone: no certificate has it."""
    look_up, asked = socket.getaddrinfo, list[str]()

    def noting(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return look_up(host.rstrip("."), *args, **options)  # not every resolver knows `localhost` with a dot

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    server = etcd_factory(authority=certs)
    async with client_of(f"https://localhost.:{server.port}", TLSFiles(ca=certs.path)) as client:
        assert (await client.status()).leader
    assert "localhost." in asked


async def test_the_next_connection_reads_the_files_again(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, root: str
) -> None:
    """The one that stands goes on, even past its certificate's end; the next reads the files again."""
    server = etcd_factory(authority=certs, mutual=True)
    soon = datetime.now(UTC) + timedelta(seconds=8)
    short = certs.client("app", not_after=soon)
    async with client_of(server.url, files(short)) as client:
        await client.put(root, b"")
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 1)
        await client.put(root, b"")  # looked at when the connection was made, and never again
        assert client.connects == 1

        await asyncio.to_thread(server.restart)
        with pytest.raises(NotSent, match="did not accept our client certificate"):
            await until_answered(client)
        certs.client("app")
        await until_answered(client, retry_all=True)


async def until_answered(client: EtcdClient, *, retry_all: bool = False) -> None:
    """Call until an answer, or, unless `retry_all`, an error that says something of certificates."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.status()
                return
            except EtcdError as error:
                if not retry_all and "certificate" in error.reason:
                    raise


async def test_half_a_rotation_heals(etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority) -> None:
    """The new certificate is there, its key not yet: no connection, a sentence, and no need to restart."""
    server = etcd_factory(authority=certs, mutual=True)
    pair = certs.client("app")
    client = client_of(server.url, files(pair))
    old_key = pair.key.read_bytes()
    certs.client("app")
    new_key = pair.key.read_bytes()
    pair.key.write_bytes(old_key)
    with pytest.raises(NotSent, match="belongs to another certificate"):
        await client.status()
    pair.key.unlink()
    with pytest.raises(NotSent, match="cannot be read"):
        await client.status()
    pair.key.write_bytes(new_key)
    await until_answered(client, retry_all=True)
    await client.close()


async def test_no_client_certificate_where_one_is_demanded(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority
) -> None:
    server = etcd_factory(authority=certs, mutual=True)
    assert "demands a client certificate" in await why_not(server.url, TLSFiles(ca=certs.path))


async def test_a_client_certificate_of_another_authority(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, tmp_path: Path
) -> None:
    server = etcd_factory(authority=certs, mutual=True)
    stranger = CertificateAuthority(tmp_path / "other").client("app")
    reason = await why_not(server.url, TLSFiles(certs.path, stranger.cert, stranger.key))
    assert "did not accept our client certificate" in reason


async def test_the_issuing_authority_is_enough(etcd_factory: Callable[..., EtcdServer], tmp_path: Path) -> None:
    """As etcdctl has it: cert-manager writes the intermediate authority alone to ca.crt. The root is accepted, too."""
    parent = CertificateAuthority(tmp_path / "root")
    issuer = CertificateAuthority(tmp_path / "issuer", parent=parent)
    server = etcd_factory(authority=issuer)
    for authority in (issuer, parent):
        async with client_of(server.url, TLSFiles(ca=authority.path)) as client:
            await client.range("k")
    stranger = CertificateAuthority(tmp_path / "stranger", parent=parent)
    assert "its certificate was not accepted: " in await why_not(server.url, TLSFiles(ca=stranger.path))


async def test_a_server_of_another_authority(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, tmp_path: Path
) -> None:
    server = etcd_factory(authority=certs)
    other = CertificateAuthority(tmp_path / "other")
    assert "its certificate was not accepted: " in await why_not(server.url, TLSFiles(ca=other.path))
    assert "its certificate was not accepted: " in await why_not(server.url)  # by the system's authorities


@pytest.mark.parametrize("version", ["3.7", "3.5", "3.4"])
async def test_tls_against_plain_and_the_reverse(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, version: str
) -> None:
    plain, encrypted = etcd_factory(version), etcd_factory(version, authority=certs)
    reason = await why_not(f"https://127.0.0.1:{plain.port}", TLSFiles(ca=certs.path))
    assert "http:// endpoint" in reason
    reason = await why_not(f"http://127.0.0.1:{encrypted.port}")
    assert "https://" in reason


async def test_a_frozen_tls_server_is_left_in_time(
    etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority
) -> None:
    """It accepts connections, by its kernel, and never shakes hands; nor does it say goodbye when we leave."""
    frozen, alive = etcd_factory(authority=certs), etcd_factory(authority=certs)
    async with EtcdClient([frozen.url, alive.url], clock=now, tls=TLSFiles(ca=certs.path), timeout=10) as client:
        member = (await client.status()).origin.member
        frozen.pause()
        with pytest.raises(EtcdError, match="did not answer"):
            await client.status(timeout=0.5)
        assert (await client.status()).origin.member != member
    async with EtcdClient([frozen.url, alive.url], clock=now, tls=TLSFiles(ca=certs.path), timeout=10) as client:
        assert (await client.status()).origin.member != member
    frozen.resume()
