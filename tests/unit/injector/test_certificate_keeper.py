"""What is served, while what comes in files or in the Secret is not always right."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from leasehold.injector.certificate import Pair, make
from leasehold.injector.certificate_keeper import CertificateReader, Served
from leasehold.injector.metrics import InjectorMetrics
from tests.unit.injector.handshakes import HOST, believes

LIFETIME = timedelta(days=90)


def made() -> Pair:
    return make(HOST, datetime.now(UTC), LIFETIME)


def served() -> Served:
    return Served(InjectorMetrics(CollectorRegistry()))


def test_a_key_that_is_anothers_leaves_what_was_served() -> None:
    serving, first, second = served(), made(), made()
    serving.serve(first)
    with pytest.raises(ssl.SSLError):
        serving.serve(Pair(second.chain, first.key))
    assert believes(first.authority, serving.context)
    serving.serve(second)
    assert believes(second.authority, serving.context)


async def test_a_half_replaced_pair_is_not_taken_up(tmp_path: Path) -> None:
    """The certificate is replaced first, its key later: both are served together or not at all."""
    first, second = made(), made()
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(first.chain)
    key.write_bytes(first.key)
    serving = served()
    reader = CertificateReader(serving, certificate, key)
    await reader.refresh()
    certificate.write_bytes(second.chain)
    with pytest.raises(ssl.SSLError):
        await reader.refresh()
    assert believes(first.authority, serving.context)
    key.write_bytes(second.key)
    await reader.refresh()
    assert believes(second.authority, serving.context)
