"""Files that cannot work are named, each with one sentence, before anything is connected."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import BadSetting
from leasehold.etcd.tls import TLSFiles

URL = "https://127.0.0.1:1"


@dataclass(frozen=True)
class Files:
    ca: Path
    cert: Path
    key: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    made = Files(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    authority.cert_pem.write_to_path(str(made.ca))
    issued.cert_chain_pems[0].write_to_path(str(made.cert))
    issued.private_key_pem.write_to_path(str(made.key))
    return made


def client(tls: TLSFiles) -> EtcdClient:
    return EtcdClient([URL], clock=now, tls=tls)


def test_good_files(files: Files) -> None:
    client(TLSFiles(files.ca, files.cert, files.key))
    client(TLSFiles(ca=files.ca))
    client(TLSFiles())


def test_certificate_and_key_in_one_file(files: Files) -> None:
    files.cert.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    client(TLSFiles(ca=files.ca, cert=files.cert))


@pytest.mark.parametrize("which", ["ca", "cert", "key"])
def test_a_missing_file(files: Files, which: str) -> None:
    path: Path = getattr(files, which)
    path.unlink()
    with pytest.raises(BadSetting, match=rf"{path} cannot be read: No such file"):
        client(TLSFiles(files.ca, files.cert, files.key))


@pytest.mark.parametrize("which", ["ca", "cert", "key"])
@pytest.mark.parametrize("content", [b"", b"not PEM\n", b"\xff\0"])
def test_a_file_with_something_else_in_it(files: Files, which: str, content: bytes) -> None:
    path: Path = getattr(files, which)
    path.write_bytes(content)
    with pytest.raises(BadSetting, match=f"{path}.*PEM"):
        client(TLSFiles(files.ca, files.cert, files.key))


def test_a_directory_instead_of_a_file(files: Files, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=f"{tmp_path} cannot be read: Is a directory"):
        client(TLSFiles(ca=files.ca, cert=tmp_path, key=files.key))


def test_a_key_of_another_certificate(files: Files) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(files.key))
    with pytest.raises(BadSetting, match=r"key\.pem belongs to another certificate than .*cert\.pem"):
        client(TLSFiles(files.ca, files.cert, files.key))


def test_a_key_with_a_password_asks_nobody_for_it(files: Files) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    secret = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    with pytest.raises(BadSetting, match="is encrypted"):
        client(TLSFiles(files.ca, files.cert, files.key))


def test_a_key_without_its_certificate(files: Files) -> None:
    with pytest.raises(BadSetting, match="give both, or neither"):
        client(TLSFiles(ca=files.ca, key=files.key))


def test_user_and_password_file_belong_together(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    EtcdClient(["http://a:1"], clock=now, user="u", password_file=password)
    with pytest.raises(BadSetting, match="no password file"):
        EtcdClient(["http://a:1"], clock=now, user="u")
    with pytest.raises(BadSetting, match="without a user name"):
        EtcdClient(["http://a:1"], clock=now, password_file=password)


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff", "UTF-8")])
def test_a_password_file_without_a_password(tmp_path: Path, content: bytes, words: str) -> None:
    password = tmp_path / "password"
    password.write_bytes(content)
    with pytest.raises(BadSetting, match=f"{password}.*{words}"):
        EtcdClient(["http://a:1"], clock=now, user="u", password_file=password)


def test_a_missing_password_file(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read: No such file"):
        EtcdClient(["http://a:1"], clock=now, user="u", password_file=tmp_path / "password")
