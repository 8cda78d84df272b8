"""The URLs of endpoints, and which of their addresses is tried when."""

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.threads.resolver import Address
from leasehold.etcd.endpoints import (
    LONGEST_PAUSE_SECONDS,
    LONGEST_UNFIT_PAUSE_SECONDS,
    Endpoint,
    Target,
    parse_endpoints,
)
from leasehold.etcd.errors import BadSetting


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:2379", Endpoint("http://127.0.0.1:2379", "127.0.0.1", 2379)),
        ("http://127.0.0.1:2379/", Endpoint("http://127.0.0.1:2379", "127.0.0.1", 2379)),
        ("http://etcd-0.etcd:2379", Endpoint("http://etcd-0.etcd:2379", "etcd-0.etcd", 2379)),
        ("https://[::1]:2379", Endpoint("https://[::1]:2379", "::1", 2379, tls=True)),
        ("unix:///run/etcd.sock", Endpoint("unix:///run/etcd.sock", path="/run/etcd.sock")),
        ("unix:/run/etcd.sock", Endpoint("unix:/run/etcd.sock", path="/run/etcd.sock")),
    ],
)
def test_a_url_that_can_work(url: str, expected: Endpoint) -> None:
    assert parse_endpoints([url]) == (expected,)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "scheme://host:port"),
        ("http://", "scheme://host:port"),
        ("http://:2379", "scheme://host:port"),
        ("etcd", "scheme://host:port"),
        ("etcd:2379", "scheme://host:port"),
        ("http://etcd", "scheme://host:port"),
        ("http://etcd:0", "scheme://host:port"),
        ("ftp://etcd:2379", "scheme://host:port"),
        ("unix://run/etcd.sock", "scheme://host:port"),
        ("http://etcd:70000", "not a URL"),
        ("http://etcd:text", "not a URL"),
        ("http://[::1:2379", "not a URL"),
    ],
)
def test_a_url_that_cannot_work_is_named_with_its_fault(url: str, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        parse_endpoints([url])


def test_no_endpoint_at_all() -> None:
    with pytest.raises(BadSetting, match="no etcd endpoint"):
        parse_endpoints([])


@given(st.text())
def test_no_text_does_worse_than_one_sentence(text: str) -> None:
    with contextlib.suppress(BadSetting):
        (endpoint,) = parse_endpoints([text])
        assert endpoint.path or (endpoint.host and 0 < endpoint.port < 65536)


LOCAL = Address("127.0.0.1", socket.AF_INET)
OTHER = Address("::1", socket.AF_INET6)


async def test_pauses_grow_with_each_failure() -> None:
    """A fresh address is ready at once; an answer makes the pauses short again."""
    target = Target(Endpoint("http://127.0.0.1:1", "127.0.0.1", 1))
    assert target.ready_at() == 0
    pauses = []
    for _ in range(20):
        target.failed(LOCAL, 100.0)
        pauses.append(target.ready_at() - 100.0)
    assert 0 < pauses[0] < pauses[1] < pauses[2]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_SECONDS
    target.answered(LOCAL)
    assert target.ready_at() == 0


async def test_an_unfit_member_is_paused_for_longer() -> None:
    """Answers in between change nothing, as of keep-alives under the CORRUPT alarm; two long pauses without it do."""
    target = Target(Endpoint("http://127.0.0.1:1", "127.0.0.1", 1))
    now, pauses = 100.0, []
    for _ in range(12):
        target.unfit(LOCAL, now)
        pauses.append(target.ready_at() - now)
        now = target.ready_at()
        target.answered(LOCAL)
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[-1] == LONGEST_UNFIT_PAUSE_SECONDS
    target.unfit(LOCAL, now + 3 * LONGEST_UNFIT_PAUSE_SECONDS)
    assert target.ready_at() - now - 3 * LONGEST_UNFIT_PAUSE_SECONDS == pytest.approx(pauses[0])


async def test_a_host_is_ready_while_one_address_is() -> None:
    """A name that stands for several members must not keep us at the frozen one."""
    target = Target(Endpoint("http://localhost:1", "localhost", 1))
    target._known = {LOCAL: target._lookup.__class__(), OTHER: target._lookup.__class__()}
    target.failed(LOCAL, 100.0)
    assert target.ready_at() == 0
    target.failed(OTHER, 100.0)
    assert target.ready_at() > 100.0


async def test_the_address_that_failed_last_comes_last() -> None:
    target = Target(Endpoint("http://localhost:1", "localhost", 1))
    first, *_ = await target.addresses()
    target.failed(first, 100.0)
    addresses = await target.addresses()
    assert addresses[-1] == first


async def test_an_impossible_name_pauses_the_endpoint() -> None:
    target = Target(Endpoint("", "a" * 64, 1))  # longer than a label may be: no resolver needs to be asked
    with pytest.raises(UnicodeError):
        await target.addresses()
    target.failed(None, 100.0)
    assert target.ready_at() > 100.0
