"""`kubectl leasehold ui` when the page's pod goes and another one comes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from leasehold.kubectl import ui
from leasehold.kubectl.arguments import Arguments
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.errors import ClusterError

GIVEN = Arguments("ui", ClusterRef((), "system"), no_open=True)
KUBECTL = """#!/bin/sh
echo "$@" >> "$0.log"
echo "Forwarding from 127.0.0.1:4321 -> 4042"
"""


class Ended(Exception):
    """The list of what the cluster says is at its end."""


def pod(name: str, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "system", **metadata}, "status": {"phase": phase}}


class Pods:
    """A cluster whose pods are, from one question to the next, these."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self._answers: Iterator[list[dict[str, Any]]] = iter(answers)

    def objects(self, path: str, what: str, selector: str) -> list[Mapping[str, Any]]:
        for answer in self._answers:
            return list(answer)
        raise Ended


@pytest.fixture
def forwarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a kubectl that forwards and ends at once was told, a line for each time."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(program))
    monkeypatch.setattr(ui, "_AGAIN_SECONDS", 0.0)
    return tmp_path / "kubectl.log"


def show(*answers: list[dict[str, Any]]) -> None:
    cluster: Any = Pods(*answers)
    ui.show_page(cluster, GIVEN)


def test_the_next_pod_is_forwarded_to(forwarded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same port, once it runs; one that is on its way out is left alone. It is told once what is waited for."""
    leaving = pod("one", deletionTimestamp="2026-01-01T00:00:00Z")
    with pytest.raises(Ended):
        show([pod("one")], [leaving], [leaving, pod("two", "Pending")], [leaving, pod("two")])
    ports = [line.split()[-2:] for line in forwarded.read_text().splitlines()]
    assert ports == [["pod/one", ":4042"], ["pod/two", "4321:4042"]]
    out, err = capsys.readouterr()
    assert out.count("http://127.0.0.1:4321/") == 1
    assert err.count("no page running") == 1


def test_without_a_page_it_ends(forwarded: Path) -> None:
    with pytest.raises(ClusterError, match=r"install the chart with ui\.enabled=true"):
        show([pod("one", "Pending")])
