"""aiohttp's server, without `aiohttp.web` and the 2 MB of certificates that importing aiohttp loads.

The sidecar imports it only from here. Its own process has imported the server alone before (`lean_imports`), unless it
needs aiohttp's HTTP client. On import, that client reads the machine's complete trust store into a default TLS context.
Nothing in the sidecar uses that context (the app's certificate is not verified, and another library connects to etcd),
and memory is paid once per pod. So for the time of the import, OpenSSL's variables name an empty trust store. Code that
relies on aiohttp's default context in this process finds every certificate untrusted: it fails closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_STORES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@contextmanager
def _no_trust_store() -> Iterator[None]:
    """Set OpenSSL's variables, and restore them afterwards."""
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
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.web_protocol import RequestHandler
    from aiohttp.web_request import BaseRequest
    from aiohttp.web_response import Response, StreamResponse
    from aiohttp.web_server import Server

__all__ = [
    "AbstractResolver",
    "BaseRequest",
    "RequestHandler",
    "ResolveResult",
    "Response",
    "Server",
    "StreamResponse",
    "aiohttp",
]
