"""The settings of listeners, of the app and of logs: one case for each, its effect as seen from outside."""

import json
import shlex
import signal
import sys
import time
from pathlib import Path

from leasehold.run.work_end import DOUBT_SECONDS, ENDING
from tests.servers import reserve_port, wait_for
from tests.support.http_asker import ask
from tests.support.run_bench import App
from tests.support.setting_cases import Cases, Place, marks
from tests.support.sidecars import LOCK, PATIENCE, Sidecar, wait_leader

CASES: Cases = {}
shows = marks(CASES)

# --- listeners ---


@shows("--listen")
def listen(place: Place) -> None:
    port = reserve_port()
    a = place.bench.start("a", {"--listen": f"127.0.0.1:{port}"})
    assert ask("GET", f"http://127.0.0.1:{port}/livez").status == 200
    assert a.url == f"http://127.0.0.1:{port}"


@shows("--control")
def control(place: Place) -> None:
    port = reserve_port()
    place.bench.start("a", {"--control": f"127.0.0.1:{port}"}).wait_leading()
    assert ask("POST", f"http://127.0.0.1:{port}/pause").status == 202
    wait_for(lambda: place.bench.stored.entries() == [], "a to leave the queue", PATIENCE)


# --- the app ---


@shows("--state-dir")
def state_dir(place: Place) -> None:
    """Holds what is known, for those who would rather read a file; it says when the sidecar has ended."""
    a = place.bench.start("a", {"--state-dir": str(place.directory)})
    token = a.wait_leading().token
    state = place.directory / "state.json"
    wait_for(lambda: state.exists() and json.loads(state.read_text())["leading"], "the state file to tell", PATIENCE)
    fields = json.loads(state.read_text())
    assert (fields["token"], fields["state"], fields["ended"]) == (token, "holding", False)
    assert fields["validUntilUptime"] > float(Path("/proc/uptime").read_text().split()[0])
    assert a.terminate() == 0
    fields = json.loads(state.read_text())
    assert (fields["leading"], fields["token"], fields["ended"]) == (False, None, True)


@shows("--drain")
def drain(place: Place) -> None:
    """TERM: 503 at once, and the key stays until the app is done."""
    a = place.bench.start("a", {"--drain": "600"})
    a.wait_leading()
    b = place.bench.start("b")
    b.wait_queued(1)
    a.signal(signal.SIGTERM)
    a.wait_not_leading()
    assert place.bench.stored.identities() == ["a", "b"]
    assert a.post("/drained") == 202
    b.wait_leading()
    assert a.wait() == 0


@shows("--native-sidecar")
def native_sidecar(place: Place) -> None:
    """TERM waits for signs of the app's end, not for the drain time. A handover on request still does."""
    a = place.bench.start("a", {"--drain": "600", "--native-sidecar": "true"})
    a.wait_leading()
    a.post("/handover")
    assert a.get("/readyz")[0] == 503
    assert place.bench.stored.identities() == ["a"]
    assert a.terminate() == 0
    assert place.bench.stored.entries() == []


@shows("--termination-grace")
def termination_grace(place: Place) -> None:
    """TERM may come because it is over: then an app that refuses connections may still work for some time."""
    flags = {"--native-sidecar": "true", "--termination-grace": "1", "--state-dir": str(place.directory)}
    with App(200) as app:
        a = place.bench.start("a", {**flags, "--app-health": app.url})
        a.wait_leading()
        (place.directory / ENDING).touch()
    begun = time.monotonic()
    assert a.terminate() == 0
    assert time.monotonic() - begun >= DOUBT_SECONDS


@shows("--init-work")
def init_work(place: Place) -> None:
    """An init container may work for as long as the grace period."""
    flags = {"--native-sidecar": "true", "--termination-grace": "1", "--init-work": "true"}
    a = place.bench.start("a", flags)
    a.wait_leading()
    begun = time.monotonic()
    assert a.terminate() == 0
    assert time.monotonic() - begun >= DOUBT_SECONDS + 1


@shows("--app-health")
def app_health(place: Place) -> None:
    """An app that was never healthy never leads."""
    with App(503) as app:
        a = place.bench.start("a", {"--app-health": app.url})
        app.wait_asked()
        assert place.bench.stored.entries() == []
        app.status = 204
        a.wait_leading()


@shows("--pod-labels")
def pod_labels(place: Place) -> None:
    """A pod that is labelled as the leader, and does not lead, is unready after a while; one that leads is ready."""
    labels = place.directory / "labels"
    labels.write_text('app="x"\nleasehold.dev/leader="true"')
    a, b = (place.bench.start(name, {"--pod-labels": str(labels)}) for name in ("a", "b"))
    leader = wait_leader([a, b])
    (other,) = {a, b} - {leader}
    wrong = "no operator has taken the label off"
    wait_for(lambda: wrong in other.get("/readyz")[1], "the label to count as wrong", PATIENCE)
    assert other.get("/readyz")[0] == 503
    assert leader.get("/readyz")[0] == 200
    labels.write_text('app="x"')
    wait_for(lambda: other.get("/readyz")[0] == 200, "the label to be gone", PATIENCE)


@shows("--on-gained", "--on-lost")
def hooks(place: Place) -> None:
    """Each is run with the event, the lock and the token in its environment; no shell reads its words."""
    script = "import os, sys; open(sys.argv[1], 'a').write(' '.join(os.environ[n] for n in sys.argv[2:]) + '\\n')"
    told = place.directory / "told $HOME"
    variables = ["LEASEHOLD_EVENT", "LEASEHOLD_LOCK", "LEASEHOLD_TOKEN"]
    command = shlex.join([sys.executable, "-c", script, str(told), *variables])
    a = place.bench.start("a", {"--on-gained": command, "--on-lost": command})
    token = a.wait_leading().token
    wait_for(lambda: told.exists() and told.read_text(), "the hook to have told", PATIENCE)
    assert a.terminate() == 0
    assert told.read_text().splitlines() == [f"gained {LOCK} {token}", f"lost {LOCK} {token}"]


# --- logs ---


@shows("--log-level")
def log_level(place: Place) -> None:
    """Only what is at least as bad: at `error`, a start and an end without trouble say nothing.

    A busy machine is trouble: it may be worth a warning.
    """
    heard = {}
    for level in ("error", "info", "debug"):
        one = _begin_and_lead(place, {"--log-level": level})
        assert one.terminate() == 0
        heard[level] = one.records()
    assert heard["error"] == []
    assert {"info"} <= {record["level"] for record in heard["info"]} <= {"info", "warning"}
    assert len(heard["info"]) <= len(heard["debug"]) < 50


@shows("--log-format")
def log_format(place: Place) -> None:
    a = _begin_and_lead(place, {"--log-format": "text"})
    a.wait_for_log("token=")
    assert a.records() == []
    a.terminate()
    b = _begin_and_lead(place, {"--log-format": "json"})
    b.wait_for_log("gained")
    assert all("message" in json.loads(line) for line in b.log.splitlines())


def _begin_and_lead(place: Place, settings: dict[str, str]) -> Sidecar:
    """A sidecar whose log may not tell where it listens; it leads on return."""
    port = reserve_port()
    one = place.bench.make("a", settings)
    one.argv += ["--listen", f"127.0.0.1:{port}"]
    one.url = f"http://127.0.0.1:{port}"
    one.begin().wait_leading()
    return one
