"""The app of the tests, run in a pod beside its sidecar by the base image's Python.

`GET /healthz` is 200, or 503 when UNHEALTHY is set; `GET /` is its VERSION. While its sidecar says that it leads it
writes all the time: POST to RECORDER, with the token that it was told. After TERM it goes on working for WORK seconds,
as an app that has to finish something does, and ends by itself.
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(os.environ.get("PORT", "8080"))
SIDECAR_PORT = int(os.environ.get("SIDECAR_PORT", "4040"))
RECORDER = os.environ.get("RECORDER", "")  # host:port; empty: it writes nothing
POD = os.environ.get("HOSTNAME", "")
WORK = float(os.environ.get("WORK", "0"))  # seconds
EVERY = 0.05  # seconds between two writes

_end = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """The app's own listener."""

    def do_GET(self) -> None:
        """Its health, else its version."""
        healthy = "UNHEALTHY" not in os.environ
        self.send_response(200 if self.path != "/healthz" or healthy else 503)
        self.end_headers()
        self.wfile.write(os.environ.get("VERSION", "").encode() + b"\n")

    def log_message(self, *_: object) -> None:
        """Probes come every second: nobody wants to read of them."""


def work() -> None:
    """Ask the sidecar and write, again and again."""
    while not _end.wait(EVERY):
        try:
            token = leading()
            if token:
                write(token)
        except (OSError, ValueError, http.client.HTTPException):
            continue  # the sidecar, or the store, is away


def leading() -> int:
    """The token that it leads with, 0 when it doesn't."""
    connection = http.client.HTTPConnection("127.0.0.1", SIDECAR_PORT, timeout=2)
    try:
        connection.request("GET", "/leader")
        answer = connection.getresponse()
        fields = json.loads(answer.read())
        return int(fields["token"]) if answer.status == 200 else 0
    finally:
        connection.close()


def write(token: int) -> None:
    """One fenced write."""
    connection = http.client.HTTPConnection(RECORDER, timeout=2)
    try:
        connection.request("POST", "/", json.dumps({"token": token, "pod": POD}))
        connection.getresponse().read()
    finally:
        connection.close()


def stop(*_: object) -> None:
    """TERM: finish the work, then end."""
    threading.Thread(target=finish).start()


def finish() -> None:
    """End after WORK seconds."""
    time.sleep(WORK)
    _end.set()


def main() -> int:
    """Serve and work until TERM."""
    signal.signal(signal.SIGTERM, stop)  # the first process of a container gets no signal that it doesn't handle
    server = ThreadingHTTPServer(("", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if RECORDER:
        threading.Thread(target=work, daemon=True).start()
    while not _end.wait(0.2):
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
