"""The pages name all there is: what they leave out, or what no longer exists, fails here."""

import re
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from leasehold import clock
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.cli import main
from leasehold.election.snapshot import Snapshot, State
from leasehold.injector import config as injector
from leasehold.injector.metrics import InjectorMetrics
from leasehold.kubectl import arguments as plugin
from leasehold.lock.names import LockName
from leasehold.operator import config
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.settings import flags
from leasehold.settings.exec import exec_config
from leasehold.settings.options import Group, Option
from tests.support.documentation import example, page_of, text


def _of(groups: Iterable[Group]) -> list[Option[object]]:
    return [option for group in groups for option in group.options]


RUN = _of(flags.RUN)
SETTINGS = {
    "run": RUN,
    "exec": [option for option in _of(flags.EXEC) if option not in RUN],
    "operator": [option for option in _of(config.GROUPS) if option not in RUN],
    "injector": [option for option in _of(injector.GROUPS) if option not in (*RUN, *_of(config.GROUPS))],
}
PAGES = [page_of(command) for command in ("run", "operator", "injector")]


@pytest.mark.parametrize("command", SETTINGS)
def test_settings_are_the_help(command: str) -> None:
    """A page's table of settings is the help, to the word, and has no others."""
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (.*) \|$", page_of(command), re.MULTILINE)
    assert rows == [(option.flag, option.help[0].upper() + option.help[1:]) for option in SETTINGS[command]]


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


def test_plugin_commands_match_the_help() -> None:
    """The table of `kubectl leasehold` is its help, to the word, and has no others."""
    rows = re.findall(r"^\| `kubectl leasehold ([^`]*)` \| (.*) \|$", page_of("kubectl"), re.MULTILINE)
    expected = [
        (f"{one.name} {one.takes}".strip(), one.summary[0].upper() + one.summary[1:]) for one in plugin.COMMANDS
    ]
    assert rows == expected


def test_recipes_of_exec_are_commands() -> None:
    """The crontab's line and the systemd unit give exec settings that exist."""
    for name, start in (("cron", "root leasehold exec "), ("systemd", "leasehold exec ")):
        found = example(name, "sidecar/leasehold/exec/README.md")
        (line,) = (line for line in found.splitlines() if start in line)
        config = exec_config(line.partition(start)[2].split(), {})
        assert config.command
        assert config.sidecar.warnings == ()
