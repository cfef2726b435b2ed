"""One market: its engine, whoever trades in it besides the accounts, and what it publishes.

Every operation on the engine goes through `Market.settle`, which numbers the book's changes and the trades and hands
them on before the next operation begins. Nobody else drains the engine.
"""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from mmframe.builtin.exchange.flow import SyntheticFlow
from mmframe.builtin.exchange.matching import ANONYMOUS, MatchingEngine, MatchingLimits, SelfTradePrevention
from mmframe.builtin.exchange.options import EmbeddedFeedOptions
from mmframe.domain.market import NEVER_NS, Side
from mmframe_localvenue.core.replay import ReplayEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.builtin.exchange.matching import Execution
    from mmframe.domain.instrument import InstrumentKind
    from mmframe_localvenue.core.setup import CrowdSetup, MarketSetup

__all__ = ["BookChange", "Market", "PublicTrade"]

_TRADES_KEPT = 10_000
_WARM_UP_NS = 5_000_000_000
"""Trading before the opening that nobody sees: the first book is that of a market in its stride."""
_STEPS_MAX = 2_000
"""Acts of the crowd in one go: after a pause of the process the market catches up in pieces, not in one long block."""
_DAY_NS = 86_400_000_000_000
_AVERAGE_NS = 300_000_000_000


class PublicTrade(NamedTuple):
    """One trade as everybody sees it."""

    trade_id: int
    price_ticks: int
    size_lots: int
    taker_side: Side
    at_ns: int
    maker_order_id: int
    taker_order_id: int


class BookChange(NamedTuple):
    """Levels that one operation changed, `(side, ticks, lots now)`, under consecutive update ids."""

    first_update_id: int
    last_update_id: int
    levels: list[tuple[int, int, int]]
    at_ns: int


class Market:
    """One market.

    Args:
        index: Its place in the venue's setup.
        setup: Grid, filters, crowd.
        kind: How positions settle.
        seed: Of the crowd.
        now_ns: When it opens.

    Attributes:
        setup: As given.
        instrument: The grid, with exact conversions.
        name: The exchange's own name, `BTCUSDT`.
        engine: Read it freely; operate on it only between `engine.begin()` and `settle`.
        update_id: Of the last book change.
        trades: The last public trades, oldest first.
        is_trading: False while orders are refused.
        on_book: Called with each `BookChange`.
        on_trade: Called with each `PublicTrade`.
    """

    def __init__(self, index: int, setup: MarketSetup, kind: InstrumentKind, *, seed: int, now_ns: int) -> None:
        self.index = index
        self.setup = setup
        self.instrument = setup.instrument(kind)
        self.name = self.instrument.venue_symbol
        self.engine: MatchingEngine | ReplayEngine
        # Update ids of an exchange never begin at one; a reader that takes 0 for "none yet" shall not get by here.
        self.update_id = 1_000_000 * (index + 1)
        self.trades: deque[PublicTrade] = deque(maxlen=_TRADES_KEPT)
        self.is_trading = True
        self.on_book: list[Callable[[Market, BookChange], None]] = []
        self.on_trade: list[Callable[[Market, PublicTrade], None]] = []
        self._others: SyntheticFlow | ReplayEngine | None = None
        if setup.replay is not None:
            self._others = self.engine = ReplayEngine(setup.replay, setup.replay_index, opens_ns=now_ns)
            return
        self.engine = matching = MatchingEngine(
            MatchingLimits(max_size_lots=2**53, max_open_orders=1_000_000),
            prevention=SelfTradePrevention.NONE,
            tracks_changes=True,
        )
        if setup.crowd is None:
            self._fill_still_book(matching)
        else:
            self._others = self._start_crowd(setup.crowd, matching, seed, now_ns)
        matching.take_changes()

    @property
    def next_ns(self) -> int:
        """Return when the crowd or the recording goes on; `NEVER_NS` for a still book and after a recording's end."""
        return NEVER_NS if self._others is None else self._others.next_ns

    def act_until(self, now_ns: int, settle: Callable[[Market, int], None]) -> None:
        """Let crowd or recording go on up to `now_ns`, calling `settle` after each act or message."""
        others = self._others
        for _ in range(_STEPS_MAX):
            if others is None or others.next_ns > now_ns:
                return
            at_ns = others.next_ns
            self.engine.begin()
            others.step()
            settle(self, at_ns)

    def publish(self, executions: list[Execution], at_ns: int) -> None:
        """Number and hand on what an operation traded and changed; the venue calls it after the accounts had theirs."""
        # What accounts trade in a replayed market never was on the recording's tape.
        public = self.engine.take_tape() if isinstance(self.engine, ReplayEngine) else executions
        for execution in public:
            trade = PublicTrade(
                execution.trade_id,
                execution.price_ticks,
                execution.size_lots,
                Side(execution.taker_side),
                at_ns,
                execution.maker_order_id,
                execution.taker_order_id,
            )
            self.trades.append(trade)
            for hear_trade in self.on_trade:
                hear_trade(self, trade)
        changes = self.engine.take_changes()
        if changes:
            first = self.update_id + 1
            self.update_id += len(changes)
            change = BookChange(first, self.update_id, changes, at_ns)
            for hear_book in self.on_book:
                hear_book(self, change)

    # Figures

    def levels(self, side: Side, count: int) -> list[tuple[str, str]]:
        """Return `(price, size)` as plain decimal text, best first."""
        instrument = self.instrument
        return [
            (instrument.price_text(ticks), instrument.size_text(lots))
            for ticks, lots in self.engine.levels(side, count)
        ]

    def best(self, side: Side) -> tuple[int, int]:
        """Return ticks and lots of the best level; `(0, 0)` for an empty side."""
        levels = self.engine.levels(side, 1)
        return levels[0] if levels else (0, 0)

    @property
    def last_price(self) -> Decimal:
        """Return the price of the last trade; before any, the middle of the book, or what the setup says."""
        if self.trades:
            return self.instrument.price(self.trades[-1].price_ticks)
        bid, ask = self.engine.best(Side.BUY), self.engine.best(Side.SELL)
        if bid and ask:
            return self.instrument.price((bid + ask) // 2)
        return self.setup.price

    def average_price(self, now_ns: int) -> Decimal:
        """Return the volume-weighted average price of the last five minutes, or the last price."""
        value = lots = 0
        for trade in reversed(self.trades):
            if trade.at_ns < now_ns - _AVERAGE_NS:
                break
            value += trade.price_ticks * trade.size_lots
            lots += trade.size_lots
        return self.instrument.tick_size * Decimal(value) / lots if lots else self.last_price

    def day_trades(self, now_ns: int) -> list[PublicTrade]:
        """Return the trades of the last 24 hours that are still known, oldest first."""
        return [trade for trade in self.trades if trade.at_ns >= now_ns - _DAY_NS]

    def lots_for_quote(self, side: Side, amount: Decimal) -> int:
        """Return how many whole lots `amount` quote units buy (or selling how many yields them) from the book now."""
        lots_total, left = 0, amount
        other = Side.SELL if side is Side.BUY else Side.BUY
        for ticks, lots in self.engine.levels(other, self.engine.level_count(other)):
            price = self.instrument.price(ticks) * self.instrument.lot_size
            taken = min(lots, int(left / price))
            lots_total += taken
            left -= price * taken
            if taken < lots:
                break
        return lots_total

    def cost(self, side: Side, lots: int) -> Decimal:
        """Return what taking `lots` from the book now costs or yields, in quote units; a thin book gives less."""
        value, left = 0, lots
        other = Side.SELL if side is Side.BUY else Side.BUY
        for ticks, available in self.engine.levels(other, self.engine.level_count(other)):
            taken = min(available, left)
            value += ticks * taken
            left -= taken
            if not left:
                break
        return self.instrument.tick_size * self.instrument.lot_size * value

    # Private

    def _fill_still_book(self, matching: MatchingEngine) -> None:
        setup, instrument = self.setup, self.instrument
        middle, lots = instrument.price_ticks(setup.price), instrument.size_lots(setup.still_size)
        for distance in range(1, setup.still_levels + 1):
            matching.limit(ANONYMOUS, Side.BUY, middle - distance, lots)
            matching.limit(ANONYMOUS, Side.SELL, middle + distance, lots)

    def _start_crowd(self, crowd: CrowdSetup, matching: MatchingEngine, seed: int, now_ns: int) -> SyntheticFlow:
        options = EmbeddedFeedOptions(
            price=self.setup.price,
            tick_size=self.setup.tick_size,
            lot_size=self.setup.lot_size,
            volatility_bps_per_sqrt_s=crowd.volatility_bps_per_sqrt_s,
            spread_bps=crowd.spread_bps,
            makers=crowd.makers,
            maker_refreshes_per_s=crowd.maker_refreshes_per_s,
            noise_takers_per_s=crowd.noise_takers_per_s,
            informed_takers_per_s=crowd.informed_takers_per_s,
            patient_orders_per_s=crowd.patient_orders_per_s,
            typical_size=crowd.typical_size,
        )
        # A string seeds through SHA-512, whatever the process's hash seed: the same market in every process.
        stream = random.Random(f"{seed}/{self.setup.symbol}")  # noqa: S311 - a simulation must be repeatable
        flow = SyntheticFlow(options, self.instrument, matching, random=stream, start_ns=now_ns - _WARM_UP_NS)
        while flow.next_ns <= now_ns:
            flow.step()
        return flow
