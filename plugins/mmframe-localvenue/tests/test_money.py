"""Money under any sequence of orders: none appears, none vanishes, and what is locked is what open orders need."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.errors import DomainError
from mmframe.net.timing import Timing
from mmframe.testing import ManualClock
from mmframe_localvenue import AccountSetup, MarketSetup, VenueSetup
from mmframe_localvenue.core import Exchange, GodView, PostOnly, RefusedError, Ticket

START = {"USDT": Decimal(500), "BTC": Decimal(5)}
MARKET = MarketSetup(
    price=Decimal(100),
    tick_size=Decimal(1),
    lot_size=Decimal("0.1"),
    min_price=Decimal(1),
    min_size=Decimal("0.1"),
    still_levels=3,
)
sides = st.sampled_from([Side.BUY, Side.SELL])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("place"),
            sides,
            st.integers(90, 110),
            st.integers(1, 60),
            st.sampled_from(list(TimeInForce)),
            st.sampled_from(list(SelfTradePrevention)),
        ),
        st.tuples(st.just("market"), sides, st.integers(1, 30)),
        st.tuples(st.just("maker"), sides, st.integers(90, 110), st.integers(1, 60)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("amend"), st.integers(0, 30), st.integers(90, 110), st.integers(1, 60)),
        st.tuples(st.just("stranger"), sides, st.integers(95, 105), st.integers(1, 60)),
    ),
    max_size=30,
)


def exchange_of(kind, **account):
    setup = VenueSetup(markets=(MARKET,), accounts=(AccountSetup(balances=START, **account),))
    return Exchange(setup, kind, Timing(ManualClock()))


def carry_out(exchange, sequence):
    account, market = exchange.accounts["main"], exchange.markets["BTCUSDT"]
    for number, (what, *figures) in enumerate(sequence):
        orders = list(account.orders.values())
        try:
            match what:
                case "place":
                    side, price, lots, time_in_force, prevention = figures
                    ticket = Ticket(
                        side, lots, price, f"c-{number}", time_in_force=time_in_force, prevention=prevention
                    )
                    exchange.place(account, market, ticket)
                case "market":
                    exchange.place(account, market, Ticket(figures[0], figures[1], 0, f"c-{number}"))
                case "maker":
                    side, price, lots = figures
                    ticket = Ticket(side, lots, price, f"c-{number}", post_only=PostOnly.REFUSED)
                    exchange.place(account, market, ticket)
                case "cancel" if orders:
                    exchange.cancel(orders[figures[0] % len(orders)])
                case "amend" if orders:
                    exchange.amend(orders[figures[0] % len(orders)], price_ticks=figures[1], size_lots=figures[2])
                case "stranger":
                    exchange.place_other(market, figures[0], figures[2], figures[1])
        except RefusedError:
            pass
        yield account, market


@pytest.mark.parametrize("fee_asset", [None, "BTC"])
@given(sequence=steps)
@settings(max_examples=100)
def test_spot_money_is_start_plus_fills_and_the_lock_is_the_open_orders(fee_asset, sequence):
    exchange = exchange_of(InstrumentKind.SPOT, fee_asset=fee_asset, fee_asset_price=Decimal(100))
    for account, market in carry_out(exchange, sequence):
        # The slow reference: add up every fill from the beginning, and every open order.
        expected = dict(START)
        for fill in account.fills:
            sign = 1 if fill.side is Side.BUY else -1
            expected["BTC"] += sign * fill.size
            expected["USDT"] -= sign * fill.price * fill.size
            expected[fill.fee_asset] -= fill.fee
        locked = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for order in account.orders.values():
            left = market.instrument.size(order.leaves_lots)
            if order.side is Side.BUY:
                locked["USDT"] += order.price * left
            else:
                locked["BTC"] += left
        balances = account.money.balances
        assert {asset: balances[asset].total for asset in START} == expected
        assert {asset: balances[asset].locked for asset in START} == locked
        for order in account.orders.values():
            assert order.filled_lots == sum(fill.size_lots for fill in order.fills) <= order.size_lots
            # What the engine holds is what the account believes.
            resting = market.engine.order(order.engine_id)
            assert (0 if resting is None else resting.leaves_lots) == order.leaves_lots


@given(sequence=steps)
@settings(max_examples=100)
def test_futures_wallet_is_start_plus_cash_flow_of_what_is_closed(sequence):
    exchange = exchange_of(InstrumentKind.LINEAR, leverage=5)
    for account, market in carry_out(exchange, sequence):
        signed = [
            (fill.size_lots if fill.side is Side.BUY else -fill.size_lots, fill.price * market.instrument.lot_size)
            for fill in account.fills
        ]
        fees = sum((fill.fee for fill in account.fills), Decimal(0))
        cash = -sum((lots * value for lots, value in signed), Decimal(0))
        position = account.money.positions.get(market.index)
        held = sum(lots for lots, _ in signed)
        assert (0 if position is None else position.size_lots) == held
        entry = Decimal(0) if position is None else position.entry_quote
        # Realised profit is the cash flow with what is still held put back at its entry value.
        realized = cash + (entry if held > 0 else -entry)
        wallet = account.money.balances["USDT"].total
        assert abs(wallet - (START["USDT"] + realized - fees)) < Decimal("1e-6")
        assert (entry == 0) == (held == 0)


def test_an_order_beyond_the_free_balance_is_refused_locks_considered():
    exchange = exchange_of(InstrumentKind.SPOT)
    account, market = exchange.accounts["main"], exchange.markets["BTCUSDT"]
    exchange.place(account, market, Ticket(Side.BUY, 40, 90, "first"))

    with pytest.raises(RefusedError) as caught:
        exchange.place(account, market, Ticket(Side.BUY, 20, 90, "second"))

    assert str(caught.value) == "not enough free balance"


@pytest.mark.parametrize("lots", [0, 11])
def test_nobody_can_trade_against_more_than_is_left(lots):
    exchange = exchange_of(InstrumentKind.SPOT)
    god = GodView(exchange, tuple)
    exchange.place(exchange.accounts["main"], exchange.markets["BTCUSDT"], Ticket(Side.BUY, 10, 95, "mine"))

    with pytest.raises(DomainError) as caught:
        god.trade_against("mine", lots)

    assert str(caught.value) == f"order 'mine': expected 1 to 10 lots to trade against, was {lots}"


def test_a_venue_opens_on_loopback_only():
    with pytest.raises(DomainError) as caught:
        VenueSetup(host="0.0.0.0")

    assert str(caught.value) == "host: expected a loopback address (127.0.0.1 or ::1), was '0.0.0.0'"
