"""Toxiproxy: a TCP proxy that delays, throttles and cuts what passes between a client and a real server."""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from tests.servers.ports import release_port, reserve_port
from tests.servers.process import Process, ProcessFailed, wait_for
from tests.servers.programs import program

Direction = Literal["upstream", "downstream"]  # to the server, or back to the client


class Toxiproxy:
    """The proxy server; `proxy` opens a way through it. Not started by the constructor."""

    def __init__(self) -> None:
        self._port = reserve_port()
        self._ports = [self._port]
        argv: list[str | Path] = [program("toxiproxy"), "-host=127.0.0.1", f"-port={self._port}"]
        self.process = Process(argv, name="toxiproxy")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start()
        wait_for(lambda: self._answers() or not self.process.running, "toxiproxy to answer")
        if not self.process.running:
            raise ProcessFailed(f"toxiproxy ended at once:\n{self.process.log_tail()}")

    def close(self) -> None:
        """End it, and all ways through it."""
        self.process.close()
        for port in self._ports:
            release_port(port)

    def proxy(self, upstream: int) -> "Proxy":
        """A new way to the port `upstream` of 127.0.0.1."""
        port = reserve_port()
        self._ports.append(port)
        proxy = Proxy(self, f"p{port}", port)
        listen = f"127.0.0.1:{port}"
        body = {"name": proxy.name, "listen": listen, "upstream": f"127.0.0.1:{upstream}", "enabled": True}
        self.call("POST", "/proxies", body)
        return proxy

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """One call of its HTTP interface; ProcessFailed when it refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ProcessFailed(f"toxiproxy: {method} {path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def _answers(self) -> bool:
        try:
            self.call("GET", "/proxies")
        except OSError:
            return False
        return True


class Proxy:
    """One way through the proxy: clients connect to `port`; all is well until a fault is called for."""

    def __init__(self, server: Toxiproxy, name: str, port: int) -> None:
        self._server = server
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def delay(self, milliseconds: int, jitter: int = 0, directions: Iterable[Direction] = ("downstream",)) -> None:
        """Deliver everything later by `milliseconds` ± `jitter`, in each of `directions`."""
        self._add("latency", {"latency": milliseconds, "jitter": jitter}, directions)

    def throttle(self, kilobytes_per_second: int, directions: Iterable[Direction] = ("downstream",)) -> None:
        """Let no more than so much through."""
        self._add("bandwidth", {"rate": kilobytes_per_second}, directions)

    def silence(self, directions: Iterable[Direction] = ("upstream", "downstream")) -> None:
        """Let nothing through, on open connections: a network that swallows packets."""
        self._add("timeout", {"timeout": 0}, directions)

    def reset_peer(self) -> None:
        """Answer whatever the client sends with a TCP reset."""
        self._add("reset_peer", {"timeout": 0}, ("upstream",))

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        self._server.call("POST", f"/proxies/{self.name}", {"enabled": False})

    def heal(self) -> None:
        """End every fault."""
        for toxic in self._server.call("GET", f"/proxies/{self.name}")["toxics"]:
            self._server.call("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self._server.call("POST", f"/proxies/{self.name}", {"enabled": True})

    def _add(self, kind: str, attributes: Mapping[str, int], directions: Iterable[Direction]) -> None:
        for stream in directions:
            body = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "attributes": attributes}
            self._server.call("POST", f"/proxies/{self.name}/toxics", body)


def all_but_one(proxies: Sequence[Proxy], number: int) -> Iterator[Proxy]:
    """What to close so that the client of this number reaches one server only, not the same as the next client's."""
    return (proxy for place, proxy in enumerate(proxies) if place != number % len(proxies))
