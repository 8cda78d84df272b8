"""A sidecar that leads has loaded none of the modules on whose absence its memory and its start rest."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import EtcdServer
from tests.support.sidecars import Sidecar

FORBIDDEN = {
    *("aiohttp.client", "aiohttp.connector", "aiohttp.http_websocket", "aiohttp.web", "aiohttp.web_app", "attr"),
    *("dataclasses", "hashlib", "secrets", "ssl", "_ssl"),
    *("bz2", "email.message", "email.parser", "gzip", "html.entities", "http.client"),
    *("http.server", "lzma", "tempfile", "urllib.request", "uuid"),
    *("cryptography", "grpc", "grpclib", "h2", "idna", "jh2.hpack.huffman_table", "kopf", "kubernetes"),
    *("google.protobuf.internal.python_message", "prometheus_client.decorator"),
    *("leasehold.demo", "leasehold.exec", "leasehold.injector", "leasehold.operator", "leasehold.kube"),
    *("leasehold.candidate.replay", "leasehold.run.app_health", "leasehold.run.hooks"),
}
if sys.version_info >= (3, 13):  # before, `signal.signal` shows the handler that it replaces, and that takes `inspect`
    FORBIDDEN.add("inspect")

PROGRAM = """
import atexit, json, sys
from leasehold.__main__ import main

def loaded():
    # a lazy module that was not loaded yet is none
    names = [name for name, module in sys.modules.items() if type(module).__name__ != "LazyModule"]
    open({path!r}, "w").write(json.dumps(names))

sys.argv = ["leasehold", *sys.argv[1:]]
atexit.register(loaded)
sys.exit(main())
"""


@pytest.mark.parametrize("flags", [["-OO"], []], ids=["as in the image", "plain"])
def test_a_leader_has_loaded_none_of_them(etcd: EtcdServer, root: str, tmp_path: Path, flags: list[str]) -> None:
    path = tmp_path / "modules.json"
    command = [sys.executable, *flags, "-c", PROGRAM.format(path=str(path)), "run"]
    with Sidecar(etcd.url, "a", root=root, command=command) as sidecar:
        sidecar.wait_leading()
        assert sidecar.get("/metrics")[0] == 200
        sidecar.terminate()
    assert forbidden_in(path) == set()


def test_an_outage_loads_none_of_them(etcd_factory: Callable[[], EtcdServer], root: str, tmp_path: Path) -> None:
    """A connection that is refused or lost takes no TLS to explain."""
    server, path = etcd_factory(), tmp_path / "modules.json"
    command = [sys.executable, "-OO", "-c", PROGRAM.format(path=str(path)), "run"]
    with Sidecar(server.url, "a", root=root, ttl=5, command=command) as sidecar:
        sidecar.wait_leading()
        server.stop()
        sidecar.wait_not_leading()
        server.start()
        sidecar.wait_leading()
        sidecar.terminate()
    assert forbidden_in(path) == set()


def forbidden_in(path: Path) -> set[str]:
    """The modules in this file that ought not to be loaded."""
    loaded = set(json.loads(path.read_text()))
    assert "leasehold.run.app" in loaded
    return loaded & FORBIDDEN
