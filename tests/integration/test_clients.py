"""The programs of sidecar/clients, each beside real sidecars and a store that fences, as their page says."""

import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import EtcdServer, Process, wait_for
from tests.servers.ports import release_port, reserve_port
from tests.servers.programs import go, run
from tests.support.documentation import ROOT
from tests.support.sidecars import Sidecar

CLIENTS = ROOT / "sidecar" / "clients"
LANGUAGES = {
    "leader.sh": "bash",
    "leader.py": "python3",
    "leader.go": "go",
    "leader.mjs": "node",
    "Leader.java": "java",
}
TTL = 5
"""Seconds; that of a killed sidecar is waited for."""
DRAIN = ["--drain", "6"]
"""Longer than the TTL: whoever counts `validForSeconds` has stopped before the next one leads."""


class Store(ThreadingHTTPServer):
    """Takes writes whose token is no lower than all before; `taken` and `refused` are the tokens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Write)
        self.deciding = threading.Lock()
        self.taken: list[int] = []
        self.refused: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"

    def decide(self, token: int) -> bool:
        with self.deciding:
            sound = token >= max(self.taken, default=0)
            (self.taken if sound else self.refused).append(token)
        return sound


class _Write(BaseHTTPRequestHandler):
    server: Store

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.server.decide(int(self.headers["Leasehold-Token"])) else 409)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the test's output."""


@contextlib.contextmanager
def serving() -> Iterator[Store]:
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def command(program: str, place: Path) -> list[str]:
    """What runs it; empty if this machine cannot."""
    source = str(CLIENTS / program)
    if program == "leader.py":
        return [sys.executable, source]
    if program == "leader.go":
        binary = str(place / "client")
        run([go(), "build", "-trimpath", "-o", binary, source], env={**os.environ, "CGO_ENABLED": "0"})
        return [binary]
    return [LANGUAGES[program], source] if shutil.which(LANGUAGES[program]) else []


@pytest.fixture(scope="module")
def seen(etcd: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Store]]:
    """What the store of each program saw, after a handover, and the restart of a sidecar that then led again."""
    place, port = tmp_path_factory.mktemp("clients"), reserve_port()
    commands = {program: words for program in LANGUAGES if (words := command(program, place))}
    with contextlib.ExitStack() as stack:
        stack.callback(release_port, port)
        # The port stays the sidecar's over its restart.
        a = stack.enter_context(
            Sidecar(etcd.url, "a", root="/clients", ttl=TTL, flags=[*DRAIN, "--listen", f"127.0.0.1:{port}"])
        )
        stores = {program: stack.enter_context(serving()) for program in commands}
        first = a.wait_leading().token
        b = stack.enter_context(Sidecar(etcd.url, "b", root="/clients", ttl=TTL, flags=DRAIN))
        b.wait_queued(1)
        for sidecar in (a, b):
            for program, words in commands.items():
                argv = [*words, sidecar.url, stores[program].url]
                stack.enter_context(Process(argv, name=f"{program}-{sidecar.name}"))
        wait_work(stores, first)
        a.post("/handover")
        wait_work(stores, b.wait_leading().token)
        a.kill()
        a.start()
        a.wait_queued(1)
        b.post("/pause")
        wait_work(stores, a.wait_leading().token)
        yield stores


def wait_work(stores: Mapping[str, Store], token: int) -> None:
    """Wait until every program has worked under this token more than once."""

    def missing() -> list[str]:
        return [program for program, store in stores.items() if store.taken.count(token) < 3]

    wait_for(lambda: not missing(), f"clients to work under token {token}")


@pytest.mark.parametrize("program", LANGUAGES)
def test_client_works_while_its_pod_leads(program: str, seen: Mapping[str, Store]) -> None:
    """It begins and ends with its pod's lead, finds a sidecar that restarted, and never writes under an old token."""
    if program not in seen:
        pytest.skip(f"{LANGUAGES[program]} is not on this machine. Not tested: sidecar/clients/{program}.")
    assert len(set(seen[program].taken)) == 3
    assert seen[program].refused == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_script_works_no_more(number: signal.Signals, etcd: EtcdServer, root: str) -> None:
    """The one of several processes: what waits for events ends, too, and the work must not outlive the script."""
    with serving() as store, Sidecar(etcd.url, "a", root=root) as sidecar:
        sidecar.wait_leading()
        with Process([*command("leader.sh", Path()), sidecar.url, store.url], name="leader.sh") as script:
            wait_for(lambda: store.taken, "it to work")
            script.signal(number)
            script.wait()
            wait_for(lambda: not running_with(store.url), "all that it started to end")


def running_with(word: str) -> list[int]:
    """The processes that were started with this word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def test_clients_are_all_listed() -> None:
    """Each program has its row, and its test."""
    page = (CLIENTS / "README.md").read_text()
    assert {path.name for path in CLIENTS.iterdir() if path.suffix != ".md"} == set(LANGUAGES)
    assert all(f"[`{program}`]({program})" in page for program in LANGUAGES)
