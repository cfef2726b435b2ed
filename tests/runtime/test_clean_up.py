"""The procedure that removes a strategy's orders, on virtual time against a venue that loses answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import CancelAll, QueryOpenOrders, Submit
from mmframe.engine.gate import approve_removal
from mmframe.runtime.clean_up import OrderRemoval
from mmframe.testing import FakeVenue, NoAnswer, approve, make_instrument

START_NS = 1_000_000_000
SECOND_NS = 1_000_000_000
OURS = "mm-maker-1-"
INSTRUMENTS = (make_instrument(), make_instrument("ETH/USDT"))


def removal(*, includes_others=False, settled_ns=0, said=None, only=""):
    made = OrderRemoval(
        "maker",
        INSTRUMENTS,
        includes_others=includes_others,
        now_ns=START_NS,
        say=(lambda text: None) if said is None else said.append,
        only=only,
    )
    made.settled_ns = settled_ns
    return made


def place(venue, client_id, market=0, now_ns=START_NS):
    order = Submit(market, client_id, Side.BUY, price_ticks=9_000, size_lots=10)
    venue.execute(approve(order), now_ns)


def carry_out(made, venue, *, until_ns=START_NS + 120 * SECOND_NS, on_request=None):
    """Drive the procedure as its caller does; return when it was clean, or None when the time was up first."""
    now_ns = START_NS
    while now_ns < until_ns:
        for event in venue.poll(now_ns):
            made.on_event(event)
        if made.is_clean:
            return now_ns
        for request in made.requests(now_ns):
            if on_request is not None:
                on_request(request, now_ns)
            venue.execute(approve_removal(request), now_ns)
        now_ns = max(now_ns + 1, min(made.due_ns, venue.next_event_ns))
    return None


def test_one_market_is_cancelled_and_the_others_are_left_alone():
    venue, requests = FakeVenue(), []
    place(venue, f"{OURS}1")
    place(venue, f"{OURS}2", market=1)
    made = removal(only="ETH/USDT")

    ended_ns = carry_out(made, venue, on_request=lambda request, now_ns: requests.append(request.market))

    assert ended_ns is not None
    assert set(requests) == {1}
    assert [order.client_id for order in venue.open_orders()] == [f"{OURS}1"]
    assert [left.instrument.symbol for left in made.left()] == ["ETH/USDT"]


def test_every_market_is_cancelled_and_seen_empty_twice():
    venue, said = FakeVenue(), []
    place(venue, f"{OURS}1")
    place(venue, f"{OURS}2", market=1)

    ended_ns = carry_out(removal(said=said), venue)

    assert venue.open_orders() == ()
    assert ended_ns - START_NS < SECOND_NS
    assert [type(action) for action in venue.received[2:]] == [CancelAll] * 2 + [QueryOpenOrders] * 4
    assert said[-2:] == [f"{name}: 0 open of this strategy, list 2 of 2" for name in ("BTC/USDT", "ETH/USDT")]


def test_an_order_that_appears_between_two_lists_starts_the_count_anew():
    venue = FakeVenue()
    lists = []

    def on_request(request, now_ns):
        if isinstance(request, QueryOpenOrders) and request.market == 0:
            lists.append(now_ns)
            if len(lists) == 2:
                place(venue, f"{OURS}9", now_ns=now_ns - 10**6)

    carry_out(removal(), venue, on_request=on_request)

    assert venue.open_orders() == ()
    assert len(lists) == 4, "one empty, one with the order, two empty"


def test_lists_asked_for_before_the_last_order_can_arrive_prove_nothing():
    venue = FakeVenue()
    settled_ns = START_NS + 7 * SECOND_NS

    ended_ns = carry_out(removal(settled_ns=settled_ns), venue)

    asked = sum(isinstance(action, QueryOpenOrders) and action.market == 0 for action in venue.received)
    assert settled_ns < ended_ns < settled_ns + 3 * SECOND_NS
    assert asked < 12


def test_nothing_is_proved_while_it_is_not_known_until_when_orders_may_arrive():
    made = removal(settled_ns=None)

    assert carry_out(made, FakeVenue(), until_ns=START_NS + 20 * SECOND_NS) is None
    assert made.is_empty


def test_everything_is_asked_again_when_the_venue_comes_up():
    venue, made = FakeVenue(), removal()
    made.requests(START_NS)  # lost: nobody was connected

    venue.say_status(is_up=True, now_ns=START_NS + 1)
    for event in venue.poll(START_NS + 1):
        made.on_event(event)

    assert made.due_ns == START_NS + 1
    assert [type(action) for action in made.requests(START_NS + 1)] == [CancelAll] * 2 + [QueryOpenOrders] * 2


@given(
    orders=st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=8),
    lost=st.lists(st.tuples(st.sampled_from(["cancel", "query"]), st.booleans()), max_size=6),
    includes_others=st.booleans(),
)
@settings(max_examples=100)
def test_when_it_says_clean_no_order_is_left_whatever_was_lost(orders, lost, includes_others):
    venue = FakeVenue()
    for number, (is_ours, market) in enumerate(orders):
        place(venue, f"{OURS}{number}" if is_ours else f"somebody-{number}", market)
    for request, takes_effect in lost:
        venue.script(**{request: NoAnswer(takes_effect=takes_effect)})
    made = removal(includes_others=includes_others)

    ended_ns = carry_out(made, venue)

    left = [order.client_id for order in venue.open_orders()]
    assert ended_ns is not None
    assert not [name for name in left if name.startswith(OURS)]
    assert not (left and includes_others)
    assert [order.client_id for market in made.left() for order in market.others] == left
