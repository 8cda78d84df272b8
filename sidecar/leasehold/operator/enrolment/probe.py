"""Whether etcd accepts the authority's certificates, found out by showing it one, before anybody depends on it.

An authority that etcd does not know makes certificates that open nothing: its file was lost and replaced, or two
operators have one each. No file shows which authority etcd has read, because etcd reads it only when it starts.
"""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from leasehold.base.config_error import ConfigError
from leasehold.etcd.errors import EtcdError
from leasehold.operator.enrolment.authority import Authority, Issued
from leasehold.settings.connect import client_for
from leasehold.settings.etcd import EtcdConfig

USER: Final = "leasehold:probe"
"""Nobody's: etcd answers a question for its status to every certificate that it accepts."""
_LIFETIME: Final = timedelta(minutes=10)


async def refusal(authority: Authority, etcd: EtcdConfig, now: datetime) -> str:
    """Why etcd does not accept this authority's certificates, or could not be asked; "" if it accepts them."""
    issued = authority.issue(USER, now, _LIFETIME)
    # The ssl module reads files only, and a private key must not reach a disk.
    with tempfile.TemporaryDirectory(dir=_memory()) as place:
        shown = dataclasses.replace(_shown(issued, Path(place)), endpoints=etcd.endpoints, ca=etcd.ca)
        try:
            async with client_for(shown) as client:
                await client.status()
        except (EtcdError, ConfigError) as error:
            return str(error)
    return ""


def _shown(issued: Issued, place: Path) -> EtcdConfig:
    chain, key = place / "tls.crt", place / "tls.key"
    chain.write_bytes(issued.chain)
    key.touch(mode=0o600)
    key.write_bytes(issued.key)
    return EtcdConfig(cert=chain, key=key)


def _memory() -> str | None:
    """A directory in memory; None if there is none."""
    return next((place for place in ("/dev/shm",) if Path(place).is_dir()), None)
