"""The matching engine against a slow matcher that is obvious: one list of orders, sorted anew before each trade."""

import random

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mmframe.builtin.exchange.matching import MatchingEngine, MatchingLimits, Reject, SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import OrderStatus, TimeInForce

LIMITS = MatchingLimits(
    min_size_lots=2,
    max_size_lots=30,
    min_price_ticks=95,
    max_price_ticks=105,
    max_open_orders=20,
    max_open_orders_per_owner=8,
)
OWNERS = st.sampled_from(["", "ann", "bob"])
SIDES = st.sampled_from([Side.BUY, Side.SELL])
PRICES = st.one_of(st.integers(97, 103), st.integers(94, 106))
SIZES = st.one_of(st.integers(2, 12), st.integers(0, 32))
CLIENT_IDS = st.sampled_from(["", "", "", "x", "y", "z"])
VERSION_OFF = st.sampled_from([None, None, 0, 0, 1, -1])
"""How far the version that a change expects is off; None expects nothing."""
PREVENTIONS = st.sampled_from([None, *SelfTradePrevention])


class PlainOrder:
    def __init__(self, order_id, owner, side, price, size, client_id, post_only, prevention):
        self.order_id, self.owner, self.side, self.price = order_id, owner, side, price
        self.size, self.leaves, self.filled, self.version = size, size, 0, 1
        self.client_id, self.post_only, self.prevention = client_id, post_only, prevention
        self.status, self.reject = OrderStatus.OPEN, Reject.NONE
        self.priority = 0

    def end(self, status, reject=Reject.NONE):
        self.status, self.reject, self.leaves = status, reject, 0
        return self


class PlainMatcher:
    """Rests orders in one list. `priority` is the order of arrival at a price; smaller is served first."""

    def __init__(self, prevention):
        self.prevention = prevention
        self.resting = []
        self.last_id = self.last_trade = self.last_priority = 0
        self.trades, self.prevented = [], []

    def begin(self):
        self.trades, self.prevented = [], []

    def queue(self, side):
        """Return the orders of a side in the order in which they are to be served."""
        sign = -1 if side == Side.BUY else 1
        return sorted((o for o in self.resting if o.side == side), key=lambda o: (sign * o.price, o.priority))

    def facing(self, side, price):
        """Return the resting orders that an order of `side` at `price` (None: any) would meet."""
        if side == Side.BUY:
            return [o for o in self.queue(Side.SELL) if price is None or o.price <= price]
        return [o for o in self.queue(Side.BUY) if price is None or o.price >= price]

    def refusal(self, owner, client_id, price, size):
        if size < LIMITS.min_size_lots:
            return Reject.SIZE_TOO_SMALL
        if size > LIMITS.max_size_lots:
            return Reject.SIZE_TOO_LARGE
        if price is not None and not LIMITS.min_price_ticks <= price <= LIMITS.max_price_ticks:
            return Reject.PRICE_OUT_OF_BAND
        if client_id and any(o.owner == owner and o.client_id == client_id for o in self.resting):
            return Reject.DUPLICATE_CLIENT_ID
        return Reject.NONE

    def new(self, owner, side, price, size, client_id, prevention, post_only=False):
        self.last_id += 1
        return PlainOrder(self.last_id, owner, side, price, size, client_id, post_only, prevention)

    def rest(self, order):
        self.last_priority += 1
        order.priority = self.last_priority
        if order not in self.resting:
            self.resting.append(order)

    def limit(self, owner, side, price, size, tif, post_only, client_id, prevention):  # noqa: PLR0911 - rule by rule
        order = self.new(owner, side, price, size, client_id, prevention, post_only)
        reject = self.refusal(owner, client_id, price, size)
        if reject is not Reject.NONE:
            return order.end(OrderStatus.REJECTED, reject)
        if post_only and (tif != TimeInForce.GTC or self.facing(side, price)):
            return order.end(OrderStatus.REJECTED, Reject.WOULD_TAKE)
        if tif == TimeInForce.FOK and not self.could_fill(order):
            return order.end(OrderStatus.EXPIRED, Reject.NOT_FILLABLE)
        self.trade(order, price)
        if order.status is not OrderStatus.OPEN:
            return order
        if tif != TimeInForce.GTC:
            return order.end(OrderStatus.EXPIRED, Reject.NO_LIQUIDITY)
        own = [o for o in self.resting if owner and o.owner == owner]
        if len(self.resting) >= LIMITS.max_open_orders or len(own) >= LIMITS.max_open_orders_per_owner:
            status = OrderStatus.EXPIRED if order.filled else OrderStatus.REJECTED
            return order.end(status, Reject.TOO_MANY_ORDERS)
        self.rest(order)
        return order

    def market(self, owner, side, size, client_id, prevention):
        order = self.new(owner, side, 0, size, client_id, prevention)
        reject = self.refusal(owner, client_id, None, size)
        if reject is not Reject.NONE:
            return order.end(OrderStatus.REJECTED, reject)
        self.trade(order, None)
        return order if order.status is not OrderStatus.OPEN else order.end(OrderStatus.EXPIRED, Reject.NO_LIQUIDITY)

    def could_fill(self, order):
        available = 0
        for maker in self.facing(order.side, order.price):
            if order.owner and maker.owner == order.owner:
                if order.prevention is SelfTradePrevention.EXPIRE_MAKER:
                    continue
                if order.prevention is not SelfTradePrevention.NONE:
                    break
            available += maker.leaves
        return available >= order.leaves

    def trade(self, taker, price):
        while taker.leaves:
            facing = self.facing(taker.side, price)
            if not facing:
                return
            maker = facing[0]
            if taker.owner and maker.owner == taker.owner and taker.prevention is not SelfTradePrevention.NONE:
                if taker.prevention in {SelfTradePrevention.EXPIRE_MAKER, SelfTradePrevention.EXPIRE_BOTH}:
                    self.resting.remove(maker)
                    self.prevented.append(maker.end(OrderStatus.EXPIRED, Reject.SELF_TRADE))
                if taker.prevention in {SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH}:
                    taker.end(OrderStatus.EXPIRED, Reject.SELF_TRADE)
                    return
                continue
            lots = min(taker.leaves, maker.leaves)
            self.last_trade += 1
            self.trades.append((self.last_trade, maker.order_id, taker.order_id, taker.side, maker.price, lots))
            for order in (maker, taker):
                order.leaves -= lots
                order.filled += lots
                order.version += 1
                if not order.leaves:
                    order.status = OrderStatus.FILLED
            if not maker.leaves:
                self.resting.remove(maker)

    def cancel(self, order):
        self.resting.remove(order)
        order.end(OrderStatus.CANCELED)

    def amend(self, order, price, leaves, expected):
        if expected not in {None, order.version}:
            return Reject.VERSION_CONFLICT
        if leaves < 1:
            return Reject.SIZE_TOO_SMALL
        if order.post_only and self.facing(order.side, price):
            return Reject.WOULD_TAKE
        reject = self.refusal("", "", price, order.filled + leaves)
        if reject is not Reject.NONE:
            return reject
        keeps_place = price == order.price and leaves <= order.leaves
        order.price, order.leaves, order.size = price, leaves, order.filled + leaves
        order.version += 1
        if keeps_place:
            return Reject.NONE
        self.resting.remove(order)
        self.trade(order, price)
        if order.status is OrderStatus.OPEN:
            self.rest(order)
        return Reject.NONE

    def replace(self, old, price, size, post_only, client_id, expected):
        if expected not in {None, old.version}:
            return OrderStatus.UNCHANGED, None, Reject.VERSION_CONFLICT
        taken = "" if client_id == old.client_id else client_id
        reject = self.refusal(old.owner, taken, price, size)
        if reject is not Reject.NONE:
            return OrderStatus.UNCHANGED, None, reject
        self.cancel(old)
        new = self.limit(old.owner, old.side, price, size, TimeInForce.GTC, post_only, client_id, old.prevention)
        status = OrderStatus.CANCELED_ONLY if new.status is OrderStatus.REJECTED else OrderStatus.REPLACED
        return status, new, new.reject


def facts(order):
    return (order.order_id, order.owner, order.side, order.status, order.reject, order.client_id, order.version)


class Twins:
    """An engine and the plain matcher; whatever is done to one is done to the other, and everything is compared."""

    def __init__(self, prevention):
        self.engine = MatchingEngine(LIMITS, prevention=prevention, tracks_changes=True)
        self.plain = PlainMatcher(prevention)
        self.published = ({}, {})
        self.seen = {}
        self.versions = {}

    def limit(self, owner, side, price, size, tif, post_only, client_id, prevention):
        self.plain.begin()
        expected = self.plain.limit(
            owner, side, price, size, tif, post_only, client_id, prevention or self.plain.prevention
        )
        was = self.engine.limit(
            owner,
            side,
            price,
            size,
            time_in_force=tif,
            is_post_only=post_only,
            client_id=client_id,
            prevention=prevention,
        )
        self.compare(was, expected)

    def market(self, owner, side, size, client_id, prevention):
        self.plain.begin()
        expected = self.plain.market(owner, side, size, client_id, prevention or self.plain.prevention)
        was = self.engine.market(owner, side, size, client_id=client_id, prevention=prevention)
        self.compare(was, expected)

    def cancel(self, order):
        self.plain.begin()
        self.plain.cancel(order)
        assert self.engine.cancel(order.order_id) is Reject.NONE
        assert self.engine.cancel(order.order_id) is Reject.UNKNOWN_ORDER

    def amend(self, order, price, leaves, off):
        expected_version = None if off is None else order.version + off
        self.plain.begin()
        engine_order = self.engine.order(order.order_id)
        expected = self.plain.amend(order, price, leaves, expected_version)
        was = self.engine.amend(
            order.order_id, price_ticks=price, leaves_lots=leaves, expected_version=expected_version
        )
        assert was is expected
        self.compare(engine_order, order)

    def replace(self, old, price, size, post_only, client_id, off):
        expected_version = None if off is None else old.version + off
        self.plain.begin()
        status, order, reject = self.plain.replace(old, price, size, post_only, client_id, expected_version)
        was = self.engine.replace(
            old.order_id,
            price_ticks=price,
            size_lots=size,
            is_post_only=post_only,
            client_id=client_id,
            expected_version=expected_version,
        )
        assert (was.status, was.reject) == (status, reject)
        if order is None:
            assert was.order is None
        else:
            self.compare(was.order, order)

    def compare(self, was, expected):
        """Compare one order and the trades of the last operation."""
        self.seen[was.order_id] = was
        assert facts(was) == facts(expected)
        assert (was.price_ticks, was.leaves_lots, was.filled_lots) == (expected.price, expected.leaves, expected.filled)
        assert was.size_lots == expected.size
        trades = [
            (t.trade_id, t.maker_order_id, t.taker_order_id, t.taker_side, t.price_ticks, t.size_lots)
            for t in self.engine.executions
        ]
        assert trades == self.plain.trades
        assert [facts(order) for order in self.engine.prevented] == [facts(order) for order in self.plain.prevented]

    def check(self):
        """Compare everything that stands, and hold what must always hold."""
        self.same_orders_rest_in_the_same_queues()
        self.as_much_was_bought_as_sold()
        self.book_is_not_crossed()
        self.versions_only_rise()
        self.published_changes_rebuild_the_book()

    def same_orders_rest_in_the_same_queues(self):
        assert self.engine.open_orders == len(self.plain.resting)
        for side in Side.BUY, Side.SELL:
            queue = self.plain.queue(side)
            prices = list(dict.fromkeys(order.price for order in queue))
            sums = [(price, sum(order.leaves for order in queue if order.price == price)) for price in prices]
            assert self.engine.levels(side, 100) == sums
            assert self.engine.levels(side, 2) == sums[:2]
            assert self.engine.level_count(side) == len(prices)
            assert self.engine.best(side) == (prices[0] if prices else 0)
            served = [order for price in prices for order in self.engine.orders_at(side, price)]
            assert [(facts(o), o.leaves_lots) for o in served] == [(facts(o), o.leaves) for o in queue]
            for order in queue:
                found = self.engine.find(order.owner, order.client_id)
                assert not order.client_id or found.order_id == order.order_id

    def as_much_was_bought_as_sold(self):
        filled = [0, 0]
        for order in self.seen.values():
            filled[order.side] += order.filled_lots
        assert filled[Side.BUY] == filled[Side.SELL]

    def book_is_not_crossed(self):
        bid, ask = self.engine.best(Side.BUY), self.engine.best(Side.SELL)
        assert not (bid and ask) or bid < ask

    def versions_only_rise(self):
        versions = {order.order_id: self.engine.order(order.order_id).version for order in self.plain.resting}
        assert all(versions[key] >= self.versions.get(key, 1) for key in versions)
        self.versions = versions

    def published_changes_rebuild_the_book(self):
        for side, ticks, lots in self.engine.take_changes():
            self.published[side].pop(ticks, None)
            if lots:
                self.published[side][ticks] = lots
        assert not self.engine.has_changes
        for side in Side.BUY, Side.SELL:
            assert self.published[side] == dict(self.engine.levels(side, 100))


class MatchingMachine(RuleBasedStateMachine):
    """Short sequences of anything, so that a failure is shown in few steps."""

    @initialize(prevention=st.sampled_from(list(SelfTradePrevention)))
    def start(self, prevention):
        self.twins = Twins(prevention)

    @rule(
        owner=OWNERS,
        side=SIDES,
        price=PRICES,
        size=SIZES,
        tif=st.sampled_from([*TimeInForce, TimeInForce.GTC]),
        post_only=st.booleans(),
        client_id=CLIENT_IDS,
        prevention=PREVENTIONS,
    )
    def limit(self, **order):
        self.twins.limit(**order)

    @rule(owner=OWNERS, side=SIDES, size=SIZES, client_id=CLIENT_IDS, prevention=PREVENTIONS)
    def market(self, **order):
        self.twins.market(**order)

    @precondition(lambda self: self.twins.plain.resting)
    @rule(data=st.data())
    def cancel(self, data):
        self.twins.cancel(data.draw(st.sampled_from(self.twins.plain.resting)))

    @precondition(lambda self: self.twins.plain.resting)
    @rule(data=st.data(), price=PRICES, leaves=SIZES, off=VERSION_OFF)
    def amend(self, data, price, leaves, off):
        order = data.draw(st.sampled_from(self.twins.plain.resting))
        self.twins.amend(order, price, leaves, off)

    @precondition(lambda self: self.twins.plain.resting)
    @rule(data=st.data(), price=PRICES, size=SIZES, post_only=st.booleans(), client_id=CLIENT_IDS, off=VERSION_OFF)
    def replace(self, data, price, size, post_only, client_id, off):
        old = data.draw(st.sampled_from(self.twins.plain.resting))
        self.twins.replace(old, price, size, post_only, client_id, off)

    @invariant()
    def twins_agree(self):
        if hasattr(self, "twins"):
            self.twins.check()


TestMatchingAgainstReference = MatchingMachine.TestCase
TestMatchingAgainstReference.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("seed", range(12))
def test_long_sessions_agree_with_the_reference(seed):
    """Full books with queues, where short sequences seldom get: each order meets what many others left."""
    source = random.Random(seed)
    prevention = source.choice(list(SelfTradePrevention))
    twins = Twins(prevention)

    queued = 0
    for _ in range(1_000):
        act(source, twins)
        twins.check()
        queued += len(twins.plain.resting) > len({order.price for order in twins.plain.resting}) + 3

    assert queued > 300
    assert twins.plain.last_trade > 80


def act(source, twins):
    """Do one thing that a busy market does, now and then a wrong one."""
    side = source.choice([Side.BUY, Side.SELL])
    price = source.randint(97, 100) if side == Side.BUY else source.randint(100, 103)
    size = source.randint(2, 12) if source.random() < 0.95 else source.randint(0, 32)
    owner, client_id = source.choice(["", "ann", "bob"]), source.choice(["", "", "x", "y"])
    prevention = source.choice([None, None, *SelfTradePrevention])
    off = source.choice([None, None, None, 0, 0, 1, -1])
    dice, resting = source.random(), twins.plain.resting
    if dice < 0.5 or len(resting) < 4:
        tif = source.choice([TimeInForce.GTC] * 6 + [TimeInForce.IOC, TimeInForce.FOK])
        twins.limit(owner, side, price, size, tif, source.random() < 0.2, client_id, prevention)
        return
    order = source.choice(resting)
    if dice < 0.57:
        twins.market(owner, side, size, client_id, prevention)
    elif dice < 0.62:
        twins.cancel(order)
    elif dice < 0.8:
        leaves = source.choice([order.leaves, order.leaves - 1, order.leaves + 1, size])
        twins.amend(order, source.choice([order.price, order.price, order.price + 1, price]), leaves, off)
    else:
        post_only = source.random() < 0.5
        twins.replace(order, price, size, post_only, source.choice([client_id, order.client_id]), off)
