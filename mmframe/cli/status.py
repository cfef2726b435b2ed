"""What a person sees on stderr while a strategy runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from mmframe.cli.figures import (
    book_text,
    pnl_split,
    position_text,
    progress_fraction,
    quote_text,
    risk_text,
    spread_bps,
)
from mmframe.cli.text import count, duration, money, note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.domain.status import MarketStatus, RunStatus
    from mmframe.runtime.driver import StopRequest
    from mmframe.runtime.plan import Plan

__all__ = ["DecisionRate", "PlainStatus", "RunDisplay", "SilentStatus", "stderr_is_terminal"]

_LINE_INTERVAL_S = 5.0
_POLL_INTERVAL_S = 1.0
_RATE_WINDOW_S = 3.0


class RunDisplay(Protocol):
    """A run observer that a person reads.

    Attributes:
        is_drawn: It draws in place, so that other lines on stderr would break it.
    """

    interval_s: float
    is_drawn: bool

    def on_status(self, status: RunStatus) -> None:
        """Show the run as it stands."""
        ...

    def on_stop_requested(self, reason: str) -> None:
        """Say that the run is being stopped; called inside a signal handler, so it must not use buffered streams."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...


class DecisionRate:
    """Decisions a second of wall time over the last few seconds."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._samples: deque[tuple[float, int]] = deque([(now_s(), 0)])

    def update(self, decisions: int) -> float:
        """Return the rate up to now."""
        now_s = self._now_s()
        self._samples.append((now_s, decisions))
        # The oldest sample that is kept is at or before the window's start, so that the window is never shorter.
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _RATE_WINDOW_S:
            self._samples.popleft()
        then_s, before = self._samples[0]
        return (decisions - before) / (now_s - then_s) if now_s > then_s else 0.0


class SilentStatus:
    """`--quiet`: says only that it is stopping."""

    interval_s = 60.0
    is_drawn = False

    def on_status(self, status: RunStatus) -> None:
        """Show nothing."""

    def on_stop_requested(self, reason: str) -> None:
        """Say that the run is being stopped."""
        _write_stop_line(reason)

    def close(self) -> None:
        """Have nothing to restore."""


class PlainStatus:
    """One line a market every few seconds, for logs and pipes.

    Args:
        plan: The strategy that runs.
        stop: Asked to stop the run when stderr is gone: a run that nobody can see must not go on quoting.
        reasons: Texts of plugins' own reason codes.
        now_s: Wall time in seconds, of any origin.
    """

    interval_s = _POLL_INTERVAL_S
    is_drawn = False

    def __init__(
        self, plan: Plan, stop: StopRequest, *, reasons: Mapping[int, str], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._stop = stop
        self._reasons = reasons
        self._now_s = now_s
        self._rate = DecisionRate(now_s)
        self._due_s = now_s() + self.interval_s
        self._is_broken = False

    def on_status(self, status: RunStatus) -> None:
        """Write the lines when they are due."""
        now_s = self._now_s()
        if now_s < self._due_s or self._is_broken:
            return
        self._due_s = now_s + _LINE_INTERVAL_S
        if not all(note(line) for line in self._lines(status)):
            self._is_broken = True
            self._stop.request("the reader of the status lines went away")

    def on_stop_requested(self, reason: str) -> None:
        """Say that the run is being stopped."""
        _write_stop_line(reason)

    def close(self) -> None:
        """Have nothing to restore."""

    def _lines(self, status: RunStatus) -> list[str]:
        fraction = progress_fraction(self._plan, status)
        done = "" if fraction is None else f" {fraction:4.0%}"
        made = f"{count(status.decisions)} decisions ({self._rate.update(status.decisions):,.0f}/s)"
        halted = f", HALTED: {status.halt_reason}" if status.is_halted else ", PAUSED" if status.is_paused else ""
        return [
            f"[{duration(status.now_ns - status.started_ns)}{done}] {count(status.events)} events, {made}{halted}",
            *(f"  {self._market_line(market)}" for market in status.markets),
            *(f"  adviser: {line}" for line in status.advice),
        ]

    def _market_line(self, market: MarketStatus) -> str:
        spread = spread_bps(market.bid, market.ask)
        ours = " / ".join(
            quote_text(side, quote, reason, self._reasons)
            for side, quote, reason in (
                ("bid", market.our_bid, market.bid_reason),
                ("ask", market.our_ask, market.ask_reason),
            )
        )
        parts = [
            f"{market.instrument}: book {book_text(market.book_state)}",
            f"market {market.bid}/{market.ask}" + ("" if spread is None else f" ({spread:.1f} bps)"),
            f"ours {ours}",
            position_text(market),
            f"P&L {money(market.pnl.total)} {market.quote_asset} ({pnl_split(market.pnl)})",
            f"{count(market.orders)} orders, {count(market.fills)} fills",
            risk_text(market.risk_level),
        ]
        return "; ".join(part for part in parts if part)


def stderr_is_terminal() -> bool:
    """Tell whether a live display can be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"


def _write_stop_line(reason: str) -> None:
    # A signal handler may interrupt a write to the same buffered stream, so this goes past the buffer.
    line = f"{reason}: cancelling all orders; press Ctrl+C (again) to abort at once\n"
    try:
        os.write(2, line.encode())
    except OSError:
        return  # stderr is gone; the summary still says how it ended
