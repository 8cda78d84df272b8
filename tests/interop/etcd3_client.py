"""The PyPI client etcd3 as a process of its own, driven line by line: a JSON array `[command, argument…]` each.

Every answer is one line of JSON. It runs under PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python, without which etcd3 0.12
does not import beside today's protobuf. Usage: `etcd3_client.py HOST PORT`.

    queue PREFIX              the keys under it by create revision: [key, value, create revision, lease] each
    watch PREFIX              answered at once, and then with [event, key] for each event
    lock KEY TIMEOUT          contest KEY with its Lock, for so many seconds: whether it was acquired
    unlock                    release that Lock: whether it was still its own
    fenced KEY TOKEN K V      put K only while KEY has this create revision: whether it did
    join PREFIX VALUE         queue up as etcd's election recipe does: the key
    leave                     delete the key that was joined with
"""

import json
import sys
from typing import Any

import etcd3

Client = Any
"""etcd3 ships no types."""


class Driver:
    """Obeys the commands."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock: Any = None
        self._joined = ""

    def queue(self, prefix: str) -> list[list[object]]:
        found = self._client.get_prefix(prefix, sort_order="ascend", sort_target="create")
        return [[m.key.decode(), value.decode(), m.create_revision, m.lease_id] for value, m in found]

    def watch(self, prefix: str) -> str:
        self._client.add_watch_prefix_callback(prefix, self._tell)
        return "watching"

    def _tell(self, response: Any) -> None:
        for event in response.events:
            answer([type(event).__name__, event.key.decode()])

    def lock(self, key: str, timeout: float) -> bool:
        self._lock = self._client.lock("of-the-test", ttl=60)
        self._lock.key = key  # its own would be /locks/NAME
        return bool(self._lock.acquire(timeout))

    def unlock(self) -> bool:
        return bool(self._lock.release())

    def fenced(self, key: str, token: int, target: str, value: str) -> bool:
        of = self._client.transactions
        done, _ = self._client.transaction([of.create(key) == token], [of.put(target, value)], [])
        return bool(done)

    def join(self, prefix: str, value: str) -> str:
        lease = self._client.lease(600)
        self._joined = f"{prefix}/{lease.id:x}"
        self._client.put(self._joined, value, lease=lease)
        return self._joined

    def leave(self) -> bool:
        return bool(self._client.delete(self._joined))


def answer(value: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Obey until the end of standard input."""
    host, port = sys.argv[1:]
    driver = Driver(etcd3.client(host, int(port)))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        answer(getattr(driver, command)(*arguments))


if __name__ == "__main__":
    main()
