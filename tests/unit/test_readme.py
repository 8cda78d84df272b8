"""The README names all there is: what it leaves out, or what no longer exists, fails here."""

import re
from pathlib import Path

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
from leasehold.settings.options import Option

README = (Path(__file__).parents[2] / "README.md").read_text()
RUN = [option for group in flags.RUN for option in group.options]
OPTIONS = list(RUN)
for _groups in (flags.EXEC, config.GROUPS, injector.GROUPS):
    OPTIONS += [option for group in _groups for option in group.options if option not in OPTIONS]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_every_setting_is_there_as_its_help_says(option: Option[object]) -> None:
    """The tables of settings are the help, to the word; the operator's and the injector's have their own."""
    sentence = option.help[0].upper() + option.help[1:]
    assert f"| `{option.flag}` | {sentence} |" in README


def test_no_setting_is_there_that_is_not() -> None:
    """Every flag in the tables of settings exists, and stands there once for each meaning."""
    rows = re.findall(r"^\| `(--[a-z-]+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(option.flag for option in OPTIONS)


def test_every_metric_is_there() -> None:
    """All metrics' names are listed, and no others."""
    registry = CollectorRegistry()
    Metrics(registry, Publisher(Snapshot(LockName("a", "b"), "c", State.IDLE), clock.now))
    InjectorMetrics(registry)
    OperatorMetrics(registry, lambda: Gauges(0, 0, 0, 0, active=True, etcd_reachable=True, mirror_age=0.0))
    names = re.findall(r"^# TYPE (leasehold_\w+) ", generate_latest(registry).decode(), re.MULTILINE)
    own = {name for name in names if not name.endswith("_created")}
    assert set(re.findall(r"`(leasehold_\w+)`", README)) == own | {"leasehold_position"}  # a gauge that comes and goes


def test_every_command_is_there() -> None:
    """Each sub-command has its row."""
    for command in main.COMMANDS:
        assert f"| `leasehold {command.name}" in README


def test_plugin_commands_match_the_help() -> None:
    """The table of `kubectl leasehold` is its help, to the word, and has no others."""
    rows = re.findall(r"^\| `kubectl leasehold ([^`]*)` \| (.*) \|$", README, re.MULTILINE)
    expected = [
        (f"{one.name} {one.takes}".strip(), one.summary[0].upper() + one.summary[1:]) for one in plugin.COMMANDS
    ]
    assert rows == expected


def test_recipes_of_exec_are_commands() -> None:
    """The crontab's line and the systemd unit give exec settings that exist."""
    for name, start in (("cron", "root leasehold exec "), ("systemd", "leasehold exec ")):
        found = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
        assert found
        (line,) = (line for line in found[1].splitlines() if start in line)
        config = exec_config(line.partition(start)[2].split(), {})
        assert config.command
        assert config.sidecar.warnings == ()
