"""Draws `docs/images/first-run.svg`: the terminal in the middle of the first example, from a real run of it.

python docs/_tools/terminal_picture.py
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from mmframe.cli.figures import RecentFills
from mmframe.cli.live import RunView
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan

if TYPE_CHECKING:
    from mmframe.domain.status import RunStatus

ROOT = Path(__file__).resolve().parents[2]
STRATEGY = Path("examples") / "01_first_run" / "strategy.toml"
PICTURE = ROOT / "docs" / "images" / "first-run.svg"
_LENGTH_NS = 22_000_000_000
_WIDTH = 100


class _LastQuotes:
    """Keeps the last picture of a run in which both sides were quoted, and the fills up to then."""

    interval_s = 0.0

    def __init__(self, view: RunView) -> None:
        self._view = view
        self.drawn: object = None
        self.now_s = 0.0

    def on_status(self, status: RunStatus) -> None:
        self.now_s = (status.now_ns - status.started_ns) / 1e9
        drawn = self._view.draw(status)
        if all(market.our_bid is not None and market.our_ask is not None for market in status.markets):
            self.drawn = drawn


def main() -> None:
    """Run the example as fast as possible, and draw how it looked shortly before its end."""
    plan = compose(ROOT / STRATEGY, no_journal=True)
    fills = RecentFills(plan.instruments)
    # The rate of decisions is shown as somebody sees it who watches at the market's own pace.
    observer: _LastQuotes
    view = RunView(plan, fills, reasons=plan.reasons, now_s=lambda: observer.now_s if observer else 0.0)
    observer = _LastQuotes(view)
    run_plan(attrs.evolve(plan, sinks=(*plan.sinks, fills)), observer=observer, limit_ns=_LENGTH_NS)
    console = Console(file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "green"), f"mmframe run {STRATEGY.as_posix()}"))
    console.print(observer.drawn)
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="mmframe", code_format=_without_web_fonts(), unique_id="first-run")
    PICTURE.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size:,} bytes\n")


def _without_web_fonts() -> str:
    """Return rich's frame with fonts that every system has, so that the picture asks no other host for anything."""
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return template.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


if __name__ == "__main__":
    main()
