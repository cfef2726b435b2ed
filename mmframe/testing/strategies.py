"""Hypothesis strategies for what the kernel hands to components: order-book streams, views, inventories, advice.

They generate what can happen in a run and nothing else: no view is crossed, no advice out of its bounds. Within that
they seek the edges: one-tick spreads, dust sizes, bursts at one instant, nights without a message.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.domain.views import NO_QUOTE, Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.testing.builders import make_instrument, make_signals
from mmframe.testing.clock import START_NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.instrument import Instrument

__all__ = ["Situation", "advice", "inventories", "l2_streams", "proposals", "situations", "views"]

_STEPS_NS = (0, 1, 1_000, 1_000_000, 100_000_000, 1_000_000_000, 3_600_000_000_000, 90_000_000_000_000)
_SIZES_LOTS = st.one_of(st.integers(1, 20), st.integers(1, 1_000_000))
_CENTRE_TICKS = 10_000
_SMALL = 1e-6
_REACH_TICKS = 40


class Situation(NamedTuple):
    """Everything that a stage of the quoting chain is called with."""

    view: MarketView
    inventory: Inventory
    advice: Advice
    proposal: QuoteProposal


def l2_streams(
    *,
    market: int = 0,
    gaps: bool = True,
    trades: bool = True,
    crossed: bool = False,
    messages_max: int = 40,
) -> st.SearchStrategy[list[MarketBatch]]:
    """Generate the messages of one market, cut into batches at random places.

    A stream begins with a snapshot, and after each gap comes a snapshot before the next delta. Prices move: a level
    that trades through the other side removes what it meets, as on an exchange.

    Args:
        market: Index of the market.
        gaps: Let continuity be lost now and then.
        trades: Mix in public executions, off-book ones among them.
        crossed: Leave what a new level meets, so that the book can be crossed.
        messages_max: Longest stream.
    """
    message = st.tuples(
        st.integers(0, _DICE * len(_STEPS_NS) - 1),
        st.integers(-2_000_000_000, 2_000_000_000),
        st.lists(st.integers(0, _CHANGES - 1), max_size=12),
    ).map(_message_drawn)
    stream = st.tuples(
        st.lists(message, min_size=1, max_size=messages_max), st.sets(st.integers(1, messages_max), max_size=4)
    )
    return stream.map(
        lambda drawn: _stream(drawn[0], drawn[1], market=market, gaps=gaps, trades=trades, crossed=crossed)
    )


def views(
    *,
    instrument: Instrument | None = None,
    signals: Sequence[str] = (),
    signal_ranges: Mapping[str, tuple[float, float]] | None = None,
) -> st.SearchStrategy[MarketView]:
    """Generate views of markets in sync, from one tick apart to a spread as wide as the price.

    Args:
        instrument: Gives the grid; by default `make_instrument()`.
        signals: Names of `view.signals`; each value is NaN now and then.
        signal_ranges: Smallest and largest value of a signal, where it has a range of its own.
    """
    grid = instrument or make_instrument()
    ranges = dict(signal_ranges or {})
    values = {name: _signal_values(*ranges.get(name, (-1e6, 1e6))) for name in signals}
    fields = st.tuples(
        st.one_of(st.integers(1, 100), st.integers(1, 10_000_000)),
        st.one_of(st.integers(1, 5), st.integers(1, 10_000)),
        _SIZES_LOTS,
        _SIZES_LOTS,
        st.integers(1, 10_000),
        st.integers(0, 10**15),
        st.fixed_dictionaries(values),
    )

    def view(drawn: tuple[int, int, int, int, int, int, dict[str, float]]) -> MarketView:
        bid_ticks, spread_ticks, bid_lots, ask_lots, order_lots, age_ns, named = drawn
        # A view's float is the integer times the step, as the engine computes it.
        bid, ask = bid_ticks * grid.tick, (bid_ticks + spread_ticks) * grid.tick
        return MarketView(
            now_ns=START_NS + age_ns,
            bid=bid,
            bid_size=bid_lots * grid.lot,
            ask=ask,
            ask_size=ask_lots * grid.lot,
            mid=(bid + ask) / 2.0,
            tick=grid.tick,
            lot=grid.lot,
            order_size=order_lots * grid.lot,
            age_ns=age_ns % _LONGEST_AGE_NS,
            lag_ns=age_ns % _LONGEST_AGE_NS - _LONGEST_AGE_NS // 2,
            signals=make_signals(**named),
        )

    return fields.map(view)


def inventories(*, instrument: Instrument | None = None) -> st.SearchStrategy[Inventory]:
    """Generate inventories, from flat to far beyond the limit (a limit may be lowered on a live position)."""
    grid = instrument or make_instrument()
    money = st.one_of(st.just(0.0), st.floats(-1e9, 1e9))
    lots = st.one_of(st.just(0), st.integers(-100, 100), st.integers(-(10**9), 10**9))
    limits = st.one_of(st.just(math.inf), st.integers(1, 100), st.integers(1, 10**9))
    notional = st.one_of(st.just(0.0), st.floats(0.0, 1e12))
    balance = st.one_of(st.just(math.nan), st.just(0.0), st.floats(0.0, 1e9))
    counts = st.integers(0, 100_000).map(float)
    return st.builds(
        Inventory,
        position=lots.map(lambda count: count * grid.lot),
        target=lots.map(lambda count: count * grid.lot),
        max_position=limits.map(lambda count: count * grid.lot),
        average_price=st.one_of(st.just(0.0), st.floats(grid.tick, 1e9)),
        realised_pnl_quote=money,
        unrealised_pnl_quote=money,
        fees_quote=money,
        day_pnl_quote=money,
        total_notional_quote=notional,
        net_notional_quote=money,
        concentration=st.floats(0.0, 1.0),
        market_count=st.integers(1, 50).map(float),
        asset_position=lots.map(lambda count: count * grid.lot),
        total_pnl_quote=money,
        peak_pnl_quote=money,
        day_peak_pnl_quote=money,
        base_balance=balance,
        quote_balance=balance,
        open_orders=counts,
        orders_sent=counts,
        requests_sent=counts,
        fill_count=counts,
    )


def advice() -> st.SearchStrategy[Advice]:
    """Generate advice within the bounds that an adviser may give."""
    return st.builds(
        Advice,
        bid_spread_multiplier=st.floats(0.25, 4.0),
        ask_spread_multiplier=st.floats(0.25, 4.0),
        size_multiplier=st.floats(0.0, 2.0),
        skew_bps=st.floats(-50.0, 50.0),
        position_scale=st.floats(0.0, 2.0),
        pause=st.sampled_from((0.0, 1.0)),
        confidence=st.floats(0.0, 1.0),
        valid_until_ns=st.integers(0, START_NS + 10**15),
    )


def proposals(view: MarketView, *, rounded: bool = False) -> st.SearchStrategy[QuoteProposal]:
    """Generate what an earlier stage may have proposed for `view`: both sides, one, or none.

    Args:
        view: The market.
        rounded: As risk controls get them: on the grid, not crossing the touch, absent sides at price 0.
    """
    return _DRAWN_PROPOSALS.map(lambda drawn: _proposal(drawn, view, rounded=rounded))


def situations(
    *,
    instrument: Instrument | None = None,
    signals: Sequence[str] = (),
    signal_ranges: Mapping[str, tuple[float, float]] | None = None,
    rounded: bool = False,
) -> st.SearchStrategy[Situation]:
    """Generate whole calls of a stage; the arguments are those of `views` and `proposals`."""
    drawn = st.tuples(
        views(instrument=instrument, signals=signals, signal_ranges=signal_ranges),
        inventories(instrument=instrument),
        advice(),
        _DRAWN_PROPOSALS,
    )
    return drawn.map(lambda parts: Situation(*parts[:3], _proposal(parts[3], parts[0], rounded=rounded)))


_LONGEST_AGE_NS = 10_000_000_000
_DISTANCES_TICKS = st.one_of(st.integers(0, 5), st.integers(0, 1_000_000))
_ABSENCES = st.sampled_from((Reason.NOT_PROPOSED, Reason.WARMING_UP, Reason.POSITION_LIMIT, Reason.ONE_SIDED))

_DrawnProposal = tuple[int, int, int, int, int, Reason, float]
_DRAWN_PROPOSALS: st.SearchStrategy[_DrawnProposal] = st.tuples(
    st.integers(0, 4),
    _DISTANCES_TICKS,
    _DISTANCES_TICKS,
    _SIZES_LOTS,
    _SIZES_LOTS,
    _ABSENCES,
    st.sampled_from((0.0, 0.25, 0.5)),
)


def _proposal(drawn: _DrawnProposal, view: MarketView, *, rounded: bool) -> QuoteProposal:
    shape, bid_distance, ask_distance, bid_lots, ask_lots, reason, off_grid = drawn
    if shape == 0 and not rounded:
        return NO_QUOTE
    has_bid, has_ask = shape not in {0, 1}, shape not in {0, 2}
    tick, lot = view.tick, view.lot
    bid = max(1, round(view.ask / tick) - 1 - bid_distance)
    ask = max(round(view.bid / tick) + 1 + ask_distance, bid + 1)
    shift = 0.0 if rounded else off_grid * tick
    absent = 0.0 if rounded else math.nan
    return QuoteProposal(
        bid=bid * tick + shift if has_bid else absent,
        bid_size=bid_lots * lot if has_bid else 0.0,
        ask=ask * tick + shift if has_ask else absent,
        ask_size=ask_lots * lot if has_ask else 0.0,
        bid_reason=0 if has_bid else int(reason),
        ask_reason=0 if has_ask else int(reason),
    )


def _signal_values(smallest: float, largest: float) -> st.SearchStrategy[float]:
    return st.one_of(
        st.just(math.nan),
        st.sampled_from((smallest, largest, min(max(0.0, smallest), largest))),
        st.floats(smallest, largest),
        # Most signals are small beside their range.
        st.floats(smallest * _SMALL, largest * _SMALL).filter(lambda value: smallest <= value <= largest),
    )


_Drawn = tuple[int, int, int, list[tuple[Side, int, int]]]

# A stream is long, and what it costs is the number of its draws: one integer says all of a change.
_DICE = 10
_OFFSETS = 2 * _REACH_TICKS + 1
_FEW_LOTS, _MANY_LOTS = 20, 1_000_000
_CHANGES = 2 * _OFFSETS * 3 * _MANY_LOTS


def _message_drawn(drawn: tuple[int, int, list[int]]) -> _Drawn:
    number, offset_ns, changes = drawn
    step, dice = divmod(number, _DICE)
    return dice, _STEPS_NS[step], offset_ns, [_change(change) for change in changes]


def _change(number: int) -> tuple[Side, int, int]:
    """Return side, ticks from the centre (0, -1, 1, -2 ...), and lots: none, few and up to many equally often."""
    number, side = divmod(number, 2)
    number, offset = divmod(number, _OFFSETS)
    number, kind = divmod(number, 3)
    lots = 0 if kind == 0 else 1 + number % (_FEW_LOTS if kind == 1 else _MANY_LOTS)
    return (Side.SELL if side else Side.BUY), (-(offset + 1) // 2 if offset % 2 else offset // 2), lots


class _StreamBook:
    """The levels as the stream's exchange has them, to know what a new level meets and what a snapshot holds."""

    def __init__(self) -> None:
        self.levels: dict[int, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self.centre_ticks = _CENTRE_TICKS

    def changed(self, drawn: list[tuple[Side, int, int]], *, crossed: bool) -> list[tuple[int, int, int]]:
        changes: list[tuple[int, int, int]] = []
        for side, offset, lots in drawn:
            # Bids mostly below, asks mostly above; now and then one reaches through and the market moves.
            away = abs(offset) if offset % 5 else -abs(offset) // 4
            ticks = self.centre_ticks + (away + 1 if side == Side.SELL else -away)
            changes.append((int(side), ticks, lots))
            if lots == 0:
                self.levels[side].pop(ticks, None)
                continue
            self.levels[side][ticks] = lots
            if not crossed:
                changes += self._removed(side, ticks)
        return changes

    def snapshot(self) -> list[tuple[int, int, int]]:
        return [(side, ticks, lots) for side in (0, 1) for ticks, lots in sorted(self.levels[side].items())]

    def _removed(self, side: Side, ticks: int) -> list[tuple[int, int, int]]:
        other = Side.SELL if side == Side.BUY else Side.BUY
        met = [at for at in self.levels[other] if (at <= ticks if side == Side.BUY else at >= ticks)]
        for at in met:
            del self.levels[other][at]
        if met:
            self.centre_ticks = ticks
        return [(int(other), at, 0) for at in sorted(met)]


def _stream(  # noqa: PLR0913 - the drawn values and the caller's switches
    drawn: list[_Drawn], cuts: set[int], *, market: int, gaps: bool, trades: bool, crossed: bool
) -> list[MarketBatch]:
    book = _StreamBook()
    batches = [MarketBatch(market)]
    receive_ns, is_synced = START_NS, False
    for index, (dice, step_ns, offset_ns, changes) in enumerate(drawn):
        if index in cuts and len(batches[-1]):
            batches.append(MarketBatch(market))
        receive_ns += step_ns
        kind, content = _message(book, dice, changes, is_synced=is_synced, gaps=gaps, trades=trades, crossed=crossed)
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            is_synced = kind == MessageKind.SNAPSHOT
        batches[-1].add(kind, exchange_ns=receive_ns - offset_ns, receive_ns=receive_ns, changes=content)
    return batches


def _message(  # noqa: PLR0913 - the drawn values and the caller's switches
    book: _StreamBook,
    dice: int,
    drawn: list[tuple[Side, int, int]],
    *,
    is_synced: bool,
    gaps: bool,
    trades: bool,
    crossed: bool,
) -> tuple[MessageKind, list[tuple[int, int, int]]]:
    if trades and dice in (1, 2):
        kind = MessageKind.TRADE if dice == 1 else MessageKind.OFF_BOOK_TRADE
        return kind, [(int(side), book.centre_ticks + offset // 8, max(1, lots)) for side, offset, lots in drawn]
    if gaps and dice == 9 and is_synced:
        return MessageKind.GAP, []
    changes = book.changed(drawn, crossed=crossed)
    if is_synced and dice:
        return MessageKind.DELTA, changes
    return MessageKind.SNAPSHOT, book.snapshot()
