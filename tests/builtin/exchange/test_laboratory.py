"""The laboratory: what orders do, measured. The expected figures are worked out by hand beside each case."""

import hashlib
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mmframe.builtin.exchange import EmbeddedFeedOptions, Laboratory
from mmframe.builtin.exchange.matching import MatchingLimits, SelfTradePrevention
from mmframe.domain.instrument import Instrument
from mmframe.domain.market import Side
from mmframe.domain.orders import OrderStatus
from mmframe.errors import DomainError, VenueError, VersionConflictError

BUY, SELL = Side.BUY, Side.SELL
GRID = Instrument(symbol="AAA/USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.1"))


@pytest.fixture
def laboratory():
    """Bids 99.99 x 10 and 99.98 x 20; asks 100.01 x 5, 100.03 x 5 and 100.05 x 10; the mid is 100."""
    laboratory = Laboratory(GRID)
    laboratory.seed(bids=[("99.99", "10"), ("99.98", "20")], asks=[("100.01", "5"), ("100.03", "5"), ("100.05", "10")])
    return laboratory


def test_a_sweep_is_measured_in_vwap_slippage_and_impact(laboratory):
    report = laboratory.market("ann", BUY, "10")

    assert report.vwap == Decimal("100.02")  # (5 x 100.01 + 5 x 100.03) / 10
    assert report.slippage_bps == pytest.approx(2.0)  # 0.02 of 100
    assert (report.mid_before, report.mid_after) == (Decimal(100), Decimal("100.02"))  # (99.99 + 100.05) / 2
    assert report.impact_bps == pytest.approx(2.0)
    assert report.touch_impact_bps == pytest.approx(0.04 / 100.01 * 10_000)
    assert [(trade.price, trade.size) for trade in report.trades] == [
        (Decimal("100.01"), 5),
        (Decimal("100.03"), 5),
    ]


def test_a_sell_has_positive_slippage_and_impact_too(laboratory):
    report = laboratory.market("ann", SELL, "15")

    assert report.vwap == (10 * Decimal("99.99") + 5 * Decimal("99.98")) / 15
    assert report.slippage_bps > 0
    assert report.impact_bps == pytest.approx(0.5)  # the mid falls from 100 to 99.995
    assert report.touch_impact_bps == pytest.approx(0.01 / 99.99 * 10_000)


def test_an_estimate_says_what_the_order_then_costs(laboratory):
    estimate = laboratory.estimate(BUY, "7.5")
    version = laboratory.version

    report = laboratory.market("ann", BUY, "7.5")

    assert version == laboratory.version - 2  # the estimate changed nothing, each of two trades the book
    assert (estimate.filled, estimate.vwap, estimate.slippage_bps) == (report.filled, report.vwap, report.slippage_bps)
    assert estimate.worst_price == Decimal("100.03")


def test_an_estimate_beyond_the_depth_tells_how_much_there_is(laboratory):
    assert laboratory.estimate(BUY, "100").filled == 20
    assert Laboratory(GRID).estimate(BUY, "1").vwap is None


def test_figures_without_a_mid_are_none():
    laboratory = Laboratory(GRID)
    laboratory.seed(asks=[("100.01", "1")])

    report = laboratory.market("ann", BUY, "2")

    assert (report.filled, report.vwap, report.status) == (1, Decimal("100.01"), OrderStatus.EXPIRED)
    assert (report.mid_before, report.slippage_bps, report.impact_bps, report.touch_impact_bps) == (None,) * 4
    assert laboratory.mid is None
    assert laboratory.spread_bps is None


def test_the_book_has_a_version_and_a_hash_of_its_levels(laboratory):
    text = "bid,99.99,10\nbid,99.98,20\nask,100.01,5\nask,100.03,5\nask,100.05,10"

    book = laboratory.book()

    assert book.version == laboratory.version == 5
    assert book.hash == hashlib.sha256(text.encode()).hexdigest()
    assert book.bids == ((Decimal("99.99"), 10), (Decimal("99.98"), 20))


def test_books_with_the_same_levels_have_the_same_hash_whoever_made_them(laboratory):
    before = laboratory.book()
    order = laboratory.limit("ann", BUY, "99.97", "1")
    assert laboratory.book().hash != before.hash

    laboratory.cancel(order.order_id)

    after = laboratory.book()
    assert after.hash == before.hash
    assert after.version == before.version + 2


def test_an_order_on_an_old_view_of_the_book_raises(laboratory):
    seen = laboratory.version
    laboratory.market("bob", BUY, "1")

    with pytest.raises(VersionConflictError) as caught:
        laboratory.market("ann", BUY, "1", expected_book_version=seen)

    assert (caught.value.expected, caught.value.was) == (5, 6)
    assert caught.value.message == "book: expected version 5, was 6"
    assert len(laboratory.trades) == 1


def test_a_change_of_an_order_that_was_filled_meanwhile_raises_and_succeeds_on_the_fresh_version(laboratory):
    order = laboratory.limit("ann", BUY, "100", "4")
    laboratory.market("bob", SELL, "1")

    with pytest.raises(VersionConflictError) as caught:
        laboratory.amend(order.order_id, leaves="2", expected_version=order.version)
    report = laboratory.amend(order.order_id, leaves="2", expected_version=caught.value.was)

    assert (report.leaves, report.version) == (2, 3)
    with pytest.raises(VersionConflictError):
        laboratory.cancel(order.order_id, expected_version=1)
    with pytest.raises(VersionConflictError):
        laboratory.replace(order.order_id, "99", "1", expected_version=1)


def test_an_amend_through_the_touch_reports_its_trades(laboratory):
    order = laboratory.limit("ann", BUY, "99.90", "7")

    report = laboratory.amend(order.order_id, price="100.01")

    assert (report.filled, report.leaves, report.vwap) == (5, 2, Decimal("100.01"))
    assert laboratory.queue(BUY, "100.01") == [("ann", Decimal(2))]


def test_a_replace_reports_the_new_order(laboratory):
    order = laboratory.limit("ann", BUY, "99.90", "7")

    moved = laboratory.replace(order.order_id, "99.91", "3")
    gone = laboratory.replace(moved.order_id, "100.01", "3", is_post_only=True)

    assert (moved.status, moved.leaves) == (OrderStatus.OPEN, 3)
    assert (gone.status, gone.reason) == (OrderStatus.REJECTED, "post-only order would take")
    assert laboratory.queue(BUY, "99.91") == []


def test_the_tape_names_both_sides_of_each_trade(laboratory):
    laboratory.limit("ann", BUY, "100", "1")

    laboratory.market("bob", SELL, "1")

    (trade,) = laboratory.trades
    assert (trade.trade_id, trade.maker, trade.taker, trade.taker_side) == (1, "ann", "bob", SELL)


@pytest.mark.parametrize(
    "change",
    [
        lambda laboratory: laboratory.amend(99, price="100"),
        lambda laboratory: laboratory.replace(99, "100", "1"),
        lambda laboratory: laboratory.cancel(99),
    ],
    ids=["amend", "replace", "cancel"],
)
def test_a_change_of_an_order_that_does_not_rest_raises(laboratory, change):
    with pytest.raises(VenueError) as caught:
        change(laboratory)

    assert caught.value.message == "order 99: unknown order"
    assert caught.value.hint == "it was filled, cancelled or never placed"


def test_a_refused_change_raises_and_leaves_the_order_as_it_was(laboratory):
    order = laboratory.limit("ann", BUY, "99.90", "7", is_post_only=True)
    version = laboratory.version

    with pytest.raises(VenueError) as amended:
        laboratory.amend(order.order_id, price="100.01")
    with pytest.raises(VenueError) as replaced:
        laboratory.replace(order.order_id, "99", "0")

    assert amended.value.message == f"order {order.order_id}: post-only order would take"
    assert replaced.value.message == f"order {order.order_id}: size is below the minimum"
    assert laboratory.version == version


def test_limits_and_prevention_are_those_of_the_laboratory():
    laboratory = Laboratory(GRID, limits=MatchingLimits(max_size_lots=50), prevention=SelfTradePrevention.EXPIRE_TAKER)
    laboratory.limit("ann", SELL, "100", "1")

    assert laboratory.limit("ann", BUY, "100", "5.1").reason == "size is above the maximum"
    assert laboratory.limit("ann", BUY, "100", "1").reason == "self-trade prevention"
    assert laboratory.market("ann", BUY, "1", prevention=SelfTradePrevention.NONE).filled == 1


def test_a_seed_that_would_trade_is_refused(laboratory):
    with pytest.raises(DomainError) as caught:
        laboratory.seed(bids=[("100.01", "1")])

    assert caught.value.message == "seed: BUY 1 at 100.01: post-only order would take"


def test_prices_and_sizes_off_the_grid_are_refused(laboratory):
    with pytest.raises(DomainError, match=r"AAA/USD price: expected a multiple of tick_size 0\.01, was '100\.005'"):
        laboratory.limit("ann", BUY, "100.005", "1")


LEVELS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50)), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(asks=LEVELS, bid=st.integers(1, 40), size=st.integers(1, 500))
def test_vwap_slippage_and_impact_agree_with_a_sum_over_single_lots(asks, bid, size):
    """Each lot is bought by itself at the cheapest price there is: slow, and beyond doubt."""
    laboratory = Laboratory(GRID)
    laboratory.seed(
        bids=[(GRID.price(10_000 - bid), "1")],
        asks=[(GRID.price(10_000 + away), GRID.size(lots)) for away, lots in asks],
    )
    shelf = sorted(10_000 + away for away, lots in asks for _ in range(lots))
    bought, left = shelf[:size], shelf[size:]
    mid = Decimal(10_000 - bid + shelf[0]) / 2

    report = laboratory.market("ann", BUY, GRID.size(size))

    assert report.filled == GRID.size(len(bought))
    assert report.vwap == pytest.approx(Decimal(sum(bought)) / len(bought) / 100)
    assert report.slippage_bps == pytest.approx(float((Decimal(sum(bought)) / len(bought) - mid) / mid * 10_000))
    if left:
        moved = Decimal(10_000 - bid + left[0]) / 2 - mid
        assert report.impact_bps == pytest.approx(float(moved / mid * 10_000))
    else:
        assert report.mid_after is None


def test_a_crowd_trades_while_told_to_and_a_sweep_decays():
    grid = Instrument(symbol="AAA/USD", tick_size=Decimal(5), lot_size=Decimal("0.0001"))
    laboratory = Laboratory(grid)
    laboratory.admit_crowd(EmbeddedFeedOptions(volatility_bps_per_sqrt_s=0.0, noise_takers_per_s=0.0), seed=3)
    laboratory.run(5)
    before = laboratory.mid

    sweep = laboratory.market("me", BUY, "2")
    laboratory.run(5)

    assert sweep.impact_bps > 2.0
    assert abs(laboratory.mid - before) / before * 10_000 < Decimal("1.5")


def test_the_crowd_is_the_same_for_the_same_seed():
    grid = Instrument(symbol="AAA/USD", tick_size=Decimal(5), lot_size=Decimal("0.0001"))
    hashes = []
    for seed in (1, 1, 2):
        laboratory = Laboratory(grid)
        laboratory.admit_crowd(seed=seed)
        laboratory.run(3)
        assert laboratory.trades
        hashes.append(laboratory.book().hash)

    assert hashes[0] == hashes[1] != hashes[2]


def test_a_crowd_must_be_admitted_once_before_it_trades(laboratory):
    with pytest.raises(DomainError) as missing:
        laboratory.run(1)
    other = Laboratory(Instrument(symbol="AAA/USD", tick_size=Decimal(5), lot_size=Decimal("0.0001")))
    other.admit_crowd()
    with pytest.raises(DomainError) as second:
        other.admit_crowd()

    assert missing.value.message == "run: expected a crowd and seconds >= 0, was 1 s and no crowd"
    assert second.value.message == "laboratory: expected one crowd, was a second one"
