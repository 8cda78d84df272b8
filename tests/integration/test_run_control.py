"""The routes of a real sidecar that change something, and the addresses that it listens on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import reserve_port, wait_for
from tests.support.http_asker import ask
from tests.support.run_routes import get, post, wait_ready_as
from tests.support.sidecars import Sidecar

CONTROL_ROUTES = ("/handover", "/pause", "/resume", "/drained")
PUBLIC_ROUTES = ("/leader", "/", "/events", "/livez", "/readyz", "/metrics")


# --- the control listener ---


def test_waiter_has_nothing_to_give_up(sidecar_factory: Callable[..., Sidecar]) -> None:
    """409 and a sentence; and it stays where it is."""
    sidecar_factory("a", ttl=600).wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    for path in ("/handover", "/drained"):
        reply = post(b, path)
        assert (reply.status, reply.fields["state"]) == (409, "waiting")
        assert "does not hold the lock" in reply.fields["error"]
    assert b.ask().fields["position"] == 1


def test_control_in_every_order(sidecar_factory: Callable[..., Sidecar]) -> None:
    """Asked twice, or before its time, no command does harm."""
    a = sidecar_factory("a", ttl=600, flags=["--drain", "600"])
    first = a.wait_leading()
    assert post(a, "/resume").status == 202, "nothing is paused, which is what was asked for"
    assert a.ask().token == first.token
    assert [post(a, "/handover").status for _ in range(2)] == [202, 202]
    assert get(a, "/leader").status == 503
    assert post(a, "/drained").status == 202
    assert a.wait_leading().token > first.token
    assert [post(a, "/pause").status for _ in range(2)] == [202, 202]
    assert post(a, "/drained").status in (202, 409), "the first may have been enough"
    wait_ready_as(a, "idle", 503)
    assert post(a, "/drained").status == 409
    assert post(a, "/handover").status == 409
    assert [post(a, "/resume").status for _ in range(2)] == [202, 202]
    a.wait_leading()


def test_drained_without_a_drain(sidecar_factory: Callable[..., Sidecar]) -> None:
    """POST /drained to a holder gives the lock up without a wait, however long the drain may be."""
    a = sidecar_factory("a", ttl=600, flags=["--drain", "600"])
    a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    assert post(a, "/drained").status == 202
    b.wait_leading()


def test_the_listeners_are_apart(sidecar_factory: Callable[..., Sidecar]) -> None:
    """Whoever may ask who leads may not thereby take the lead away."""
    a = sidecar_factory("a", ttl=600)
    token = a.wait_leading().token
    for path in CONTROL_ROUTES:
        assert ask("POST", a.url + path).status == 404
        assert ask("GET", a.control + path).status == 405
    for path in PUBLIC_ROUTES:
        assert ask("GET", a.control + path).status == 404
        assert ask("POST", a.url + path).status == 405
    assert get(a, "/nothing").status == 404
    assert a.ask().token == token


def test_no_web_page_hands_a_lock_over(sidecar_factory: Callable[..., Sidecar]) -> None:
    """A browser names the page in Origin; a page that was made to resolve to us names itself in Host."""
    a = sidecar_factory("a", ttl=600)
    token = a.wait_leading().token
    for headers in ({"Origin": "http://evil.test"}, {"Host": "evil.test:4041"}):
        assert ask("POST", a.control + "/handover", headers).status == 403
    assert a.ask().token == token


def test_control_on_a_unix_socket(sidecar_factory: Callable[..., Sidecar], tmp_path: Path) -> None:
    """For its owner and group; one that a killed process left behind is replaced, and TERM takes it away."""
    path = tmp_path / "control.sock"
    a = sidecar_factory("a", ttl=3, flags=["--control", f"unix:{path}"])
    first = a.wait_leading()
    assert path.stat().st_mode & 0o777 == 0o660
    assert ask("POST", f"unix:{path}:/handover").status == 202
    wait_for(lambda: a.is_leading() and a.ask().token > first.token, "the next term")
    a.kill()
    assert path.exists()
    a.start()
    a.wait_leading()
    assert ask("POST", f"unix:{path}:/drained", {"Host": "any.test"}).status == 202
    assert a.terminate() == 0
    assert not path.exists()


@pytest.mark.parametrize("address", ["[::1]", "[::]", "127.0.0.1", "0.0.0.0", "localhost", ""])
def test_addresses_to_listen_on(sidecar_factory: Callable[..., Sidecar], address: str) -> None:
    """IPv6 too; `[::]`, `0.0.0.0` and no host at all answer on loopback as well."""
    port = reserve_port()
    a = sidecar_factory("a", ttl=600, flags=["--listen", f"{address}:{port}"])
    host = {"[::]": "[::1]", "0.0.0.0": "127.0.0.1", "": "[::1]"}.get(address, address)
    a.url = f"http://{host}:{port}"
    assert a.wait_leading().leading
    if address in ("[::]", ""):
        assert ask("GET", f"http://127.0.0.1:{port}/leader").status == 200
