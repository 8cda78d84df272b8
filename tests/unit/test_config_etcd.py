"""Settings of etcd, its certificates and its logins; and those of a name that Kubernetes uses, too."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from leasehold.settings.config import (
    EtcdConfig,
)
from tests.support.settings import LOCK, only_mistake, run

# --- variables that are no settings ---


def test_a_service_named_leasehold_breaks_nothing() -> None:
    """Kubernetes sets these in every pod of a namespace with such Services; the first looks like a setting."""
    injected = {
        "LEASEHOLD_PORT": "tcp://10.0.0.1:4040",
        "LEASEHOLD_SERVICE_HOST": "10.0.0.1",
        "LEASEHOLD_SERVICE_PORT": "4040",
        "LEASEHOLD_SERVICE_PORT_HTTP": "4040",
        "LEASEHOLD_PORT_4040_TCP": "tcp://10.0.0.1:4040",
        "LEASEHOLD_PORT_4040_TCP_PROTO": "tcp",
        "LEASEHOLD_PORT_4040_TCP_ADDR": "10.0.0.1",
        "LEASEHOLD_ETCD_SERVICE_HOST": "10.0.0.2",
        "LEASEHOLD_ETCD_PORT": "tcp://10.0.0.2:2379",
        "LEASEHOLD_ETCD_PORT_2379_TCP_PORT": "2379",
    }
    config = run(*LOCK, **injected)
    assert config.warnings == ()
    assert config.listen == run(*LOCK).listen
    assert config.etcd == run(*LOCK).etcd


def test_a_misspelt_variable_is_warned_of() -> None:
    (warning,) = run(*LOCK, LEASEHOLD_TTLS="5", LEASEHOLD_TOKEN="7", LEASEHOLD_OUTPUT="json").warnings
    assert warning == "LEASEHOLD_TTLS is no setting of leasehold and is ignored; LEASEHOLD_TTL may be meant."


# --- etcd ---


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority, two key pairs of it, and files that are none."""
    where = tmp_path_factory.mktemp("pems")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(where / "ca")
    for name in ("one", "two"):
        pair = authority.issue_cert("localhost")
        pair.cert_chain_pems[0].write_to_path(where / f"{name}.cert")
        pair.private_key_pem.write_to_path(where / f"{name}.key")
    (where / "empty").write_text("")
    (where / "password").write_text("secret\n")
    return where


def test_mutual_tls_and_a_login(pems: Path) -> None:
    etcd = run(
        *LOCK,
        *("--etcd", "https://a:2379", "--etcd-ca", f"{pems}/ca", "--etcd-cert", f"{pems}/one.cert"),
        *("--etcd-key", f"{pems}/one.key", "--etcd-user", "me", "--etcd-password-file", f"{pems}/password"),
    ).etcd
    assert etcd == EtcdConfig(
        ("https://a:2379",), pems / "ca", pems / "one.cert", pems / "one.key", "me", pems / "password"
    )


@pytest.mark.parametrize(
    ("arguments", "starts", "says"),
    [
        ("--etcd-ca {}/ca", "--etcd-ca", "it is for https"),
        ("--etcd https://a --etcd-cert {}/one.cert", "--etcd-cert", "give --etcd-key as well"),
        ("--etcd https://a --etcd-key {}/one.key", "--etcd-key", "give --etcd-cert as well"),
        ("--etcd https://a --etcd-cert {0}/one.cert --etcd-key {0}/two.key", "--etcd-cert", "another certificate"),
        ("--etcd https://a --etcd-cert {0}/empty --etcd-key {0}/two.key", "--etcd-cert", "do not hold a PEM"),
        ("--etcd https://a --etcd-ca {}/empty", "--etcd-ca", "holds no PEM certificate"),
        ("--etcd https://a --etcd-ca {}/missing", "--etcd-ca", "no such file"),
        ("--etcd https://a --etcd-ca {}", "--etcd-ca", "not a file"),
        ("--etcd-user me", "--etcd-user", "give --etcd-password-file as well"),
        ("--etcd-password-file {}/password", "--etcd-password-file", "give --etcd-user as well"),
        ("--etcd-user me --etcd-password-file {}/empty", "--etcd-password-file", "is empty"),
        ("--etcd-user me --etcd-password-file {}/missing", "--etcd-password-file", "no such file"),
    ],
)
def test_wrong_etcd_settings(pems: Path, arguments: str, starts: str, says: str) -> None:
    sentence = only_mistake(*(word.format(pems) for word in arguments.split()))
    assert sentence.startswith(f"{starts} is ")
    assert says in sentence


def test_an_encrypted_key_does_not_ask_for_its_passphrase(pems: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.load_pem_private_key((pems / "one.key").read_bytes(), None)
    locked = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    (tmp_path / "key").write_bytes(locked)
    sentence = only_mistake("--etcd=https://a", f"--etcd-cert={pems}/one.cert", f"--etcd-key={tmp_path}/key")
    assert "is encrypted" in sentence


def test_a_relation_to_a_mistaken_value_is_not_told_too(pems: Path) -> None:
    """`--etcd htps://a --etcd-ca F`: the scheme is the mistake, F is not."""
    assert only_mistake("--etcd", "htps://a", "--etcd-ca", f"{pems}/ca").startswith("--etcd is ")
