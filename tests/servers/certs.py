"""Throw-away certificates: an authority, and server and client certificates that can be issued anew in
place.
"""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

try:
    import trustme
except ModuleNotFoundError:  # by hand, in an environment that has no more than the demo
    raise SystemExit("This needs the packages of the extras: .venv/bin/pip install '.[test,operator]'") from None


@dataclass(frozen=True)
class Certificate:
    """The files of one certificate: its authority's certificate, its own chain, its private key."""

    ca: Path
    cert: Path
    key: Path


class CertificateAuthority:
    """An authority of its own; its files live in `directory`, or a temporary one."""

    def __init__(self, directory: Path | None = None, *, parent: "CertificateAuthority | None" = None) -> None:
        """With a `parent` it is an intermediate authority; `path` holds its own certificate alone."""
        self.directory = directory or Path(tempfile.mkdtemp(prefix="leasehold-ca-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self._ca: trustme.CA = parent._ca.create_child_ca() if parent else trustme.CA()
        self.path = self.directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.path))
        self.key = self.directory / "ca.key"
        self._ca.private_key_pem.write_to_path(str(self.key))

    def server(
        self, name: str = "server", *more: str, common_name: str | None = None, not_after: datetime | None = None
    ) -> Certificate:
        """A certificate for 127.0.0.1, ::1, localhost and `more` names and addresses. Issued anew under the same
        name, it replaces the files.
        """
        names = ("localhost", "127.0.0.1", "::1", *more)
        return self._issue(name, *names, common_name=common_name, not_after=not_after)

    def client(self, common_name: str = "client", *, name: str = "", not_after: datetime | None = None) -> Certificate:
        """A client's certificate with a common name; etcd takes that as the user when authentication is
        on. `name` is that of its files, else they are named as the user.
        """
        name = name or common_name
        return self._issue(name, f"{name}.test", common_name=common_name, not_after=not_after)

    def _issue(self, name: str, *identities: str, **options: Any) -> Certificate:
        issued = self._ca.issue_cert(*identities, **options)
        files = Certificate(self.path, self.directory / f"{name}.pem", self.directory / f"{name}.key")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        _replace(files.key, issued.private_key_pem.bytes())
        _replace(files.cert, chain)
        return files


def _replace(path: Path, content: bytes) -> None:
    """Replace atomically, as cert-manager and the kubelet do: a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.new")
    partial.write_bytes(content)
    partial.chmod(0o600)
    partial.rename(path)
