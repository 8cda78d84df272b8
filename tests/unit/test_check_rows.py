"""What facts about etcd and locks mean: each flaw is one row, with its cure."""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leasehold.check import etcd_rows, rows
from leasehold.check.certificates import end_of_der, end_of_pem
from leasehold.check.etcd_facts import EtcdFacts, Member, Probe
from leasehold.check.rows import Level, Row
from leasehold.etcd.model import ListedMember
from tests.servers import CertificateAuthority
from tests.support.documentation import page_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SOUND = Member("http://one:2379", version="3.7.3", id=1, cluster=9, leader=1, size=1, quota=100, read_seconds=0.001)
LISTED = (ListedMember(1, "one", ("http://one:2379",), is_learner=False),)


def troubles(*members: Member, **facts: Any) -> dict[str, Level]:
    found = etcd_rows.rows_of(EtcdFacts(members, **{"listed": LISTED, **facts}), NOW)
    assert all(row.cure for row in found if row.level in (Level.WARNING, Level.FAILED))
    return {row.check: row.level for row in found if row.level is not Level.OK}


@pytest.mark.parametrize(
    ("flaw", "check", "level"),
    [
        ({"failure": "no connection"}, "etcd-member", Level.FAILED),
        ({"version": "3.5.12"}, "etcd-version", Level.WARNING),
        ({"version": "3.8.0"}, "etcd-version", Level.WARNING),
        ({"is_learner": True}, "etcd-learner", Level.FAILED),
        ({"leader": 0}, "etcd-leader", Level.FAILED),
        ({"alarms": ("memberID:1 alarm:NOSPACE ",)}, "etcd-alarms", Level.FAILED),
        ({"alarms": ("memberID:1 alarm:CORRUPT ",)}, "etcd-alarms", Level.FAILED),
        ({"alarms": ("something new",)}, "etcd-alarms", Level.WARNING),
        ({"size": 80}, "etcd-space", Level.WARNING),
        ({"quota": 0, "size": 2 * 1024**3}, "etcd-space", Level.WARNING),
        ({"read_seconds": 0.1}, "etcd-latency", Level.WARNING),
        ({"read_seconds": 1.0}, "etcd-latency", Level.FAILED),
        ({"read_seconds": None}, "etcd-latency", Level.FAILED),
        ({"probe": Probe(NOW + timedelta(seconds=9), NOW)}, "etcd-clock", Level.WARNING),
        ({"probe": Probe(certificate_end=NOW)}, "etcd-certificate", Level.FAILED),
        ({"probe": Probe(certificate_end=NOW + timedelta(days=13))}, "etcd-certificate", Level.WARNING),
    ],
)
def test_flaw_of_a_member(flaw: dict[str, Any], check: str, level: Level) -> None:
    assert troubles(SOUND) == {}
    assert troubles(replace(SOUND, **flaw)) == {check: level}


def test_flaws_of_the_cluster() -> None:
    """Endpoints of two clusters; a member that is not named; one that does not answer; one that may be silent."""
    other = ListedMember(2, "two", ("http://two:2379",), is_learner=False)
    assert troubles(SOUND, replace(SOUND, id=2, cluster=8)) == {"etcd-members": Level.FAILED}
    assert troubles(SOUND, listed=(*LISTED, other)) == {"etcd-members": Level.WARNING}
    assert troubles(SOUND, listed=(*LISTED, replace(other, is_learner=True))) == {}
    assert troubles(SOUND, listed=None) == {"etcd-members": Level.UNKNOWN}
    assert troubles(SOUND, client_certificate="no such file") == {"client-certificate": Level.UNKNOWN}


def test_every_check_is_documented() -> None:
    """The page names each check, and no others."""
    page = page_of("check")
    told = {
        name for row in re.findall(r"^\| (`[a-z-]+`.*?) \|", page, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    }
    folder = Path(rows.__file__).parent
    calls = re.compile(r"(?:Row|unasked|certificate_row)\(\s*[A-Z]+,\s*\"([a-z-]+)\"")
    assert told == {name for path in folder.glob("*_rows.py") for name in calls.findall(path.read_text())}


def test_end_of_a_certificate(certs: CertificateAuthority) -> None:
    """To the second, of both forms of time, whatever the certificate has besides."""
    for end in (NOW, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2055, 5, 5, 5, 5, 5, tzinfo=UTC)):
        text = Path(certs.server("one", not_after=end).cert).read_text()
        assert end_of_pem(f"bag attributes\n{text}") == end
        assert end_of_der(ssl.PEM_cert_to_DER_cert(text.strip())) == end


@pytest.mark.parametrize("data", [b"", b"0", b"0\x80", b"0\x03abc", b"\x30\x84\xff\xff\xff\xff", b"hello, world"])
def test_no_certificate(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an X"):
        end_of_der(data)
    with pytest.raises(ValueError, match="no PEM certificate"):
        end_of_pem(data.decode("latin-1"))


def test_what_nobody_could_ask_is_no_success() -> None:
    """Warnings alone are; and nothing in a row can move the cursor."""
    well, warning = Row("a", "b", Level.OK, "x"), Row("a", "b", Level.WARNING, "x", "y")
    assert rows.exit_code([well, warning]) == 0
    assert rows.exit_code([well, rows.unasked("a", "b", "no answer")]) == 1
    assert "\x1b" not in rows.as_text([Row("a", "b", Level.FAILED, "\x1b[2J", "\x1b[2J", "\x1b[2J")])
    assert rows.as_text([well]).endswith("All is well.\n")


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("the operator last wrote its canary 61 s ago", "the operator last wrote its canary 63 s ago", True),
        ("it asks again in 148.5 s", "it asks again in 9 s", True),
        ("the store is 1.9 GiB of 2 GiB", "the store is 2 GiB of 2 GiB", True),
        ("2 pods are not in the queue", "3 pods are not in the queue", False),
        ("held by a", "held by b", False),
    ],
)
def test_a_figure_that_goes_on_is_no_change(before: str, after: str, same: bool) -> None:
    """Else `--watch` would print everything again each time, as long as it lasts."""
    one, other = ([Row("s", "c", Level.FAILED, found, "cure")] for found in (before, after))
    assert (rows.key(one) == rows.key(other)) == same
