"""What a liquidation would do now: which markets in which order, how many orders, how long, at which worst price.

It counts with the engine's own rules on what a journal holds, and changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.market import Side
from mmframe.engine.gate import MarketGate
from mmframe.engine.liquidation import cap_ticks, operator_terms, slice_lots, smallest_lots, worst_first
from mmframe.engine.orders import OrderTracker
from mmframe.engine.portfolio import MarketLedger
from mmframe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.liquidation import LiquidationTerms
    from mmframe.engine.liquidation import LiquidationState
    from mmframe.engine.settings import EngineSettings
    from mmframe.runtime.journal import JournalReader
    from mmframe.runtime.plan import Plan

__all__ = ["LiquidationView", "MarketView", "liquidation_view"]

_BPS = Decimal(10_000)
_MAX_SLICES = 1_000_000
"""Where a count of orders stops: at the shortest interval it is hours beyond any liquidation's longest time."""


@attrs.frozen
class MarketView:
    """One market of a liquidation; prices in quote units, sizes in base units, money in quote units.

    Attributes:
        mark: The last mid that the journal knows; None before the first fill or decision.
        mark_ns: When that was true.
        half_spread: Of the book at that time; None where only a fill tells the mid.
        unrealised: By average cost, at the mark.
        slices: Orders, if each fills whole.
        slice_size: Of the first.
        worst_price: What an order may reach at most; None without a mark.
        cost_at_touch: Half the spread on the whole position.
        cost_at_worst: The distance of the worst price from the mark, on the whole position.
        fees: At the taker fee; None where it is not known.
        dust: What is below the smallest order and stays.
    """

    instrument: Instrument
    position: Decimal
    mark: Decimal | None
    mark_ns: int
    half_spread: Decimal | None
    unrealised: Decimal
    slices: int
    slice_size: Decimal
    worst_price: Decimal | None
    cost_at_touch: Decimal | None
    cost_at_worst: Decimal | None
    fees: Decimal | None
    dust: Decimal


@attrs.frozen
class LiquidationView:
    """What a liquidation would do now.

    Attributes:
        terms: How it goes about it.
        markets: Worst first; those without a position are left out.
        duration_ns: From the first order to the last, if each fills whole.
        in_progress: Liquidations that the journal knows to be under way.
        taker_fee_bps: Counted with; None where nobody told and no order of this run has taken yet.
    """

    terms: LiquidationTerms
    markets: tuple[MarketView, ...]
    duration_ns: int
    in_progress: tuple[LiquidationState, ...]
    taker_fee_bps: Decimal | None

    @property
    def slices(self) -> int:
        """Return how many orders it takes at least."""
        return sum(market.slices for market in self.markets)


def liquidation_view(plan: Plan, reader: JournalReader, taker_fee_bps: Decimal | None = None) -> LiquidationView:
    """Return what closing everything would come to, by the position and the last market that a journal knows.

    Args:
        plan: The strategy as it is now: its terms and limits count.
        reader: Its journal.
        taker_fee_bps: What taking costs; by default what it has cost in this journal.

    Raises:
        UsageError: If the journal is not of these markets.
    """
    header = reader.run().header
    instruments = [recorded.instrument() for recorded in header.instruments]
    if [each.symbol for each in instruments] != [each.symbol for each in plan.instruments]:
        known = ", ".join(each.symbol for each in instruments)
        msg = f"journal {str(reader.path)!r}: expected the markets of the strategy file, was {known}"
        raise UsageError(msg, hint="name a journal of this strategy with --journal")
    terms = operator_terms(control.liquidation for pipeline in plan.pipelines for control in pipeline.risk_controls)
    ledgers = [MarketLedger(instrument) for instrument in instruments]
    marked_ns = [0] * len(ledgers)
    for each in reader.fills():
        ledgers[each.fill.market].apply(each.fill, each.mid_half_ticks)
        ledgers[each.fill.market].mark_half_ticks = each.mid_half_ticks
        marked_ns[each.fill.market] = each.fill.receive_ns
    half_spreads = _apply_books(reader, ledgers, marked_ns)
    fee = taker_fee_bps if taker_fee_bps is not None else _paid_bps(reader, instruments)
    order = worst_first(
        (ledger.unrealised_float(), ledger.notional_float(), index)
        for index, ledger in enumerate(ledgers)
        if ledger.position_lots
    )
    markets = tuple(
        _market(plan.settings, index, ledgers[index], marked_ns[index], half_spreads[index], terms, fee)
        for index in order
    )
    count = sum(market.slices for market in markets)
    return LiquidationView(
        terms=terms,
        markets=markets,
        duration_ns=max(0, count - 1) * terms.interval_ns,
        in_progress=reader.state().liquidations,
        taker_fee_bps=fee,
    )


def _apply_books(reader: JournalReader, ledgers: Sequence[MarketLedger], marked_ns: list[int]) -> list[Decimal | None]:
    """Mark each position by the last recorded decision; return half the spread there."""
    half_spreads: list[Decimal | None] = [None] * len(ledgers)
    for decision in reader.decisions():
        ledger = ledgers[decision.market]
        bid, ask = decision.view.get("bid"), decision.view.get("ask")
        if bid and ask and decision.now_ns >= marked_ns[decision.market]:
            instrument = ledger.instrument
            bid_ticks, ask_ticks = round(bid / instrument.tick), round(ask / instrument.tick)
            ledger.mark_half_ticks = bid_ticks + ask_ticks
            marked_ns[decision.market] = decision.now_ns
            half_spreads[decision.market] = instrument.price(ask_ticks - bid_ticks) / 2
    return half_spreads


def _paid_bps(reader: JournalReader, instruments: Sequence[Instrument]) -> Decimal | None:
    """Return what taking has cost so far, by value; None before the first fill that took, or in another asset."""
    paid, value = Decimal(0), Decimal(0)
    for each in reader.fills():
        fill, instrument = each.fill, instruments[each.fill.market]
        if fill.is_maker or fill.fee_asset not in {instrument.quote, instrument.base}:
            continue
        price = instrument.price(fill.price_ticks)
        paid += fill.fee if fill.fee_asset == instrument.quote else fill.fee * price
        value += instrument.notional_quote(fill.price_ticks, fill.size_lots)
    return paid / value * _BPS if value else None


def _market(  # noqa: PLR0913, PLR0917 - what one row follows from
    settings: EngineSettings,
    index: int,
    ledger: MarketLedger,
    mark_ns: int,
    half_spread: Decimal | None,
    terms: LiquidationTerms,
    fee_bps: Decimal | None,
) -> MarketView:
    instrument, position = ledger.instrument, ledger.position_lots
    size = instrument.size(abs(position))
    mid_half_ticks = ledger.mark_half_ticks
    gate = MarketGate(
        settings.markets[index], OrderTracker(index, acknowledge_timeout_ns=1, query_interval_ns=1), ledger
    )
    side = Side.SELL if position > 0 else Side.BUY
    worst_ticks = cap_ticks(side, mid_half_ticks, gate.close_cap_bps(terms.price_cap_bps)) if mid_half_ticks else 0
    limits = (gate.order_cap_lots(worst_ticks), instrument.max_size_lots)
    sizes, dust = _slices(
        terms,
        abs(position),
        smallest_lots(instrument, worst_ticks),
        min((limit for limit in limits if limit is not None), default=None),
    )
    mark = instrument.price(mid_half_ticks) / 2 if mid_half_ticks else None
    worst = instrument.price(worst_ticks) if mid_half_ticks else None
    return MarketView(
        instrument=instrument,
        position=instrument.size(position),
        mark=mark,
        mark_ns=mark_ns,
        half_spread=half_spread,
        unrealised=ledger.profit_and_loss().unrealised,
        slices=len(sizes),
        slice_size=instrument.size(sizes[0] if sizes else 0),
        worst_price=worst,
        cost_at_touch=None if half_spread is None else half_spread * size,
        cost_at_worst=None if mark is None or worst is None else abs(worst - mark) * size,
        fees=None if fee_bps is None or mark is None else mark * size * fee_bps / _BPS,
        dust=instrument.size(dust),
    )


def _slices(terms: LiquidationTerms, start_lots: int, smallest: int, largest: int | None) -> tuple[list[int], int]:
    """Return the sizes of the orders if each fills whole, and what is left below the smallest order."""
    sizes: list[int] = []
    left = start_lots
    while left and len(sizes) < _MAX_SLICES:
        lots = slice_lots(terms, start_lots=start_lots, to_close=left, smallest=smallest, largest=largest)
        if not lots:
            break
        sizes.append(lots)
        left -= lots
    return sizes, left
