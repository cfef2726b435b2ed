"""What is generated can happen in a run, and everything that matters does happen."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from mmframe.domain.market import MessageKind
from mmframe.testing import (
    ReferenceBook,
    advice,
    inventories,
    l2_streams,
    make_instrument,
    situations,
    views,
)

SOON = settings(max_examples=500, deadline=None, database=None, phases=[Phase.generate])
"""Finds one soon or fails; how small it could be is hypothesis' own matter."""
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def messages(stream):
    return [(batch, index, batch.kinds[index]) for batch in stream for index in range(len(batch))]


def touches(stream):
    book = ReferenceBook()
    for batch, index, kind in messages(stream):
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            book.clear()
        if kind in (MessageKind.SNAPSHOT, MessageKind.DELTA):
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        yield book.touch()


def is_crossed(touch):
    return bool(touch.bid_lots and touch.ask_lots and touch.bid_ticks >= touch.ask_ticks)


@FEW
@given(stream=l2_streams(market=3))
def test_streams_are_valid_anchored_and_uncrossed(stream):
    is_synced, last_ns = False, 0

    for batch in stream:
        batch.validate()
        assert batch.market == 3
    for batch, index, kind in messages(stream):
        assert batch.receive_ns[index] >= last_ns
        last_ns = batch.receive_ns[index]
        assert kind != MessageKind.DELTA or is_synced
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            is_synced = kind == MessageKind.SNAPSHOT
    assert not any(map(is_crossed, touches(stream)))


@FEW
@given(stream=l2_streams(gaps=False, trades=False))
def test_without_gaps_and_trades_there_are_none(stream):
    kinds = {kind for _, _, kind in messages(stream)}

    assert kinds <= {MessageKind.SNAPSHOT, MessageKind.DELTA}


@pytest.mark.parametrize(
    "happens",
    [
        lambda stream: any(kind == MessageKind.GAP for _, _, kind in messages(stream)),
        lambda stream: any(kind == MessageKind.OFF_BOOK_TRADE for _, _, kind in messages(stream)),
        lambda stream: len(stream) > 1,
        lambda stream: any(t.bid_lots and not t.ask_lots for t in touches(stream)),
        lambda stream: any(b.receive_ns[i] < b.exchange_ns[i] for b, i, _ in messages(stream)),
        lambda stream: len({t.bid_ticks for t in touches(stream)}) > 3,
    ],
    ids=["a gap", "an off-book trade", "several batches", "an empty side", "a clock offset", "a moving price"],
)
def test_it_happens(happens):
    find(l2_streams(), happens, settings=SOON)


def test_crossed_books_are_made_only_when_asked_for():
    find(
        l2_streams(crossed=True),
        lambda stream: any(map(is_crossed, touches(stream))),
        settings=SOON,
    )


@FEW
@given(
    view=views(
        instrument=make_instrument(tick_size="0.5"),
        signals=("volatility", "imbalance"),
        signal_ranges={"imbalance": (-1.0, 1.0)},
    )
)
def test_views_are_in_sync_and_signals_within_their_ranges(view):
    assert 0.0 < view.bid < view.mid < view.ask
    assert view.tick == 0.5
    assert view.bid_size > 0.0
    assert view.order_size > 0.0
    assert math.isnan(view.signals.imbalance) or -1.0 <= view.signals.imbalance <= 1.0


@FEW
@given(inventory=inventories(), told=advice())
def test_inventories_and_advice_keep_to_their_bounds(inventory, told):
    assert inventory.max_position > 0.0
    assert math.isfinite(inventory.position)
    assert 0.0 <= told.size_multiplier <= 2.0
    assert told.pause in (0.0, 1.0)


@FEW
@given(situation=situations(), rounded=situations(rounded=True))
def test_earlier_quotes_are_sound_and_on_the_grid_where_risk_controls_get_them(situation, rounded):
    for _, _, _, quotes in (situation, rounded):
        if quotes.bid_size and quotes.ask_size:
            assert quotes.bid < quotes.ask
        for price, size, reason in (
            (quotes.bid, quotes.bid_size, quotes.bid_reason),
            (quotes.ask, quotes.ask_size, quotes.ask_reason),
        ):
            assert (price > 0.0) if size else reason

    quotes, tick = rounded.proposal, rounded.view.tick
    assert all(
        not size or math.isclose(price / tick, round(price / tick))
        for price, size in ((quotes.bid, quotes.bid_size), (quotes.ask, quotes.ask_size))
    )
    assert not quotes.bid_size or quotes.bid < rounded.view.ask
    assert not quotes.ask_size or quotes.ask > rounded.view.bid
