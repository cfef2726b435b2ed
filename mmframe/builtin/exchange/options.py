"""What a strategy file may say of the embedded exchange: the feed's table is the market, the venue's our way in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.instrument import Instrument
from mmframe.errors import DomainError
from mmframe.plugin import option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "EmbeddedFeedOptions",
    "EmbeddedVenueOptions",
    "check_grid",
    "instruments",
    "start_ns",
    "venue_assumptions",
]

MIN_PRICE_TICKS = 1_000
"""Smallest initial price, in ticks: below it the book has no room for its levels and a tick is a jump."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class EmbeddedFeedOptions:
    """`[feed] use = "embedded"`: the market itself, the same for every instrument of the strategy."""

    start: str = option(
        help="Virtual time at which the market opens, ISO 8601 with zone.", default="2026-01-01T00:00:00Z"
    )
    price: Decimal = option(help="Price at the start.", default=Decimal(50_000), above=0.0, unit="quote units")
    tick_size: Decimal = option(help="Price step.", default=Decimal(5), above=0.0, unit="quote units")
    lot_size: Decimal = option(help="Size step.", default=Decimal("0.0001"), above=0.0, unit="base units")
    volatility_bps_per_sqrt_s: float = option(
        help="Volatility of the fundamental price, jumps included.", default=3.0, minimum=0.0, unit="bps per sqrt(s)"
    )
    spread_bps: float = option(
        help="Spread that one background maker quotes; their competition makes the touch narrower.",
        default=3.0,
        above=0.0,
        unit="bps",
    )
    makers: int = option(help="Background makers.", default=6, minimum=1, maximum=100)
    maker_levels: int = option(help="Orders a side of each maker.", default=12, minimum=1, maximum=100)
    maker_refreshes_per_s: float = option(
        help="How often each maker looks at its quotes; slower makers are picked off more.", default=4.0, above=0.0
    )
    noise_takers_per_s: float = option(help="Market orders that know nothing.", default=1.5, minimum=0.0)
    informed_takers_per_s: float = option(
        help="Looks of takers who know the fundamental price and take what is mispriced.", default=8.0, minimum=0.0
    )
    patient_orders_per_s: float = option(
        help="Limit orders of traders who are no makers; each rests about 5 s.", default=8.0, minimum=0.0
    )
    typical_size: Decimal = option(
        help="Median size of a background order.", default=Decimal("0.02"), above=0.0, unit="base units"
    )
    message_interval_ms: int = option(
        help="Book changes are sent together once per interval; 0 sends each by itself. Trades are sent at once.",
        default=20,
        minimum=0,
        unit="ms",
    )
    feed_latency_ms: float = option(
        help="Time from the market to us, for market data and for answers to orders.",
        default=2.0,
        minimum=0.0,
        unit="ms",
    )

    def __attrs_post_init__(self) -> None:
        start_ns(self)
        check_grid(self, _grid(self, "BASE/QUOTE"))


@attrs.frozen
class EmbeddedVenueOptions:
    """`[venue.paper] use = "embedded"`: how we reach the market and what it costs."""

    order_latency_ms: float = option(help="Time from us to the market.", default=5.0, minimum=0.0, unit="ms")
    maker_fee_bps: Decimal = option(
        help="Fee of a resting order's fills; negative is a rebate.", default=Decimal(0), unit="bps"
    )
    taker_fee_bps: Decimal = option(help="Fee of fills that take.", default=Decimal(5), unit="bps")
    fee_asset: str = option(
        help="Whether fees are taken in the market's quote or base asset.", default="quote", choices=("quote", "base")
    )
    self_trade_prevention: str = option(
        help="What happens when our orders meet: they trade, the newer one ends, the older one ends, or both.",
        default=SelfTradePrevention.EXPIRE_TAKER.value,
        choices=tuple(mode.value for mode in SelfTradePrevention),
    )


def instruments(options: EmbeddedFeedOptions, symbols: Sequence[str]) -> Mapping[str, Instrument]:
    """Return the grid of any `BASE/QUOTE`: the embedded exchange lists whatever is asked for.

    Raises:
        DomainError: If a symbol has no slash.
    """
    return {symbol: _grid(options, symbol) for symbol in symbols}


def check_grid(options: EmbeddedFeedOptions, instrument: Instrument) -> None:
    """Check that price and typical size fit the grid.

    Raises:
        DomainError: If they are off the grid, or the price has too few ticks to move in.
    """
    ticks = _on_grid(options.price, instrument.tick_size, "price", "tick_size")
    if ticks < MIN_PRICE_TICKS:
        msg = f"price: expected at least {MIN_PRICE_TICKS} ticks of {instrument.tick_size}, was {options.price}"
        raise DomainError(msg, hint="choose a smaller tick_size")
    _on_grid(options.typical_size, instrument.lot_size, "typical_size", "lot_size")


def _on_grid(value: Decimal, step: Decimal, name: str, step_name: str) -> int:
    count = int(value / step)
    if count * step != value:
        msg = f"{name}: expected a multiple of {step_name} {step}, was {str(value)!r}"
        raise DomainError(msg)
    return count


def _grid(options: EmbeddedFeedOptions, symbol: str) -> Instrument:
    return Instrument(symbol=symbol, tick_size=options.tick_size, lot_size=options.lot_size)


def start_ns(options: EmbeddedFeedOptions) -> int:
    """Return the opening time in nanoseconds UTC.

    Raises:
        DomainError: If `start` is no ISO 8601 time with a zone, or lies before 1970.
    """
    try:
        moment = datetime.fromisoformat(options.start)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment < _EPOCH:
        msg = f"start: expected an ISO 8601 time with zone such as '2026-01-01T00:00:00Z', was {options.start!r}"
        raise DomainError(msg)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def venue_assumptions(options: EmbeddedVenueOptions) -> Sequence[str]:
    """Return what results on the embedded exchange assume, one sentence each."""
    return (
        "The market is synthetic, seeded traders around a fundamental price: results say nothing of a real market.",
        "Our orders rest in the same price-time queue as everybody's and move the market like everybody's.",
        f"Orders take {options.order_latency_ms:g} ms to the exchange, each time the same.",
        f"Fees: maker {options.maker_fee_bps} bps, taker {options.taker_fee_bps} bps, in {options.fee_asset} units.",
        f"Self-trade prevention: {options.self_trade_prevention}.",
    )
