"""The PyPI client etcd3, which shares no code with ours: it reads what we wrote, contests it, and queues with us."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers import EtcdServer, Process, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
LONG = 600


class Etcd3:
    """The other client, one command at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def ask(self, *command: object) -> Any:
        """Its answer to one command."""
        self._process.send(json.dumps(command))
        return self.answer()

    def answer(self) -> Any:
        """Its next answer."""
        return json.loads(self._process.read_line(PATIENCE))


@pytest.fixture
def etcd3(etcd: EtcdServer, spawn: Callable[..., Process]) -> Etcd3:
    script = Path(__file__).with_name("etcd3_client.py")
    env = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    words = [sys.executable, "-P", script, "127.0.0.1", str(etcd.port)]
    return Etcd3(spawn(words, name="etcd3", env=env, lines=True))


def test_it_reads_our_queue(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock) -> None:
    """Who leads, under which token, by which lease: all of it is in plain keys."""
    a = sidecar_factory("a", ttl=LONG, env={"POD_NAME": "pod-1"})
    token = a.wait_leading().token
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(1)
    first, second = etcd3.ask("queue", stored.keys.queue)
    key, value, created, lease = first
    assert (json.loads(value)["identity"], json.loads(value)["pod"], created) == ("a", "pod-1", token)
    assert key == f"{stored.keys.prefix}/{lease:x}"
    assert json.loads(second[1])["identity"] == "b"


def test_it_watches_a_handover(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock) -> None:
    """A handover is a deletion, which wakes whoever watches; no watcher has to wait for a lease."""
    a = sidecar_factory("a", ttl=LONG)
    a.wait_leading()
    sidecar_factory("b", ttl=LONG).wait_queued(1)
    first = stored.entries()[0].key
    assert etcd3.ask("watch", stored.keys.queue) == "watching"
    a.terminate()
    assert etcd3.answer() == ["DeleteEvent", first]


def test_its_lock_respects_our_key(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock) -> None:
    """Contesting the very key of our leader, it fails while ours leads and succeeds when ours has given it up."""
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    key = stored.entries()[0].key
    assert etcd3.ask("lock", key, 0.5) is False
    assert a.ask().token == token
    assert a.terminate() == 0  # first: its Lock misses a deletion between its attempt and its watch, and waits for ever
    assert etcd3.ask("lock", key, 5) is True


def test_ours_respects_its_lock(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock) -> None:
    """A lock of its own in our queue, with sixteen random bytes as its value, is a candidate like any other."""
    assert etcd3.ask("lock", f"{stored.keys.queue}theirs", 5) is True
    a = sidecar_factory("a", ttl=LONG)
    a.wait_queued(1)
    assert not a.is_leading()
    assert etcd3.ask("unlock") is True
    a.wait_leading()


def test_it_queues_with_us(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock) -> None:
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    key = etcd3.ask("join", stored.keys.prefix, "theirs")
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(2)
    a.terminate()
    wait_for(lambda: stored.entries()[0].key == key, "its turn", PATIENCE)
    assert not b.is_leading()
    assert etcd3.ask("leave") is True
    assert b.wait_leading().token > token


def test_our_token_fences_its_writes(sidecar_factory: Factory, etcd3: Etcd3, stored: StoredLock, root: str) -> None:
    """Any client can compare the create revision of the leader's key: a token that is over writes nothing."""
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    key, target = stored.entries()[0].key, f"{root}/guarded"
    assert etcd3.ask("fenced", key, token, target, "by a") is True
    a.post("/handover")
    wait_for(lambda: a.is_leading() and a.ask().token > token, "the next term", PATIENCE)
    assert etcd3.ask("fenced", key, token, target, "too late") is False
    kept = stored.ctl.get(target)
    assert kept is not None
    assert kept.value == "by a"
