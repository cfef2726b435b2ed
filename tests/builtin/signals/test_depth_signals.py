"""Depth, absolute depth, deep imbalance and price impact read the book's exact levels."""

import math
from array import array
from decimal import Decimal

import pytest

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.signals import SIGNALS
from mmframe.builtin.signals.depth import ABSOLUTE_DEPTH, DEPTH, AbsoluteDepthOptions, DepthOptions
from mmframe.builtin.signals.imbalance import IMBALANCE, ImbalanceOptions
from mmframe.builtin.signals.price_impact import PRICE_IMPACT, PriceImpactOptions
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_options

SECOND_NS = 1_000_000_000


def set_levels(book, *, bids=(), asks=()):
    rows = [(side, *level) for side, levels in ((0, bids), (1, asks)) for level in levels]
    columns = [array(code, column) for code, column in zip("bqq", zip(*rows, strict=True), strict=True)]
    book.apply(*columns, 0, len(rows))


@pytest.fixture
def book():
    """On a tick of 0.01 and a lot of 0.001: bids 99.99 x 2, 99.60 x 2; asks 100.01 x 1, 100.05 x 5, 100.40 x 3."""
    made = SortedBook()
    set_levels(made, bids=[(9_999, 2_000), (9_960, 2_000)], asks=[(10_001, 1_000), (10_005, 5_000), (10_040, 3_000)])
    return made


def tick(now_ns=START_NS):
    return BookTick(now_ns, 99.99, 2.0, 100.01, 1.0, 100.0)


def test_absolute_depth_counts_what_lies_within_reach_the_edge_included(book):
    def within(bps):
        signal = build_component(ABSOLUTE_DEPTH, AbsoluteDepthOptions(within_bps=bps), book=book)
        signal.on_touch(tick())
        return signal.read(START_NS, tick())

    assert within(40.0) == pytest.approx(13.0)
    assert within(39.0) == pytest.approx(8.0)
    assert within(1.0) == pytest.approx(3.0)
    assert within(0.5) == 0.0


def test_relative_depth_is_the_depth_now_over_its_time_weighted_mean(book):
    signal = build_component(DEPTH, DepthOptions(within_bps=1.0, half_life_s=60.0), book=book)
    signal.on_touch(tick())
    set_levels(book, bids=[(9_999, 500)])

    signal.on_touch(tick(START_NS + 60 * SECOND_NS))

    # 3.0 before, 1.5 for one half-life: the usual depth is 2.25.
    assert signal.read(START_NS + 60 * SECOND_NS, tick()) == pytest.approx(1.5 / 2.25)


def test_absolute_depth_looks_no_more_often_than_its_interval(book):
    signal = build_component(ABSOLUTE_DEPTH, AbsoluteDepthOptions(within_bps=1.0), book=book)
    assert math.isnan(signal.read(START_NS, tick()))
    signal.on_touch(tick())
    set_levels(book, bids=[(9_999, 500)])

    signal.on_touch(tick(START_NS + SECOND_NS - 1))
    assert signal.read(START_NS + SECOND_NS, tick()) == pytest.approx(3.0)
    signal.on_touch(tick(START_NS + SECOND_NS))

    assert signal.read(START_NS + SECOND_NS, tick()) == pytest.approx(1.5)


def test_relative_depth_looks_no_more_often_than_its_interval(book):
    signal = build_component(DEPTH, DepthOptions(within_bps=1.0, warm_up_s=0.0), book=book)
    signal.on_touch(tick())
    set_levels(book, bids=[(9_999, 500)])

    signal.on_touch(tick(START_NS + SECOND_NS - 1))
    assert signal.read(START_NS + SECOND_NS, tick()) == 1.0
    signal.on_touch(tick(START_NS + SECOND_NS))

    assert signal.read(START_NS + SECOND_NS, tick()) == pytest.approx(0.5, abs=0.01)


def test_relative_depth_is_not_known_while_warming_up_or_without_any_depth(book):
    warming = build_component(DEPTH, DepthOptions(), book=book)
    empty = build_component(DEPTH, DepthOptions(within_bps=0.1, warm_up_s=0.0), book=book)
    for signal in (warming, empty):
        signal.on_touch(tick())

    assert math.isnan(warming.read(START_NS + 10 * SECOND_NS - 1, tick()))
    assert warming.read(START_NS + 10 * SECOND_NS, tick()) == 1.0
    assert math.isnan(empty.read(START_NS + 10 * SECOND_NS, tick()))


def test_reading_depth_does_not_move_its_mean(book):
    signal = build_component(DEPTH, DepthOptions(within_bps=1.0, warm_up_s=0.0), book=book)
    signal.on_touch(tick())
    set_levels(book, bids=[(9_999, 500)])
    signal.on_touch(tick(START_NS + SECOND_NS))
    first = signal.read(START_NS + SECOND_NS, tick())

    values = {signal.read(START_NS + second * SECOND_NS, tick()) for second in range(100)}

    assert values == {first}


def test_deep_imbalance_sums_the_levels_asked_for(book):
    signal = build_component(IMBALANCE, ImbalanceOptions(levels=2), book=book)

    assert signal.read(START_NS, tick()) == pytest.approx((4.0 - 6.0) / 10.0)


def test_deep_imbalance_of_an_empty_book_is_not_known():
    assert math.isnan(build_component(IMBALANCE, ImbalanceOptions(levels=2), book=SortedBook()).read(START_NS, tick()))


@pytest.mark.parametrize(
    ("size", "bps"),
    [
        pytest.param("0.999", 0.0, id="within the touch"),
        pytest.param("1", 2.0, id="the whole touch: the next ask is best"),
        pytest.param("1.0009", 2.0, id="rounded down to lots"),
        pytest.param("2", 19.5, id="the bid side gives way more"),
        pytest.param("4", 10_000.0, id="all of one side"),
    ],
)
def test_price_impact_is_the_worse_move_of_the_mid(book, size, bps):
    signal = build_component(PRICE_IMPACT, PriceImpactOptions(size=Decimal(size)), book=book)

    assert signal.read(START_NS, tick()) == pytest.approx(bps)


def test_price_impact_reads_as_deep_as_the_size_asks():
    book = SortedBook()
    set_levels(book, bids=[(9_999, 10**9)], asks=[(10_001 + step, 1_000) for step in range(500)])
    signal = build_component(PRICE_IMPACT, PriceImpactOptions(size=Decimal(300)), book=book)

    assert signal.read(START_NS, tick()) == pytest.approx(300 / 20_000 * 10_000)


def test_a_size_below_one_lot_is_refused(book):
    with pytest.raises(DomainError) as caught:
        build_component(PRICE_IMPACT, PriceImpactOptions(size=Decimal("0.0009")), book=book)

    assert caught.value.message == "size: expected at least one lot of 0.001, was 0.0009"


@pytest.mark.parametrize("spec", [DEPTH, ABSOLUTE_DEPTH, PRICE_IMPACT], ids=lambda spec: spec.name)
def test_a_signal_of_the_book_says_when_it_has_none(spec):
    options = make_options(spec, {"size": Decimal(1)} if spec is PRICE_IMPACT else {})

    with pytest.raises(DomainError) as caught:
        build_component(spec, options)

    assert caught.value.message == f"signal '{spec.name}': expected the book of a market, was none"


def test_every_signal_provides_a_field_of_its_own():
    provided = [spec.provides for spec in SIGNALS]

    assert len(set(provided)) == len(provided)
    assert provided == [
        "volatility",
        "realised_volatility",
        "two_scale_volatility",
        "parkinson_volatility",
        "garman_klass_volatility",
        "rogers_satchell_volatility",
        "drift",
        "micro_price",
        "stoikov_micro_price",
        "imbalance",
        "order_flow_imbalance",
        "trade_flow",
        "vpin",
        "kyle_lambda",
        "relative_depth",
        "depth",
        "price_impact",
        "spike",
        "spike_flag",
        "manipulation",
        "liquidity_regime",
        "market_condition",
        "constant",
    ]
