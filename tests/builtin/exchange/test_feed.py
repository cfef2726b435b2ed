"""What the embedded exchange publishes."""

import hashlib
import math
import os
import statistics
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.exchange import FEEDS
from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import CancelAll, Submit, TimeInForce
from mmframe.errors import DomainError
from mmframe.testing import build_context, make_options

ROOT = Path(__file__).resolve().parents[3]

DIGEST = """
import hashlib
from mmframe.builtin.exchange import FEEDS
from mmframe.testing import build_component, make_instrument
grid = [make_instrument(symbol, tick_size="5", lot_size="0.0001") for symbol in ("BTC/USDT", "ETH/USDT")]
feed = build_component(FEEDS[0], instruments=tuple(grid), seed=7)
end_ns = feed.next_event_ns + 20 * 10**9
digest = hashlib.sha256()
while feed.next_event_ns <= end_ns:
    for batch in feed.poll(feed.next_event_ns):
        digest.update(bytes([batch.market]))
        for column in ("kinds", "exchange_ns", "receive_ns", "offsets", "sides", "ticks", "lots"):
            digest.update(getattr(batch, column).tobytes())
print(digest.hexdigest())
"""


def hash_of(trader):
    return hashlib.sha256(repr(trader.messages).encode()).hexdigest()


def test_the_first_message_is_a_snapshot_at_the_opening(open_market):
    trader = open_market({"start": "2026-03-01T12:00:00+01:00", "feed_latency_ms": 2.5})

    market, kind, exchange_ns, receive_ns, changes = trader.messages[0]

    assert (market, kind) == (0, MessageKind.SNAPSHOT)
    assert exchange_ns == 1_772_362_800_000_000_000
    assert receive_ns == exchange_ns + 2_500_000 == trader.start_ns
    assert {side for side, _, _ in changes} == {Side.BUY, Side.SELL}


@pytest.mark.parametrize("interval_ms", [0, 20, 250])
def test_the_published_book_is_the_matched_book(open_market, interval_ms):
    trader = open_market({"message_interval_ms": interval_ms, "feed_latency_ms": 0.0})
    matching = trader.feed._exchange._markets[0].matching

    # At the end of an interval the changes are out and nothing later has happened yet.
    for step in range(1, 21):
        trader.run_to(trader.start_ns + step * 250_000_000)

        if not matching.has_changes:
            for side in Side.BUY, Side.SELL:
                assert trader.books[0][side] == dict(matching.levels(side, 10_000))


def test_changes_are_published_together_at_the_end_of_their_interval(open_market):
    trader = open_market({"message_interval_ms": 50})

    trader.run(5)

    times = [exchange_ns for _, kind, exchange_ns, _, _ in trader.messages if kind is MessageKind.DELTA]
    assert len(times) > 50
    assert len(set(times)) == len(times)
    assert all(time % 50_000_000 == 0 for time in times)


def test_a_market_of_a_strategy_does_not_depend_on_the_others(open_market):
    alone = open_market(symbols=("ETH/USDT",))
    together = open_market(symbols=("BTC/USDT", "ETH/USDT"))

    alone.run(5)
    together.run(5)

    assert [message[1:] for message in alone.messages] == [m[1:] for m in together.messages if m[0] == 1]
    assert [message[1:] for message in together.messages if message[0] == 0] != [m[1:] for m in alone.messages]


def test_another_seed_is_another_market(open_market):
    first, second = open_market(seed=1), open_market(seed=2)

    first.run(1)
    second.run(1)

    assert hash_of(first) != hash_of(second)


def test_the_same_seed_is_the_same_market_in_every_process_and_under_every_hash_seed():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }

    assert len(digests) == 1


MILLISECONDS = st.one_of(st.integers(0, 3_000), st.integers(0, 30).map(lambda step: 100 * step))


@settings(max_examples=40, deadline=None)
@given(
    actions=st.lists(st.tuples(MILLISECONDS, st.sampled_from(["bid", "ask", "lift", "cancel"])), max_size=12),
    extra_polls=st.lists(st.tuples(MILLISECONDS, st.booleans()), max_size=30),
    feed_latency_ms=st.sampled_from([0.0, 0.5, 4.0]),
    order_latency_ms=st.sampled_from([0.0, 1.0, 30.0]),
    interval_ms=st.sampled_from([0, 20]),
)
def test_how_often_it_is_polled_changes_nothing(
    open_market, actions, extra_polls, feed_latency_ms, order_latency_ms, interval_ms
):
    def outcome(polls):
        trader = open_market(
            {"feed_latency_ms": feed_latency_ms, "message_interval_ms": interval_ms},
            {"order_latency_ms": order_latency_ms},
        )
        script = [(at_ms, number, action) for number, (at_ms, action) in enumerate(actions)]
        if polls is not None:
            script += [(at_ms, -1, "poll feed" if is_feed else "poll venue") for at_ms, is_feed in polls]
        for at_ms, number, action in sorted(script):
            at_ns = trader.start_ns + at_ms * 1_000_000
            if polls is None:
                trader.run_to(at_ns)
            trader.now_ns = at_ns
            act(trader, action, f"c-{number}")
        trader.run_to(trader.start_ns + 3_200_000_000)
        return trader.messages, trader.events

    as_due, as_asked = outcome(None), outcome(extra_polls)

    assert as_asked == as_due


def act(trader, action, client_id):
    """Do one thing of a script; prices are near the opening price, so that much of it trades."""
    price = 10_000
    match action:
        case "bid":
            trader.send(Submit(0, client_id, Side.BUY, price - 1, 500))
        case "ask":
            trader.send(Submit(0, client_id, Side.SELL, price + 1, 500))
        case "lift":
            trader.send(Submit(0, client_id, Side.BUY, price + 50, 300, TimeInForce.IOC, is_post_only=False))
        case "cancel":
            trader.send(CancelAll(0, "a test"))
        case "poll feed":
            trader.poll_feed()
        case "poll venue":
            trader.poll_venue()


@pytest.fixture(scope="module")
def two_minutes():
    """Touch and depth ten times a second over two minutes of the default market, and its trades."""
    options = make_options(FEEDS[0])
    grids = FEEDS[0].instruments(options, ["BTC/USDT"])
    feed = FEEDS[0].build(options, build_context(instruments=tuple(grids.values())))
    start_ns = feed.next_event_ns
    samples, trades = [], 0
    for step in range(1, 1201):
        for batch in feed.poll(start_ns + step * 100_000_000):
            trades += sum(kind == MessageKind.TRADE for kind in batch.kinds)
        matching = feed._exchange._markets[0].matching
        (bid, bid_lots), (ask, ask_lots) = matching.levels(Side.BUY, 1)[0], matching.levels(Side.SELL, 1)[0]
        levels = min(matching.level_count(Side.BUY), matching.level_count(Side.SELL))
        samples.append((ask - bid, (bid + ask) / 2, (bid_lots - ask_lots) / (bid_lots + ask_lots), levels))
    return samples, trades


def test_the_spread_is_mostly_one_to_three_ticks(two_minutes):
    spreads = Counter(spread for spread, *_ in two_minutes[0])

    assert min(spreads) == 1
    assert sum(spreads[ticks] for ticks in (1, 2, 3)) > 0.75 * spreads.total()
    assert spreads[2] + spreads[3] > 0.2 * spreads.total()


def test_the_book_has_some_tens_of_levels_and_trades_come_a_few_a_second(two_minutes):
    samples, trades = two_minutes

    assert statistics.mean(levels for *_, levels in samples) > 20
    assert 1.0 < trades / 120 < 8.0


def test_the_mid_moves_with_the_volatility_that_the_options_ask_for(two_minutes):
    mids = [mid for _, mid, *_ in two_minutes[0]]

    moves_bps = [10_000 * (late - early) / early for early, late in zip(mids[:-10:10], mids[10::10], strict=True)]

    assert 1.5 < statistics.pstdev(moves_bps) < 4.5  # asked for: 3 bps per sqrt(s)


def test_the_imbalance_at_the_touch_tells_something_of_the_next_second(two_minutes):
    samples = two_minutes[0]

    imbalances = [imbalance for _, _, imbalance, _ in samples[:-10]]
    moves = [late[1] - early[1] for early, late in zip(samples[:-10], samples[10:], strict=True)]

    assert 0.05 < statistics.correlation(imbalances, moves) < 0.9


def edges(open_market, *, away_ticks):
    """Quote so far from the mid, each 200 ms for a minute, in six markets.

    Return per lot filled the distance of its price from the mid then and 5 s later, in ticks; positive is earned.
    """
    before, after = [], []
    for seed in range(1, 7):
        trader = open_market(seed=seed)
        mids = quote_for_a_minute(trader, away_ticks)
        for fill in trader.fills:
            step = (fill.receive_ns - trader.start_ns) // 200_000_000
            if step + 25 < len(mids):
                sign = 1 if fill.side == Side.BUY else -1
                before += [sign * (mids[step] - fill.price_ticks)] * fill.size_lots
                after += [sign * (mids[step + 25] - fill.price_ticks)] * fill.size_lots
    return before, after


def quote_for_a_minute(trader, away_ticks):
    mids = []
    for number in range(300):
        bid, ask = trader.best(Side.BUY), trader.best(Side.SELL)
        mids.append((bid + ask) / 2)
        trader.send(CancelAll(0, "requote"))
        trader.send(Submit(0, f"b-{number}", Side.BUY, min(bid, math.floor(mids[-1] - away_ticks)), 100))
        trader.send(Submit(0, f"s-{number}", Side.SELL, max(ask, math.ceil(mids[-1] + away_ticks)), 100))
        trader.run(0.2)
    return mids


def test_a_naive_maker_at_the_touch_earns_the_spread_and_loses_more_to_those_who_know(open_market):
    before, after = edges(open_market, away_ticks=0)

    assert len(before) > 300 * 100
    assert statistics.mean(before) > 0.3
    assert statistics.mean(after) < -0.1


def test_a_maker_some_ticks_away_earns_on_those_who_do_not_know(open_market):
    before, after = edges(open_market, away_ticks=2.5)

    assert len(before) > 50 * 100
    assert statistics.mean(before) > statistics.mean(after) > 0.2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"start": "yesterday"},
            "start: expected an ISO 8601 time with zone such as '2026-01-01T00:00:00Z', was 'yesterday'",
        ),
        (
            {"start": "2026-01-01T00:00:00"},
            "start: expected an ISO 8601 time with zone such as '2026-01-01T00:00:00Z', was '2026-01-01T00:00:00'",
        ),
        ({"price": Decimal(100), "tick_size": Decimal(1)}, "price: expected at least 1000 ticks of 1, was 100"),
        ({"price": Decimal(50_001)}, "price: expected a multiple of tick_size 5, was '50001'"),
        ({"typical_size": Decimal("0.00005")}, "typical_size: expected a multiple of lot_size 0.0001, was '0.00005'"),
    ],
    ids=["no time", "no zone", "coarse", "off grid", "part of a lot"],
)
def test_options_that_make_no_market_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        make_options(FEEDS[0], options)

    assert caught.value.message == text


def test_a_second_feed_is_refused():
    context = build_context()
    FEEDS[0].build(make_options(FEEDS[0]), context)

    with pytest.raises(DomainError) as caught:
        FEEDS[0].build(make_options(FEEDS[0]), context)

    assert caught.value.message == "embedded exchange: expected one feed, was a second one"
