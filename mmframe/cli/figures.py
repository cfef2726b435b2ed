"""What the live display, the plain lines and the summary say of a market, in the same words."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe.cli.text import money, plain, signed, wall_time
from mmframe.domain.market import BookState, Side
from mmframe.domain.status import ProfitAndLoss
from mmframe.domain.views import Reason, RiskLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, Fill, OrderUpdate
    from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision
    from mmframe.domain.status import MarketStatus, RunStatus
    from mmframe.runtime.plan import Plan

__all__ = [
    "RecentFills",
    "book_text",
    "distance_bps",
    "pnl_split",
    "position_text",
    "price",
    "progress_fraction",
    "quote_text",
    "reason_text",
    "risk_text",
    "spread_bps",
    "sum_pnl",
]

_BPS = Decimal(10_000)
_RECENT_FILLS_MAX = 4
_BOOK_TEXTS = {BookState.UNSYNCED: "not in sync", BookState.SYNCED: "in sync", BookState.STALE: "stale"}


class RecentFills:
    """A sink that keeps the last few fills for the live display."""

    wants_decisions = False

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._instruments = instruments
        self._lines: deque[str] = deque(maxlen=_RECENT_FILLS_MAX)

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the last fills, newest first."""
        return tuple(reversed(self._lines))

    def on_fill(self, fill: Fill) -> None:
        """Remember one execution."""
        instrument = self._instruments[fill.market]
        verb = "bought" if fill.side == Side.BUY else "sold"
        role = "maker" if fill.is_maker else "taker"
        size, at = plain(instrument.size(fill.size_lots)), price(instrument.price(fill.price_ticks))
        clock = wall_time(fill.receive_ns).split(" ")[1]
        fee = f"{'rebate' if fill.fee < 0 else 'fee'} {money(abs(fill.fee)).removeprefix('+')} {fill.fee_asset}"
        self._lines.append(f"{clock}  {verb:<6} {size} {instrument.base} at {at}  {role}, {fee}")

    def on_decision(self, decision: QuoteDecision) -> None:
        """Ignore it; none is made for this sink."""

    def on_action(self, action: Action, now_ns: int) -> None:
        """Ignore it."""

    def on_order_update(self, update: OrderUpdate) -> None:
        """Ignore it."""

    def on_advice(self, update: AdviceUpdate) -> None:
        """Ignore it; the status has a line for each adviser."""

    def on_limit(self, limit: LimitRecord) -> None:
        """Ignore it; the status tells the level."""

    def close(self) -> None:
        """Have nothing to release."""


def price(value: Decimal | None) -> str:
    """Return a price with thousands separators, as exact as the grid; a dash when there is none."""
    return "-" if value is None else f"{value:,f}"


def reason_text(code: int, texts: Mapping[int, str] | None = None) -> str:
    """Return why a quote is absent, in words; a plugin's own codes come from `texts`."""
    if texts and code in texts:
        return texts[code]
    try:
        return Reason(code).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {code} of a plugin"


def quote_text(side: str, ours: Decimal | None, reason: int, texts: Mapping[int, str] | None = None) -> str:
    """Return our price on a side, or why there is none."""
    if ours is not None:
        return price(ours)
    # Quotes may be on their way: the strategy wants one but none rests yet.
    return f"no {side}: {reason_text(reason, texts)}" if reason else f"no {side} resting yet"


def book_text(state: BookState) -> str:
    """Return the state of a book in words."""
    return _BOOK_TEXTS[state]


def risk_text(level: int) -> str:
    """Return the strongest risk level in words; empty when nothing is restricted."""
    return "" if level == RiskLevel.ALLOW else f"risk: {RiskLevel(level).name.lower().replace('_', ' ')}"


def spread_bps(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Return the distance between two prices in bps of their middle."""
    if bid is None or ask is None or bid + ask <= 0:
        return None
    return (ask - bid) * 2 * _BPS / (bid + ask)


def distance_bps(market: MarketStatus, ours: Decimal | None) -> str:
    """Return how far our price is from the market's mid, such as `-2.5 bps`; empty when one is missing."""
    if ours is None or market.bid is None or market.ask is None:
        return ""
    mid = (market.bid + market.ask) / 2
    return f"{(ours - mid) / mid * _BPS:+.1f} bps"


def position_text(market: MarketStatus) -> str:
    """Return the position with its average price."""
    base = market.instrument.partition("/")[0]
    if not market.position or market.average_price is None:
        return f"flat (0 {base})"
    digits = max(0, -int(market.bid.as_tuple().exponent)) if market.bid is not None else 8
    return f"{signed(market.position)} {base} at {market.average_price:,.{digits}f} on average"


def pnl_split(pnl: ProfitAndLoss) -> str:
    """Return the three parts of the profit."""
    return f"spread capture {money(pnl.spread_capture)}, inventory {money(pnl.inventory)}, fees {money(pnl.fees)}"


def sum_pnl(parts: Iterable[ProfitAndLoss]) -> ProfitAndLoss:
    """Return the sum of profits that are in one quote asset."""
    values = list(parts)
    return ProfitAndLoss(
        **{
            name: sum((getattr(value, name) for value in values), Decimal(0))
            for name in ProfitAndLoss.__struct_fields__
        }
    )


def progress_fraction(plan: Plan, status: RunStatus) -> float | None:
    """Return how much of the run is done, 0 to 1; None when nobody can know."""
    fractions = []
    progress = getattr(plan.history, "progress", None)
    if callable(progress):
        fractions.append(float(progress()))
    if plan.duration_ns:
        fractions.append((status.now_ns - status.started_ns) / plan.duration_ns)
    return min(max(fractions), 1.0) if fractions else None
