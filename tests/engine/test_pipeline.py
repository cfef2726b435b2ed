from __future__ import annotations

import math
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.kinds import Scope
from mmframe.domain.market import Touch
from mmframe.domain.records import StageKind
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.engine.gate import MarketGate
from mmframe.engine.limits import LimitLog
from mmframe.engine.orders import OrderTracker
from mmframe.engine.pipeline import Pipeline, StageFault
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.settings import (
    GateLimits,
    LadderSettings,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
)
from mmframe.testing import make_instrument, make_inventory, make_view

TICK = make_instrument(tick_size="0.001", lot_size="0.01", min_notional_quote="1")
TOUCH = Touch(1215, 500, 1217, 500)


class Stage:
    def __init__(self, answer):
        self.answer = answer

    def propose(self, view, inventory, advice, proposal):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def assess(self, view, inventory, advice, proposal):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(proposal)


def quotes(bid=1.214, bid_size=5.0, ask=1.218, ask_size=5.0, bid_reason=0, ask_reason=0):
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def pipeline(
    *proposals,
    controls=(),
    scope=Scope.MARKET,
    position_lots=0,
    mid_half_ticks=2432,
    ladder=None,
    scopes=None,
    **limits,
):
    settings = MarketSettings(TICK, 500, GateLimits(**limits), ladder=ladder or LadderSettings())
    ledger = MarketLedger(TICK)
    ledger.position_lots = position_lots
    gate = MarketGate(settings, OrderTracker(0, acknowledge_timeout_ns=1, query_interval_ns=1), ledger)
    gate.view.mid_half_ticks = mid_half_ticks
    components = MarketPipeline(
        book=None,
        signals=(),
        optimizers=tuple(NamedOptimizer(f"o{index}", Stage(answer)) for index, answer in enumerate(proposals)),
        risk_controls=tuple(
            NamedRiskControl(f"r{index}", Stage(answer), scopes[index] if scopes else scope)
            for index, answer in enumerate(controls)
        ),
    )
    return Pipeline(settings, components, gate, LimitLog(0, [].append))


def targets(*proposals, touch=TOUCH, **kwargs):
    view = make_view(touch.bid_ticks * TICK.tick, touch.ask_ticks * TICK.tick, instrument=TICK)
    return pipeline(*proposals, **kwargs).targets(view, make_inventory(), NEUTRAL_ADVICE, touch)


def verdict(level=1, bid=None, bid_size=None, ask=None, ask_size=None, reason=int(Reason.POSITION_LIMIT)):
    def answer(given):
        return RiskVerdict(
            level,
            given.bid if bid is None else bid,
            given.bid_size if bid_size is None else bid_size,
            given.ask if ask is None else ask,
            given.ask_size if ask_size is None else ask_size,
            reason,
        )

    return answer


ALLOW = verdict(level=0, reason=0)


def test_prices_on_the_grid_stay_and_sizes_become_lots():
    made = targets(quotes())

    assert (made.bids, made.asks) == ([(1214, 500)], [(1218, 500)])
    assert (made.bid_reason, made.ask_reason) == (0, 0)
    assert not made.is_bid_limited


def test_bids_round_down_and_asks_up():
    made = targets(quotes(bid=1.2139, ask=1.2181, bid_size=5.009, ask_size=5.009))

    assert (made.bids, made.asks) == ([(1213, 500)], [(1219, 500)])


def test_two_prices_that_differ_by_less_than_floats_can_tell_do_not_meet_on_one_tick():
    made = targets(quotes(bid=1.2159999999, ask=1.2160000001))

    assert (made.bids, made.asks) == ([(1216, 500)], [(1217, 500)])


def test_a_quote_through_the_touch_is_moved_behind_it():
    made = targets(quotes(bid=1.2175, ask=1.3))
    assert (made.bids, made.bid_reason) == ([(1216, 500)], Reason.POST_ONLY)

    made = targets(quotes(bid=1.1, ask=1.2145))
    assert (made.asks, made.ask_reason) == ([(1216, 500)], Reason.POST_ONLY)


def test_a_side_without_size_is_not_quoted_for_its_reason():
    made = targets(quotes(bid=math.nan, bid_size=0.0, bid_reason=int(Reason.WARMING_UP), ask_size=0.0))

    assert (made.bids, made.asks) == ([], [])
    assert (made.bid_reason, made.ask_reason) == (Reason.WARMING_UP, Reason.ONE_SIDED)


def test_a_side_that_is_not_quoted_for_no_reason_is_one_sided():
    assert targets(quotes(bid_size=0.0)).bid_reason == Reason.ONE_SIDED


@pytest.mark.parametrize("size", [0.009, 0.5], ids=["below a lot", "below the smallest notional"])
def test_a_quote_below_the_instruments_smallest_order_is_not_made(size):
    made = targets(quotes(bid_size=size, ask_size=size))

    assert (made.bids, made.asks) == ([], [])
    assert made.bid_reason == made.ask_reason == Reason.BELOW_MINIMUM


def test_a_chain_hands_each_proposal_to_the_next_stage():
    made = targets(quotes(), quotes(bid=1.2, ask=1.25))

    assert (made.bids, made.asks) == ([(1200, 500)], [(1250, 500)])


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (quotes(bid=math.nan), "expected finite prices and sizes above 0"),
        (quotes(ask=math.inf), "expected finite prices and sizes above 0"),
        (quotes(bid_size=math.nan), "expected finite prices and sizes above 0"),
        (quotes(ask_size=-1.0), "expected finite prices and sizes above 0"),
        (quotes(bid=-1.0), "expected finite prices and sizes above 0"),
        (quotes(bid=1.3, ask=1.2), "expected bid < ask, was 1.3 >= 1.2"),
        (None, "expected a QuoteProposal, was None"),
        ((1, 2), "expected a QuoteProposal, was (1, 2)"),
        ((1.2, 1.0, 1.3, 1.0, 0, 0), "expected a QuoteProposal, was (1.2"),
        (ValueError("boom"), "ValueError: boom"),
    ],
    ids=str,
)
def test_an_optimizer_that_breaks_its_contract_is_a_fault_that_names_it(answer, detail):
    with pytest.raises(StageFault) as caught:
        targets(quotes(), answer)

    assert str(caught.value).startswith("optimizer 'o1': ")
    assert detail in str(caught.value)
    assert caught.value.kind is StageKind.OPTIMIZER


def test_a_ladder_steps_away_from_the_touch_and_scales_its_sizes():
    made = targets(quotes(bid_size=1.0, ask_size=1.0), ladder=LadderSettings(levels=3, step_bps=20.0, size_factor=2.0))

    assert made.bids == [(1214, 100), (1212, 200), (1210, 400)]
    assert made.asks == [(1218, 100), (1220, 200), (1222, 400)]


def test_a_ladder_may_widen_its_steps_geometrically():
    ladder = LadderSettings(levels=5, step_bps=20.0, step_factor=1.5)

    made = targets(quotes(bid_size=1.0, ask_size=1.0), ladder=ladder)

    # Steps of 2 ticks times 1, 1.5, 2.25 and 3.375: 0, 2, 5, 9.5 and 16.25 from the best level, halves outwards.
    assert [ticks for ticks, _ in made.bids] == [1214, 1212, 1209, 1204, 1198]
    assert [ticks for ticks, _ in made.asks] == [1218, 1220, 1223, 1228, 1234]


@settings(max_examples=100)
@given(st.integers(2, 20), st.floats(0.01, 500.0), st.floats(0.2, 5.0), st.floats(1.0, 10.0))
def test_an_even_ladder_has_the_obvious_levels_and_a_widening_one_no_price_twice(levels, step_bps, factor, widening):
    even = LadderSettings(levels=levels, step_bps=step_bps, size_factor=factor)
    step = max(1, round(1214 * step_bps / 10_000.0))

    made = targets(quotes(bid_size=50.0), ladder=even).bids
    wide = targets(quotes(bid_size=50.0), ladder=attrs.evolve(even, step_factor=widening)).bids

    obvious = [(1214 - step * level, math.floor(5_000 * factor**level + 1e-6)) for level in range(levels)]
    assert made == [(ticks, lots) for ticks, lots in obvious if ticks > 0 and ticks * lots >= 100_000]
    assert len({ticks for ticks, _ in wide}) == len(wide)
    assert all(further[0] <= nearer[0] for nearer, further in zip(made, wide, strict=False))


def test_a_ladder_leaves_out_levels_below_the_smallest_order():
    made = targets(quotes(bid_size=1.0), ladder=LadderSettings(levels=3, step_bps=20.0, size_factor=0.5))

    assert made.bids == [(1214, 100)]


def test_a_control_that_allows_changes_nothing():
    made = targets(quotes(), controls=[ALLOW, ALLOW])

    assert (made.bids, made.asks, made.level) == ([(1214, 500)], [(1218, 500)], RiskLevel.ALLOW)
    assert not made.is_bid_limited


def test_a_control_moves_prices_away_and_cuts_sizes():
    made = targets(quotes(), controls=[verdict(bid=1.2105, ask_size=2.5)])

    assert (made.bids, made.asks) == ([(1210, 500)], [(1218, 250)])
    assert (made.level, made.is_bid_limited, made.is_ask_limited) == (RiskLevel.SHRINK, True, True)


def test_a_cut_takes_from_the_outermost_level():
    made = targets(
        quotes(bid_size=1.0, ask_size=1.0),
        ladder=LadderSettings(levels=3, step_bps=20.0),
        controls=[verdict(bid_size=1.9)],
    )

    assert made.bids == [(1214, 100), (1212, 90)]
    assert made.asks == [(1218, 100), (1220, 100), (1222, 100)]


def test_a_side_that_a_control_removes_gets_its_reason():
    made = targets(quotes(), controls=[verdict(bid_size=0.0)])

    assert (made.bids, made.bid_reason) == ([], Reason.POSITION_LIMIT)
    assert made.asks == [(1218, 500)]


def test_cancel_only_removes_both_sides():
    made = targets(quotes(), controls=[verdict(level=2)])

    assert (made.bids, made.asks, made.level) == ([], [], RiskLevel.CANCEL_ONLY)


def test_a_halt_tells_its_scope_and_stage():
    made = targets(quotes(), controls=[ALLOW, verdict(level=3)], scope=Scope.STRATEGY)

    assert (made.bids, made.halt_scope, made.halt_stage) == ([], Scope.STRATEGY, "r1")


def test_a_side_that_is_already_empty_stays_empty():
    made = targets(quotes(bid_size=0.0), controls=[verdict(ask_size=1.0)])

    assert (made.bids, made.asks) == ([], [(1218, 100)])


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (verdict(bid=1.215), "loosened the bid"),
        (verdict(ask=1.217), "loosened the ask"),
        (verdict(bid_size=5.02), "loosened the bid"),
        (verdict(level=0, ask_size=6.0), "loosened the ask"),
        (verdict(level=5), "expected a RiskLevel"),
        (verdict(level=4), "its spec has no terms"),
        (verdict(level=-1), "expected a RiskLevel"),
        (verdict(bid=math.nan), "expected finite numbers"),
        (verdict(bid_size=math.nan), "expected finite numbers"),
        (lambda given: None, "expected a RiskVerdict, was None"),
        (KeyError("limit"), "KeyError"),
    ],
    ids=[
        "bid up",
        "ask down",
        "bid larger",
        "ask larger",
        "level",
        "liquidation without terms",
        "negative level",
        "nan",
        "nan size",
        "none",
        "raise",
    ],
)
def test_a_control_that_loosens_or_raises_is_a_fault_with_its_scope(answer, detail):
    with pytest.raises(StageFault) as caught:
        targets(quotes(), controls=[answer], scope=Scope.STRATEGY)

    assert detail in str(caught.value)
    assert (caught.value.kind, caught.value.scope) == (StageKind.RISK, Scope.STRATEGY)


def test_a_control_cannot_quote_a_side_that_is_not_quoted():
    with pytest.raises(StageFault, match="expected no size on an empty side"):
        targets(quotes(bid_size=0.0), controls=[verdict(bid=1.2, bid_size=1.0)])


def test_quotes_are_cut_to_what_the_gate_could_approve():
    made = targets(quotes(), max_position_lots=600, position_lots=300)
    assert (made.bids, made.asks) == ([(1214, 300)], [(1218, 500)])
    assert (made.is_bid_limited, made.is_ask_limited) == (True, False)

    made = targets(quotes(), max_order_lots=200)
    assert (made.bids, made.asks) == ([(1214, 200)], [(1218, 200)])

    made = targets(quotes(), max_order_notional_quote=Decimal("0.5"))
    assert (made.bids, made.bid_reason) == ([], Reason.POSITION_LIMIT)
    assert made.ask_reason == Reason.POSITION_LIMIT


def test_a_side_at_the_gates_position_limit_is_not_quoted_and_says_so():
    made = targets(quotes(), max_position_lots=600, position_lots=600)

    assert (made.bids, made.bid_reason) == ([], Reason.POSITION_LIMIT)
    assert made.asks == [(1218, 500)]
    assert targets(quotes(bid_size=0.0), max_position_lots=600).bids == []


def test_the_trace_shows_every_stage_in_order_with_what_it_made():
    made = pipeline(quotes(), controls=[ALLOW, verdict(bid_size=2.0)], max_position_lots=100)
    made.start_trace()
    made.targets(make_view(1.215, 1.217, instrument=TICK), make_inventory(), NEUTRAL_ADVICE, TOUCH)

    stages = made.take_trace()

    assert [(stage.kind.value, stage.name) for stage in stages] == [
        ("optimizer", "o0"),
        ("rounding", "rounding"),
        ("risk", "r0"),
        ("risk", "r1"),
        ("engine", "gate limits"),
    ]
    assert [stage.bid_size for stage in stages] == pytest.approx([5.0, 5.0, 5.0, 2.0, 1.0])
    assert (stages[3].level, stages[3].note) == (1, "position_limit")
    assert stages[4].bid_bound == "max_position 1.00 leaves 1.00 of 2.00, 1.00 less"
    assert stages[4].ask_bound == "max_position 1.00 leaves 1.00 of 5.00, 4.00 less"
    assert made.take_trace() == ()


def test_the_trace_tells_rounding_from_the_ladder():
    made = pipeline(quotes(), ladder=LadderSettings(levels=3, step_bps=10.0, size_factor=2.0))
    made.start_trace()
    made.targets(make_view(1.215, 1.217, instrument=TICK), make_inventory(), NEUTRAL_ADVICE, TOUCH)

    _, rounding, ladder = made.take_trace()

    assert (rounding.name, rounding.bid_size) == ("rounding", 5.0)
    assert (ladder.kind, ladder.bid, ladder.bid_size) == (StageKind.LADDER, rounding.bid, pytest.approx(35.0))
    assert ladder.note == "3 levels, 10 bps apart, each 2 x the one before"


def test_a_plugins_own_reason_is_shown_as_its_number():
    made = pipeline(quotes(), controls=[verdict(bid_size=2.0, reason=1234)])
    made.start_trace()
    made.targets(make_view(1.215, 1.217, instrument=TICK), make_inventory(), NEUTRAL_ADVICE, TOUCH)

    assert made.take_trace()[-1].note == "1234"


prices = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.001, 10.0))
sizes = st.one_of(st.sampled_from([0.0, math.nan]), st.floats(-1.0, 100.0))


@given(
    st.tuples(prices, sizes, prices, sizes),
    st.tuples(st.integers(-1, 4), prices, sizes, prices, sizes),
    st.integers(1, 4),
    st.integers(-2000, 2000),
)
def test_whatever_stages_answer_targets_are_on_the_grid_uncrossed_within_limits_and_never_loosened(
    proposal, answer, levels, position
):
    given_quotes = QuoteProposal(*proposal, 0, 0)
    ladder = LadderSettings(levels=levels, step_bps=20.0)
    try:
        free = targets(given_quotes, ladder=ladder)
        made = targets(
            given_quotes,
            ladder=ladder,
            controls=[lambda _: RiskVerdict(*answer, 0)],
            max_position_lots=2000,
            position_lots=position,
        )
    except StageFault:
        return
    for side, asked, away in ((made.bids, free.bids, -1), (made.asks, free.asks, 1)):
        assert all(type(ticks) is int and type(lots) is int and ticks > 0 and lots >= 1 for ticks, lots in side)
        assert sum(lots for _, lots in side) <= sum(lots for _, lots in asked)
        if side:
            assert (side[0][0] - asked[0][0]) * away >= 0
    assert sum(lots for _, lots in made.bids) + position <= 2000 or not made.bids
    assert sum(lots for _, lots in made.asks) - position <= 2000 or not made.asks
    if made.bids:
        assert made.bids[0][0] < TOUCH.ask_ticks
    if made.asks:
        assert made.asks[0][0] > TOUCH.bid_ticks
    if made.bids and made.asks:
        assert made.bids[0][0] < made.asks[0][0]


def test_the_smallest_value_is_rounded_up_to_the_grid():
    # One tick-lot is worth 0.00001; the smallest order 0.00015 of it: 15 tick-lots would do, 16 for one digit more.
    for minimum, lots in (("0.00015", 15), ("0.000151", 16)):
        instrument = make_instrument(tick_size="0.001", lot_size="0.01", min_notional_quote=minimum)
        settings = MarketSettings(instrument, 500, GateLimits())
        gate = MarketGate(
            settings, OrderTracker(0, acknowledge_timeout_ns=1, query_interval_ns=1), MarketLedger(instrument)
        )
        made = Pipeline(settings, MarketPipeline(None, (), (), ()), gate, LimitLog(0, [].append))

        assert made._levels(1, lots * 0.01, -1) == [(1, lots)]
        assert made._levels(1, (lots - 1) * 0.01, -1) == []


def test_a_halt_of_the_strategy_is_not_lost_to_a_later_control():
    halt = verdict(level=3)
    widest = [
        targets(quotes(), controls=controls, scopes=scopes).halt_scope
        for controls, scopes in (
            ([halt, halt], [Scope.STRATEGY, Scope.MARKET]),
            ([halt, halt], [Scope.MARKET, Scope.STRATEGY]),
            ([halt, halt], [Scope.MARKET, Scope.MARKET]),
        )
    ]

    assert widest == [Scope.STRATEGY, Scope.STRATEGY, Scope.MARKET]


def test_a_later_control_that_raises_does_not_narrow_a_halt_of_the_strategy():
    with pytest.raises(StageFault) as caught:
        targets(quotes(), controls=[verdict(level=3), RuntimeError("x")], scopes=[Scope.STRATEGY, Scope.MARKET])

    assert caught.value.scope is Scope.STRATEGY
