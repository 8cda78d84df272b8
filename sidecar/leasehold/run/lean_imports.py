"""Imports aiohttp's server, the metrics library and jh2 without what they import in vain, for a sidecar's process.

Memory is paid once per pod. Each entry says what it saves (MiB of anonymous memory, CPython 3.13). It all fails closed:
a stand-in raises as soon as something calls it, and a library that begins to need one of them fails every test.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any, Final

from leasehold.base.records import dataclass

NEVER_USED: Final = (
    # 1.4, with http.client: uploaded files and their types, dates in requests, proxies
    "aiohttp.multipart",
    "email.message",
    "email.parser",
    "email.policy",
    "email.utils",
    "urllib.request",
    "tempfile",
    # 0.4: tracebacks as pages
    "html",
    # 0.3: web sockets
    "aiohttp.http_websocket",
    # 0.6, since they import the above, too: the metrics library's own servers and its client of a push gateway
    "http.server",
    "socketserver",
    "wsgiref.simple_server",
    # 0.6, with inspect: timers as decorators
    "prometheus_client.decorator",
)
TLS_BUFFER_BYTES: Final = 32 * 1024
"""Twice the largest record of TLS."""
PURE_HPACK: Final = "jh2.hpack.hpack"
"""0.6, most of it tables: HPACK in Python, which jh2 imports even if it uses the one in Rust."""


def import_lean(*, tls: bool = True) -> None:
    """Import the libraries. To be called before anything else imports them; `import aiohttp` finds no client then.

    Without `tls` they never can speak TLS. That saves 1.2, and 3 more of OpenSSL's code: with them, only who uses `ssl`
    loads it. With `tls`, there is one connection, to etcd: asyncio's buffer of 256 KiB for what comes would be 0.3.
    """
    if "aiohttp" in sys.modules:
        return
    unused = (*NEVER_USED, PURE_HPACK) if _has_rust_hpack() else NEVER_USED
    unused = unused if tls else (*unused, "ssl")
    stand_ins = {name: _StandInModule(name) for name in unused if name not in sys.modules}
    sys.modules.update(stand_ins)
    attr = sys.modules.setdefault("attr", _Attrs("attr"))
    try:
        _import_asyncio(tls)
        _import_without_init("aiohttp", "web_server")
        importlib.import_module("prometheus_client")
        importlib.import_module("jh2.connection")
    finally:  # other importers get the real ones
        for name in stand_ins:
            del sys.modules[name]
        if isinstance(attr, _Attrs):
            del sys.modules["attr"]


def _import_asyncio(tls: bool) -> None:
    if tls:
        importlib.import_module("asyncio.sslproto").SSLProtocol.max_size = TLS_BUFFER_BYTES
        return
    # asyncio does without `ssl` on a Python that is built without it: its import fails there
    before, sys.modules["ssl"] = sys.modules["ssl"], None  # type: ignore[assignment]  # None stops an import
    try:
        importlib.import_module("asyncio")
    finally:
        sys.modules["ssl"] = before


def _has_rust_hpack() -> bool:
    """There is a wheel of jh2 without it, for machines that no other wheel fits."""
    try:
        importlib.import_module("jh2._hazmat")
    except ImportError:
        return False
    return True


def _import_without_init(package: str, *modules: str) -> None:
    """Import modules of a package whose `__init__` would import all of them. Saves 4.5: aiohttp's client and `web`."""
    spec = PathFinder.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    bare: Any = module_from_spec(spec)
    bare.__version__ = ""  # goes into headers that we set ourselves
    sys.modules[package] = bare
    for module in modules:
        importlib.import_module(f"{package}.{module}")


class _StandIn(type):
    """A class in place of something that is never used. It can be a base class and an annotation."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{cls.__name__} was to be used by nothing, and is not loaded")


class _StandInModule(ModuleType):
    """Has a stand-in by any name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StandIn(f"{self.__name__}.{name}", (), {})


class _Attrs(ModuleType):
    """In place of attrs, 0.7: aiohttp's server makes four small classes with it."""

    @staticmethod
    def s(*, auto_attribs: bool, frozen: bool, slots: bool) -> Any:
        """A decorator as `attr.s`."""
        return dataclass(frozen=frozen, slots=slots)
