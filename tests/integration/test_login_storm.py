"""Tokens of all sidecars void at once, and an etcd that needs longer for all logins than a request may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar

SIDECARS = 8
TTL = 120  # far more than all logins take, also on a machine that does something else
SLOW = ("--bcrypt-cost=12",)
"""A fraction of a second of CPU time for each login, on one processor: longer than a request's time for all of them."""


def add_a_role(server: EtcdServer) -> None:
    """A change of roles or users makes each JWT old."""
    server.ctl.run("role", "add", "unrelated")


def forget_tokens(server: EtcdServer) -> None:
    """Simple tokens are in memory only."""
    server.restart()


@pytest.mark.parametrize(("kind", "void"), [("jwt", add_a_role), ("simple", forget_tokens)])
def test_no_term_is_lost(
    kind: str,
    void: Callable[[EtcdServer], None],
    etcd_factory: Callable[..., EtcdServer],
    sidecar_factory: Callable[..., Sidecar],
    tmp_path: Path,
) -> None:
    """Each sidecar has its keep-alive confirmed again under a new token, with its term unbroken."""
    (tmp_path / "key").write_text("a key for signatures")
    (tmp_path / "password").write_text("secret")
    tokens = (
        f"--auth-token=jwt,priv-key={tmp_path}/key,sign-method=HS256,ttl=1h" if kind == "jwt" else "--auth-token=simple"
    )
    server = etcd_factory(flags=[*SLOW, tokens], env={"GOMAXPROCS": "1"})
    server.enable_auth({"app": "secret"})
    flags = ("--etcd-user", "app", "--etcd-password-file", str(tmp_path / "password"))
    sidecars = [
        sidecar_factory(f"s{number}", server.url, root="/leasehold", lock=f"lock-{number}", ttl=TTL, flags=flags)
        for number in range(SIDECARS)
    ]
    before = {sidecar.name: sidecar.wait_leading().token for sidecar in sidecars}
    void(server)
    voided = time.monotonic()
    waiting = {sidecar.name: sidecar for sidecar in sidecars}

    def all_renewed() -> bool:
        for name, sidecar in list(waiting.items()):
            answer = sidecar.ask()
            assert (answer.leading, answer.token) == (True, before[name])
            if answer.sent + answer.fields["validForSeconds"] - TTL > voided:  # sent after the tokens were void
                del waiting[name]
        return not waiting

    wait_for(all_renewed, "all leases to be renewed", PATIENCE)
