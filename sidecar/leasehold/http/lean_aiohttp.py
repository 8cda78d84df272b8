"""aiohttp, without the 2 MB of certificates that importing it costs. All of this package imports it from here.

On import, aiohttp's HTTP client reads the machine's whole trust store into a default TLS context. Nothing in the
sidecar uses that context (the app is probed unverified, etcd is reached by another library), and memory is paid once
per pod. OpenSSL is told for the time of the import that the trust store is elsewhere, and empty. Code that relied on
aiohttp's default context in this process would find every certificate untrusted: it fails closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_STORES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@contextmanager
def _no_trust_store() -> Iterator[None]:
    """Set OpenSSL's own variables, and put back what was there."""
    before = {name: os.environ.get(name) for name in _STORES}
    os.environ.update(_STORES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _no_trust_store():
    import aiohttp
    from aiohttp import web
    from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["AbstractResolver", "ResolveResult", "aiohttp", "web"]
