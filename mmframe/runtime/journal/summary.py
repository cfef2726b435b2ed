"""The figures of a run that did not end: counted from its fills, orders and last decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.market import BookState, Side
from mmframe.domain.records import LimitRecord
from mmframe.domain.status import MarketStatus, RunResult, RunStatus, WorkingOrder
from mmframe.engine.portfolio import MarketLedger
from mmframe.runtime.limit_tally import LimitTally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.records import QuoteDecision
    from mmframe.domain.status import LimitCount
    from mmframe.runtime.journal.orders import JournalOrder
    from mmframe.runtime.journal.reader import JournalReader, JournalRun

__all__ = ["NOT_ENDED", "summarise"]

NOT_ENDED = "not ended"
"""`RunResult.ended_because` of a run that still goes on or whose process died."""


def summarise(reader: JournalReader, run: JournalRun) -> RunResult:
    """Return the result of `run` as far as the journal tells.

    Positions and profit are exact, marked to the mid of each market's last decision (of its last fill when decisions
    were not recorded). What only the process knew is empty: the decision hash, counts of market messages and faults.
    """
    span = reader.span_ns(run.number) or (run.header.started_ns, run.header.started_ns)
    state = reader.state()
    working = [order for order in reader.orders() if not order.is_final and order.created_run <= run.number]
    status = RunStatus(
        strategy=run.header.strategy,
        mode=run.header.mode,
        now_ns=span[1],
        started_ns=span[0],
        events=0,
        decisions=reader.decision_count(run=run.number),
        markets=tuple(
            _market_status(reader, run, index, [order for order in working if order.market == index])
            for index in range(len(run.header.instruments))
        ),
        is_halted=bool(state.halt_reason),
        halt_reason=state.halt_reason,
        is_paused=state.is_paused,
    )
    return RunResult(
        status=status,
        decision_hash="",
        ended_because=NOT_ENDED,
        assumptions=run.header.assumptions,
        journal=str(reader.path),
        market_messages=0,
        faults=0,
        rejections=0,
        unresolved=tuple(order.client_id for order in working),
        limits=_limits(reader, run, span[1]),
    )


def _limits(reader: JournalReader, run: JournalRun, end_ns: int) -> tuple[LimitCount, ...]:
    """Count the limits that bound; one that still did has bound until now, in at least the decisions on record."""
    tally = LimitTally([instrument.symbol for instrument in run.header.instruments])
    for limit in reader.limits(run=run.number):
        began = LimitRecord(
            limit.market,
            limit.stage,
            limit.level,
            limit.reason,
            limit.began_ns,
            limit.began_ns,
            limit.decisions,
            is_over=False,
        )
        tally.add(began)
        tally.add(msgspec.structs.replace(began, now_ns=max(limit.ended_ns or end_ns, limit.began_ns)))
    return tally.counts()


def _market_status(
    reader: JournalReader, run: JournalRun, market: int, working: Sequence[JournalOrder]
) -> MarketStatus:
    instrument = run.header.instruments[market].instrument()
    decisions = reader.decisions(market=market, run=run.number)
    last = decisions[0] if decisions else None
    ledger = _ledger(reader, run, market, instrument, last)
    view = {} if last is None else last.view
    bid, ask = view.get("bid"), view.get("ask")
    bids = [order.price_ticks for order in working if order.side == Side.BUY]
    asks = [order.price_ticks for order in working if order.side == Side.SELL]
    return MarketStatus(
        instrument=instrument.symbol,
        book_state=BookState.UNSYNCED,
        bid=None if bid is None else instrument.price(_ticks(bid, instrument)),
        ask=None if ask is None else instrument.price(_ticks(ask, instrument)),
        our_bid=instrument.price(max(bids)) if bids else None,
        our_ask=instrument.price(min(asks)) if asks else None,
        position=instrument.size(ledger.position_lots),
        average_price=ledger.average_price(),
        pnl=ledger.profit_and_loss(),
        orders=len(reader.orders(market, run=run.number)),
        fills=ledger.fill_count,
        working=tuple(_working_order(order, instrument) for order in working),
        bid_reason=0 if last is None else last.bid_reason,
        ask_reason=0 if last is None else last.ask_reason,
        risk_level=0 if last is None else max((stage.level for stage in last.stages), default=0),
        volume=instrument.size(ledger.volume_lots),
        quote_asset=instrument.quote,
        unvalued_fees=dict(ledger.unvalued_fees),
    )


def _ledger(
    reader: JournalReader, run: JournalRun, market: int, instrument: Instrument, last: QuoteDecision | None
) -> MarketLedger:
    """Count the fills of this run and of those that it continued, and mark the position."""
    ledger = MarketLedger(instrument)
    for counted in reader.fills(market):
        if counted.run <= run.number:
            ledger.apply(counted.fill, counted.mid_half_ticks)
            ledger.mark_half_ticks = counted.mid_half_ticks
    bid, ask = (None, None) if last is None else (last.view.get("bid"), last.view.get("ask"))
    if bid is not None and ask is not None:
        ledger.mark_half_ticks = _ticks(bid, instrument) + _ticks(ask, instrument)
    return ledger


def _ticks(price: float, instrument: Instrument) -> int:
    # The view's price is a tick count times the tick as floats; rounding gives the count back exactly.
    return round(price / instrument.tick)


def _working_order(order: JournalOrder, instrument: Instrument) -> WorkingOrder:
    return WorkingOrder(
        client_id=order.client_id,
        side=order.side.name.lower(),
        state=order.state.value,
        price=instrument.price(order.price_ticks),
        leaves=instrument.size(max(order.size_lots - order.counted_lots, 0)),
    )
