"""Keeps the served certificate up to date: the one that the replicas share, or one that comes in files.

After a failure the next check tries again; until then the previous certificate is served.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from leasehold.base.logs import RepeatedFailureLog
from leasehold.injector.certificate import Kept, Pair, step
from leasehold.injector.config import OwnCertificate
from leasehold.injector.metrics import InjectorMetrics
from leasehold.kube.call import Body, KubeError, KubeFailure

_log = logging.getLogger("leasehold.injector.certificate_keeper")

CHECK_INTERVAL_SECONDS: Final = 3.0
"""Between two checks, and so until a replica serves a certificate that another one made."""
_CONFLICT: Final = 409


class Calls(Protocol):
    """The calls to the API server, as KubeCall has them. All raise KubeFailure."""

    @property
    def server_time(self) -> datetime | None:
        """The time by its clock, in its last answer."""

    async def get(self, path: str, **query: str) -> Body:
        """GET."""

    async def merge(self, path: str, body: Mapping[str, Any]) -> Body:
        """PATCH with a JSON merge patch."""

    async def replace(self, path: str, uid: str, parts: Mapping[str, Any]) -> Body:
        """PATCH with a JSON patch of the object with this UID."""


class Served:
    """The TLS context for new connections, and the certificate in it."""

    def __init__(self, metrics: InjectorMetrics) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._metrics = metrics
        self.pair: Pair | None = None
        """The certificate in use; None at first."""

    def serve(self, pair: Pair, *, renewed_here: bool = True) -> None:
        """Use this certificate for new connections.

        Raises ValueError or OSError if it is unusable; the previous one then stays in use.
        """
        if pair == self.pair:
            return
        # The ssl module reads files only, and a private key must not reach a disk.
        with tempfile.TemporaryDirectory(dir=_memory()) as place:
            chain_file, key_file = Path(place, "chain"), Path(place, "key")
            chain_file.write_bytes(pair.chain)
            key_file.touch(mode=0o600)
            key_file.write_bytes(pair.key)
            # OpenSSL takes the certificate before it finds that the key does not match, and is then left with neither:
            # so the pair is tried on another context first.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain_file, key_file)
            self.context.load_cert_chain(chain_file, key_file)
        self.pair = pair
        renewal = pair.renewal.timestamp() if renewed_here else 0.0  # when others renew is theirs to say
        self._metrics.serves(renewal, pair.expires.timestamp())
        _log.info("serving with a certificate", extra={"fields": {"expires": pair.expires.isoformat()}})


def _memory() -> str | None:
    """A directory in memory; None if there is none."""
    return next((place for place in ("/dev/shm",) if Path(place).is_dir()), None)


class CertificateRotator:
    """Renews the Secret that all replicas share, and the CAs in the webhook's configuration."""

    def __init__(self, kube: Calls, served: Served, wanted: OwnCertificate) -> None:
        self._kube = kube
        self._served = served
        self._host = wanted.host
        self._secret = f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.secret}"
        self._configuration = (
            f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{wanted.configuration}"
        )
        self._lifetime = timedelta(days=wanted.days)
        self.ready = False
        """Whether the API server trusts the served certificate, as of the last check."""

    async def refresh(self) -> None:
        """Do the next step of a rotation, if one is due. Raises KubeFailure, with 409 if another replica was faster."""
        secret, configuration = await self._kube.get(self._secret), await self._kube.get(self._configuration)
        kept = Kept.read(_decoded(secret.get("data") or {}), self._host)
        trusted = _trusted(configuration)
        now = self._kube.server_time or datetime.now(UTC)
        desired = step(self._restored(kept, trusted, now), trusted, self._host, now, self._lifetime)
        if desired != kept:
            await self._kube.merge(self._secret, _changes(secret, desired))
        if desired.authorities != trusted:
            await self._kube.replace(
                self._configuration, configuration["metadata"]["uid"], _bundles(configuration, desired.authorities)
            )
        assert desired.serving is not None, "a step makes one"
        self._served.serve(desired.serving)
        self.ready = desired.serving.valid(now)

    def _restored(self, kept: Kept, trusted: bytes, now: datetime) -> Kept:
        """The Secret's contents; if somebody damaged it, the certificate in use and its CAs go back there."""
        served = self._served.pair
        if kept.serving is None and served is not None and served.valid(now) and served.authority in trusted:
            return Kept(served, None, trusted)
        return kept


class CertificateReader:
    """Serves a certificate from two files. Somebody else renews it and writes its CA into the configuration."""

    def __init__(self, served: Served, certificate: Path, key: Path) -> None:
        self._served = served
        self._files = certificate, key
        self.ready = False

    async def refresh(self) -> None:
        """Serve the files' current content. Raises OSError or ValueError, for example if only one was replaced yet."""
        chain, key = [await asyncio.to_thread(file.read_bytes) for file in self._files]
        self._served.serve(Pair(chain, key), renewed_here=False)
        self.ready = True


Certificates = CertificateRotator | CertificateReader


async def keep_up_to_date(certificates: Certificates) -> None:
    """Check at intervals until cancelled."""
    trouble = RepeatedFailureLog(_log, "the certificate cannot be looked after")
    while True:
        try:
            await certificates.refresh()
        except KubeError as error:
            if error.status != _CONFLICT:  # another replica was faster: the next check sees its result
                trouble.failed(error)
        except (KubeFailure, OSError, ValueError) as error:
            trouble.failed(error)
        else:
            trouble.succeeded()
        await asyncio.sleep(CHECK_INTERVAL_SECONDS)


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    """A Secret's data, without values that are not base64."""
    found = {}
    for name, text in data.items():
        try:
            found[name] = base64.b64decode(text)
        except binascii.Error:
            continue
    return found


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _changes(secret: Body, desired: Kept) -> dict[str, Any]:
    """The Secret's patch. The API server refuses it if the Secret has changed since it was read."""
    version = secret["metadata"]["resourceVersion"]
    data = {name: _encoded(value) if value else None for name, value in desired.data().items()}
    return {"metadata": {"resourceVersion": version}, "data": data}


def _trusted(configuration: Body) -> bytes:
    """The CAs in the configuration; b"" unless all of its webhooks have the same."""
    bundles = {webhook["clientConfig"].get("caBundle", "") for webhook in configuration.get("webhooks") or ()}
    return base64.b64decode(bundles.pop()) if len(bundles) == 1 else b""


def _bundles(configuration: Body, authorities: bytes) -> dict[str, str]:
    """The CAs by JSON path. The API server refuses them if the configuration has changed since it was read."""
    webhooks = configuration.get("webhooks") or ()
    places = {f"/webhooks/{index}/clientConfig/caBundle": _encoded(authorities) for index in range(len(webhooks))}
    return {"/metadata/resourceVersion": configuration["metadata"]["resourceVersion"], **places}
