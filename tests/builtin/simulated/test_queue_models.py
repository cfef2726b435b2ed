"""Queue position: the probability model by hand, and the risk-averse one against a queue of single lots."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.simulated.options import SimulatedOptions
from mmframe.builtin.simulated.queue import ahead_share
from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import Fill, OrderStatus

BUY, SELL = Side.BUY, Side.SELL
OUR_BIDS = (9898, 9899, 9900)


class TestProbability:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            pytest.param({"queue_exponent": 1.0}, 30 / 40, id="in proportion"),
            pytest.param({"queue_exponent": 2.0}, 900 / 1000, id="squares"),
            pytest.param({"queue_function": "log"}, math.log(31) / (math.log(31) + math.log(11)), id="logarithms"),
        ],
    )
    def test_the_share_ahead_follows_the_function(self, options, expected):
        share = ahead_share(SimulatedOptions(queue="probability", **options))

        assert share is not None
        assert share(30, 10) == pytest.approx(expected)

    def test_the_risk_averse_model_has_no_share(self):
        assert ahead_share(SimulatedOptions()) is None

    def test_a_cancel_advances_us_by_its_share(self, make_rig):
        rig = make_rig(queue="probability", queue_exponent=1.0)
        rig.snapshot({9900: 30}, {9902: 12})
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 40})

        rig.depth({9900: 36})  # 4 of 30 ahead and 10 behind

        assert rig.ahead("a") == 27

    def test_what_trades_explain_is_not_shared(self, make_rig):
        rig = make_rig(queue="probability", queue_exponent=1.0)
        rig.snapshot({9900: 30}, {9902: 12})
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 40})

        rig.trade(SELL, 9900, 10)
        rig.depth({9900: 30})
        assert rig.ahead("a") == 20

        rig.depth({9900: 24})  # 6 of 20 ahead and 10 behind
        assert rig.ahead("a") == 16

    def test_a_depth_update_older_than_the_trade_leaves_it_to_explain_the_next(self, make_rig):
        rig = make_rig(queue="probability", queue_exponent=1.0)
        rig.snapshot({9900: 30}, {9902: 12})
        rig.submit("a", BUY, 9900, 5)
        before_ns = rig.now_ns + 500_000

        rig.trade(SELL, 9900, 10)
        rig.depth({9900: 31}, exchange_ns=before_ns)
        rig.depth({9900: 21})

        assert rig.ahead("a") == 20

    def test_a_fraction_ahead_keeps_the_whole_lot_from_us(self, make_rig):
        rig = make_rig(queue="probability", queue_exponent=1.0)
        rig.snapshot({9900: 3}, {9902: 12})
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 4})
        rig.depth({9900: 3})
        assert rig.ahead("a") == 2.25

        rig.trade(SELL, 9900, 4)

        assert rig.fills == [("a", 9900, 1)]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(9897, 9901), st.integers(1, 12)),
        st.tuples(st.just("depth"), st.sampled_from(OUR_BIDS), st.integers(0, 25)),
        st.tuples(st.just("submit"), st.sampled_from(OUR_BIDS), st.integers(1, 6)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
    ),
    max_size=40,
)


class QueueOfLots:
    """The oracle: the lots at one price in a list, `None` for a lot of the market, else the client id that owns it.

    Risk averse: what cancels leave behind us is not in the list at all.
    """

    def __init__(self, shown):
        self.lots = [None] * shown

    def submit(self, client_id, size, shown):
        market_lots = self.lots.count(None)
        # Lots that joined since, behind everybody so far, are ahead of the newcomer.
        self.lots += [None] * (shown - market_lots) + [client_id] * size

    def cancel(self, client_id):
        self.lots = [lot for lot in self.lots if lot != client_id]

    def clip(self, shown):
        """Never more of the market in the list than the level shows: the last ones go."""
        while self.lots.count(None) > shown:
            del self.lots[len(self.lots) - 1 - self.lots[::-1].index(None)]

    def trade(self, size):
        """Take lots from the front; return the owners of ours among them."""
        taken, self.lots = self.lots[:size], self.lots[size:]
        return [lot for lot in taken if lot]

    def trade_through(self, size):
        """Take our lots from the front, whatever of the market stands before them."""
        ours = [lot for lot in self.lots if lot]
        self.lots = ours[size:]
        return ours[:size]


def swept(queues, ticks, size):
    """Return the owners of our lots that a seller of `size` meets on the way down to `ticks`."""
    owners = []
    for level in sorted(queues, reverse=True):
        if level > ticks:
            owners += queues[level].trade_through(size - len(owners))
        elif level == ticks:
            owners += queues[level].trade(size - len(owners))
    return owners


@settings(max_examples=100, deadline=None)
@given(steps=steps)
def test_the_risk_averse_model_fills_as_a_queue_of_single_lots_does(make_rig_class, steps):
    rig = make_rig_class()
    shown = dict.fromkeys(OUR_BIDS, 10)
    rig.snapshot(shown | {9800: 1}, {9950: 12})
    queues = {ticks: QueueOfLots(10) for ticks in OUR_BIDS}
    expected = {}
    prices = {}

    for number, (what, first, second) in enumerate(steps):
        if what == "submit":
            client_id = f"o{number}"
            rig.submit(client_id, BUY, first, second)
            queues[first].submit(client_id, second, shown[first])
            prices[client_id] = first
        elif what == "cancel" and prices:
            client_id = list(prices)[first % len(prices)]
            rig.cancel(client_id)
            queues[prices[client_id]].cancel(client_id)
        elif what == "depth":
            shown[first] = second
            rig.depth({first: second})
            queues[first].clip(second)
        elif what == "trade":
            rig.trade(SELL, first, second)
            for owner in swept(queues, first, second):
                expected[owner] = expected.get(owner, 0) + 1

    was = {}
    for client_id, _, size in rig.fills:
        was[client_id] = was.get(client_id, 0) + size
    assert was == expected


@st.composite
def market_steps(draw):
    """Return messages around our prices, crossing ones, gaps and late prints among them, and requests."""
    side = st.sampled_from([BUY, SELL])
    step = st.one_of(
        st.tuples(
            st.just("trade"), st.sampled_from([BUY, SELL, Side.UNKNOWN]), st.integers(9895, 9907), st.integers(1, 30)
        ),
        st.tuples(st.just("late trade"), side, st.integers(9895, 9907), st.integers(1, 30)),
        st.tuples(st.just("depth"), side, st.integers(9895, 9907), st.integers(0, 30)),
        st.tuples(st.just("submit"), side, st.integers(9895, 9907), st.integers(1, 9)),
        st.tuples(st.just("cancel"), side, st.integers(0, 30), st.just(0)),
        st.tuples(st.just("gap"), side, st.just(0), st.just(0)),
        st.tuples(st.just("snapshot"), side, st.just(0), st.just(0)),
    )
    return draw(st.lists(step, max_size=50))


def uncrossed(book, side, ticks, lots):
    """Return changes that set one level and remove what it would cross: a recorded book itself never stands crossed."""
    if side == BUY:
        return {ticks: lots}, {level: 0 for level, _ in book.levels(SELL, 99) if level <= ticks}
    return {level: 0 for level, _ in book.levels(BUY, 99) if level >= ticks}, {ticks: lots}


def play(rig, steps, watch=None):
    rig.snapshot({9899: 10, 9898: 20, 9890: 1}, {9902: 10, 9903: 20, 9920: 1})
    for number, (what, side, ticks, lots) in enumerate(steps):
        if watch is not None:
            watch(what)
        if what == "trade":
            rig.trade(side, ticks, lots)
        elif what == "late trade":
            rig.trade(side, ticks, lots, exchange_ns=rig.now_ns - 2_000_000)
        elif what == "depth":
            rig.depth(*uncrossed(rig.books[0], side, ticks, lots))
        elif what == "submit":
            rig.submit(f"o{number}", side, ticks, lots)
        elif what == "cancel":
            rig.cancel(f"o{ticks}")
        elif what == "gap":
            rig.gap()
        else:
            rig.snapshot({9899: 15, 9897: 4}, {9901: 3, 9902: 40})
    return rig


@settings(max_examples=100, deadline=None)
@given(steps=market_steps(), queue=st.sampled_from(["risk-averse", "probability"]))
def test_nothing_fills_more_than_its_size_and_the_same_run_gives_the_same_events(make_rig_class, steps, queue):
    rig = play(make_rig_class(queue=queue, latency_jitter_ms=3.0), steps)
    again = play(make_rig_class(queue=queue, latency_jitter_ms=3.0), steps)

    assert rig.events == again.events
    sizes = {f"o{number}": step[3] for number, step in enumerate(steps) if step[0] == "submit"}
    filled = {}
    for client_id, _, size in rig.fills:
        assert size > 0
        filled[client_id] = filled.get(client_id, 0) + size
    assert all(size <= sizes[client_id] for client_id, size in filled.items())
    ids = [each.venue_trade_id for each in rig.events if isinstance(each, Fill)]
    assert len(ids) == len(set(ids))
    for client_id, size in filled.items():
        last = rig.last(client_id)
        assert last.status is not OrderStatus.FILLED or size == sizes[client_id]


@settings(max_examples=100, deadline=None)
@given(steps=market_steps(), queue=st.sampled_from(["risk-averse", "probability"]))
def test_without_crossing_what_fills_at_or_behind_a_price_was_traded_there(make_rig_class, steps, queue):
    rig = play(make_rig_class(queue=queue, fill_on_cross=False), steps)

    traded = [step for step in steps if step[0] in {"trade", "late trade"}]
    fills = [each for each in rig.events if isinstance(each, Fill)]
    for price in range(9895, 9908):
        bought = sum(each.size_lots for each in fills if each.side == BUY and each.price_ticks <= price)
        sold = sum(each.size_lots for each in fills if each.side == SELL and each.price_ticks >= price)
        assert bought <= sum(lots for _, side, ticks, lots in traded if side != BUY and ticks <= price)
        assert sold <= sum(lots for _, side, ticks, lots in traded if side != SELL and ticks >= price)


@settings(max_examples=100, deadline=None)
@given(steps=market_steps(), queue=st.sampled_from(["risk-averse", "probability"]))
def test_a_queue_only_gets_longer_in_a_gap_and_never_exceeds_its_level(make_rig_class, steps, queue):
    rig = make_rig_class(queue=queue)
    before = {}

    def watch(_):
        now = {client_id: order.ahead_lots for client_id, order in rig.venue._orders[0].items()}
        if rig.venue._markets[0].is_synced:
            for client_id, ahead in now.items():
                assert 0 <= ahead <= before.get(client_id, math.inf)
                order = rig.venue._orders[0][client_id]
                shown = rig.books[0].lots_at(order.side, order.price_ticks)
                # A price beyond the levels of a shallow snapshot may hold more than it shows.
                assert ahead <= shown or not is_covered(rig.books[0], order)
            before.update(now)
        else:
            before.clear()

    play(rig, steps, watch)


def is_covered(book, order):
    levels = book.levels(order.side, 99)
    if not levels:
        return True
    worst = levels[-1][0]
    return order.price_ticks >= worst if order.side == BUY else order.price_ticks <= worst


def test_a_message_that_touches_nothing_of_ours_makes_no_event(rig):
    rig.submit("a", BUY, 9900, 5)
    count = len(rig.events)

    rig.depth({9899: 3}, {9903: 1})
    rig.message(MessageKind.TRADE, [(SELL, 9901, 5), (BUY, 9902, 5)])

    assert len(rig.events) == count
