"""Guarded work that trusts its first answer: it asks its sidecar until it leads, then writes until it is stopped.

It is an app as bad as they come: it never asks again. So its last write tells when its work ended. `HEALTH` is the
port of its health check, "" for none. `ON_TERM` says what TERM does: `exit:SECONDS`, `ignore`, or `close`, which closes
the health port at once and works on.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time

EVERY = 0.05  # seconds between two writes
HEALTH = os.environ.get("HEALTH", "")
ON_TERM = os.environ.get("ON_TERM", "ignore")
RECORDER = os.environ["RECORDER"]
POD = os.environ.get("HOSTNAME", "")

_listener = socket.socket()


def serve() -> None:
    """Answer the health check, until the listener is closed."""
    while True:
        try:
            connection, _ = _listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):  # a client that gave up must not end this
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def token() -> int:
    """The token that the sidecar leads with; 0 while it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", 4040, timeout=2)
    try:
        connection.request("GET", "/leader")
        answer = connection.getresponse()
        fields = json.loads(answer.read())
        return int(fields["token"]) if answer.status == 200 else 0
    except (OSError, ValueError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def work() -> None:
    """Write under the first token for as long as the process lives."""
    while not (mine := token()):
        time.sleep(0.05)
    store = http.client.HTTPConnection(RECORDER, timeout=5)
    while True:
        try:
            store.request("POST", "/", json.dumps({"token": mine, "pod": POD}))
            store.getresponse().read()
        except (OSError, http.client.HTTPException):
            store.close()
        time.sleep(EVERY)


def stop(*_: object) -> None:
    """TERM."""
    how, _sign, seconds = ON_TERM.partition(":")
    if how == "exit":
        threading.Timer(float(seconds), os._exit, (0,)).start()
    elif how == "close":
        _listener.shutdown(socket.SHUT_RDWR)
        _listener.close()


def main() -> None:
    """Serve and work."""
    signal.signal(signal.SIGTERM, stop)
    if HEALTH:
        _listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _listener.bind(("", int(HEALTH)))
        _listener.listen(16)
        threading.Thread(target=serve, daemon=True).start()
    threading.Thread(target=work, daemon=True).start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
