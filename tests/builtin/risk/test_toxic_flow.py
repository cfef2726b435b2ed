"""`toxic-flow` moves quotes away from the mid as flow turns toxic, never towards it, and stops beyond a bound."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.toxic_flow import TOO_TOXIC, TOXIC_FLOW, TOXIC_WIDENED, ToxicFlowOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_fill, make_inventory, make_signals, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.95, 0.2, 100.05, 0.2, 0, 0)
VPIN = {"soft_vpin": 0.5, "hard_vpin": 0.8}
LOSS = {"soft_loss_bps": 1.0, "hard_loss_bps": 3.0}


def control_of(**options):
    return build_component(TOXIC_FLOW, ToxicFlowOptions(**options))


def assess(control, *, seconds=0.0, vpin=0.0, mid=100.0, quotes=QUOTES):
    view = make_view(now_ns=START_NS + round(seconds * 1e9), signals=make_signals(vpin=vpin))._replace(mid=mid)
    return control.assess(view, make_inventory(), NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    control = control_of(**VPIN)

    calm, widened = assess(control, vpin=0.5), assess(control, vpin=0.6)
    cancelled, still, back = assess(control, vpin=0.81), assess(control, vpin=0.65), assess(control, vpin=0.63)

    assert calm == RiskVerdict(0, *QUOTES[:4], 0)
    assert widened == RiskVerdict(
        RiskLevel.SHRINK, pytest.approx(99.91), 0.2, pytest.approx(100.09), 0.2, TOXIC_WIDENED
    )
    assert (cancelled.level, cancelled.reason) == (RiskLevel.CANCEL_ONLY, TOO_TOXIC)
    assert still.level == RiskLevel.CANCEL_ONLY
    assert back.level == RiskLevel.SHRINK


def test_the_mean_loss_of_our_fills_widens_and_fades():
    control = control_of(**LOSS, horizon_s=5.0, loss_half_life_s=100.0, loss_fills=4, max_widening_bps=10.0)
    # Six fills that lose 3 bps each: 6 x 3 / max(6, 4) = 3 would be hard; 2.8 is nine tenths of the way, 9 bps.
    for _ in range(6):
        control.on_fill(make_fill(price=100.0, now_ns=START_NS))

    early, widened = assess(control, seconds=4.9, mid=99.9), assess(control, seconds=5.0, mid=99.972)
    faded = assess(control, seconds=105.0), assess(control, seconds=205.0)

    assert early.level == RiskLevel.ALLOW
    assert QUOTES.bid - widened.bid == pytest.approx(9e-4 * 99.972)
    assert widened.ask - QUOTES.ask == pytest.approx(9e-4 * 99.972)
    # After a half-life 2.8 has become 1.4: a fifth of the way, 2 bps. After two it is 0.7.
    assert QUOTES.bid - faded[0].bid == pytest.approx(2e-4 * 100.0)
    assert faded[1].level == RiskLevel.ALLOW


@pytest.mark.parametrize("fills", [1, 100])
def test_what_our_fills_stopped_comes_back_without_a_fill(fills):
    control = control_of(**LOSS, loss_half_life_s=100.0, loss_fills=1)
    for _ in range(fills):
        control.on_fill(make_fill(price=100.0, side=-1.0, now_ns=START_NS))

    stopped, still = assess(control, seconds=5, mid=100.05), assess(control, seconds=60)
    back = assess(control, seconds=5 + 106)

    # 5 bps, below 3 x 0.8 = 2.4 after 1.06 half-lives, however many the fills were.
    assert (stopped.level, stopped.reason) == (RiskLevel.CANCEL_ONLY, TOO_TOXIC)
    assert still.level == RiskLevel.CANCEL_ONLY
    assert back.level == RiskLevel.SHRINK


def test_an_earlier_fill_counts_less_beside_a_later_one():
    control = control_of(**LOSS, horizon_s=5.0, loss_half_life_s=100.0, loss_fills=1, max_widening_bps=10.0)
    for second, mid in ((0, 99.972), (100, 99.99)):
        control.on_fill(make_fill(price=100.0, now_ns=START_NS + second * 10**9))
        widened = assess(control, seconds=second + 5, mid=mid)

    # Losses of 2.8 bps, a half-life ago, and 1 bp: (2.8 / 2 + 1) / (1 / 2 + 1) = 1.6, three tenths of the way: 3 bps.
    assert QUOTES.bid - widened.bid == pytest.approx(3e-4 * 99.99)


def test_on_a_clock_that_began_anew_the_mean_loss_goes_on_fading_from_there():
    control = control_of(**LOSS, loss_half_life_s=100.0, loss_fills=1)
    assess(control, seconds=1_000)
    control.on_fill(make_fill(price=100.0, now_ns=START_NS + 1_000 * 10**9))
    assert assess(control, seconds=1_005, mid=99.95).reason == TOO_TOXIC
    control.on_fill(make_fill(price=100.0, now_ns=START_NS + 1_005 * 10**9))

    # 5 bps still, 2.5 after a half-life: above 3 x 0.8; then below it. The fill that waited is not judged.
    assert assess(control, seconds=3).reason == TOO_TOXIC
    assert assess(control, seconds=103).reason == TOO_TOXIC
    assert assess(control, seconds=110, mid=50.0).reason == TOXIC_WIDENED


def test_without_a_quote_there_is_nothing_to_widen():
    none = QuoteProposal(0.0, 0.0, 0.0, 0.0, 20, 20)

    assert assess(control_of(**VPIN), vpin=0.7, quotes=none) == RiskVerdict(0, 0.0, 0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("when_unknown", "level", "reason", "bid"),
    [
        pytest.param("allow", RiskLevel.ALLOW, 0, 99.95, id="allow"),
        pytest.param("widen", RiskLevel.SHRINK, TOXIC_WIDENED, 99.85, id="widen"),
        pytest.param("cancel", RiskLevel.CANCEL_ONLY, Reason.WARMING_UP, 99.95, id="cancel"),
    ],
)
@pytest.mark.parametrize("vpin", [math.nan, math.inf, -1.0])
def test_an_unknown_vpin_is_answered_as_asked(vpin, when_unknown, level, reason, bid):
    verdict = assess(control_of(**VPIN, when_unknown=when_unknown), vpin=vpin)

    assert (verdict.level, verdict.reason) == (level, reason)
    assert verdict.bid == pytest.approx(bid)


def test_a_hard_bound_stays_while_vpin_is_unknown():
    control = control_of(**VPIN, when_unknown="allow")
    assess(control, vpin=0.9)

    assert assess(control, vpin=math.nan).reason == TOO_TOXIC


def test_a_measure_without_bounds_does_not_count():
    assert assess(control_of(**LOSS), vpin=math.nan).level == RiskLevel.ALLOW


def test_a_bid_without_room_above_zero_is_not_quoted():
    control = control_of(**VPIN, max_widening_bps=1_000.0, widening_step_bps=100.0)

    verdict = assess(control, vpin=0.8, quotes=QUOTES._replace(bid=0.5))

    assert (verdict.bid_size, verdict.ask_size) == (0.0, 0.2)


@pytest.mark.parametrize("mid", [0.0, math.nan, math.inf])
def test_a_mid_that_is_no_price_cancels(mid):
    assert assess(control_of(**VPIN), mid=mid).reason == Reason.BOOK_EMPTY


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "soft_vpin: expected this or soft_loss_bps, was neither"),
        ({"soft_vpin": 0.5}, "hard_vpin: expected a number, as soft_vpin is one, was none"),
        ({**VPIN, "hard_loss_bps": 3.0}, "soft_loss_bps: expected a number, as hard_loss_bps is one, was none"),
        ({"soft_vpin": 0.8, "hard_vpin": 0.8}, "hard_vpin: expected more than soft_vpin, 0.8, was 0.8"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(options, text):
    with pytest.raises(DomainError, match=text):
        ToxicFlowOptions(**options)


@settings(max_examples=100)
@given(
    situations(signals=("vpin",), signal_ranges={"vpin": (0.0, 1.0)}, rounded=True),
    st.floats(0.0, 0.5),
    st.floats(0.6, 1.0),
    st.floats(0.1, 1_000.0),
    st.floats(0.1, 100.0),
)
def test_the_widening_is_the_share_of_the_way_in_whole_steps(situation, soft, hard, max_widening, step):
    view, inventory, advice, quotes = situation
    control = control_of(soft_vpin=soft, hard_vpin=hard, max_widening_bps=max_widening, widening_step_bps=step)
    vpin = view.signals.vpin

    verdict = control.assess(view, inventory, advice, quotes)

    if vpin > hard:
        assert verdict.level == RiskLevel.CANCEL_ONLY
        return
    share = 1.0 if math.isnan(vpin) else max(0.0, (vpin - soft) / (hard - soft))
    steps = share * max_widening / step
    # A billionth of a step is rounding.
    whole_steps = math.floor(steps) + (steps - math.floor(steps) > 1e-9)
    distance = min(whole_steps * step, max_widening) / 1e4 * view.mid
    assert (verdict.level == RiskLevel.ALLOW) == (whole_steps == 0 or not (quotes.bid_size or quotes.ask_size))
    assert verdict.ask_size == quotes.ask_size
    assert verdict.ask - quotes.ask == pytest.approx(
        distance if quotes.ask_size else 0.0, rel=1e-6, abs=1e-9 * view.ask
    )
    if quotes.bid_size and quotes.bid > distance * (1 + 1e-6):
        assert verdict.bid_size == quotes.bid_size
        assert quotes.bid - verdict.bid == pytest.approx(distance, rel=1e-6, abs=1e-9 * view.ask)
