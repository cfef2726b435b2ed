"""Short ways to the values and components that a test needs; every argument has a plausible default.

What is built here is real: a component gets the same options and the same `BuildContext` as in a run.
"""

from __future__ import annotations

import logging
import math
import random
from collections import namedtuple
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.domain.kinds import Mode
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.domain.orders import ALL_MARKETS, Action, Amend, Approved, OrderState, Replace, Submit
from mmframe.domain.views import NEUTRAL_ADVICE, Advice, FillTick, Inventory, MarketView
from mmframe.engine.gate import Gate, GateView, MarketGate
from mmframe.engine.orders import OrderTracker, TrackedOrder
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.settings import GateLimits, MarketSettings
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, ComponentKind, ComponentSpec
from mmframe.testing.clock import START_NS, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mmframe.ports import Book, Clock

__all__ = [
    "Message",
    "approve",
    "build_component",
    "build_context",
    "delta",
    "gap",
    "make_advice",
    "make_batch",
    "make_fill",
    "make_instrument",
    "make_inventory",
    "make_options",
    "make_signals",
    "make_view",
    "snapshot",
    "trade",
]

_ONE_MARKET_KINDS = frozenset(
    {ComponentKind.BOOK, ComponentKind.SIGNAL, ComponentKind.OPTIMIZER, ComponentKind.RISK_CONTROL}
)


def make_instrument(  # noqa: PLR0913 - each argument is one field of the instrument
    symbol: str = "BTC/USDT",
    *,
    tick_size: str = "0.01",
    lot_size: str = "0.001",
    min_size_lots: int = 1,
    min_notional_quote: str = "0",
    kind: InstrumentKind = InstrumentKind.SPOT,
) -> Instrument:
    """Return an instrument; steps and notional as decimal text."""
    return Instrument(
        symbol=symbol,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        min_size_lots=min_size_lots,
        min_notional_quote=Decimal(min_notional_quote),
        kind=kind,
    )


def make_signals(**values: float) -> tuple[float, ...]:
    """Return a NamedTuple with one field a signal, as `MarketView.signals` holds it; NaN is 'not known yet'."""
    # The fields are known only at run time, as in a strategy file.
    make: Callable[..., tuple[float, ...]] = namedtuple("Signals", tuple(values))  # type: ignore[misc]  # noqa: PYI024
    return make(*(float(value) for value in values.values()))


def make_view(  # noqa: PLR0913 - each argument is one field of the view
    bid: float = 99.99,
    ask: float = 100.01,
    *,
    bid_size: float = 1.0,
    ask_size: float = 1.0,
    order_size: float = 0.01,
    now_ns: int = START_NS,
    age_ns: int = 0,
    lag_ns: int = 0,
    signals: tuple[float, ...] = (),
    instrument: Instrument | None = None,
) -> MarketView:
    """Return the view of a market in sync. Prices in quote units, sizes in base units; the mid follows from the touch.

    Args:
        bid: Best bid.
        ask: Best ask.
        bid_size: Size at the best bid.
        ask_size: Size at the best ask.
        order_size: What the strategy file asks for.
        now_ns: Time of the decision.
        age_ns: Since the newest message of the book was received.
        lag_ns: Receive time minus exchange time of that message.
        signals: From `make_signals`.
        instrument: Gives tick and lot; by default `make_instrument()`.

    Raises:
        DomainError: If the touch is crossed or not positive, which no view ever is.
    """
    if not 0.0 < bid < ask < math.inf:
        msg = f"view: expected 0 < bid < ask, was {bid!r}, {ask!r}"
        raise DomainError(msg)
    grid = instrument or make_instrument()
    return MarketView(
        now_ns=now_ns,
        bid=bid,
        bid_size=bid_size,
        ask=ask,
        ask_size=ask_size,
        mid=(bid + ask) / 2.0,
        tick=grid.tick,
        lot=grid.lot,
        order_size=order_size,
        age_ns=age_ns,
        lag_ns=lag_ns,
        signals=signals,
    )


_FLAT = Inventory(
    position=0.0,
    target=0.0,
    max_position=math.inf,
    average_price=0.0,
    realised_pnl_quote=0.0,
    unrealised_pnl_quote=0.0,
    fees_quote=0.0,
    day_pnl_quote=0.0,
    total_notional_quote=0.0,
    net_notional_quote=0.0,
    concentration=0.0,
    market_count=1.0,
    asset_position=0.0,
    total_pnl_quote=0.0,
    peak_pnl_quote=0.0,
    day_peak_pnl_quote=0.0,
    base_balance=math.nan,
    quote_balance=math.nan,
    open_orders=0.0,
    orders_sent=0.0,
    requests_sent=0.0,
    fill_count=0.0,
)


def make_inventory(position: float = 0.0, **fields: float) -> Inventory:
    """Return an inventory of the only market: flat, without limit, profit or known balances, with `fields` replaced.

    Fields that follow from others are not filled in; the asset's position alone is the position unless told.
    """
    return _FLAT._replace(**{"position": position, "asset_position": position, **fields})


def make_fill(
    price: float = 100.0, size: float = 0.01, side: float = 1.0, *, now_ns: int = START_NS, mid: float = 0.0
) -> FillTick:
    """Return one of our executions, as a maker; the mid is the price unless told."""
    return FillTick(now_ns=now_ns, price=price, size=size, side=side, mid=mid or price, is_maker=1.0)


def make_advice(**fields: float) -> Advice:
    """Return neutral advice with `fields` replaced."""
    return NEUTRAL_ADVICE._replace(**fields)  # type: ignore[arg-type] # valid_until_ns is the one int among floats


class Message(NamedTuple):
    """One market message for `make_batch`; changes are `(side, ticks, lots)`."""

    kind: MessageKind
    changes: tuple[tuple[int, int, int], ...] = ()


def snapshot(*, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> Message:
    """Return a message that replaces the whole book by `(ticks, lots)` levels."""
    return Message(MessageKind.SNAPSHOT, _changes(bids, asks))


def delta(*, bids: Iterable[tuple[int, int]] = (), asks: Iterable[tuple[int, int]] = ()) -> Message:
    """Return a message that sets `(ticks, lots)` levels; 0 lots removes one."""
    return Message(MessageKind.DELTA, _changes(bids, asks))


def trade(taker: Side, ticks: int, lots: int) -> Message:
    """Return a message with one public execution."""
    return Message(MessageKind.TRADE, ((int(taker), ticks, lots),))


def gap() -> Message:
    """Return a message that says that continuity was lost."""
    return Message(MessageKind.GAP)


def make_batch(
    *messages: Message, market: int = 0, start_ns: int = START_NS, step_ns: int = 1_000_000, latency_ns: int = 0
) -> MarketBatch:
    """Return a valid batch of `messages`, `step_ns` apart, each received `latency_ns` after it happened.

    Raises:
        DomainError: If the messages do not make a valid batch.
    """
    batch = MarketBatch(market)
    for index, message in enumerate(messages):
        receive_ns = start_ns + index * step_ns
        batch.add(message.kind, exchange_ns=receive_ns - latency_ns, receive_ns=receive_ns, changes=message.changes)
    batch.validate()
    return batch


def build_context(  # noqa: PLR0913 - each argument is one field of the context
    *,
    instruments: tuple[Instrument, ...] | None = None,
    market: int = ALL_MARKETS,
    mode: Mode = Mode.PAPER,
    clock: Clock | None = None,
    seed: int = 1,
    directory: Path | None = None,
    book: Book | None = None,
    resources: dict[str, object] | None = None,
    on_frame: Callable[[int, int, bytes], None] | None = None,
) -> BuildContext:
    """Return what a component is built from, with a manual clock and a seeded random stream."""
    return BuildContext(
        mode=mode,
        directory=directory or Path(),
        instruments=(make_instrument(),) if instruments is None else instruments,
        market=market,
        clock=clock or ManualClock(),
        random=random.Random(seed),  # noqa: S311 - simulations want a seed, not secrecy
        logger=logging.getLogger("mmframe.testing"),
        book=book,
        resources={} if resources is None else resources,
        on_frame=on_frame,
    )


def make_options(spec: ComponentSpec, values: Mapping[str, Any] | None = None) -> Any:
    """Return the options object of `spec` from already typed `values`; the rest are defaults.

    The strategy file's own parser checks text, bounds and units; this takes the values as they are.

    Raises:
        DomainError: If a required option is missing or one is unknown.
    """
    given = dict(values or {})
    fields = {field.name: field for field in attrs.fields(spec.options)}
    unknown = sorted(set(given) - set(fields))
    missing = sorted(name for name, field in fields.items() if field.default is attrs.NOTHING and name not in given)
    if unknown or missing:
        msg = f"options of {spec.name!r}: unknown {unknown}, missing {missing}, expected {sorted(fields)}"
        raise DomainError(msg, hint="set `options` on the test class, or pass them to build_component")
    return spec.options(**given)


def build_component(spec: ComponentSpec, options: Any = None, **context: Any) -> Any:
    """Build a component as a run does.

    Args:
        spec: Its spec.
        options: An instance of `spec.options`, or None for all defaults.
        context: Arguments of `build_context`; a component of one market is built for market 0 unless told.

    Raises:
        DomainError: If `options` is of another class, or None and an option has no default.
    """
    if options is None:
        options = make_options(spec)
    elif not isinstance(options, spec.options):
        msg = f"options of {spec.name!r}: expected {spec.options.__name__}, was {type(options).__name__}"
        raise DomainError(msg, hint="an options object is an instance of the spec's options class")
    if spec.kind in _ONE_MARKET_KINDS:
        context.setdefault("market", 0)
    return spec.build(options, build_context(**context))


def approve(action: Action) -> Approved:
    """Return `action` as the gate hands it to a venue: the real gate, with nothing else open and no limit set.

    Raises:
        DomainError: If no gate would ever let it pass, such as a submit of 0 lots.
    """
    answer = _permissive_gate(action).check(action, START_NS)
    if isinstance(answer, Approved):
        return answer
    msg = f"approve: the gate refuses {action!r}: {answer.limit}, {answer.detail}"
    raise DomainError(msg)


def _permissive_gate(action: Action) -> Gate:
    settings = MarketSettings(instrument=make_instrument(), order_size_lots=1, limits=GateLimits())
    tracker = OrderTracker(action.market, acknowledge_timeout_ns=1, query_interval_ns=1)
    market = MarketGate(settings, tracker, MarketLedger(settings.instrument))
    if isinstance(action, (Submit, Amend, Replace)):
        market.view = GateView(is_tradable=True, refusal="", mid_half_ticks=2 * action.price_ticks)
        if isinstance(action, Submit) and action.is_reduce_only:
            # There is just what it closes.
            market.view.close_cap_bps = market.close_cap_bps(math.inf)
            market.ledger.position_lots = action.size_lots if action.side == Side.SELL else -action.size_lots
        elif not isinstance(action, Submit):
            # Only a resting order can be changed, so the gate is told of one.
            order = TrackedOrder(action.market, action.client_id, Side.BUY, action.price_ticks, 1)
            order.state = OrderState.OPEN
            tracker.live[action.client_id] = order
    return Gate((market,) * (action.market + 1), max_orders_per_second=1, lets_take=True)


def _changes(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (int(side), ticks, lots) for side, levels in ((Side.BUY, bids), (Side.SELL, asks)) for ticks, lots in levels
    )
