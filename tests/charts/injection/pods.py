"""Pods of every kind that the policies and the injector are to agree about: some can be injected, some are refused."""

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

from tests.unit.injector.pods import Pod

VALUES: Final[dict[str, list[str]]] = {
    "lock": ["reports", "reports", "a.b-c", "r" * 253, "", "Reports", "a/b", "-x", "r" * 254, "a\nb"],
    "gate": ["readiness", "label", "startup", "", "Label"],
    "app-health": [
        ":8080/healthz",
        ":8080",
        "http://127.0.0.1:8080/x?a=b&c=<d>#e",
        "https://app.example.",
        "HTTP://[::1]:80/$(POD_UID)/$$",
        "http://a_b:065535",
        "",
        "healthz",
        "http://",
        "http://x:0/",
        "http://x:65536",
        "http://x:",
        "http://u:p@x",
        "http://a b",
        "http://ä",
        "http://a..b",
        "http://1.2.3",
        "http://[::g]/",
        "ftp://x",
    ],
    "ttl": ["3", "+15", "007", "3600", "", "2", "3601", "1.5", "15s", "-7", "9" * 19],
    "require-lock": ["true", "false", "", "yes", "True"],
    "port": ["4040", "4042", "8080", "1", "65535", "", "0", "65536", "http"],
    "control-port": ["4041", "4043", "8080", "", "-1"],
    "etcd-secret": ["mine", "a.b", "", "My Secret"],
    "cpu-request": ["10m", "none", "0.02", "", "1Q", "9", "100u", "1e-10"],
    "cpu-limit": ["1", "2e0", "none", "lots", "1m", "1e99", "1e-12"],
    "memory-request": ["50Mi", "none", "64e6", "-1", "1Ti"],
    "memory-limit": ["1Gi", "none", "5000000000", "1 Gi", "1k", "8Ei", "1E"],
}
"""What each annotation is tried with: texts that are valid, and texts that are not."""
_STRANGE: Final = [{"colour": "red"}, {"apphealth": ":80"}, {"locks": "x"}, {"leader-of": "x"}, {"injected": "0.1.0"}]
_LABELS: Final[list[dict[str, str]]] = [
    {"pod-template-hash": "7d4f"},
    {"controller-revision-hash": "5c"},
    {"batch.kubernetes.io/job-name": "batch"},
    {"job-name": "batch"},
    {"leasehold.dev/inject": "yes"},
    {"leasehold.dev/leader": "true"},
    {"leasehold.dev/gate": "label"},
    {"leasehold.dev/locked": "x"},
]
_INIT: Final[list[list[dict[str, Any]]]] = [
    [{"name": "migrate", "image": "app:1", "ports": [{"containerPort": 9000}]}],
    [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}, {"name": "migrate", "image": "app:1"}],
    [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
    [{"name": "leasehold", "image": "app:1"}],
]
_PORTS: Final[list[list[dict[str, Any]]]] = [
    [{"containerPort": 8080, "name": "http"}],
    [{"containerPort": 4040}],
    [{"containerPort": 4041, "protocol": "TCP"}],
    [{"containerPort": 4040, "protocol": "UDP"}, {"containerPort": 4041, "protocol": "SCTP"}],
    [{"containerPort": 81}, {"containerPort": 80, "name": "leasehold"}],
]
_VOLUMES: Final[list[list[dict[str, Any]]]] = [
    [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
    [{"name": "leasehold-state", "emptyDir": {"medium": "Memory"}}, {"name": "data", "configMap": {"name": "data"}}],
    [{"name": "leasehold-state", "configMap": {"name": "data"}}],
    [{"name": "leasehold-etcd", "emptyDir": {}}],
    [{"name": "leasehold-etcd-auth", "emptyDir": {}}],
]
_MORE: Final[list[dict[str, Any]]] = [
    {"terminationGracePeriodSeconds": 0},
    {"terminationGracePeriodSeconds": 700_000},
    {"hostNetwork": True},
    {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
    {"hostNetwork": True, "dnsPolicy": "Default"},
    {"nodeSelector": {"kubernetes.io/os": "windows"}},
    {"nodeSelector": {"kubernetes.io/os": "linux"}},
    {"os": {"name": "linux"}},
    {"os": {"name": "windows"}},
    {"restartPolicy": "Never", "priority": 0},
    {"securityContext": {"runAsUser": 2_147_483_647}},
    {"resources": {"limits": {"cpu": "2"}}},
    {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi", "cpu": "1"}}},
    {"resources": {"limits": {"memory": "9223372036854771712", "cpu": "+2"}}},
    {"imagePullSecrets": [{"name": "mine"}]},
]


def bare_pod() -> Pod:
    """A pod that can be injected, as an API server takes it."""
    metadata = {
        "name": "one",
        "labels": {"leasehold.dev/inject": "true"},
        "annotations": {"leasehold.dev/lock": "reports", "leasehold.dev/app-health": ":8080/healthz"},
    }
    containers = [{"name": "app", "image": "app:1"}, {"name": "log", "image": "log:1"}]
    return {"metadata": metadata, "spec": {"automountServiceAccountToken": False, "containers": containers}}


def complete(pod: Pod) -> Pod:
    """A pod of the injector's tests with all that an API server asks for."""
    filled = copy.deepcopy(pod)
    filled["metadata"] = {**filled["metadata"], "name": "one"}
    filled["spec"] = {**bare_pod()["spec"], **filled["spec"]}
    for each in filled["spec"]["containers"]:
        each |= {"name": each["name"].strip("<>"), "image": "app:1"}
    for each in filled["spec"].get("volumes", ()):
        if "hostPath" in each:
            each["hostPath"] = {"path": "/"}
        elif "name" in each and len(each) == 1:
            each["emptyDir"] = {}
    filled["metadata"]["labels"] = {name: text.strip("<>") for name, text in filled["metadata"]["labels"].items()}
    return filled


def each_value() -> Iterator[Pod]:
    """Each text of each annotation alone, without and with a health check."""
    for name, texts in VALUES.items():
        for text in texts:
            pod = bare_pod()
            pod["metadata"]["annotations"][f"leasehold.dev/{name}"] = text
            yield pod
            if name == "gate":
                other = copy.deepcopy(pod)
                del other["metadata"]["annotations"]["leasehold.dev/app-health"]
                yield other


def without_annotations() -> Pod:
    """A pod that has the label alone."""
    pod = bare_pod()
    del pod["metadata"]["annotations"]
    return pod


def mixed(seed: int, count: int) -> Iterator[Pod]:
    """Pods with several things at once."""
    chance = random.Random(seed)
    for _ in range(count):
        yield _mixed(chance)


def _mixed(chance: random.Random) -> Pod:
    pod = bare_pod()
    spec = pod["spec"]
    _annotate(pod["metadata"], chance)
    for place, choices in (("initContainers", _INIT), ("volumes", _VOLUMES)):
        if chance.random() < 0.4:
            spec[place] = copy.deepcopy(choices[min(int(chance.expovariate(0.7)), len(choices) - 1)])
    if chance.random() < 0.3:
        spec["containers"][1]["ports"] = copy.deepcopy(chance.choice(_PORTS))
    if chance.random() < 0.4:
        spec |= chance.choice(_MORE)
    return pod


def _annotate(metadata: dict[str, Any], chance: random.Random) -> None:
    if chance.random() < 0.3:
        del metadata["annotations"]["leasehold.dev/app-health"]
    for name, texts in VALUES.items():
        if chance.random() < 0.25:  # mostly the valid ones, which stand first
            metadata["annotations"][f"leasehold.dev/{name}"] = texts[min(int(chance.expovariate(0.9)), len(texts) - 1)]
    if chance.random() < 0.1:
        metadata["annotations"] |= {f"leasehold.dev/{name}": text for name, text in chance.choice(_STRANGE).items()}
    if chance.random() < 0.5:
        metadata["labels"] |= _LABELS[min(int(chance.expovariate(0.5)), len(_LABELS) - 1)]
    if chance.random() < 0.1:
        metadata["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": "batch", "uid": "1"}]
