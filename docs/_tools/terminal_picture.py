"""Draws `docs/images/first-run.svg`: the terminal in the middle of the first example, from a real run of it.

python docs/_tools/terminal_picture.py
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.console import Console, RenderableType
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


class _Watcher:
    """Keeps the last picture of a run in which both sides were quoted."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.view: RunView | None = None
        self.picture: RenderableType = ""
        self.now_s = 0.0

    def on_status(self, status: RunStatus) -> None:
        # The rate of decisions is shown as somebody sees it who watches at the market's own pace.
        self.now_s = (status.now_ns - status.started_ns) / 1e9
        if self.view is None:
            return
        picture = self.view.draw(status)
        if all(market.our_bid is not None and market.our_ask is not None for market in status.markets):
            self.picture = picture


def main() -> None:
    """Run the example as fast as possible, and draw how it looked shortly before its end."""
    plan = compose(ROOT / STRATEGY, no_journal=True)
    fills = RecentFills(plan.instruments)
    watcher = _Watcher()
    watcher.view = RunView(plan, fills, reasons=plan.reasons, now_s=lambda: watcher.now_s)
    run_plan(attrs.evolve(plan, sinks=(*plan.sinks, fills)), observer=watcher, limit_ns=_LENGTH_NS)
    console = Console(file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "green"), f"mmframe run {STRATEGY.as_posix()}"))
    console.print(watcher.picture)
    console.print(Text.assemble(("\n$ ", "green"), f"mmframe explain {STRATEGY.as_posix()} --side bid"))
    console.print(Text("\n".join(_explanation())))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(_tidy(console.export_svg(title="mmframe", unique_id="first-run")), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size:,} bytes\n")


def _explanation() -> list[str]:
    """Return the answer and the table of stages for the bid in the picture, as the command prints them."""
    seconds = f"{_LENGTH_NS / 1e9:g}s"
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder) / "run.journal")
        _mmframe("run", str(STRATEGY), "--speed", "max", "--for", seconds, "--quiet", "--journal", journal)
        answer = _mmframe("explain", journal, "--side", "bid")
    return answer.partition("\n\nWhat it saw")[0].splitlines()


def _mmframe(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command with our own words
        [sys.executable, "-m", "mmframe", *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(_WIDTH)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _tidy(svg: str) -> str:
    """Use fonts that every system has, so that the picture asks no other host for anything; end lines cleanly."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
