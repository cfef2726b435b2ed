"""`layered-limits` takes away exactly what its layers leave no room for, and never gives."""

import math
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.layered_limits import (
    ASSET_LIMIT,
    LAYERED_LIMITS,
    NET_LIMIT,
    NOTIONAL_LIMIT,
    LayeredLimitsOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import Scope
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
ONE_SIDED = QuoteProposal(0.0, 0.0, 100.1, 0.2, int(Reason.INVENTORY), 0)
MONEY = st.one_of(st.none(), st.integers(1, 10**7).map(Decimal))


def assess(proposal=QUOTES, *, mid=100.0, inventory=None, **limits):
    options = LayeredLimitsOptions(
        **{name: value if isinstance(value, float) else Decimal(value) for name, value in limits.items()}
    )
    control = build_component(LAYERED_LIMITS, options)
    view = make_view()._replace(mid=mid)
    return control.assess(view, inventory or make_inventory(), NEUTRAL_ADVICE, proposal)


NAMES = {
    **{int(reason): reason.name for reason in Reason},
    NOTIONAL_LIMIT: "NOTIONAL_LIMIT",
    ASSET_LIMIT: "ASSET_LIMIT",
    NET_LIMIT: "NET_LIMIT",
}


def outcome(verdict):
    return (RiskLevel(verdict.level).name, verdict.bid_size, verdict.ask_size, NAMES[verdict.reason])


def test_a_limit_that_is_not_set_does_not_bind():
    inventory = make_inventory(position=1e9, asset_position=0.0, day_pnl_quote=-1e12, total_notional_quote=1e12)

    assert assess(inventory=inventory, max_asset_position="1") == RiskVerdict(0, 99.9, 0.2, 100.1, 0.2, 0)


@pytest.mark.parametrize("options", [{}, {"shrink_from": 0.5, "total_shrink_from": 0.5}], ids=["nothing", "no limit"])
def test_without_any_limit_it_is_refused(options):
    with pytest.raises(DomainError, match=r"^max_position: expected at least one limit \(max_position, .*\), was none"):
        LayeredLimitsOptions(**options)


def test_any_limit_alone_is_enough():
    for name in LAYERED_LIMITS.limits:
        if name not in {"shrink_from", "total_shrink_from"}:
            assert getattr(LayeredLimitsOptions(**{name: Decimal(1)}), name) == 1


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        pytest.param(0.0, ("ALLOW", 0.2, 0.2, "NONE"), id="flat"),
        pytest.param(0.7, ("ALLOW", 0.2, 0.2, "NONE"), id="below the taper"),
        pytest.param(0.9, ("SHRINK", 0.1, 0.2, "POSITION_LIMIT"), id="tapering long: the example of its description"),
        pytest.param(-0.9, ("SHRINK", 0.2, 0.1, "POSITION_LIMIT"), id="tapering short"),
        pytest.param(1.0, ("SHRINK", 0.0, 0.2, "POSITION_LIMIT"), id="at the limit"),
        pytest.param(-1.5, ("SHRINK", 0.2, 0.0, "POSITION_LIMIT"), id="beyond the limit"),
    ],
)
def test_the_asset_layer_shrinks_only_the_side_that_adds(position, expected):
    verdict = assess(inventory=make_inventory(position=position), max_position="1")

    assert outcome(verdict) == pytest.approx(expected)


def test_without_a_taper_the_size_fills_the_room_to_the_limit():
    verdict = assess(inventory=make_inventory(position=0.85), max_position="1", shrink_from=1.0)

    assert outcome(verdict) == ("SHRINK", pytest.approx(0.15), 0.2, "POSITION_LIMIT")


def test_a_side_larger_than_both_rooms_is_cut_to_the_distance_to_the_limit():
    quotes = QUOTES._replace(bid_size=50.0, ask_size=50.0)

    verdict = assess(quotes, inventory=make_inventory(position=0.5), max_position="1")

    assert outcome(verdict) == ("SHRINK", 0.5, 1.5, "POSITION_LIMIT")


@pytest.mark.parametrize(
    ("position", "total", "expected"),
    [
        pytest.param(0.0, 990.0, ("SHRINK", 0.1, 0.1, "TOTAL_LIMIT"), id="room for a part on both sides"),
        pytest.param(0.0, 1_000.0, ("CANCEL_ONLY", 0.0, 0.0, "TOTAL_LIMIT"), id="flat here, full elsewhere"),
        pytest.param(0.15, 1_200.0, ("SHRINK", 0.0, 0.15, "TOTAL_LIMIT"), id="over it: only to flat"),
        pytest.param(-5.0, 1_200.0, ("SHRINK", 0.2, 0.0, "TOTAL_LIMIT"), id="reducing is never cut"),
    ],
)
def test_the_total_layer_lets_positions_be_reduced_but_not_grow(position, total, expected):
    inventory = make_inventory(position=position, total_notional_quote=total)

    assert outcome(assess(inventory=inventory, max_total_notional_quote="1000")) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("position", "limits", "expected"),
    [
        pytest.param(
            0.1, {"max_short": "0"}, ("SHRINK", 0.2, 0.1, "POSITION_LIMIT"), id="never short: what is held may be sold"
        ),
        pytest.param(0.0, {"max_short": "0"}, ("SHRINK", 0.2, 0.0, "POSITION_LIMIT"), id="never short, flat"),
        pytest.param(0.0, {"max_long": "0"}, ("SHRINK", 0.0, 0.2, "POSITION_LIMIT"), id="never long, flat"),
        pytest.param(
            0.5, {"max_long": "0.6", "max_position": "1"}, ("SHRINK", 0.1, 0.2, "POSITION_LIMIT"), id="long is smaller"
        ),
        pytest.param(
            -0.9, {"max_short": "2", "max_position": "1"}, ("SHRINK", 0.2, 0.1, "POSITION_LIMIT"), id="short is larger"
        ),
        pytest.param(
            0.95, {"max_long": "1", "max_short": "0.1"}, ("SHRINK", 0.05, 0.2, "POSITION_LIMIT"), id="long tapers alone"
        ),
        pytest.param(
            0.45, {"max_position_notional_quote": "50"}, ("SHRINK", 0.05, 0.2, "NOTIONAL_LIMIT"), id="value at the mid"
        ),
        pytest.param(
            0.45,
            {"max_position_notional_quote": "50", "max_position": "0.4"},
            ("SHRINK", 0.0, 0.2, "POSITION_LIMIT"),
            id="units are smaller than the value",
        ),
    ],
)
def test_long_and_short_have_limits_of_their_own_and_the_value_has_one(position, limits, expected):
    limits = {"shrink_from": 1.0 if "0.6" in limits.values() or "50" in limits.values() else 0.8, **limits}

    assert outcome(assess(inventory=make_inventory(position=position), **limits)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("position", "asset_position", "expected"),
    [
        pytest.param(0.0, 1.5, ("ALLOW", 0.2, 0.2, "NONE"), id="below the taper"),
        pytest.param(0.0, 1.8, ("SHRINK", 0.1, 0.2, "ASSET_LIMIT"), id="tapering: long elsewhere"),
        pytest.param(-5.0, 2.0, ("SHRINK", 0.0, 0.2, "ASSET_LIMIT"), id="full: not even to close this market's short"),
        pytest.param(5.0, -1.9, ("SHRINK", 0.2, 0.05, "ASSET_LIMIT"), id="tapering: short elsewhere"),
    ],
)
def test_the_asset_layer_counts_the_sum_over_its_markets(position, asset_position, expected):
    inventory = make_inventory(position=position, asset_position=asset_position)

    verdict = assess(inventory=inventory, max_asset_position="2", shrink_from=0.8)

    assert outcome(verdict) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("net", "total_shrink_from", "expected"),
    [
        pytest.param(990.0, 1.0, ("SHRINK", 0.1, 0.2, "NET_LIMIT"), id="the example of its description"),
        pytest.param(-990.0, 1.0, ("SHRINK", 0.2, 0.1, "NET_LIMIT"), id="short"),
        pytest.param(1_200.0, 1.0, ("SHRINK", 0.0, 0.2, "NET_LIMIT"), id="beyond it"),
        pytest.param(900.0, 0.8, ("SHRINK", 0.1, 0.2, "NET_LIMIT"), id="tapering"),
        pytest.param(700.0, 0.8, ("ALLOW", 0.2, 0.2, "NONE"), id="below the taper"),
    ],
)
def test_the_net_layer_bounds_what_is_held_in_one_direction(net, total_shrink_from, expected):
    inventory = make_inventory(net_notional_quote=net)

    verdict = assess(inventory=inventory, max_net_notional_quote="1000", total_shrink_from=total_shrink_from)

    assert outcome(verdict) == pytest.approx(expected)


def test_the_total_tapers_what_adds_and_never_what_reduces_if_asked():
    inventory = make_inventory(position=0.05, total_notional_quote=900.0)

    verdict = assess(inventory=inventory, max_total_notional_quote="1000", total_shrink_from=0.8)

    assert outcome(verdict) == pytest.approx(("SHRINK", 0.1, 0.15, "TOTAL_LIMIT"))


@pytest.mark.parametrize(
    ("limit", "field"), [("max_asset_position", "asset_position"), ("max_net_notional_quote", "net_notional_quote")]
)
def test_a_figure_that_is_not_a_number_cancels_only_where_it_has_a_limit(limit, field):
    inventory = make_inventory()._replace(**{field: math.nan})

    assert outcome(assess(inventory=inventory, **{limit: "1"})) == ("CANCEL_ONLY", 0.0, 0.0, "NOT_FINITE")
    assert outcome(assess(inventory=inventory, max_position="1")) == ("ALLOW", 0.2, 0.2, "NONE")


@pytest.mark.parametrize(
    ("day_pnl_quote", "level"),
    [(-499.99, RiskLevel.ALLOW), (-500.0, RiskLevel.HALT), (-9e9, RiskLevel.HALT), (math.nan, RiskLevel.HALT)],
)
def test_the_daily_layer_halts_the_strategy_at_its_loss(day_pnl_quote, level):
    verdict = assess(inventory=make_inventory(day_pnl_quote=day_pnl_quote), max_daily_loss_quote="500")

    assert verdict.level == level
    assert verdict.reason == (Reason.DAILY_LOSS if level else Reason.NONE)
    assert LAYERED_LIMITS.scope is Scope.STRATEGY


@pytest.mark.parametrize(
    ("fields", "mid"),
    [
        ({"position": math.nan}, 100.0),
        ({"position": math.inf}, 100.0),
        ({"total_notional_quote": math.nan}, 100.0),
        ({}, math.nan),
        ({}, 0.0),
    ],
)
def test_what_is_not_a_number_cancels(fields, mid):
    verdict = assess(mid=mid, inventory=make_inventory(**fields), max_position="1")

    assert outcome(verdict) == ("CANCEL_ONLY", 0.0, 0.0, "NOT_FINITE")


def test_a_side_without_a_quote_stays_without_and_is_no_reason():
    verdict = assess(ONE_SIDED, inventory=make_inventory(position=0.5), max_position="1")

    assert verdict == RiskVerdict(0, 0.0, 0.0, 100.1, 0.2, 0)


@settings(max_examples=100)
@given(situations(rounded=True), MONEY, MONEY, MONEY, st.floats(0.0, 1.0))
def test_it_never_loosens_and_never_lets_a_fill_pass_a_limit(situation, position, total, loss, shrink_from):
    assume((position, total, loss) != (None, None, None))
    view, inventory, advice, quotes = situation
    control = build_component(LAYERED_LIMITS, LayeredLimitsOptions(position, total, loss, shrink_from))

    verdict = control.assess(view, inventory, advice, quotes)

    assert (verdict.bid, verdict.ask) == (quotes.bid, quotes.ask)
    assert 0.0 <= verdict.bid_size <= quotes.bid_size
    assert 0.0 <= verdict.ask_size <= quotes.ask_size
    is_same = (verdict.bid_size, verdict.ask_size) == (quotes.bid_size, quotes.ask_size)
    assert (verdict.level == RiskLevel.ALLOW) == (verdict.reason == Reason.NONE)
    assert is_same or verdict.level > RiskLevel.ALLOW
    for after, size in (
        (inventory.position + verdict.bid_size, verdict.bid_size),
        (inventory.position - verdict.ask_size, verdict.ask_size),
    ):
        grows = abs(after) > abs(inventory.position)
        if size and grows and position is not None:
            assert abs(after) <= float(position) * (1 + 1e-9)
        if size and grows and total is not None:
            added_quote = (abs(after) - abs(inventory.position)) * view.mid
            assert inventory.total_notional_quote + added_quote <= float(total) * (1 + 1e-9) + 1e-9 * view.mid


@settings(max_examples=100)
@given(
    situations(rounded=True),
    st.fixed_dictionaries(
        dict.fromkeys(
            ("max_long", "max_short", "max_position_notional_quote", "max_asset_position", "max_net_notional_quote"),
            MONEY,
        )
    ),
    st.floats(0.0, 1.0),
)
def test_no_fill_passes_a_limit_of_direction_value_asset_or_net(situation, limits, shrink_from):
    assume(any(limits.values()))
    view, inventory, advice, quotes = situation
    options = LayeredLimitsOptions(**limits, shrink_from=shrink_from, total_shrink_from=shrink_from)
    most = {name: math.inf if value is None else float(value) for name, value in limits.items()}

    verdict = build_component(LAYERED_LIMITS, options).assess(view, inventory, advice, quotes)

    value = most["max_position_notional_quote"] / view.mid
    figures = [
        (inventory.position, min(most["max_long"], value), min(most["max_short"], value)),
        (inventory.asset_position, most["max_asset_position"], most["max_asset_position"]),
        (inventory.net_notional_quote / view.mid, *[most["max_net_notional_quote"] / view.mid] * 2),
    ]
    for held, longest, shortest in figures:
        slack = 1e-9 * (1.0 + abs(held))
        if verdict.bid_size:
            assert held + verdict.bid_size <= longest * (1 + 1e-9) + slack
        if verdict.ask_size:
            assert held - verdict.ask_size >= -shortest * (1 + 1e-9) - slack
    # And nothing is taken that a limit or its taper does not ask for.
    if verdict.level == RiskLevel.ALLOW:
        assert verdict[1:5] == quotes[:4]
    elif all(abs(held) <= shrink_from * min(long, short) for held, long, short in figures):
        rooms = [(long - held, short + held) for held, long, short in figures]
        assert verdict.bid_size == pytest.approx(min(quotes.bid_size, *[bid for bid, _ in rooms]), rel=1e-6)
        assert verdict.ask_size == pytest.approx(min(quotes.ask_size, *[ask for _, ask in rooms]), rel=1e-6)
