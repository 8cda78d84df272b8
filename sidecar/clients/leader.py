"""Work only while this pod leads: python3 leader.py SIDECAR STORE. Needs the standard library alone."""

import http.client
import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple


class Term(NamedTuple):
    """What `/leader` says of the term that this pod leads in."""

    token: int
    until: float
    """When the work must be over, by `time.monotonic()`, unless the sidecar was asked again."""


def ask(sidecar: str) -> Term | None:
    """None if this pod does not lead, or if nobody says that it does."""
    sent = time.monotonic()  # before the question: the answer may come late
    try:
        with urllib.request.urlopen(f"{sidecar}/leader", timeout=2) as answer:
            fields = json.load(answer)
    except (OSError, http.client.HTTPException, ValueError):  # 503 is among them
        return None
    return Term(fields["token"], sent + fields["validForSeconds"])


def work(store: str, term: Term) -> bool:
    """One unit of work, given up when the term may be over. False if it was not done, or refused."""
    left = term.until - time.monotonic()
    if left <= 0:
        return False
    headers = {"Leasehold-Token": str(term.token)}  # the store refuses a token that is lower than one it has seen
    try:
        with urllib.request.urlopen(urllib.request.Request(store, b"one unit", headers), timeout=left):
            return True
    except (OSError, http.client.HTTPException):
        return False


def events(sidecar: str) -> Iterator[None]:
    """Yield whenever it is time to ask again, for ever; connect again if the sidecar restarts or falls silent."""
    while True:
        try:
            with urllib.request.urlopen(f"{sidecar}/events", timeout=15) as stream:  # a heartbeat comes every 5 s
                for line in stream:
                    if line.startswith(b"event:"):
                        yield
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.5)


def main(sidecar: str, store: str) -> None:
    """Work whenever this pod leads."""
    for _ in events(sidecar):
        while (term := ask(sidecar)) and work(store, term):
            time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
