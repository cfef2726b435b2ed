"""A strategy's view of the embedded exchange: send at a time, run to a time, look at what came."""

from __future__ import annotations

import pytest

from mmframe.builtin.exchange import FEEDS, VENUES
from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import Fill, OrderUpdate
from mmframe.testing import approve, build_context, make_options

FEED, VENUE = FEEDS[0], VENUES[0]

QUIET = {
    "volatility_bps_per_sqrt_s": 0.0,
    "makers": 1,
    "maker_refreshes_per_s": 1e-6,
    "noise_takers_per_s": 0.0,
    "informed_takers_per_s": 0.0,
    "patient_orders_per_s": 0.0,
    "message_interval_ms": 0,
}
"""Options of a market in which nobody but us does anything: one maker's ladder, standing still."""


class Trader:
    """Drives feed and venue as the driver does and keeps everything that came out."""

    def __init__(self, feed_options, venue_options, symbols, seed):
        options = make_options(FEED, feed_options)
        self.instruments = tuple(FEED.instruments(options, symbols).values())
        context = build_context(instruments=self.instruments, seed=seed)
        self.feed = FEED.build(options, context)
        self.venue = VENUE.build(make_options(VENUE, venue_options), context)
        self.now_ns = self.start_ns = self.feed.next_event_ns
        self.messages = []
        self.events = []
        self.books = [({}, {}) for _ in symbols]
        self.run(0.0)

    def run(self, seconds):
        """Take everything that comes within `seconds`."""
        self.run_to(self.now_ns + round(seconds * 1e9))

    def run_to(self, end_ns):
        while min(self.feed.next_event_ns, self.venue.next_event_ns) <= end_ns:
            self.now_ns = min(self.feed.next_event_ns, self.venue.next_event_ns)
            self.poll()
        self.now_ns = end_ns

    def poll(self):
        self.poll_venue()
        self.poll_feed()

    def poll_venue(self):
        self.events += self.venue.poll(self.now_ns)

    def poll_feed(self):
        for batch in self.feed.poll(self.now_ns):
            batch.validate()
            for index in range(len(batch)):
                message = (
                    batch.market,
                    MessageKind(batch.kinds[index]),
                    batch.exchange_ns[index],
                    batch.receive_ns[index],
                    tuple(batch.changes(index)),
                )
                self.messages.append(message)
                self._apply(*message)

    def _apply(self, market, kind, _exchange_ns, _receive_ns, changes):
        if kind is MessageKind.TRADE:
            return
        book = self.books[market]
        if kind is MessageKind.SNAPSHOT:
            book[0].clear()
            book[1].clear()
        for side, ticks, lots in changes:
            book[side].pop(ticks, None)
            if lots:
                book[side][ticks] = lots

    def send(self, action):
        self.venue.execute(approve(action), self.now_ns)

    def ask(self, action, seconds=0.1):
        """Send, wait, and return what the venue said meanwhile."""
        heard = len(self.events)
        self.send(action)
        self.run(seconds)
        return self.events[heard:]

    def best(self, side, market=0):
        book = self.books[market]
        return max(book[0]) if side == Side.BUY else min(book[1])

    @property
    def fills(self):
        return [event for event in self.events if isinstance(event, Fill)]

    @property
    def updates(self):
        return [event for event in self.events if isinstance(event, OrderUpdate)]


@pytest.fixture(scope="session")
def open_market():
    """Return a function that opens a market and a way to trade in it."""

    def make(feed=None, venue=None, *, symbols=("BTC/USDT",), seed=1):
        return Trader(feed or {}, venue or {}, symbols, seed)

    return make


@pytest.fixture(scope="session")
def open_quiet_market(open_market):
    """Return a function that opens a market in which nothing happens by itself."""

    def make(venue=None):
        return open_market(QUIET, venue)

    return make


@pytest.fixture
def quiet(open_quiet_market):
    """A market in which nothing happens by itself."""
    return open_quiet_market()
