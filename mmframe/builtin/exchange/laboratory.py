"""A market on the bench: place orders as anybody, and read what each did to price, queue and book.

No clock and no latency: an order takes effect when the call returns, and a synthetic crowd trades only while `run`
tells it to. Prices and sizes are exact decimals in the instrument's units; basis points are floats.
"""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange.flow import SyntheticFlow
from mmframe.builtin.exchange.matching import MatchingEngine, Reject, SelfTradePrevention
from mmframe.builtin.exchange.options import EmbeddedFeedOptions
from mmframe.domain.depth import SweepCost, book_hash, sweep
from mmframe.domain.market import Side
from mmframe.domain.orders import OrderStatus, TimeInForce
from mmframe.errors import DomainError, VenueError, VersionConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.builtin.exchange.matching import MatchingLimits, Order
    from mmframe.domain.instrument import Instrument

__all__ = ["BookSnapshot", "ExecutionReport", "Laboratory", "SweepEstimate", "TapeTrade"]

_SEED_OWNER = "seed"
_TAPE_TRADES = 100_000
"""Trades kept on the tape; beyond it the oldest is forgotten."""


@attrs.frozen
class TapeTrade:
    """One trade on the tape.

    Attributes:
        trade_id: Rising by one from 1.
        price: The maker's price.
        taker_side: Who came to trade: BUY lifted an ask.
    """

    trade_id: int
    price: Decimal
    size: Decimal
    taker_side: Side
    maker: str
    taker: str
    maker_order_id: int
    taker_order_id: int


@attrs.frozen
class BookSnapshot:
    """The whole book at one version.

    Attributes:
        version: Rises by one with every change of the book.
        hash: SHA-256 of the levels in canonical text (`mmframe.domain.depth.book_hash`): equal books, equal hash.
        bids: `(price, size)` from best to worst.
        asks: The same of the other side.
    """

    version: int
    hash: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@attrs.frozen
class SweepEstimate:
    """What taking a size from the book as it stands would cost.

    Attributes:
        filled: Base units; less than asked for when the side is too thin.
        vwap: Volume-weighted average price; None when nothing would be filled.
        worst_price: Price of the last level touched; None when nothing would be filled.
        slippage_bps: `vwap` against the mid, positive is a cost; None without fill or mid.
    """

    filled: Decimal
    vwap: Decimal | None
    worst_price: Decimal | None
    slippage_bps: float | None


@attrs.frozen
class ExecutionReport:
    """What one order did.

    Attributes:
        order_id: For `amend`, `replace`, `cancel` and `order`.
        status: OPEN when the order or its remainder rests.
        reason: Why it was refused or ended unfilled; empty otherwise.
        version: The order's version, for `expected_version`.
        filled: Filled by this call, base units.
        leaves: Resting now, base units.
        vwap: Volume-weighted average price of `trades`; None without a trade.
        trades: Executions of this call, in order.
        mid_before: Arrival mid; None while a side was empty.
        mid_after: Mid when the call returned; None while a side is empty.
        slippage_bps: `vwap` against `mid_before`, positive is a cost to the order.
        impact_bps: Move of the mid in the direction of the order, against `mid_before`.
        touch_impact_bps: Move of the best price that the order met, in its direction; None when that side is now empty.
    """

    order_id: int
    status: OrderStatus
    reason: str
    version: int
    filled: Decimal
    leaves: Decimal
    vwap: Decimal | None
    trades: tuple[TapeTrade, ...]
    mid_before: Decimal | None
    mid_after: Decimal | None
    slippage_bps: float | None
    impact_bps: float | None
    touch_impact_bps: float | None


@attrs.frozen
class _Touch:
    """Best prices in ticks, 0 for an empty side, before an order."""

    bid: int
    ask: int

    @property
    def mid(self) -> Decimal | None:
        """Return the mid in ticks, exactly."""
        return Decimal(self.bid + self.ask) / 2 if self.bid and self.ask else None


class Laboratory:
    """One market, empty at first.

    Refused orders are reported, refused changes raise: whoever changes an order says what it is, and was wrong.

    Args:
        instrument: The grid of prices and sizes.
        limits: Bounds on sizes, prices and counts.
        prevention: Self-trade prevention of all orders that name none themselves.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        limits: MatchingLimits | None = None,
        prevention: SelfTradePrevention = SelfTradePrevention.NONE,
    ) -> None:
        self.instrument = instrument
        self._matching = MatchingEngine(limits, prevention=prevention)
        self._crowd: SyntheticFlow | None = None
        self._crowd_ns = 0
        self._tape: deque[TapeTrade] = deque(maxlen=_TAPE_TRADES)

    # Orders

    def seed(
        self,
        *,
        bids: Iterable[tuple[str | Decimal, str | Decimal]] = (),
        asks: Iterable[tuple[str | Decimal, str | Decimal]] = (),
        owner: str = _SEED_OWNER,
    ) -> None:
        """Rest one order for each `(price, size)`, in the order given.

        Raises:
            DomainError: If a price or size is off the grid, or an order would trade or is refused.
        """
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, size in levels:
                report = self.limit(owner, side, price, size, is_post_only=True)
                if report.status is not OrderStatus.OPEN:
                    msg = f"seed: {side.name} {size} at {price}: {report.reason}"
                    raise DomainError(msg, hint="bids must lie below asks")

    def limit(  # noqa: PLR0913 - an order has these facts
        self,
        owner: str,
        side: Side,
        price: str | Decimal,
        size: str | Decimal,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        is_post_only: bool = False,
        client_id: str = "",
        prevention: SelfTradePrevention | None = None,
        expected_book_version: int | None = None,
    ) -> ExecutionReport:
        """Submit a limit order and report what it did.

        Raises:
            DomainError: If price or size is off the grid.
            VersionConflictError: If the book is not at `expected_book_version`.
        """
        self._expect_book(expected_book_version)
        price_ticks, size_lots = self.instrument.price_ticks(price), self.instrument.size_lots(size)
        before = self._touch()
        order = self._matching.limit(
            owner,
            side,
            price_ticks,
            size_lots,
            time_in_force=time_in_force,
            is_post_only=is_post_only,
            client_id=client_id,
            prevention=prevention,
        )
        return self._report(order, before)

    def market(
        self,
        owner: str,
        side: Side,
        size: str | Decimal,
        *,
        prevention: SelfTradePrevention | None = None,
        expected_book_version: int | None = None,
    ) -> ExecutionReport:
        """Submit a market order and report what it did; what the book cannot fill is EXPIRED.

        Raises:
            DomainError: If the size is off the grid.
            VersionConflictError: If the book is not at `expected_book_version`.
        """
        self._expect_book(expected_book_version)
        size_lots = self.instrument.size_lots(size)
        before = self._touch()
        return self._report(self._matching.market(owner, side, size_lots, prevention=prevention), before)

    def amend(
        self,
        order_id: int,
        *,
        price: str | Decimal | None = None,
        leaves: str | Decimal | None = None,
        expected_version: int | None = None,
    ) -> ExecutionReport:
        """Change price, remaining size or both of a resting order and report what that did.

        Only a smaller size at the same price keeps the place in the queue.

        Raises:
            DomainError: If price or size is off the grid.
            VersionConflictError: If the order is not at `expected_version`.
            VenueError: If there is no such order, or the change was refused; the order stands as it was.
        """
        order = self._resting(order_id, expected_version)
        before = self._touch()
        reject = self._matching.amend(
            order_id,
            price_ticks=order.price_ticks if price is None else self.instrument.price_ticks(price),
            leaves_lots=order.leaves_lots if leaves is None else self.instrument.size_lots(leaves),
        )
        if reject is not Reject.NONE:
            raise _refused(order_id, reject)
        return self._report(order, before)

    def replace(
        self,
        order_id: int,
        price: str | Decimal,
        size: str | Decimal,
        *,
        is_post_only: bool = False,
        expected_version: int | None = None,
    ) -> ExecutionReport:
        """Cancel a resting order, submit another in its place and report what the new one did.

        A report with status REJECTED means that only the cancel took effect.

        Raises:
            DomainError: If price or size is off the grid.
            VersionConflictError: If the order is not at `expected_version`.
            VenueError: If there is no such order, or the replace was refused before anything happened.
        """
        self._resting(order_id, expected_version)
        before = self._touch()
        replacement = self._matching.replace(
            order_id,
            price_ticks=self.instrument.price_ticks(price),
            size_lots=self.instrument.size_lots(size),
            is_post_only=is_post_only,
        )
        if replacement.order is None:
            raise _refused(order_id, replacement.reject)
        return self._report(replacement.order, before)

    def cancel(self, order_id: int, *, expected_version: int | None = None) -> None:
        """Remove a resting order.

        Raises:
            VersionConflictError: If the order is not at `expected_version`.
            VenueError: If there is no such order.
        """
        self._resting(order_id, expected_version)
        self._matching.cancel(order_id)

    # A crowd

    def admit_crowd(self, options: EmbeddedFeedOptions | None = None, *, seed: int = 1) -> None:
        """Let the traders of the embedded market in: makers post their quotes now, everybody trades during `run`.

        Args:
            options: Who they are, as in `[feed] use = "embedded"`; price and sizes must fit this instrument's grid.
            seed: The same seed and the same orders of yours give the same market.

        Raises:
            DomainError: If there is a crowd already, or price or typical size are off the grid.
        """
        if self._crowd is not None:
            msg = "laboratory: expected one crowd, was a second one"
            raise DomainError(msg)
        self._crowd = SyntheticFlow(
            options or EmbeddedFeedOptions(),
            self.instrument,
            self._matching,
            random=random.Random(seed),  # noqa: S311 - an experiment must be repeatable
            start_ns=0,
        )

    def run(self, seconds: float) -> None:
        """Let the crowd trade for so much virtual time; its trades are on the tape.

        Raises:
            DomainError: If no crowd was admitted or the time is negative.
        """
        crowd = self._crowd
        if crowd is None or not seconds >= 0.0:
            msg = f"run: expected a crowd and seconds >= 0, was {seconds!r} s and {'a' if crowd else 'no'} crowd"
            raise DomainError(msg, hint="call admit_crowd first")
        self._crowd_ns += round(seconds * 1e9)
        while crowd.next_ns <= self._crowd_ns:
            self._matching.begin()
            crowd.step()
            self._tape.extend(self._trades())

    # Readings

    @property
    def version(self) -> int:
        """Return the book's version; it rises by one with every change."""
        return self._matching.version

    @property
    def mid(self) -> Decimal | None:
        """Return the middle between best bid and best ask, or None while a side is empty."""
        return self._price(self._touch().mid)

    @property
    def spread_bps(self) -> float | None:
        """Return the distance between best bid and best ask against the mid, or None while a side is empty."""
        touch = self._touch()
        return None if touch.mid is None else float((touch.ask - touch.bid) / touch.mid * 10_000)

    @property
    def trades(self) -> tuple[TapeTrade, ...]:
        """Return the tape, oldest first; at most the last 100,000 trades."""
        return tuple(self._tape)

    def book(self) -> BookSnapshot:
        """Return the whole book with its version and hash."""
        matching, instrument = self._matching, self.instrument
        bids, asks = (
            tuple((instrument.price(ticks), instrument.size(lots)) for ticks, lots in self._levels(side))
            for side in (Side.BUY, Side.SELL)
        )
        return BookSnapshot(matching.version, book_hash(matching, instrument), bids, asks)

    def estimate(self, side: Side, size: str | Decimal) -> SweepEstimate:
        """Return what a market order would cost now, without sending it. Self-trade prevention is not considered.

        Raises:
            DomainError: If the size is off the grid or not above 0.
        """
        cost = sweep(self._levels(_opposite(side)), self.instrument.size_lots(size))
        return SweepEstimate(
            filled=self.instrument.size(cost.filled_lots),
            vwap=self._vwap(cost),
            worst_price=self.instrument.price(cost.worst_ticks) if cost.filled_lots else None,
            slippage_bps=_slippage_bps(side, cost, self._touch().mid),
        )

    def queue(self, side: Side, price: str | Decimal) -> list[tuple[str, Decimal]]:
        """Return `(owner, size)` of the orders at one price in the order in which they will be filled."""
        orders = self._matching.orders_at(side, self.instrument.price_ticks(price))
        return [(order.owner, self.instrument.size(order.leaves_lots)) for order in orders]

    # Private

    def _levels(self, side: Side) -> list[tuple[int, int]]:
        return self._matching.levels(side, self._matching.level_count(side))

    def _touch(self) -> _Touch:
        return _Touch(self._matching.best(Side.BUY), self._matching.best(Side.SELL))

    def _price(self, ticks: Decimal | None) -> Decimal | None:
        return None if ticks is None else ticks * self.instrument.tick_size

    def _vwap(self, cost: SweepCost) -> Decimal | None:
        if not cost.filled_lots:
            return None
        return self.instrument.tick_size * cost.cost_tick_lots / cost.filled_lots

    def _expect_book(self, expected: int | None) -> None:
        was = self._matching.version
        if expected is not None and expected != was:
            msg = f"book: expected version {expected}, was {was}"
            raise VersionConflictError(msg, expected=expected, was=was)

    def _resting(self, order_id: int, expected: int | None) -> Order:
        order = self._matching.order(order_id)
        if order is None:
            raise _refused(order_id, Reject.UNKNOWN_ORDER)
        if expected is not None and expected != order.version:
            msg = f"order {order_id}: expected version {expected}, was {order.version}"
            raise VersionConflictError(msg, expected=expected, was=order.version)
        return order

    def _trades(self) -> tuple[TapeTrade, ...]:
        """Return the trades of the last operation."""
        return tuple(
            TapeTrade(
                trade_id=trade.trade_id,
                price=self.instrument.price(trade.price_ticks),
                size=self.instrument.size(trade.size_lots),
                taker_side=Side(trade.taker_side),
                maker=trade.maker_owner,
                taker=trade.taker_owner,
                maker_order_id=trade.maker_order_id,
                taker_order_id=trade.taker_order_id,
            )
            for trade in self._matching.executions
        )

    def _report(self, order: Order, before: _Touch) -> ExecutionReport:
        """Put the last operation on the tape and measure it."""
        instrument, side = self.instrument, Side(order.side)
        executions = self._matching.executions
        trades = self._trades()
        self._tape.extend(trades)
        cost = SweepCost(
            sum(trade.size_lots for trade in executions),
            sum(trade.price_ticks * trade.size_lots for trade in executions),
            executions[-1].price_ticks if executions else 0,
        )
        after = self._touch()
        met_before, met_after = (before.ask, after.ask) if side == Side.BUY else (before.bid, after.bid)
        return ExecutionReport(
            order_id=order.order_id,
            status=order.status,
            reason=order.reject.value,
            version=order.version,
            filled=instrument.size(cost.filled_lots),
            leaves=instrument.size(order.leaves_lots),
            vwap=self._vwap(cost),
            trades=trades,
            mid_before=self._price(before.mid),
            mid_after=self._price(after.mid),
            slippage_bps=_slippage_bps(side, cost, before.mid),
            impact_bps=_move_bps(side, before.mid, after.mid),
            touch_impact_bps=_move_bps(side, Decimal(met_before) or None, Decimal(met_after) or None),
        )


def _opposite(side: Side) -> Side:
    return Side.BUY if side == Side.SELL else Side.SELL


def _refused(order_id: int, reject: Reject) -> VenueError:
    hint = (
        "it was filled, cancelled or never placed" if reject is Reject.UNKNOWN_ORDER else "the order stands as it was"
    )
    return VenueError(f"order {order_id}: {reject.value}", hint=hint)


def _move_bps(side: Side, before: Decimal | None, after: Decimal | None) -> float | None:
    """Return the relative move in the direction of `side`."""
    if before is None or after is None:
        return None
    move = float((after - before) / before * 10_000)
    return move if side == Side.BUY else -move


def _slippage_bps(side: Side, cost: SweepCost, mid_ticks: Decimal | None) -> float | None:
    if not cost.filled_lots:
        return None
    return _move_bps(side, mid_ticks, Decimal(cost.cost_tick_lots) / cost.filled_lots)
