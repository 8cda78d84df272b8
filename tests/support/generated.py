"""The tables of the pages that are made from the code: `python -m tests.support.generated` writes them.

A page has them between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import yaml

from leasehold.injector import config as injector
from leasehold.kubectl import command_table as plugin
from leasehold.operator import config as operator
from leasehold.settings import commands, enrolment
from leasehold.settings.options import Group, Option
from leasehold.ui import config as ui
from tests.support import chart_values, figures
from tests.support.documentation import ROOT, pages, text

_BLOCK: Final = re.compile(r"(<!-- generated: ([^>]*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_CRD: Final = "manifests/crd.yaml"


def regenerated(page: str) -> str:
    """A page's text with its tables as the code has them now. A name that nothing generates is a KeyError."""
    return _BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[4]}", page)


def names(page: str) -> list[str]:
    """The generated tables of a page's text."""
    return [found[2] for found in _BLOCK.finditer(page)]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _figures(rows: list[list[str]]) -> str:
    return _table(rows[0], rows[1:]).replace("---", "---:").replace("| ---:", "| ---", 1)


# --- settings ---


def _options(groups: Iterable[Group]) -> list[Option[object]]:
    return [option for group in groups for option in group.options]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _settings(groups: Iterable[Group], *others: Iterable[Group]) -> str:
    """One row for each option that is not on another page."""
    elsewhere = [option for other in others for option in _options(other)]
    own = [option for option in _options(groups) if option not in elsewhere]
    return _table(("flag", "meaning"), [(f"`{option.flag}`", _sentence(option.help)) for option in own])


def _settings_by_group(groups: Iterable[Group]) -> str:
    rows: list[tuple[str, str]] = []
    for group in groups:
        rows.append((f"**{group.title}**", ""))
        rows += [(f"`{option.flag}`", _sentence(option.help)) for option in group.options]
    return _table(("flag", "meaning"), rows)


# --- the plugin ---


def _plugin() -> str:
    rows = [
        (f"`kubectl leasehold {f'{one.name} {one.takes}'.strip()}`", _sentence(one.summary)) for one in plugin.COMMANDS
    ]
    return _table(("command", "what it does"), rows)


# --- Locks ---


def _schema(part: str) -> Mapping[str, Any]:
    version = yaml.safe_load(text(_CRD))["spec"]["versions"][0]
    found: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"][part]["properties"]
    return found


def _spec() -> str:
    rows = [(_with_default(name, one), one["description"]) for name, one in _schema("spec").items()]
    return _table(("field of `spec` (default)", "what it does, and its limits"), rows)


def _with_default(name: str, field: Mapping[str, Any]) -> str:
    return f"`{name}`" + (f" ({json.dumps(field['default'])})" if "default" in field else "")


def _status() -> str:
    rows = []
    for name, one in _schema("status").items():
        rows.append((f"`{name}`", one["description"]))
        inner = one.get("items", {}).get("properties", {}) if name != "conditions" else {}
        rows += [(f"`{name}[].{field}`", each["description"]) for field, each in inner.items()]
    return _table(("field of `status`", "what it says"), rows)


def _values(chart: str) -> str:
    found = chart_values.rows(ROOT / "charts" / chart)
    return _table(("value", "default", "meaning"), ((f"`{name}`", *rest) for name, *rest in found))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "settings of run": lambda: _settings_by_group(commands.RUN),
    "settings of exec": lambda: _settings(commands.EXEC, commands.RUN),
    "settings of the operator": lambda: _settings(operator.GROUPS, commands.RUN, [enrolment.GROUP]),
    "settings of the enrolment": lambda: _settings([enrolment.GROUP]),
    "settings of the injector": lambda: _settings(injector.GROUPS, commands.RUN, operator.GROUPS),
    "settings of the page": lambda: _settings(ui.GROUPS, commands.RUN),
    "commands of the plugin": _plugin,
    "fields of spec": _spec,
    "fields of status": _status,
    "values of leasehold": lambda: _values("leasehold"),
    "figures": lambda: _figures(figures.in_full()),
    "figures in ratios": lambda: _figures(figures.ratios()),
    "figures in short": lambda: _figures(figures.in_short()),
    "machine of the figures": figures.measured_on,
    "values of singleton": lambda: _values("singleton"),
}


if __name__ == "__main__":
    for page in pages():
        page.write_text(regenerated(page.read_text()))
    missing = TABLES.keys() - {name for page in pages() for name in names(page.read_text())}
    if missing:
        raise SystemExit(f"no page has {', '.join(sorted(missing))}")
