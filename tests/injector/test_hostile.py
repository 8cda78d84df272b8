"""Whoever in the cluster connects to the webhook: neither its memory nor its answers are theirs to take."""

import contextlib
import json
import socket
import ssl
from collections.abc import Callable

import pytest

from tests.injector.injectors import HOST, Body, Injector, Start
from tests.unit.injector.pods import pod

LIMIT = 512 * 1024 * 1024
"""Bytes that the chart gives the injector."""
Attack = Callable[[Injector, contextlib.ExitStack], None]


def plain(injector: Injector, stack: contextlib.ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", injector.port), 60))


def silent_before_tls(injector: Injector, stack: contextlib.ExitStack) -> None:
    for _ in range(700):
        plain(injector, stack)


def secured(injector: Injector, stack: contextlib.ExitStack) -> ssl.SSLSocket:
    return stack.enter_context(_trusting.wrap_socket(plain(injector, stack), server_hostname=HOST))


_trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_trusting.check_hostname = False
_trusting.verify_mode = ssl.CERT_NONE


def silent_after_tls(injector: Injector, stack: contextlib.ExitStack) -> None:
    for _ in range(700):
        secured(injector, stack)


def post(connection: ssl.SSLSocket, body: bytes, announced: int, path: bytes = b"/mutate") -> None:
    with contextlib.suppress(OSError):  # closed, to make room
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, announced) + body)


def bodies_that_stop_before_their_end(injector: Injector, stack: contextlib.ExitStack) -> None:
    for connection in [secured(injector, stack) for _ in range(150)]:
        connection.settimeout(0.02)
        post(connection, b"x" * 4_000_000, 4_100_000)


def bodies_of_tiny_objects(injector: Injector, stack: contextlib.ExitStack) -> None:
    body = b"[" + b"{}," * 1_390_000 + b"{}]"
    for connection in [secured(injector, stack) for _ in range(20)]:
        connection.settimeout(0.2)
        post(connection, body, len(body))


def reviews_that_wait_for_the_api_server(injector: Injector, stack: contextlib.ExitStack) -> None:
    """What is read into objects must not be kept meanwhile."""
    many_reviews(injector, stack, "Pod", pod(require_lock="true"), b"/mutate")


def workloads_that_wait_for_the_api_server(injector: Injector, stack: contextlib.ExitStack) -> None:
    """As of pods."""
    workload = {"metadata": {"name": "x"}, "spec": {"template": pod(require_lock="true")}}
    many_reviews(injector, stack, "Deployment", workload, b"/advise")


def many_reviews(injector: Injector, stack: contextlib.ExitStack, kind: str, subject: Body, path: bytes) -> None:
    """Reviews that end in the same instant, each of 200 KB that are thirty times as much as objects."""
    request: Body = {"uid": "u", "operation": "CREATE", "kind": {"kind": kind}, "namespace": "default"}
    request |= {"object": subject, "x": [{}] * 65_000}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "request": request}).encode().replace(b"{}, ", b"{},")
    assert len(body) < 256 * 1024
    connections = [secured(injector, stack) for _ in range(200)]
    for connection in connections:
        post(connection, body[:-1], len(body), path)
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.sendall(body[-1:])


def all_at_once(injector: Injector, stack: contextlib.ExitStack) -> None:
    for attack in (silent_before_tls, bodies_that_stop_before_their_end, bodies_of_tiny_objects):
        attack(injector, stack)


@pytest.mark.parametrize(
    "attack",
    [
        silent_before_tls,
        silent_after_tls,
        bodies_that_stop_before_their_end,
        bodies_of_tiny_objects,
        reviews_that_wait_for_the_api_server,
        workloads_that_wait_for_the_api_server,
        all_at_once,
    ],
)
def test_answers_within_its_memory(start: Start, attack: Attack) -> None:
    """Beside hostile clients it goes on answering, within the memory that it has."""
    injector = start()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            attack(injector, stack)
            assert injector.review("default", require_lock="false")["allowed"]
        peak = injector.peak_memory()
    assert peak < LIMIT, f"{peak / 1e6:.0f} MB"
