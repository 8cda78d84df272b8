"""Why a sidecar does not lead, as it says itself: real sidecars that something keeps from the queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import EtcdServer, reserve_port, wait_for
from tests.support.run_bench import App, Bench
from tests.support.sidecars import PATIENCE, Sidecar


def wait_reason(sidecar: Sidecar, code: str, path: str = "/readyz") -> dict[str, Any]:
    """What the route says once this is the reason."""
    found: dict[str, Any] = {}

    def says_so() -> bool:
        found.clear()
        found.update(json.loads(sidecar.get(path)[1]))
        return found.get("reasonCode") == code

    wait_for(says_so, code, PATIENCE)
    return found


def test_a_wrong_health_port(bench: Bench) -> None:
    """Nothing listens there: every way to ask says so."""
    port = reserve_port()
    a = bench.start("a", {"--app-health": f"http://127.0.0.1:{port}/healthz"})
    for path in ("/readyz", "/leader"):
        body = wait_reason(a, "app-starting", path)
        wait_for(lambda: f"127.0.0.1:{port}" in json.loads(a.get("/leader")[1])["reason"], "the address", PATIENCE)
        assert body["reasonUntil"] is None
    assert "refused" in json.loads(a.get("/readyz")[1])["reason"].lower()
    assert 'leasehold_not_leading_seconds{lock="tests/lock",reason="app-starting"}' in a.get("/metrics")[1]


def test_an_app_that_fails(bench: Bench) -> None:
    """It leads, fails, and is excluded for a time that is told."""
    with App(200) as app:
        a = bench.start("a", {"--app-health": app.url})
        a.wait_leading()
        assert json.loads(a.get("/leader")[1])["reason"] is None
        app.status = 500
        body = wait_reason(a, "app-unhealthy")
        assert f"{app.url} answered 500; no answer counts for another" in body["reason"]
        assert body["reasonUntil"] > body["reasonSince"]


def test_etcd_is_the_reason(bench: Bench, etcd_factory: Callable[..., EtcdServer], tmp_path: Path) -> None:
    """It is away, or does not take the password; the wait for the lock says the same."""
    away = bench.start("away", {"--etcd": f"http://127.0.0.1:{reserve_port()}"})
    assert "127.0.0.1" in wait_reason(away, "etcd-unreachable")["reason"]
    server = etcd_factory()
    server.enable_auth({"me": "secret"}, prefix=f"{bench.root}/")
    password = tmp_path / "password"
    password.write_text("wrong\n")
    login = {"--etcd-user": "me", "--etcd-password-file": str(password)}
    stranger = bench.start("stranger", login, server=server)
    assert "'me'" in wait_reason(stranger, "etcd-login")["reason"]
    password.write_text("secret\n")
    stranger.wait_leading()


def test_a_place_in_the_queue(bench: Bench) -> None:
    """A waiter is ready, and says behind whom it waits; a paused one is neither."""
    a = bench.start("a")
    a.wait_leading()
    b = bench.start("b")
    b.wait_queued(1)
    body = wait_reason(b, "behind", "/leader")
    assert body["reason"] == "others stand ahead in the queue: 1 ahead; a is the first"
    b.post("/pause")
    wait_reason(b, "paused")
    b.wait_for_log("does not lead: paused")
