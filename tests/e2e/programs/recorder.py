"""A store that fences, as the README tells its users to build one; run in the cluster's network.

`POST /` with `{"token": N, "pod": NAME}`: 200 when no higher token was seen, else 409. Each is written to standard
output as a JSON object a line, in the order in which they were decided. The first line says where it listens.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_deciding = threading.Lock()
_highest = 0


class Handler(BaseHTTPRequestHandler):
    """One write."""

    def do_POST(self) -> None:
        """Accept or refuse it."""
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if decide(int(fields["token"]), str(fields["pod"])) else 409)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Each write is told already."""


def decide(token: int, pod: str) -> bool:
    """Whether the write is taken."""
    global _highest
    with _deciding:
        taken = token >= _highest
        _highest = max(token, _highest)
        tell({"token": token, "pod": pod, "taken": taken, "at": time.monotonic()})
    return taken


def tell(fields: "dict[str, object]") -> None:
    """One line of output."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve on the address that the command line names, on a free port."""
    server = ThreadingHTTPServer((sys.argv[1], 0), Handler)
    tell({"listen": server.server_address[1]})
    server.serve_forever()


if __name__ == "__main__":
    main()
