"""What is offered next on the command line."""

import pytest

from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.command_table import COMMANDS
from leasehold.kubectl.complete import Completions, main


class Known(Completions):
    """A cluster with two Locks, that tells where it was asked."""

    def __init__(self, cluster_ref: ClusterRef) -> None:
        self.cluster_ref = cluster_ref

    def values(self, flag: str) -> list[str]:
        return {"--context": ["one", "two"], "--namespace": ["default", "prod"]}.get(flag, [])

    def locks(self) -> list[str]:
        return [f"db.{self.cluster_ref.namespace}" if self.cluster_ref.namespace else "db", "queue"]


def offered(*words: str) -> list[str]:
    return [line.partition("\t")[0] for line in main(words, Known).splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("re",), ["resume", "revoke", ":4"]),
        (("nothing", ""), [":4"]),
        (("resume", ""), ["db", "queue", ":4"]),
        (("resume", "-n", "prod", "d"), ["db.prod", ":4"]),
        (("resume", "--namespace=prod", "d"), ["db.prod", ":4"]),
        (("resume", "db", ""), [":4"]),
        (("resume", "--cont"), ["--context", ":4"]),
        (("resume", "--context", ""), ["one", "two", ":4"]),
        (("resume", "--context=t"), ["--context=two", ":4"]),
        (("resume", "-n", "p"), ["prod", ":4"]),
        (("resume", "--as", "me", "--context", "t"), ["two", ":4"]),
        (("resume", "--as-u"), ["--as-uid", "--as-user-extra", ":4"]),
        (("resume", "-s", ""), [":4"]),
        (("resume", "-v", "6", "d"), ["db", ":4"]),
        (("resume", "-o", "js"), ["json", ":4"]),
        (("check", "-o", ""), ["table", "json", "yaml", ":4"]),
        (("resume", "--kubeconfig", "x"), [":0"]),
        (("resume", "--request-timeout", ""), [":4"]),
        (("describe", "--etcd-ca", ""), [":0"]),
        (("list", "-A", ""), [":4"]),
        (("wait", "db", "--for", "h"), ["held", "holder=", ":4"]),
        (("completion", ""), ["bash", "zsh", "fish", ":4"]),
    ],
)
def test_choices(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_every_command_is_offered_with_its_summary() -> None:
    lines = main([""], Known).splitlines()
    assert lines == [*(f"{command.name}\t{command.summary}" for command in COMMANDS), ":4"]
    assert main([], Known).splitlines() == lines


def test_no_cluster_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["resume", "--kubeconfig", "/nowhere", ""]) == ":4\n"
    assert main(["resume", "--kubeconfig", "/nowhere", "--context", ""]) == ":4\n"
