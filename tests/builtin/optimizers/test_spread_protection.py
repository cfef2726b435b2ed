"""`spread-protection` widens at once, narrows by steps, doubles under a flag, and survives a clock that goes back."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.spread_protection import FLAGGED, HELD_WIDE, SPREAD_PROTECTION, SpreadProtectionOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.testing import START_NS, build_component, make_inventory, make_signals, make_view

MS = 1_000_000


class Protected:
    """The stage at mid 100, fed with spreads centred on it."""

    def __init__(self, **options):
        self.rule = build_component(SPREAD_PROTECTION, SpreadProtectionOptions(**options))

    def quotes(self, half, *, at_ms=0, manipulation=0.0, spike=0.0, lean=0.0):
        proposal = QuoteProposal(100.0 + lean - half, 0.4, 100.0 + lean + half, 0.4, 0, 0)
        return self.propose(proposal, at_ms=at_ms, manipulation=manipulation, spike=spike)

    def propose(self, proposal, *, at_ms=0, manipulation=0.0, spike=0.0, mid=100.0):
        signals = make_signals(manipulation=manipulation, spike_flag=spike)
        view = make_view(now_ns=START_NS + at_ms * MS, signals=signals)._replace(mid=mid)
        return self.rule.propose(view, make_inventory(), NEUTRAL_ADVICE, proposal)

    def spread(self, half, **moment):
        quotes = self.quotes(half, **moment)
        return round(quotes.ask - quotes.bid, 9)


def test_the_example_of_its_description_holds():
    stage = Protected(min_spread_bps=2.0, cooldown_ms=1_000)

    flagged = stage.quotes(0.1, manipulation=1.0)
    later = [stage.quotes(0.1, at_ms=at_ms) for at_ms in (1, 999, 1_000, 1_999, 2_000)]

    assert (flagged.bid, flagged.ask, flagged.bid_reason, flagged.ask_reason) == (
        pytest.approx(99.80),
        pytest.approx(100.20),
        FLAGGED,
        FLAGGED,
    )
    assert [quotes.ask - quotes.bid for quotes in later] == pytest.approx([0.4, 0.4, 0.38, 0.38, 0.361])
    assert [quotes.bid_reason for quotes in later] == [HELD_WIDE] * 5


@pytest.mark.parametrize(("manipulation", "spike"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_either_flag_multiplies_once(manipulation, spike):
    stage = Protected(flag_multiplier=3.0)

    assert stage.spread(0.1, manipulation=manipulation, spike=spike) == pytest.approx(0.6)


def test_widening_is_at_once_and_begins_the_wait_anew():
    stage = Protected(cooldown_ms=100)
    moments = [(0.10, 0), (0.05, 99), (0.15, 99), (0.05, 198), (0.05, 199), (0.20, 200)]

    spreads = [stage.spread(half, at_ms=at_ms) for half, at_ms in moments]

    assert spreads == pytest.approx([0.2, 0.2, 0.3, 0.3, 0.285, 0.4])


def test_a_long_silence_allows_one_step_and_not_many():
    stage = Protected(cooldown_ms=100)
    stage.spread(0.2)

    assert stage.spread(0.1, at_ms=3_600_000) == pytest.approx(0.38)


def test_a_step_never_goes_below_what_is_wanted():
    stage = Protected(max_shrink_percent=100.0, cooldown_ms=0)
    stage.spread(0.2)

    assert stage.spread(0.15, at_ms=1) == pytest.approx(0.3)


def test_the_smallest_spread_holds_from_the_first_quotes():
    quotes = Protected(min_spread_bps=10.0).quotes(0.001)

    assert (quotes.ask - quotes.bid, quotes.bid_reason) == (pytest.approx(0.1), Reason.SPREAD_FLOOR)


def test_a_lean_passes_and_is_never_held():
    stage = Protected()
    stage.quotes(0.1, lean=-0.5)

    assert stage.quotes(0.1, lean=0.5) == QuoteProposal(100.5 - 0.1, 0.4, 100.5 + 0.1, 0.4, 0, 0)


def test_a_clock_that_goes_back_keeps_the_spread_and_waits_anew():
    stage = Protected(cooldown_ms=1_000)
    stage.spread(0.2, at_ms=60_000)

    spreads = [stage.spread(0.1, at_ms=at_ms) for at_ms in (0, 999, 1_000)]

    assert spreads == pytest.approx([0.4, 0.4, 0.38])


def test_one_side_alone_keeps_half_the_smallest_spread_and_what_is_held_waits():
    stage = Protected(min_spread_bps=10.0, cooldown_ms=0)
    stage.spread(0.2)
    alone = QuoteProposal(math.nan, 0.0, 100.01, 0.4, int(Reason.INVENTORY), 0)

    was = stage.propose(alone, at_ms=1, manipulation=1.0)

    assert (was.ask, was.ask_reason) == (pytest.approx(100.10), FLAGGED)
    assert (was.bid_size, was.bid_reason) == (0.0, Reason.INVENTORY)
    assert stage.spread(0.1, at_ms=2) == pytest.approx(0.38)


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        pytest.param({"manipulation": math.nan}, Reason.WARMING_UP, id="manipulation not known"),
        pytest.param({"spike": math.nan}, Reason.WARMING_UP, id="spike not known"),
        pytest.param({"mid": 0.0}, Reason.BOOK_EMPTY, id="no mid"),
        pytest.param({"mid": 1e-320}, Reason.NOT_FINITE, id="a spread beyond all numbers"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason_and_leaves_no_trace(moment, reason):
    stage = Protected()
    stage.spread(0.2)

    was = stage.propose(QuoteProposal(99.9, 0.4, 100.1, 0.4, 0, 0), **moment)

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)
    assert stage.spread(0.1, at_ms=1) == pytest.approx(0.4)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.floats(0.001, 5.0), st.integers(-3_000, 3_000), st.booleans(), st.booleans()),
        min_size=1,
        max_size=20,
    )
)
def test_it_follows_the_obvious_reference(moments):
    stage = Protected(min_spread_bps=5.0, cooldown_ms=500)
    held, changed_ms, now_ms = 0.0, 0, 0

    for half, step_ms, manipulation, spike in moments:
        now_ms = max(0, now_ms + step_ms)
        was = stage.spread(half, at_ms=now_ms, manipulation=float(manipulation), spike=float(spike))

        wanted = max(2.0 * half, 0.05) * (2.0 if manipulation or spike else 1.0)
        if wanted > held:
            held, changed_ms = wanted, now_ms
        elif now_ms < changed_ms:
            changed_ms = now_ms
        elif wanted < held and now_ms - changed_ms >= 500:
            held, changed_ms = max(wanted, 0.95 * held), now_ms
        assert was == pytest.approx(held, abs=1e-4)
