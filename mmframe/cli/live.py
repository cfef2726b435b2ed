"""The live display of a run on a terminal. The only module that needs rich."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mmframe.cli.figures import (
    book_text,
    distance_bps,
    position_text,
    price,
    progress_fraction,
    quote_text,
    risk_text,
    spread_bps,
)
from mmframe.cli.status import DecisionRate
from mmframe.cli.text import count, duration, money, plain, wall_time
from mmframe.domain.market import BookState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from mmframe.cli.figures import RecentFills
    from mmframe.domain.status import MarketStatus, RunStatus
    from mmframe.runtime.plan import Plan

__all__ = ["LiveStatus", "RunView"]

_INTERVAL_S = 0.2
_BAR_WIDTH = 16
_WIDTH_MAX = 100
_PANELS_MAX = 3
"""More markets than this are shown as one line each."""
_BOOK_STYLES = {BookState.SYNCED: "green", BookState.STALE: "yellow", BookState.UNSYNCED: "red"}


class RunView:
    """Turns a status into what rich draws.

    Args:
        plan: The strategy that runs.
        fills: The last executions.
        reasons: Texts of plugins' own reason codes.
        now_s: Wall time in seconds, of any origin.

    Attributes:
        stopping: Why the run is being stopped; empty while it is not.
    """

    def __init__(
        self,
        plan: Plan,
        fills: RecentFills,
        *,
        reasons: Mapping[int, str],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._fills = fills
        self._reasons = reasons
        self._rate = DecisionRate(now_s)
        self.stopping = ""

    def draw(self, status: RunStatus, *, width: int = _WIDTH_MAX) -> RenderableType:
        """Return the whole display for a terminal of so many columns."""
        is_wide = width >= _WIDTH_MAX
        parts: list[RenderableType] = [self._head(status, is_wide=is_wide)]
        if len(status.markets) <= _PANELS_MAX:
            parts += [self._panel(market) for market in status.markets]
        else:
            parts.append(self._overview(status))
        parts += [Text(f" adviser  {line}", style="magenta") for line in status.advice]
        if self._fills.lines:
            parts.append(Text("\n".join(f" {line}" for line in self._fills.lines), style="dim"))
        parts.append(self._foot(status, is_wide=is_wide))
        return Group(*parts)

    def _head(self, status: RunStatus, *, is_wide: bool) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        state = Text(" quoting ", style="bold white on dark_green")
        if status.is_halted:
            state = Text(" HALTED ", style="bold white on red")
        elif self.stopping:
            state = Text(" stopping ", style="black on yellow")
        elif status.is_paused:
            state = Text(" PAUSED ", style="black on yellow")
        elif not any(market.working for market in status.markets):
            state = Text(" waiting ", style="black on yellow")
        moment = wall_time(status.now_ns)
        cells: list[RenderableType] = [
            Text(f" {status.strategy}", style="bold"),
            Text(status.mode),
            state,
            Text(f"market time {moment}" if is_wide else moment.partition(" ")[2], style="dim"),
        ]
        fraction = progress_fraction(self._plan, status)
        if fraction is not None:
            cells += [
                ProgressBar(total=1.0, completed=fraction, width=_BAR_WIDTH, complete_style="cyan"),
                Text(f"{fraction:.0%}"),
            ]
        for _ in cells:
            line.add_column(no_wrap=True)
        line.add_row(*cells)
        return line

    def _panel(self, market: MarketStatus) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        for _ in range(3):
            table.add_column(justify="right", min_width=14, no_wrap=True)
        spread = spread_bps(market.bid, market.ask)
        table.add_row("", Text("bid", style="dim"), Text("ask", style="dim"), Text("spread", style="dim"))
        table.add_row("market", price(market.bid), price(market.ask), "" if spread is None else f"{spread:.2f} bps")
        ours = spread_bps(market.our_bid, market.our_ask)
        table.add_row(
            "ours",
            self._quote("bid", market.our_bid, market.bid_reason),
            self._quote("ask", market.our_ask, market.ask_reason),
            "" if ours is None else f"{ours:.2f} bps",
        )
        table.add_row(
            "from mid", distance_bps(market, market.our_bid), distance_bps(market, market.our_ask), "", style="dim"
        )
        book = Text("book ", style="dim").append(book_text(market.book_state), style=_BOOK_STYLES[market.book_state])
        panel = Panel(
            Group(table, Text(), _account(market)),
            title=Text(market.instrument, style="bold"),
            title_align="left",
            subtitle=book,
            subtitle_align="right",
            box=box.ROUNDED,
            border_style="cyan",
        )
        return Constrain(panel, _WIDTH_MAX)

    def _quote(self, side: str, ours: Decimal | None, reason: int) -> Text:
        style = "yellow" if ours is None else "bold green" if side == "bid" else "bold red"
        return Text(quote_text(side, ours, reason, self._reasons), style=style)

    def _overview(self, status: RunStatus) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("market", "book", "bid", "ask", "position", "P&L", "orders", "fills"):
            table.add_column(heading, justify="left" if heading in {"market", "book"} else "right", no_wrap=True)
        for market in status.markets:
            table.add_row(
                Text(market.instrument, style="bold"),
                Text(book_text(market.book_state), style=_BOOK_STYLES[market.book_state]),
                self._quote("bid", market.our_bid, market.bid_reason),
                self._quote("ask", market.our_ask, market.ask_reason),
                plain(market.position),
                _amount(market.pnl.total).append(f" {market.quote_asset}"),
                count(market.orders),
                count(market.fills),
            )
        return table

    def _foot(self, status: RunStatus, *, is_wide: bool) -> RenderableType:
        rate = self._rate.update(status.decisions)
        if status.is_halted:
            return Text(f" halted: {status.halt_reason}", style="bold red")
        if self.stopping:
            return Text(f" {self.stopping}: cancelling all orders; Ctrl+C again aborts at once", style="yellow")
        text = Text(
            f" {count(status.events)} events   {count(status.decisions)} decisions ({rate:,.0f}/s)   ", style="dim"
        )
        if is_wide:
            text.append(f"running for {duration(status.now_ns - status.started_ns)}   ")
        return text.append("Ctrl+C cancels all and ends", style="not dim")


class LiveStatus:
    """Draws a `RunView` in place, without a thread of its own: the driver calls it."""

    interval_s = _INTERVAL_S
    is_drawn = True

    def __init__(self, view: RunView, console: Console | None = None) -> None:
        self._view = view
        self._live = Live(
            console=console or Console(stderr=True), auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._live.start()

    def on_status(self, status: RunStatus) -> None:
        """Draw the run as it stands."""
        self._live.update(self._view.draw(status, width=self._live.console.width), refresh=True)

    def on_stop_requested(self, reason: str) -> None:
        """Show it at the next drawing; nothing is written from inside a signal handler."""
        self._view.stopping = reason

    def close(self) -> None:
        """Remove the display; the summary follows."""
        self._live.stop()


def _account(market: MarketStatus) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("position", position_text(market))
    pnl = Text().append_text(_amount(market.pnl.total)).append(f" {market.quote_asset}: ")
    for index, (label, value) in enumerate(
        (("spread capture", market.pnl.spread_capture), ("inventory", market.pnl.inventory), ("fees", market.pnl.fees))
    ):
        pnl.append(f"{' ' if index else ''}{label} ", style="dim").append_text(_amount(value))
    table.add_row("P&L", pnl)
    base = market.instrument.partition("/")[0]
    sent, fills = f"{count(market.orders)} sent", f"{count(market.fills)} fills"
    activity = f"{sent}, {len(market.working)} resting; {fills}, {plain(market.volume)} {base}"
    restriction = risk_text(market.risk_level)
    table.add_row("orders", Text(activity).append(f"   {restriction}" if restriction else "", style="yellow"))
    return table


def _amount(value: Decimal) -> Text:
    return Text(money(value), style="green" if value > 0 else "red" if value < 0 else "default")
