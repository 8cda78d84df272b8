"""Questions to the routes of a real sidecar."""

from tests.servers import wait_for
from tests.support.http_asker import Reply, ask
from tests.support.sidecars import PATIENCE, Sidecar


def get(sidecar: Sidecar, path: str) -> Reply:
    return ask("GET", sidecar.url + path)


def post(sidecar: Sidecar, path: str) -> Reply:
    return ask("POST", sidecar.control + path)


# --- /livez and /readyz ---


def readiness(sidecar: Sidecar) -> tuple[int, str]:
    assert get(sidecar, "/livez").status == 200, "it lives in every state"
    reply = get(sidecar, "/readyz")
    assert reply.fields["ready"] is (reply.status == 200)
    assert ("reason" in reply.fields) is (reply.status != 200)
    return reply.status, reply.fields["state"]


def wait_ready_as(sidecar: Sidecar, state: str, status: int) -> None:
    wait_for(lambda: readiness(sidecar) == (status, state), f"{sidecar.name} to be {state}, {status}", PATIENCE)
