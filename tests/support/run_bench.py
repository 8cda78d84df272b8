"""A bench for `leasehold run`: sidecars whose settings come by flags or by variables, and an app for them to ask."""

import contextlib
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Way = Literal["flag", "variable"]
SWITCHES = ("--require-lock", "--native-sidecar", "--init-work")


class Bench:
    """The sidecars of one test, on one etcd and root; `way` is how their settings are given."""

    def __init__(self, stack: contextlib.ExitStack, way: Way, server: EtcdServer, root: str) -> None:
        self._stack = stack
        self.way = way
        self.server = server
        self.root = root
        self.stored = StoredLock(server.ctl, root)

    def make(
        self,
        name: str,
        settings: Mapping[str, str] | None = None,
        *,
        server: EtcdServer | None = None,
        env: Mapping[str, str] | None = None,
        ttl: int | None = 600,
    ) -> Sidecar:
        """A sidecar that is not started. What `settings` name, or give as None, is not given by the bench itself."""
        settings = settings or {}
        given = {flag: value for flag, value in settings.items() if value}
        variables = {variable_of(flag): value for flag, value in given.items()} if self.way == "variable" else {}
        url = (server or self.server).url
        sidecar = Sidecar(url, name, root=self.root, ttl=ttl, env={**variables, **(env or {})})
        self._stack.callback(sidecar.close)
        for flag in settings:
            _take_out(sidecar.argv, flag)
        if self.way == "flag":
            sidecar.argv += [word for flag, value in given.items() for word in words_of(flag, value)]
        return sidecar

    def start(self, name: str, settings: Mapping[str, str] | None = None, **options: object) -> Sidecar:
        """As `make`, started and listening."""
        sidecar = self.make(name, settings, **options)  # type: ignore[arg-type]  # the same ones
        sidecar.start()
        return sidecar

    def wait_alone(self, name: str) -> None:
        """Wait until this candidate is the only one in the queue."""
        wait_for(lambda: self.stored.identities() == [name], f"{name} alone in the queue", PATIENCE)


def variable_of(flag: str) -> str:
    """The flag's twin among the environment variables, by the documented rule."""
    return "LEASEHOLD_" + flag.removeprefix("--").replace("-", "_").upper()


def words_of(flag: str, value: str) -> list[str]:
    """The flag as it is typed."""
    return [flag] if flag in SWITCHES else [flag, value]


def _take_out(argv: list[str], flag: str) -> None:
    if flag in argv:
        at = argv.index(flag)
        del argv[at : at + 2]


class App:
    """The app beside a sidecar, as its health check sees it: `status` is what it answers, `asked` how often it was."""

    def __init__(self, status: int, port: int = 0) -> None:
        self.status = status
        self.asked = 0
        app = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                app.asked += 1
                self.send_response(app.status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass  # else each request is a line in the output of the test run

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/healthz"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_asked(self, times: int = 2) -> None:
        """Wait until it was asked so many times from now on."""
        wanted = self.asked + times
        wait_for(lambda: self.asked >= wanted, "the app to be asked", PATIENCE)
