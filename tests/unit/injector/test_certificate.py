"""The certificates over time: years of steps, in which no API server ever meets one that it does not believe."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from leasehold.injector.certificate import SETTLE_SECONDS, Kept, make, step
from tests.unit.injector.handshakes import HOST, believes

START = datetime(2030, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(days=90)


def test_a_first_one_is_made_and_then_nothing_is_to_be_done() -> None:
    kept = step(Kept(), b"", HOST, START, LIFETIME)
    assert kept.serving is not None
    assert kept.serving.authority == kept.authorities
    assert step(kept, kept.authorities, HOST, START + timedelta(days=1), LIFETIME) == kept


def test_the_next_one_is_served_once_settled() -> None:
    """The next certificate is served once its authority is trusted and the settling time has passed."""
    kept = first = step(Kept(), b"", HOST, START, LIFETIME)
    due = START + timedelta(days=60, seconds=1)
    assert step(first, first.authorities, HOST, due - timedelta(seconds=2), LIFETIME) == first
    kept = step(first, first.authorities, HOST, due, LIFETIME)
    assert kept.following is not None
    assert kept.serving == first.serving
    later = due + timedelta(seconds=SETTLE_SECONDS + 1)
    assert step(kept, first.authorities, HOST, later, LIFETIME) == kept, "nobody believes it yet"
    assert step(kept, kept.authorities, HOST, due + timedelta(seconds=1), LIFETIME) == kept, "not settled yet"
    served = step(kept, kept.authorities, HOST, later, LIFETIME)
    assert served.serving == kept.following
    assert served.following is None
    assert served.authorities == kept.authorities, "replicas that serve the old one are still believed"


def test_an_expired_one_is_replaced_at_once() -> None:
    """An expired certificate does not wait for the settling time, only until the next one is trusted."""
    first = step(Kept(), b"", HOST, START, LIFETIME)
    late = START + LIFETIME + timedelta(days=1)
    kept = step(first, first.authorities, HOST, late, LIFETIME)
    served = step(kept, kept.authorities, HOST, late, LIFETIME)
    assert served.serving == kept.following


def test_always_valid_and_trusted_over_years() -> None:
    """Every certificate served is valid and trusted, and few authorities are kept.

    A replica that looks late serves what was there before: that must be believed, too.
    """
    kept, believed, now = step(Kept(), b"", HOST, START, LIFETIME), b"", START
    before = kept
    for _ in range(400):
        now += timedelta(days=2)
        for _ in range(3):  # three looks, a settling time apart
            before, kept = kept, step(kept, believed, HOST, now, LIFETIME)
            believed = kept.authorities
            now += timedelta(seconds=SETTLE_SECONDS + 1)
            for each in (before, kept):
                assert each.serving is not None
                assert each.serving.expires > now
                assert each.serving.authority in believed
            assert believed.count(b"BEGIN CERTIFICATE") <= 3


def test_it_survives_the_way_through_a_secret() -> None:
    kept = step(Kept(), b"", HOST, START, LIFETIME)
    kept = step(kept, kept.authorities, HOST, START + timedelta(days=70), LIFETIME)
    assert Kept.read(kept.data(), HOST) == kept


@pytest.mark.parametrize("spoilt", ["tls.crt", "tls.key"])
@pytest.mark.parametrize(
    "by", [b"nonsense", b"", b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"]
)
def test_a_spoilt_secret_counts_as_empty(spoilt: str, by: bytes) -> None:
    data = step(Kept(), b"", HOST, START, LIFETIME).data()
    assert Kept.read({**data, spoilt: by}, HOST) == Kept()
    assert Kept.read(data, "another.host.svc") == Kept()


def test_a_key_of_another_certificate_counts_as_missing() -> None:
    """Neither served nor, as the next one, promoted."""
    kept, other = step(Kept(), b"", HOST, START, LIFETIME), make(HOST, START, LIFETIME)
    assert Kept.read({**kept.data(), "tls.key": other.key}, HOST) == Kept()
    renewing = step(kept, kept.authorities, HOST, START + timedelta(days=61), LIFETIME)
    spoilt = Kept.read({**renewing.data(), "next.key": other.key}, HOST)
    assert (spoilt.serving, spoilt.following) == (kept.serving, None)


@pytest.mark.parametrize("later", [timedelta(days=-400), timedelta(days=400)], ids=["of the future", "expired"])
def test_an_invalid_next_one_is_never_served(later: timedelta) -> None:
    """If the next certificate is no longer valid, another one takes its place."""
    kept = step(Kept(), b"", HOST, START, LIFETIME)
    kept = step(kept, kept.authorities, HOST, START + timedelta(days=61), LIFETIME)
    now = START + later
    for _ in range(2):
        kept = step(kept, kept.authorities, HOST, now, LIFETIME)
        assert kept.following is None or kept.following.valid(now)
    assert kept.serving is not None
    assert kept.serving.valid(now)


@pytest.mark.parametrize("spoil", [bytes.strip, lambda pem: pem.replace(b"\n", b"\r\n")], ids=["no end", "CRLF"])
def test_foreign_authorities_stay_readable(spoil: Callable[[bytes], bytes]) -> None:
    """Authorities that somebody else wrote stay in a bundle that OpenSSL can read."""
    lost = make(HOST, START, LIFETIME)
    kept = step(Kept(), spoil(lost.authority), HOST, START, LIFETIME)
    assert len(x509.load_pem_x509_certificates(kept.authorities)) == 2
    ssl.create_default_context(cadata=kept.authorities.decode())


def test_an_authority_that_nobody_can_read_is_dropped() -> None:
    kept = step(Kept(), b"", HOST, START, LIFETIME)
    nonsense = b"-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n"
    spoilt = Kept(kept.serving, None, nonsense + kept.authorities)
    assert step(spoilt, spoilt.authorities, HOST, START, LIFETIME) == kept


def test_a_lost_secret_keeps_old_authorities() -> None:
    """Other replicas may still serve a certificate of the old authority, so it stays trusted."""
    lost = step(Kept(), b"", HOST, START, LIFETIME)
    kept = step(Kept(), lost.authorities, HOST, START + timedelta(days=1), LIFETIME)
    assert kept.authorities.startswith(lost.authorities)
    assert kept.authorities.count(b"BEGIN CERTIFICATE") == 2


def test_a_certificate_of_the_future_is_replaced() -> None:
    """It was made by a clock that was ahead."""
    kept = step(Kept(), b"", HOST, START + timedelta(days=400), LIFETIME)
    kept = step(kept, kept.authorities, HOST, START, LIFETIME)
    kept = step(kept, kept.authorities, HOST, START, LIFETIME)
    assert kept.serving is not None
    assert kept.serving.valid(START)


def test_trust_in_the_authority_is_enough(tmp_path: Path) -> None:
    """By OpenSSL, as strictly as it goes."""
    pair = make(HOST, datetime.now(UTC), LIFETIME)
    (tmp_path / "chain").write_bytes(pair.chain)
    (tmp_path / "key").write_bytes(pair.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    assert believes(pair.authority, server)
    assert not believes(make(HOST, datetime.now(UTC), LIFETIME).authority, server)
