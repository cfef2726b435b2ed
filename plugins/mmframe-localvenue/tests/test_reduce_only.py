"""Reduce-only orders under any sequence of orders: none ever opens a position or turns one round."""

from __future__ import annotations

import contextlib
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.net.timing import Timing
from mmframe.testing import ManualClock
from mmframe_localvenue import AccountSetup, MarketSetup, VenueSetup
from mmframe_localvenue.core import Exchange, RefusedError, Ticket

MARKET = MarketSetup(
    price=Decimal(100), tick_size=Decimal(1), lot_size=Decimal("0.1"), min_price=Decimal(1),
    min_size=Decimal("0.1"), still_levels=3, still_size=Decimal("0.4"), max_amends=1_000,
)  # fmt: skip
sides = st.sampled_from([Side.BUY, Side.SELL])
prices, sizes = st.integers(90, 110), st.integers(1, 12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("place"), sides, prices, sizes, st.booleans()),
        st.tuples(st.just("take"), sides, sizes, st.booleans()),
        st.tuples(st.just("reduce"), st.integers(0, 8), sizes),
        st.tuples(st.just("amend"), st.integers(0, 30), prices, sizes, st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        # One lot at a time: an order that sweeps through several of the account's is matched as a whole, before the
        # exchange looks at its reduce-only orders again.
        st.tuples(st.just("stranger"), sides),
    ),
    min_size=12,
    max_size=40,
)


def act(exchange, account, market, number, step):
    what, *figures = step
    orders = list(account.orders.values())
    match what:
        case "place":
            side, price, lots, reduces = figures
            exchange.place(account, market, Ticket(side, lots, price, f"c-{number}", is_reduce_only=reduces))
        case "take":
            side, lots, reduces = figures
            exchange.place(account, market, Ticket(side, lots, 0, f"c-{number}", is_reduce_only=reduces))
        case "reduce" if account.money.positions:
            distance, lots = figures
            is_long = account.money.positions[market.index].size_lots > 0
            side, price = (Side.SELL, 100 + distance) if is_long else (Side.BUY, 100 - distance)
            exchange.place(account, market, Ticket(side, lots, price, f"c-{number}", is_reduce_only=True))
        case "amend" if orders:
            chosen, price, lots, requeues = figures
            order = orders[chosen % len(orders)]
            exchange.amend(order, price_ticks=price, size_lots=lots, requeues=requeues)
        case "cancel" if orders:
            exchange.cancel(orders[figures[0] % len(orders)])
        case "stranger":
            side = figures[0]
            exchange.place_other(market, side, 1, 1_000 if side is Side.BUY else 1, TimeInForce.IOC)


@given(sequence=steps)
@settings(max_examples=100)
def test_no_reduce_only_fill_opens_or_turns_a_position(sequence):
    setup = VenueSetup(markets=(MARKET,), accounts=(AccountSetup(balances={"USDT": Decimal(10**6)}),))
    exchange = Exchange(setup, InstrumentKind.LINEAR, Timing(ManualClock()))
    account, market = exchange.accounts["main"], exchange.markets["BTCUSDT"]

    for number, step in enumerate(sequence):
        with contextlib.suppress(RefusedError):
            act(exchange, account, market, number, step)

        held = 0
        for fill in account.fills:
            after = held + (fill.size_lots if fill.side is Side.BUY else -fill.size_lots)
            if fill.order.is_reduce_only:
                assert abs(after) < abs(held)
                assert after * held >= 0
            held = after
        for side in (Side.BUY, Side.SELL):
            closing = [
                order.leaves_lots for order in account.open_orders() if order.is_reduce_only and order.side is side
            ]
            assert sum(closing) <= max(0, -held if side is Side.BUY else held)
