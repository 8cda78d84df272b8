"""Asks the sidecars of many pods `GET /leader`, all the time, and writes the answers; run in the cluster's network.

Standard input: `watch NAME HOST PORT` and `forget NAME`, a line each. Standard output, a JSON object a line: every 200,
and of other answers each that is not as the one before it. `sent` and `received` are instants of the monotonic clock,
which all processes of the machine share. The one argument is how many seconds lie between an answer and the next
question to the same pod.
"""

import http.client
import json
import sys
import threading
import time

PATIENCE = 0.5  # seconds for an answer: a frozen pod is asked anew that often, so one question is fresh when it wakes

_output = threading.Lock()


class Pod(threading.Thread):
    """Asks one pod until it is forgotten."""

    def __init__(self, name: str, host: str, port: int, every: float) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self._name, self._host, self._port, self._every = name, host, port, every
        self._last = -1

    def run(self) -> None:
        """Ask on one connection as long as it lasts."""
        while not self.over.wait(self._every):
            connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
            try:
                while not self.over.wait(self._every):
                    self._ask(connection)
            except (OSError, ValueError, http.client.HTTPException):
                self._tell(0, 0, time.monotonic(), time.monotonic())
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        sent = time.monotonic()
        connection.request("GET", "/leader")
        answer = connection.getresponse()
        fields = json.loads(answer.read())
        self._tell(answer.status, int(fields["token"] or 0), sent, time.monotonic())

    def _tell(self, status: int, token: int, sent: float, received: float) -> None:
        if status != 200 and status == self._last:
            return
        self._last = status
        line = {"name": self._name, "status": status, "token": token, "sent": sent, "received": received}
        with _output:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def main() -> None:
    """Follow what standard input says, until it ends."""
    pods: dict[str, Pod] = {}
    every = float(sys.argv[1])
    for line in sys.stdin:
        word, name, *where = line.split()
        if name in pods:
            pods.pop(name).over.set()
        if word == "watch":
            pods[name] = Pod(name, where[0], int(where[1]), every)
            pods[name].start()


if __name__ == "__main__":
    main()
