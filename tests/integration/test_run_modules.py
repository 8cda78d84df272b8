"""A sidecar that leads has loaded none of the modules on whose absence its memory and its start rest."""

import json
import sys
from pathlib import Path

import pytest

from tests.servers import EtcdServer
from tests.support.sidecars import Sidecar

FORBIDDEN = {
    *("aiohttp.client", "aiohttp.connector", "aiohttp.http_websocket", "aiohttp.web", "aiohttp.web_app", "attr"),
    *("dataclasses", "hashlib", "secrets"),
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
    loaded = set(json.loads(path.read_text()))
    assert "leasehold.run.app" in loaded
    assert loaded & FORBIDDEN == set()
