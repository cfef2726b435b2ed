"""Markets with one quote asset: the only ones whose profits and position values can be added up."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.engine.market import EngineMarket

__all__ = ["QuoteGroup"]

_SAVE_PEAK_NS = 10_000_000_000
"""Between two saves of a profit that keeps rising: what a crash can take from the high-water mark."""


class QuoteGroup:
    """Profit, exposure and high-water marks of the markets with one quote asset, all in that asset.

    Attributes:
        quote: The asset.
        market_count: How many markets, as the stages see it.
        day_start_quote: Total profit when the trading day began, exact.
        total_pnl_quote: Of the whole run, fees included, as of the last `update`.
        day_pnl_quote: Since the trading day began, as of the last `update`.
        total_notional_quote: Sum of absolute position values.
        net_notional_quote: Sum of signed position values.
        concentration: Herfindahl index of the absolute position values; 0.0 when all are flat.
        peak_pnl_quote: Highest total profit since the run began or was resumed.
        day_peak_pnl_quote: Highest profit of the day since it began or the run was resumed.
    """

    __slots__ = (
        "_awaits_marks",
        "_day_start_float",
        "_ledgers",
        "_save_peak_after_ns",
        "_saved_peaks",
        "_unseen",
        "concentration",
        "day_peak_pnl_quote",
        "day_pnl_quote",
        "day_start_quote",
        "market_count",
        "markets",
        "net_notional_quote",
        "peak_pnl_quote",
        "quote",
        "total_notional_quote",
        "total_pnl_quote",
    )

    def __init__(self, quote: str, markets: Sequence[EngineMarket]) -> None:
        self.quote = quote
        self.markets = tuple(markets)
        self.market_count = float(len(self.markets))
        self._ledgers = tuple(market.ledger for market in markets)
        self.day_start_quote = Decimal(0)
        self._day_start_float = 0.0
        self.total_pnl_quote = 0.0
        self.day_pnl_quote = 0.0
        self.total_notional_quote = 0.0
        self.net_notional_quote = 0.0
        self.concentration = 0.0
        self.peak_pnl_quote = 0.0
        self.day_peak_pnl_quote = 0.0
        self._awaits_marks = False
        self._saved_peaks = (0.0, 0.0)
        self._save_peak_after_ns = 0
        self._unseen = self.markets

    @property
    def is_valued(self) -> bool:
        """Tell whether the book of every position has been seen.

        Until then a position that was taken back, or found, is worth what its last fill said: a loss would be judged
        that nobody has made, or one that was made would not.
        """
        if self._unseen:
            self._unseen = tuple(market for market in self._unseen if not market.has_touch)
            return not any(market.ledger.position_lots for market in self._unseen)
        return True

    def update(self) -> None:
        """Bring the figures up to the positions and marks as they are now."""
        total = notional = net = squares = 0.0
        for ledger in self._ledgers:
            total += ledger.total_float()
            value = ledger.notional_float()
            if value:
                notional += value
                net += value if ledger.position_lots > 0 else -value
                squares += value * value
        self.total_pnl_quote = total
        self.total_notional_quote = notional
        self.net_notional_quote = net
        self.concentration = squares / (notional * notional) if notional else 0.0
        self.day_pnl_quote = day_pnl = total - self._day_start_float
        self.peak_pnl_quote = max(self.peak_pnl_quote, total)
        self.day_peak_pnl_quote = max(self.day_peak_pnl_quote, day_pnl)
        if self._awaits_marks:
            self._start_peaks()

    def begin_day(self) -> None:
        """Start the count of the day's profit at what the markets have made so far."""
        self.set_day_start(sum((ledger.profit_and_loss().total for ledger in self._ledgers), start=Decimal(0)))
        self.day_peak_pnl_quote = 0.0

    def set_day_start(self, total_quote: Decimal) -> None:
        """Set the total profit with which the day began."""
        self.day_start_quote = total_quote
        self._day_start_float = float(total_quote)

    def forget_peaks(self) -> None:
        """Start the high-water marks anew from here: a person has looked into the loss."""
        self.update()
        self._start_peaks()

    def wants_saving(self, now_ns: int) -> bool:
        """Tell, now and then, that the high-water marks have risen since they were last saved."""
        if now_ns < self._save_peak_after_ns or self._saved_peaks == self.peaks:
            return False
        self._save_peak_after_ns = now_ns + _SAVE_PEAK_NS
        self._saved_peaks = self.peaks
        return True

    def _start_peaks(self) -> None:
        """Start both marks at the profit as it is, and again until the book of everything held has been seen.

        A run that goes on after a restart knows a position's price of its last fill: what the market did since would
        count as a fall from a peak that never was.
        """
        self.peak_pnl_quote = self.total_pnl_quote
        self.day_peak_pnl_quote = self.day_pnl_quote
        self._awaits_marks = any(market.ledger.position_lots and not market.has_touch for market in self.markets)

    @property
    def peaks(self) -> tuple[float, float]:
        """Return both high-water marks, for the saved state."""
        return self.peak_pnl_quote, self.day_peak_pnl_quote

    def restore(self, day_start_quote: Decimal | None, peaks: tuple[float, float] | None) -> None:
        """Take back what a saved state has of this group."""
        if day_start_quote is not None:
            self.set_day_start(day_start_quote)
        if peaks is not None:
            self.peak_pnl_quote, self.day_peak_pnl_quote = self._saved_peaks = peaks
