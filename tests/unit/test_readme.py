"""The pages name all there is: what they leave out, or what no longer exists, fails here."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from leasehold.base import clock
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.cli import main
from leasehold.election.snapshot import Snapshot, State
from leasehold.injector.metrics import InjectorMetrics
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.settings.exec import exec_config
from tests.support.documentation import example, page_of, pages, text
from tests.support.generated import TABLES, names, regenerated

PAGES = [page_of(command) for command in ("run", "operator", "injector")]


@pytest.mark.parametrize(
    "page", [page for page in pages() if names(page.read_text())], ids=lambda page: page.parent.name
)
def test_tables_are_generated(page: Path) -> None:
    """Settings, commands and fields are as the code has them."""
    written = page.read_text()
    assert written == regenerated(written), "run python -m tests.support.generated"


def test_each_table_has_its_page() -> None:
    """Each is on one page, and none is left out."""
    assert sorted(name for page in pages() for name in names(page.read_text())) == sorted(TABLES)


def test_every_metric_is_there() -> None:
    """All metrics' names are listed, and no others."""
    registry = CollectorRegistry()
    Metrics(registry, Publisher(Snapshot(LockName("a", "b"), "c", State.IDLE), clock.now))
    InjectorMetrics(registry)
    OperatorMetrics(registry, lambda: Gauges(0, 0, 0, 0, active=True, etcd_reachable=True, mirror_age=0.0))
    names = re.findall(r"^# TYPE (leasehold_\w+) ", generate_latest(registry).decode(), re.MULTILINE)
    own = {name for name in names if not name.endswith("_created")}
    assert set(re.findall(r"`(leasehold_\w+)`", "".join(PAGES))) == own | {
        "leasehold_position"
    }  # a gauge that comes and goes


def test_every_command_is_there() -> None:
    """Each sub-command has its row."""
    for command in main.COMMANDS:
        assert f"| `leasehold {command.name}" in text("sidecar/README.md")


def test_recipes_of_exec_are_commands() -> None:
    """The crontab's line and the systemd unit give exec settings that exist."""
    for name, start in (("cron", "root leasehold exec "), ("systemd", "leasehold exec ")):
        found = example(name, "sidecar/leasehold/exec/README.md")
        (line,) = (line for line in found.splitlines() if start in line)
        config = exec_config(line.partition(start)[2].split(), {})
        assert config.command
        assert config.sidecar.warnings == ()
