"""`python -m tests.bench.picture FIGURES.json PICTURE.svg`: the figures of a run as bars, for light and dark pages.

FIGURES.json is what `python -m tests.bench --json` wrote. Each bar ends at the middle value; the thin line goes from
p10 to p90. In each figure, less is better.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LABELS, VALUES = 760, 250, 130
_ROW, _BAR, _TITLE, _GAP = 24, 14, 30, 18

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .value { font-variant-numeric: tabular-nums }
  .ours { fill: #0969da } .other { fill: #afb8c1 }
  .spread { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ours { fill: #4493f8 } .other { fill: #57606a }
    .spread { stroke: #e6edf3 }
  }
"""


def draw(tables: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of all tables that have a figure. Raises ValueError if none has."""
    figures = [table["figure"] for table in tables if table.get("figure")]
    if not figures:
        raise ValueError("none of the tables has a figure: run handover, start, idle or crowd")
    parts, height = [], _GAP
    for figure in figures:
        parts.append(_figure(figure, height))
        height += _TITLE + _ROW * len(figure["bars"]) + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>\n"])


def _figure(figure: Mapping[str, Any], top: int) -> str:
    bars = figure["bars"]
    longest = max(high for _, _, _, high in bars) or 1.0
    scale = (WIDTH - LABELS - VALUES) / longest
    lines = [_text(0, top + 14, figure["title"], "title")]
    for place, bar in enumerate(bars):
        name = bar[0]
        ours = not figure.get("peers", True) or (name.startswith("leasehold") and "before" not in name)
        kind = "ours" if ours else "other"
        lines += _bar(bar, kind, figure["unit"], scale, top + _TITLE + _ROW * place)
    return "\n".join(lines)


def _bar(bar: Sequence[Any], kind: str, unit: str, scale: float, top: int) -> list[str]:
    name, middle, low, high = bar
    width, line = max(1.0, middle * scale), top + _BAR / 2
    left, right = LABELS + low * scale, LABELS + high * scale
    return [
        _text(0, top + 12, name, "name"),
        f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{left:.1f}" x2="{right:.1f}" y1="{line}" y2="{line}"/>',
        _text(LABELS + max(middle, high) * scale + 8, top + 12, f"{_shown(middle)} {unit}", "value"),
    ]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def main(arguments: Sequence[str]) -> None:
    """Draw one file from the other; exits with 2 and a sentence if that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.picture", description="Draw a run's figures.")
    parser.add_argument("figures", type=Path, help="what `python -m tests.bench --json` wrote")
    parser.add_argument("picture", type=Path, nargs="?", default=Path("figures.svg"), help="the SVG to write")
    given = parser.parse_args(arguments)
    try:
        given.picture.write_text(draw(json.loads(given.figures.read_text())))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
