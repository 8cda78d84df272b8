"""One injector with exactly the chart's rights: what it asks the API server for, and what it answers to whom."""

import base64
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Sequence

import pytest

from tests.charts.rendered import NAMESPACE
from tests.cluster import ControlPlane
from tests.injector.injectors import (
    NAME,
    NO_POD,
    Body,
    Injector,
    Start,
    believe_nobody,
    believed,
    injector_objects,
    secret,
)
from tests.servers import Process, wait_for, wrong_date
from tests.support.rbac import check_rights
from tests.unit.injector.pods import pod

ODD = {"uid": "1", "operation": "CREATE", "kind": {"kind": "Pod"}, "object": {"metadata": {"labels": [1]}, "spec": {}}}


def declare(api: ControlPlane, namespace: str) -> None:
    lock = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "reports"}}
    api.apply(lock, namespace=namespace)


def test_rights_are_used_and_enough(audited: ControlPlane, start: Start) -> None:
    """Every right of the manifest is used, and none is missing."""
    user = audited.service_account(NAME, NAMESPACE)
    own = audited.make_namespace()
    injector = start("--require-lock", "--require-opt-in")
    assert "has not opted in" in injector.review(own)["status"]["message"]
    audited.patch("namespaces", own, {"metadata": {"labels": {"leasehold.dev/injection": "enabled"}}})
    (warning,) = injector.review(own)["warnings"]
    assert f"there is no Lock reports in the namespace {own}" in warning
    declare(audited, own)
    response = injector.review(own)
    assert response["allowed"]
    assert "warnings" not in response
    assert json.loads(base64.b64decode(response["patch"]))[0]["op"] == "add"
    check_rights(injector_objects(), audited.audited(user))


def test_advice_about_a_workload(audited: ControlPlane, start: Start) -> None:
    """Every workload is allowed, whatever is wrong with it; what its Lock says counts."""
    own = audited.make_namespace()
    injector = start("--require-lock")
    two = {"metadata": {"name": "x"}, "spec": {"replicas": 2, "template": pod()}}

    def advice(kind: str, body: Body) -> list[str]:
        response = injector.review(own, body=body, kind=kind)
        assert response["allowed"]
        assert "patch" not in response
        return [one.removeprefix("leasehold: ") for one in response.get("warnings", [])]

    missing, gate = advice("Deployment", two)
    assert missing.startswith(f"there is no Lock reports in the namespace {own}: until it is declared, nobody leads")
    assert gate.startswith("of 2 replicas only 1 will be Ready")
    declare(audited, own)
    assert advice("Deployment", two) == [gate]
    audited.patch("locks", "reports", {"spec": {"capacity": 2}}, own)
    assert advice("Deployment", two) == []
    assert injector.post(b"{}", "/advise")[0] == 400
    assert (
        injector.post(json.dumps(injector.asked(own, {"metadata": {}, "spec": {}}, "Pod")).encode(), "/advise")[0]
        == 400
    )
    broken = json.dumps(injector.asked(own, {"metadata": {}, "spec": {"template": []}}, "Deployment")).encode()
    assert injector.post(broken, "/advise")[0] == 400


def test_webhook_is_put_right(audited: ControlPlane, start: Start) -> None:
    """What somebody else writes into the webhook's configuration is put right."""
    start()
    right = believed(audited)
    believe_nobody(audited)
    wait_for(lambda: believed(audited) == right, "the authorities to be put back")


def test_replicas_share_one_certificate(audited: ControlPlane, start: Start) -> None:
    """Replicas that start at once agree, and one that comes later uses what is there."""
    audited.patch("secrets", f"{NAME}-tls", {"data": None}, NAMESPACE)
    believe_nobody(audited)
    user = audited.service_account(NAME, NAMESPACE)
    with contextlib.ExitStack() as stack:
        several = [Injector(audited, user) for _ in range(3)]
        for each in several:
            stack.callback(each.close)
            each.start()
        for each in several:
            each.wait_ready()
        assert all(each.review("default", require_lock="false")["allowed"] for each in several)
        agreed = believed(audited)
        later = start()
        assert later.review("default", require_lock="false")["allowed"]
        assert believed(audited) == agreed
        assert agreed.count(b"BEGIN CERTIFICATE") == 1


def test_emptied_secret_is_filled_again(audited: ControlPlane, start: Start) -> None:
    """Another certificate would be believed only once every API server had heard of it."""
    one, two = start(), start()
    before, right = secret(audited), believed(audited)
    audited.patch("secrets", f"{NAME}-tls", {"data": None}, NAMESPACE)
    wait_for(lambda: secret(audited) == before, "the Secret to be filled again")
    assert believed(audited) == right
    assert all(each.review("default", require_lock="false")["allowed"] for each in (one, two))


def test_certificates_by_the_servers_clock(audited: ControlPlane, start: Start) -> None:
    """Certificates are dated by the API server's clock."""
    audited.patch("secrets", f"{NAME}-tls", {"data": None}, NAMESPACE)
    ahead = start(env=wrong_date(50))
    assert ahead.review("default", require_lock="false")["allowed"]
    agreed = secret(audited)
    on_time = start()
    assert on_time.review("default", require_lock="false")["allowed"]
    assert secret(audited) == agreed, "nothing is to be renewed"


def test_review_without_an_api_server(
    control_plane_factory: Callable[..., ControlPlane],
) -> None:
    """What would have to be looked up is refused in a sentence."""
    api = control_plane_factory(controllers=False)
    api.create("namespaces", {"metadata": {"name": NAMESPACE}})
    for each in injector_objects():
        api.apply(each, namespace=NAMESPACE)
    with Injector(api, api.service_account(NAME, NAMESPACE), "--require-lock") as injector:
        injector.wait_ready()
        injector.trusted = believed(api)
        api.apiserver.kill()
        response = injector.review("default")
        assert not response["allowed"]
        assert "the pod cannot be checked now: the API server cannot be reached" in response["status"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "1", "object": {}}}',
        b"[" * 10_000,
        json.dumps({"apiVersion": "admission.k8s.io/v1", "request": ODD}).encode(),
    ],
    ids=["empty", "null", "broken", "no pod", "deep", "odd"],
)
def test_no_review_is_a_sentence(start: Start, body: bytes) -> None:
    """What is no review is answered in a sentence, and so is what comes after it."""
    injector = start()
    status, answer = injector.post(body)
    assert status == 400
    assert json.loads(answer) == {"error": "This is no AdmissionReview of admission.k8s.io/v1 about a new pod."}
    assert injector.post(b"x" * 9_000_000)[0] == 413
    assert injector.review("default", require_lock="false")["allowed"]
    assert "Traceback" not in injector.log


def test_term_leaves_a_moment_to_answer(start: Start) -> None:
    """TERM is heeded after a moment in which reviews are still answered."""
    injector = start()
    injector.signal(signal.SIGTERM)
    wait_for(lambda: not injector.ready(), "it to be unready")
    assert injector.review("default", require_lock="false")["allowed"]
    assert injector.wait() == 0


def test_answers_after_term_close(start: Start) -> None:
    """The API server's POST that meets the end of a connection which it thought was kept would refuse a pod."""
    injector = start()
    with injector.connected() as connection:
        for expected in (None, "close"):
            connection.request("POST", "/mutate", NO_POD)
            answer = connection.getresponse()
            answer.read()
            assert answer.headers["Connection"] == expected
            injector.signal(signal.SIGTERM)
            wait_for(lambda: not injector.ready(), "it to be unready")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--sidecar-etcd=http://e:2379"], "--sidecar-image is missing"),
        (["--sidecar-image=i"], "--sidecar-etcd is missing"),
        (
            ["--sidecar-image=i", "--sidecar-etcd=http://e:2379"],
            "No certificate is named: give --tls-cert",
        ),
        (["--certificate-days=0"], "--certificate-days is '0'"),
        (["--sidecar-resources=lots"], "use JSON such as"),
        (['--sidecar-resources={"limits": {"memory": "lots"}}'], "use JSON such as"),
        (["--sidecar-etcd-user=me"], "need each other: give both"),
    ],
)
def test_wrong_settings_exit_with_2(flags: Sequence[str], sentence: str) -> None:
    """Mistakes in the settings are sentences and exit code 2."""
    with Process([sys.executable, "-m", "leasehold", "injector", *flags], name="mistaken") as mistaken:
        assert mistaken.wait() == 2
        assert sentence in mistaken.log
