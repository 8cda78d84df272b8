"""The PyPI etcd3 lock as a process of its own, driven line by line: `PORT NAME TTL`, then `acquire`, `release`.

Each command is answered with one line when it is done. It keeps its lease alive by itself, as its users have to.
Runs under PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python, without which etcd3 0.12 does not import.
"""

import sys
import threading
import time

import etcd3


def main() -> None:
    """Obey until stdin ends."""
    port, name, ttl = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    lock = etcd3.client(host="127.0.0.1", port=port).lock(name, ttl=ttl)
    threading.Thread(target=_refresh, args=(lock, ttl / 3), daemon=True).start()
    _say("ready")
    for line in sys.stdin:
        command = line.strip()
        if command == "acquire":
            lock.acquire(timeout=None)
            _say("acquired")
        elif command == "release":
            lock.release()
            _say("released")


def _refresh(lock: etcd3.Lock, seconds: float) -> None:
    while True:
        time.sleep(seconds)
        if lock.is_acquired():
            lock.refresh()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


main()
