"""The README's fenced writes, run as they stand: a leader that was paused between check and write changes nothing."""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.servers import EtcdServer, Postgres, Process, program, wait_for
from tests.support.documentation import example
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]


@pytest.fixture
def paused(sidecar_factory: Factory, stored: StoredLock) -> Iterator[tuple[Sidecar, Sidecar, int]]:
    """A leader whose pod is frozen, its successor, and the token that the first was told before."""
    a = sidecar_factory("a")
    token = a.wait_leading().token
    b = sidecar_factory("b")
    b.wait_queued(1)
    a.pause()
    stored.end_lease("a")  # no sidecar's clock matters here
    b.wait_leading()
    yield a, b, token
    a.resume()


# --- etcd ---

DRIVER = """
import sys

term = current_term(sys.argv[1])
print("checked", flush=True)
sys.stdin.readline()
print(fenced_put(term, sys.argv[2], sys.argv[3]), flush=True)
"""


class Worker:
    """An app with the README's code in it: it asks its sidecar, and writes when it is told to go on."""

    def __init__(self, spawn: Callable[..., Process], etcd: EtcdServer, script: Path, leader: str) -> None:
        self._spawn = spawn
        path = f"{program('etcdctl').parent}{os.pathsep}{os.environ['PATH']}"
        self._env = {"PATH": path, "ETCDCTL_ENDPOINTS": etcd.url}
        self._script = script
        self._leader = leader

    def start(self, key: str, value: str) -> Process:
        argv = [sys.executable, self._script, self._leader, key, value]
        return self._spawn(argv, name="worker", env=self._env, lines=True)


@pytest.fixture
def worker(spawn: Callable[..., Process], etcd: EtcdServer, tmp_path: Path) -> Callable[[Sidecar], Worker]:
    script = tmp_path / "worker.py"
    script.write_text(example("fenced etcd write") + DRIVER)
    return lambda sidecar: Worker(spawn, etcd, script, f"{sidecar.url}/leader")


def go_on(process: Process) -> str:
    """Let a worker write; whether it says that it did."""
    process.send("go on")
    return process.read_line()


def test_late_write_to_etcd_is_refused(
    sidecar_factory: Factory, worker: Callable[[Sidecar], Worker], stored: StoredLock, root: str
) -> None:
    """It has checked, then the whole pod stands still; its successor writes; then it goes on where it was."""
    key = f"{root}/report"
    a = sidecar_factory("a")
    a.wait_leading()
    old = worker(a).start(key, "the old leader's")
    assert old.read_line() == "checked"
    b = sidecar_factory("b")
    b.wait_queued(1)
    old.pause()
    a.pause()
    stored.end_lease("a")  # no sidecar's clock matters here
    b.wait_leading()
    new = worker(b).start(key, "the new leader's")
    assert new.read_line() == "checked"
    assert go_on(new) == "True"
    old.resume()
    a.resume()
    assert go_on(old) == "False"
    kept = stored.ctl.get(key)
    assert kept is not None
    assert (kept.value, kept.version) == ("the new leader's", 1)


def test_leader_writes_to_etcd(
    sidecar_factory: Factory, worker: Callable[[Sidecar], Worker], stored: StoredLock, root: str
) -> None:
    """A leader can write anything to etcd."""
    a = sidecar_factory("a")
    a.wait_leading()
    for value in ("two words", 'a "quoted"\nline', "--lease=5", "", "\N{SNOWMAN}"):
        process = worker(a).start(f"{root}/a report", value)
        assert process.read_line() == "checked"
        assert go_on(process) == "True"
        kept = stored.ctl.get(f"{root}/a report")
        assert kept is not None
        assert kept.value == value


def test_a_waiter_has_no_term(sidecar_factory: Factory, worker: Callable[[Sidecar], Worker], root: str) -> None:
    sidecar_factory("a").wait_leading()
    b = sidecar_factory("b")
    b.wait_queued(1)
    process = worker(b).start(f"{root}/report", "never")
    assert process.wait() != 0
    assert "HTTP Error 503" in process.log


# --- PostgreSQL ---

Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connect(postgres: Postgres, root: str) -> Iterator[Connect]:
    """Connections to tables of the test's own, made as the README says, with one report in them."""
    schema = re.sub(r"\W", "_", root)
    opened: list[psycopg.Connection[Any]] = []

    def connection() -> "psycopg.Connection[Any]":
        opened.append(psycopg.connect(postgres.dsn, options=f"-c search_path={schema}", autocommit=True))
        return opened[-1]

    first = connection()
    first.execute(f"CREATE SCHEMA {schema}".encode())
    first.execute(example("fenced postgres table").encode())
    first.execute("CREATE TABLE report (id int PRIMARY KEY, body text)")
    first.execute("INSERT INTO report VALUES (1, 'empty')")
    yield connection
    for one in opened:
        one.close()


def fenced_update(connection: "psycopg.Connection[Any]", token: int, body: str) -> int:
    """The README's statement, its `:name` parameters in psycopg's notation; how many rows it changed."""
    statement = re.sub(r":(\w+)", r"%(\1)s", example("fenced postgres write"))
    return connection.execute(statement.encode(), {"token": token, "body": body, "id": 1}).rowcount


def body(connection: "psycopg.Connection[Any]") -> str:
    row = connection.execute("SELECT body FROM report WHERE id = 1").fetchone()
    assert row is not None
    return str(row[0])


def test_late_write_to_postgres_is_refused(paused: tuple[Sidecar, Sidecar, int], connect: Connect) -> None:
    """Its successor has written, again and again; the old token changes nothing, now or later."""
    a, b, old = paused
    new = b.ask().token
    app = connect()
    assert [fenced_update(app, new, text) for text in ("first", "second")] == [1, 1]
    a.resume()
    assert fenced_update(connect(), old, "the old leader's") == 0
    assert body(app) == "second"
    assert fenced_update(app, new, "third") == 1


def test_both_write_to_postgres_at_once(paused: tuple[Sidecar, Sidecar, int], connect: Connect) -> None:
    """The old leader's statement runs while the new one's is not committed: it waits, and then changes nothing."""
    _, b, old = paused
    outcome: list[int] = []
    with connect() as new_app:
        new_app.autocommit = False
        assert fenced_update(new_app, b.ask().token, "the new leader's") == 1
        old_app, watcher = connect(), connect()
        late = threading.Thread(target=lambda: outcome.append(fenced_update(old_app, old, "the old leader's")))
        late.start()
        wait_blocked(watcher)
        new_app.commit()
    late.join(30)
    assert outcome == [0]
    assert body(watcher) == "the new leader's"


def wait_blocked(connection: "psycopg.Connection[Any]") -> None:
    """Wait until a statement of this database waits for another's lock."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    wait_for(lambda: connection.execute(blocked).fetchone() == (1,), "the old leader's statement to wait")
