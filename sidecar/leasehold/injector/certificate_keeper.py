"""Looks after the certificate that is served: the one that the replicas share, or one that comes in files.

Whatever fails is tried again with the next look; what is served stays served meanwhile.
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

from leasehold.injector.certificate import Kept, Pair, step
from leasehold.injector.metrics import InjectorMetrics
from leasehold.kube.call import Body, KubeError, KubeFailure
from leasehold.repeated_failure_log import RepeatedFailureLog

_log = logging.getLogger("leasehold.injector.certificate_keeper")

LOOK_EVERY: Final = 3.0
"""Seconds between two looks, and so until a replica serves what another has made."""
_CONFLICT: Final = 409


class Calls(Protocol):
    """What is asked of the API server; KubeCall has it. Raises KubeFailure."""

    @property
    def told(self) -> datetime | None:
        """The time by its clock, in its last answer."""

    async def get(self, path: str, **query: str) -> Body:
        """GET."""

    async def merge(self, path: str, body: Mapping[str, Any]) -> Body:
        """PATCH with a JSON merge patch."""

    async def replace(self, path: str, uid: str, parts: Mapping[str, Any]) -> Body:
        """PATCH with a JSON patch of the object with this UID."""


class Served:
    """The TLS context that new connections are made with, and what it holds."""

    def __init__(self, metrics: InjectorMetrics) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._metrics = metrics
        self.pair: Pair | None = None
        """What is served with; None while nothing is."""

    def serve(self, pair: Pair) -> None:
        """Serve with it from now on; connections that are open stay as they are.

        Raises ValueError, OSError when it cannot be served with; what was served before then still is.
        """
        if pair == self.pair:
            return
        # The ssl module reads files only. A key of ours never lies on a disk: /tmp or none.
        with tempfile.TemporaryDirectory(dir=_memory()) as place:
            chain_file, key_file = Path(place, "chain"), Path(place, "key")
            chain_file.write_bytes(pair.chain)
            key_file.touch(mode=0o600)
            key_file.write_bytes(pair.key)
            # OpenSSL takes the certificate before it finds that the key is another's, and is then left with neither.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain_file, key_file)
            self.context.load_cert_chain(chain_file, key_file)
        self.pair = pair
        self._metrics.serves(pair.renewal.timestamp(), pair.expires.timestamp())
        _log.info("serving with a certificate", extra={"fields": {"expires": pair.expires.isoformat()}})


def _memory() -> str | None:
    """A directory in memory that can be written to; None where there is none."""
    return next((place for place in ("/dev/shm",) if Path(place).is_dir()), None)


class CertificateRotator:
    """Keeps the Secret that all replicas share, and the authorities in the webhook's configuration."""

    def __init__(
        self,
        kube: Calls,
        served: Served,
        *,
        host: str,
        namespace: str,
        secret: str,
        configuration: str,
        lifetime: timedelta,
    ) -> None:
        self._kube = kube
        self._served = served
        self._host = host
        self._secret = f"/api/v1/namespaces/{namespace}/secrets/{secret}"
        self._configuration = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{configuration}"
        self._lifetime = lifetime
        self.ready = False
        """Whether the API server believes what is served, as far as the last look could tell."""

    async def look(self) -> None:
        """Do what is to be done now. Raises KubeFailure; another replica may have been faster (409)."""
        secret, configuration = await self._kube.get(self._secret), await self._kube.get(self._configuration)
        kept = Kept.read(_decoded(secret.get("data") or {}), self._host)
        believed = _believed(configuration)
        now = self._kube.told or datetime.now(UTC)
        wanted = step(self._remembered(kept, believed, now), believed, self._host, now, self._lifetime)
        if wanted != kept:
            await self._kube.merge(self._secret, _changes(secret, wanted))
        if wanted.authorities != believed:
            await self._kube.replace(
                self._configuration, configuration["metadata"]["uid"], _bundles(configuration, wanted.authorities)
            )
        assert wanted.serving is not None, "a step makes one"
        self._served.serve(wanted.serving)
        self.ready = wanted.serving.valid(now)

    def _remembered(self, kept: Kept, believed: bytes, now: datetime) -> Kept:
        """What the Secret holds; if somebody has emptied or spoilt it, what is served and believed goes back there."""
        served = self._served.pair
        if kept.serving is None and served is not None and served.valid(now) and served.authority in believed:
            return Kept(served, None, believed)
        return kept


class CertificateReader:
    """Serves what others keep in two files, and write the authority of into the configuration."""

    def __init__(self, served: Served, certificate: Path, key: Path) -> None:
        self._served = served
        self._files = certificate, key
        self.ready = False

    async def look(self) -> None:
        """Take up what is there now. Raises OSError or ValueError, when one file is not the other's yet."""
        chain, key = [await asyncio.to_thread(file.read_bytes) for file in self._files]
        self._served.serve(Pair(chain, key))
        self.ready = True


Certificates = CertificateRotator | CertificateReader


async def keep_for_ever(keeper: Certificates) -> None:
    """Look again and again."""
    trouble = RepeatedFailureLog(_log, "the certificate cannot be looked after")
    while True:
        try:
            await keeper.look()
        except KubeError as error:
            if error.status != _CONFLICT:  # another replica has done it: the next look sees what
                trouble.failed(error)
        except (KubeFailure, OSError, ValueError) as error:
            trouble.failed(error)
        else:
            trouble.succeeded()
        await asyncio.sleep(LOOK_EVERY)


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    """A Secret's data; a value that is no base64 cannot come from the API server."""
    found = {}
    for name, text in data.items():
        try:
            found[name] = base64.b64decode(text)
        except binascii.Error:
            continue
    return found


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _changes(secret: Body, wanted: Kept) -> dict[str, Any]:
    """The patch of the Secret, refused if it has changed since it was read."""
    version = secret["metadata"]["resourceVersion"]
    data = {name: _encoded(value) if value else None for name, value in wanted.data().items()}
    return {"metadata": {"resourceVersion": version}, "data": data}


def _believed(configuration: Body) -> bytes:
    """The authorities in the configuration; b"" unless all of its webhooks have the same."""
    bundles = {webhook["clientConfig"].get("caBundle", "") for webhook in configuration.get("webhooks") or ()}
    return base64.b64decode(bundles.pop()) if len(bundles) == 1 else b""


def _bundles(configuration: Body, authorities: bytes) -> dict[str, str]:
    """Where to write the authorities, by path; refused if another has changed the configuration meanwhile."""
    webhooks = configuration.get("webhooks") or ()
    places = {f"/webhooks/{index}/clientConfig/caBundle": _encoded(authorities) for index in range(len(webhooks))}
    return {"/metadata/resourceVersion": configuration["metadata"]["resourceVersion"], **places}
