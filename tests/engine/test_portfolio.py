from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import Fill
from mmframe.engine.portfolio import MarketLedger
from mmframe.testing import make_instrument

INSTRUMENT = make_instrument(tick_size="0.01", lot_size="0.001")
VALUE = Decimal("0.00001")


def fill(side, ticks, lots, *, trade_id="t", fee="0", fee_asset="USDT"):
    return Fill(
        market=0,
        client_id="c",
        venue_trade_id=trade_id,
        side=side,
        price_ticks=ticks,
        size_lots=lots,
        is_maker=True,
        fee=Decimal(fee),
        fee_asset=fee_asset,
        exchange_ns=1,
        receive_ns=1,
    )


def test_a_round_trip_earns_its_two_half_spreads():
    ledger = MarketLedger(INSTRUMENT)
    ledger.mark_half_ticks = 20_000

    ledger.apply(fill(Side.BUY, 9_995, 10, trade_id="1"), 20_000)
    ledger.apply(fill(Side.SELL, 10_005, 10, trade_id="2"), 20_000)

    pnl = ledger.profit_and_loss()
    assert ledger.position_lots == 0
    assert ledger.average_price() is None
    assert pnl.total == pnl.spread_capture == pnl.realised == VALUE * 10 * 10
    assert pnl.inventory == pnl.unrealised == pnl.fees == 0


def test_a_move_against_the_position_is_inventory_loss_not_spread():
    ledger = MarketLedger(INSTRUMENT)
    ledger.apply(fill(Side.BUY, 9_995, 10), 20_000)

    ledger.mark_half_ticks = 19_960

    pnl = ledger.profit_and_loss()
    assert pnl.spread_capture == VALUE * 5 * 10
    assert pnl.inventory == VALUE * -20 * 10
    assert pnl.total == pnl.unrealised == VALUE * -15 * 10
    assert ledger.average_price() == Decimal("99.95")


def test_the_same_trade_id_counts_once():
    ledger = MarketLedger(INSTRUMENT)

    assert ledger.apply(fill(Side.BUY, 100, 1, trade_id="7"), 200)
    assert not ledger.apply(fill(Side.BUY, 100, 1, trade_id="7"), 200)

    assert ledger.position_lots == 1
    assert ledger.has_counted("7")
    assert not ledger.has_counted("8")


def test_fees_count_in_quote_in_base_at_the_fill_price_and_apart_in_other_assets():
    ledger = MarketLedger(INSTRUMENT)

    ledger.apply(fill(Side.BUY, 10_000, 1000, trade_id="1", fee="0.1"), 20_000)
    ledger.apply(fill(Side.BUY, 10_000, 1000, trade_id="2", fee="0.001", fee_asset="BTC"), 20_000)
    ledger.apply(fill(Side.BUY, 10_000, 1000, trade_id="3", fee="0.0002", fee_asset="BNB"), 20_000)
    ledger.apply(fill(Side.BUY, 10_000, 1000, trade_id="4", fee="-0.05"), 20_000)

    assert ledger.profit_and_loss().fees == Decimal("-0.15")
    assert ledger.unvalued_fees == {"BNB": Decimal("0.0002")}


def test_a_position_that_turns_over_keeps_only_the_new_sides_cost():
    ledger = MarketLedger(INSTRUMENT)
    ledger.apply(fill(Side.BUY, 100, 10, trade_id="1"), 200)

    ledger.apply(fill(Side.SELL, 110, 15, trade_id="2"), 220)

    assert ledger.position_lots == -5
    assert ledger.cost_tick_lots == -5 * 110
    assert ledger.profit_and_loss().realised == VALUE * 10 * 10


fills = st.lists(
    st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 2000), st.integers(1, 500), st.integers(2, 4000)),
    max_size=40,
)


@given(fills, st.integers(2, 4000))
def test_the_split_adds_up_exactly_and_agrees_with_plain_average_cost(rows, mark):
    ledger = MarketLedger(INSTRUMENT)
    position, cost, realised, cash = 0, Fraction(0), Fraction(0), 0
    for index, (side, ticks, lots, mid) in enumerate(rows):
        ledger.apply(fill(side, ticks, lots, trade_id=str(index)), mid)
        sign = 1 if side == Side.BUY else -1
        cash -= sign * ticks * lots
        closing = min(lots, abs(position)) if position * sign < 0 else 0
        if closing:
            average = cost / position
            realised += closing * (ticks - average) * -sign
            cost -= average * closing * (1 if position > 0 else -1)
        cost += sign * ticks * (lots - closing)
        position += sign * lots
    ledger.mark_half_ticks = mark

    pnl = ledger.profit_and_loss()

    assert ledger.position_lots == position
    assert pnl.total == pnl.spread_capture + pnl.inventory + pnl.fees
    assert pnl.total == pnl.realised + pnl.unrealised + pnl.fees
    assert pnl.total == VALUE / 2 * (2 * cash + position * mark)
    # Integer division may move less than one tick-lot between realised and unrealised a fill, never lose it.
    assert abs(Fraction(pnl.realised / VALUE) - realised) <= len(rows)
    if not position:
        assert pnl.realised == VALUE * cash
        assert ledger.cost_tick_lots == 0
    assert float(pnl.total) == ledger.total_float() or abs(float(pnl.total) - ledger.total_float()) < 1e-9
    assert abs(float(pnl.realised) - ledger.realised_float()) < 1e-9
    assert abs(float(pnl.unrealised) - ledger.unrealised_float()) < 1e-9
    assert abs(ledger.notional_float() - abs(position) * mark * 0.5e-5) < 1e-9
