"""Access to the API server: its address, its CA, and credentials that are renewed while in use.

They come from a kubeconfig (tokens, token files, client certificates, exec plugins) or from the pod's service account,
through the official client's loaders. Token files are replaced about once an hour, so credentials are read again from
time to time; if that fails, the previous ones stay in use.

The only proxy is the kubeconfig's `proxy-url`. HTTPS_PROXY, NO_PROXY and .netrc are for calls out of the cluster, and
aiohttp would read them again for each call, in a thread: a fifth of a cold start.

An `Access` belongs to the event loop that loaded it: the informer's thread and the main loop have one each.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.incluster_config import load_incluster_config
from kubernetes.aio.config.kube_config import load_kube_config

from leasehold.base.config_error import ConfigError

log = logging.getLogger("leasehold.kube.access")

RENEW_INTERVAL_SECONDS: Final = 60.0
"""Credentials are used for so long before they are read again."""
_CLOSE_TIMEOUT_SECONDS: Final = 1.0


class AccessError(Exception):
    """The credentials cannot be read. The text is one sentence for the user."""


class Access:
    """The settings of one loop's connections to the API server."""

    def __init__(self, configuration: Configuration, reload: Callable[[Configuration], Awaitable[None]]) -> None:
        self.configuration = configuration
        self._reload = reload
        self._loaded = asyncio.get_running_loop().time()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._hook()

    @classmethod
    async def load(cls, kubeconfig: Path | None) -> Access:
        """Read that kubeconfig, or with None the pod's own service account. Raises AccessError."""

        async def reload(configuration: Configuration) -> None:
            load: Any = load_kube_config if kubeconfig else load_incluster_config  # neither has types
            if kubeconfig is None:
                load(configuration, try_refresh_token=False)
            else:
                await load(str(kubeconfig), client_configuration=configuration, persist_config=False)

        configuration = Configuration(client_session_kwargs={"trust_env": False})
        try:
            await reload(configuration)
            _check(str(configuration.host))
        except Exception as error:  # the loaders raise all kinds of exceptions for malformed files
            where = f"the kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"
            what = "it is not a kubeconfig" if isinstance(error, TypeError | AttributeError) else _one_line(error)
            raise AccessError(
                f"The API server's address or credentials cannot be read from {where}: {what}."
            ) from error
        return cls(configuration, reload)

    @property
    def server(self) -> str:
        """The API server's URL, without a slash at its end."""
        return str(self.configuration.host)

    async def headers(self) -> dict[str, str]:
        """The header with the current credentials; empty if a client certificate is used."""
        setting = (await self.configuration.auth_settings()).get("BearerToken")
        return {"Authorization": str(setting["value"])} if setting else {}

    def session(self) -> aiohttp.ClientSession:
        """A new HTTP session that adds the current credentials to every request."""

        async def authorise(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            request.headers.update(await self.headers())
            return await handler(request)

        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls(), socket_factory=self._socket)
        return aiohttp.ClientSession(connector=connector, middlewares=(authorise,), proxy=self.configuration.proxy)

    async def closed(self) -> None:
        """Wait until no connection of any session is left, at most a second. The sessions must be closed.

        A closed session does not wait for connections whose answers were cancelled, as a watch's always are; if the
        loop ends before they do, they stay open.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + _CLOSE_TIMEOUT_SECONDS
        while any(each.fileno() != -1 for each in self._sockets):
            if clock() > deadline:
                return
            await asyncio.sleep(0.001)

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    def _tls(self) -> ssl.SSLContext:
        configuration = self.configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def _renew(self, configuration: Configuration) -> None:
        """Called before each use of the token."""
        now = asyncio.get_running_loop().time()
        if now - self._loaded < RENEW_INTERVAL_SECONDS:
            return
        self._loaded = now  # even if it fails: once a minute is often enough
        try:
            await self._reload(configuration)
        except Exception as error:  # plugins may raise anything; the old token may still be valid
            log.warning("the credentials for the API server cannot be read again: %s", _one_line(error))
        finally:
            self._hook()  # the loaders may have replaced it

    def _hook(self) -> None:
        hook: Any = self._renew  # its type is wrong: None
        self.configuration.refresh_api_key_hook = hook


async def access_at_start(kubeconfig: Path | None) -> Access:
    """The same as `Access.load`, for a process that cannot start without it. Raises ConfigError."""
    try:
        return await Access.load(kubeconfig)
    except AccessError as error:
        raise ConfigError([str(error)]) from None


def _check(server: str) -> None:
    if not server.startswith(("https://", "http://")):
        raise ValueError(f"the server's address is '{server}', which is not an http or https URL")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
