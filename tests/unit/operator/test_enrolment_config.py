"""The settings of the enrolment: all that is needed, or none, each mistake in a sentence."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from leasehold.operator.config import OperatorConfig, operator_config
from leasehold.operator.enrolment.authority import Authority
from leasehold.operator.enrolment.start import setup_of
from leasehold.settings.config import ConfigError
from tests.unit.operator.test_enrolment_authority import NOW, make

Files = dict[str, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An authority, and certificates of it."""
    ca, key = make(tmp_path / "ca")
    found = {"ca": ca, "ca-key": key, "kubeconfig": tmp_path / "kubeconfig", "password": tmp_path / "password"}
    for name in ("kubeconfig", "password"):
        found[name].write_text("x")
    authority = Authority.read(ca, key, NOW)
    for user in ("operator", "admin", "root"):
        issued = authority.issue(user if user == "root" else f"leasehold-{user}", NOW, timedelta(days=1))
        for part, content in (("", issued.chain), ("-key", issued.key)):
            found[user + part] = tmp_path / f"{user}{part}"
            found[user + part].write_bytes(content)
    return found


def read(files: Files, words: Sequence[str], etcd: str = "https://127.0.0.1:2379") -> OperatorConfig:
    """The settings; a word `flag=@NAME` takes that file."""
    own = ["--etcd-ca=@ca", "--etcd-cert=@operator", "--etcd-key=@operator-key"] if etcd.startswith("https") else []
    given = [f"--etcd={etcd}", "--kubeconfig=@kubeconfig", *own, *words]
    parts = [word.partition("=@") for word in given]
    return operator_config([f"{flag}={files[name]}" if name else flag for flag, _, name in parts], {})


CA = ("--enrol-ca-cert=@ca", "--enrol-ca-key=@ca-key")
ADMIN = ("--enrol-cert=@admin", "--enrol-key=@admin-key")
PASSWORD = ("--enrol-user=me", "--enrol-password-file=@password")


def test_none_by_default(files: Files) -> None:
    assert read(files, ()).enrolment is None


def test_own_etcd(files: Files) -> None:
    words = (*CA, *ADMIN, "--enrol-own-etcd", "--enrol-administrators=leasehold-etcd", "--enrol-shared-user=leasehold")
    config = read(files, words)
    assert config.enrolment is not None
    assert config.enrolment.days == 14
    setup = setup_of(config, config.enrolment, "uid")
    assert setup.administrators == ("leasehold-admin", "leasehold-etcd")
    assert (setup.operator, setup.shared, setup.own_etcd) == ("leasehold-operator", "leasehold", True)


def test_administrator_by_password(files: Files) -> None:
    """An etcd may ask for a certificate all the same: the operator's, which the user's token overrides."""
    config = read(files, (*CA, *PASSWORD))
    assert config.enrolment is not None
    assert (config.enrolment.etcd.user, config.enrolment.etcd.cert) == ("me", files["operator"])
    assert not setup_of(config, config.enrolment, "uid").own_etcd


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (ADMIN, "--enrol-cert is of no use without --enrol-ca-cert"),
        ((CA[0], *ADMIN), "--enrol-ca-cert needs --enrol-ca-key"),
        (CA, "needs an administrator of etcd: give --enrol-cert and --enrol-key, or"),
        ((*CA, ADMIN[0]), "needs an administrator of etcd"),
        ((*CA, *ADMIN, *PASSWORD), "needs an administrator of etcd"),
        ((*CA, *PASSWORD, "--enrol-own-etcd"), "--enrol-own-etcd needs --enrol-cert"),
        ((*CA, *ADMIN, "--enrol-days=400"), "use a whole number of days from 1 to 365"),
        ((*CA, *ADMIN, "--enrol-administrators=a,root"), "nobody may come as `root`"),
        ((*CA, *ADMIN, "--enrol-shared-user=root"), "nobody may come as `root`"),
        ((*CA, *ADMIN, "--enrol-shared-user=a,b"), "use the name of one etcd user"),
        ((*CA, *ADMIN, "--enrol-secret=My_Secret"), "use the name of a Secret"),
    ],
)
def test_mistakes(files: Files, words: Sequence[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(files, words)
    assert len(caught.value.mistakes) == 1, caught.value.mistakes
    assert sentence in caught.value.mistakes[0]


def test_etcd_without_tls(files: Files) -> None:
    """There a certificate tells etcd nothing."""
    with pytest.raises(ConfigError, match="is for an etcd with TLS"):
        read(files, (*CA, *ADMIN), etcd="http://127.0.0.1:2379")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--enrol-cert=@operator", "--enrol-key=@operator-key"), "must differ: give each a certificate of its own"),
        (("--enrol-cert=@root", "--enrol-key=@root-key"), "the common name 'root': use another one"),
    ],
)
def test_mistakes_in_certificates(files: Files, words: Sequence[str], sentence: str) -> None:
    config = read(files, (*CA, *words, "--enrol-own-etcd"))
    assert config.enrolment is not None
    with pytest.raises(ConfigError, match=sentence):
        setup_of(config, config.enrolment, "")
