"""Price-time priority matching of one market: pure, synchronous, deterministic, integers only.

It knows no time, money, fee or network; those are one layer up. A side of the book is a dict of levels plus the sorted
list of their keys with the best at its end; a level is an intrusive linked list of orders, so a cancel anywhere is O(1)
and nothing is allocated per order but the order. Keys are the price for bids and its negative for asks: "best" is the
largest key of either side and one comparison tells whether an order crosses.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import attrs
import msgspec

from mmframe.domain.market import Side
from mmframe.domain.orders import OrderStatus, TimeInForce
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ANONYMOUS",
    "Execution",
    "MatchingEngine",
    "MatchingLimits",
    "Order",
    "Reject",
    "Replacement",
    "SelfTradePrevention",
]

ANONYMOUS = ""
"""Owner of orders that belong to nobody in particular: never a self-trade, not counted against an owner's bound."""

_ANY_PRICE_KEY = -(2**62)
"""Below every key: the limit of a market order."""


class Reject(Enum):
    """Why an operation was refused, or an order ended without being filled."""

    NONE = ""
    UNKNOWN_ORDER = "unknown order"
    DUPLICATE_CLIENT_ID = "client id is in use"
    SIZE_TOO_SMALL = "size is below the minimum"
    SIZE_TOO_LARGE = "size is above the maximum"
    PRICE_OUT_OF_BAND = "price is outside the band"
    WOULD_TAKE = "post-only order would take"
    NOT_FILLABLE = "fill-or-kill order cannot be filled whole"
    NO_LIQUIDITY = "no more liquidity within the limit"
    SELF_TRADE = "self-trade prevention"
    VERSION_CONFLICT = "order has another version"
    TOO_MANY_ORDERS = "too many open orders"


class SelfTradePrevention(Enum):
    """What happens when an order meets a resting one of the same owner."""

    NONE = "none"
    """They trade."""
    EXPIRE_TAKER = "expire_taker"
    """The incoming order ends with what it has; cancel newest."""
    EXPIRE_MAKER = "expire_maker"
    """The resting order is removed and matching goes on; cancel oldest."""
    EXPIRE_BOTH = "expire_both"


# An Enum member read through its class costs three times a global, and these are read for each order.
_OPEN, _FILLED, _CANCELED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELED
_EXPIRED, _REJECTED = OrderStatus.EXPIRED, OrderStatus.REJECTED
_ACCEPTED = Reject.NONE
_GTC, _FOK = TimeInForce.GTC, TimeInForce.FOK
_STP_NONE, _STP_TAKER, _STP_MAKER = (
    SelfTradePrevention.NONE,
    SelfTradePrevention.EXPIRE_TAKER,
    SelfTradePrevention.EXPIRE_MAKER,
)


@attrs.frozen
class MatchingLimits:
    """The bounds of one market; what exceeds one is refused with its `Reject`.

    Attributes:
        min_size_lots: Smallest order.
        max_size_lots: Largest order.
        min_price_ticks: Lower end of the price band, >= 1; market orders stop there.
        max_price_ticks: Upper end of the price band.
        max_open_orders: Resting orders in the whole market; bounds the memory of the book.
        max_open_orders_per_owner: Resting orders of one owner; `ANONYMOUS` is bounded by the market's only.

    Raises:
        DomainError: If a bound is not positive or a range is empty.
    """

    min_size_lots: int = 1
    max_size_lots: int = 2**53
    min_price_ticks: int = 1
    max_price_ticks: int = 2**53
    max_open_orders: int = 1_000_000
    max_open_orders_per_owner: int = 1_000_000

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value < 1:
                msg = f"{field.name}: expected at least 1, was {value!r}"
                raise DomainError(msg)
        if self.min_size_lots > self.max_size_lots or self.min_price_ticks > self.max_price_ticks:
            msg = f"limits: expected each minimum at or below its maximum, was {self!r}"
            raise DomainError(msg)


class Order:
    """One order, from its submit to its end. The engine changes it; everybody else reads.

    Attributes:
        order_id: Unique in its engine, rising.
        owner: Who sent it; `ANONYMOUS` when that does not matter.
        client_id: The owner's own name for it, or empty.
        price_ticks: Limit; 0 for a market order.
        size_lots: Whole size, as submitted or last amended, filled part included.
        leaves_lots: What may still be filled; 0 once final.
        filled_lots: Filled so far.
        version: Rises by one with every execution and amend; starts at 1.
        status: OPEN while it rests; FILLED, CANCELED, EXPIRED or REJECTED at the end.
        reject: Why it ended that way, `Reject.NONE` when filled or canceled on request.
        prevention: What happens when it comes to a resting order of its owner, at its submit and at each amend.
    """

    __slots__ = (
        "_ahead",
        "_behind",
        "_level",
        "client_id",
        "filled_lots",
        "is_post_only",
        "leaves_lots",
        "order_id",
        "owner",
        "prevention",
        "price_ticks",
        "reject",
        "side",
        "size_lots",
        "status",
        "version",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - positional for speed; only the engine makes orders
        self,
        order_id: int,
        owner: str,
        side: int,
        price_ticks: int,
        size_lots: int,
        client_id: str,
        is_post_only: bool,  # noqa: FBT001
        prevention: SelfTradePrevention,
    ) -> None:
        self.order_id = order_id
        self.owner = owner
        self.side = side
        self.price_ticks = price_ticks
        self.size_lots = self.leaves_lots = size_lots
        self.client_id = client_id
        self.is_post_only = is_post_only
        self.prevention = prevention
        self.filled_lots = 0
        self.version = 1
        self.status = _OPEN
        self.reject = _ACCEPTED
        self._level: _Level | None = None
        self._ahead: Order | None = None
        self._behind: Order | None = None

    def __repr__(self) -> str:
        return (
            f"Order({self.order_id}, {self.owner!r}, {Side(self.side).name}, {self.leaves_lots} of {self.size_lots}"
            f" @ {self.price_ticks}, {self.status.value})"
        )


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One trade between two orders, at the maker's price."""

    trade_id: int
    """Unique in its engine, rising by one."""
    maker_order_id: int
    taker_order_id: int
    maker_owner: str
    taker_owner: str
    taker_side: int
    price_ticks: int
    size_lots: int


class Replacement(NamedTuple):
    """What became of a cancel-replace.

    `status` is REPLACED (the new order took the old one's place, whatever became of it since), CANCELED_ONLY (the old
    one is gone and the new one was refused for `reject`) or UNCHANGED (refused before anything happened).
    """

    status: OrderStatus
    order: Order | None
    """The new order; None when UNCHANGED."""
    reject: Reject


class _Level:
    """The orders at one price, oldest first."""

    __slots__ = ("first", "key", "last", "lots")

    def __init__(self, key: int, order: Order) -> None:
        self.key = key
        self.lots = 0
        self.first: Order | None = order
        self.last = order


class _Half:
    """One side of the book."""

    __slots__ = ("changed", "keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, _Level] = {}
        self.changed: set[int] = set()

    def drop(self, key: int) -> None:
        """Forget an empty level."""
        del self.levels[key]
        keys = self.keys
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]


class MatchingEngine:
    """The book of one market and the rules by which orders meet.

    Refusals are values (`Reject`), never exceptions: they are ordinary outcomes. After each operation `executions`
    holds its trades and `prevented` the resting orders that self-trade prevention removed.

    Args:
        limits: Bounds on sizes, prices and counts.
        prevention: Self-trade prevention for orders that name none themselves.
        tracks_changes: Whether `take_changes` is to be fed; whoever sets it must drain it.

    Attributes:
        version: Rises by one with every operation that changed the book.
        executions: Trades of the last operation, in order.
        prevented: Resting orders that the last operation removed by self-trade prevention.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_by_client",
        "_last_order_id",
        "_last_trade_id",
        "_limits",
        "_open_by_owner",
        "_orders",
        "_prevention",
        "_tracks_changes",
        "executions",
        "prevented",
        "version",
    )

    def __init__(
        self,
        limits: MatchingLimits | None = None,
        *,
        prevention: SelfTradePrevention = SelfTradePrevention.NONE,
        tracks_changes: bool = False,
    ) -> None:
        self._limits = MatchingLimits() if limits is None else limits
        self._prevention = prevention
        self._tracks_changes = tracks_changes
        self._bids = _Half()
        self._asks = _Half()
        self._orders: dict[int, Order] = {}
        self._by_client: dict[tuple[str, str], Order] = {}
        self._open_by_owner: dict[str, int] = {}
        self._last_order_id = 0
        self._last_trade_id = 0
        self.version = 0
        self.executions: list[Execution] = []
        self.prevented: list[Order] = []

    # Operations

    def begin(self) -> None:
        """Forget what the last operation traded; each operation does it, and so does whoever may not make one."""
        if self.executions:
            self.executions = []
        if self.prevented:
            self.prevented = []

    def limit(  # noqa: PLR0913 - an order has these facts
        self,
        owner: str,
        side: int,
        price_ticks: int,
        size_lots: int,
        *,
        time_in_force: TimeInForce = _GTC,
        is_post_only: bool = False,
        client_id: str = "",
        prevention: SelfTradePrevention | None = None,
    ) -> Order:
        """Submit a limit order and return it as it stands afterwards.

        A post-only order that would take, or that is not GTC, is REJECTED. The remainder of an IOC order is EXPIRED. An
        FOK order that cannot be filled whole is EXPIRED before anything trades.
        """
        self.begin()
        self._last_order_id += 1
        order = Order(
            self._last_order_id,
            owner,
            side,
            price_ticks,
            size_lots,
            client_id,
            is_post_only,
            prevention or self._prevention,
        )
        reject = self._refusal(owner, client_id, price_ticks, size_lots)
        if reject is not _ACCEPTED:
            return _end(order, _REJECTED, reject)
        if time_in_force is not _GTC or self.would_take(side, price_ticks):
            self._match(order, time_in_force)
            if order.status is not _OPEN:
                return order
        self._enter(order)
        return order

    def market(
        self,
        owner: str,
        side: int,
        size_lots: int,
        *,
        client_id: str = "",
        prevention: SelfTradePrevention | None = None,
    ) -> Order:
        """Submit a market order and return it as it stands afterwards; what the book cannot fill is EXPIRED."""
        self.begin()
        self._last_order_id += 1
        order = Order(
            self._last_order_id,
            owner,
            side,
            0,
            size_lots,
            client_id,
            False,  # noqa: FBT003 - positional for speed
            prevention or self._prevention,
        )
        reject = self._refusal(owner, client_id, self._limits.min_price_ticks, size_lots)
        if reject is not _ACCEPTED:
            return _end(order, _REJECTED, reject)
        self._take(order, _ANY_PRICE_KEY)
        if order.status is _OPEN:
            _end(order, _EXPIRED, Reject.NO_LIQUIDITY)
        return order

    def cancel(self, order_id: int) -> Reject:
        """Remove a resting order; UNKNOWN_ORDER when there is none."""
        self.begin()
        order = self._orders.get(order_id)
        if order is None:
            return Reject.UNKNOWN_ORDER
        self._unlink(order)
        self._finish(order, _CANCELED)
        self.version += 1
        return _ACCEPTED

    def amend(
        self, order_id: int, *, price_ticks: int, leaves_lots: int, expected_version: int | None = None
    ) -> Reject:
        """Change price or remaining size of a resting order.

        A smaller size at the same price keeps the place in the queue; a larger size or another price goes to the end.
        At a crossing price the order takes like a new one, or is refused and stands as it was when it is post-only.

        Args:
            order_id: The order.
            price_ticks: Its new limit.
            leaves_lots: What shall rest, the filled part not counted.
            expected_version: Refuse with VERSION_CONFLICT when the order is at another version; None does not ask.
        """
        self.begin()
        order = self._orders.get(order_id)
        if order is None:
            return Reject.UNKNOWN_ORDER
        reject = self._amend_refusal(order, price_ticks, leaves_lots, expected_version)
        if reject is not _ACCEPTED:
            return reject
        if price_ticks == order.price_ticks and leaves_lots <= order.leaves_lots:
            self._shrink(order, leaves_lots)
        else:
            self._move(order, price_ticks, leaves_lots)
        return _ACCEPTED

    def replace(  # noqa: PLR0913 - an order has these facts
        self,
        order_id: int,
        *,
        price_ticks: int,
        size_lots: int,
        is_post_only: bool = False,
        client_id: str = "",
        expected_version: int | None = None,
    ) -> Replacement:
        """Cancel a resting order and submit another of the same owner, side and self-trade prevention.

        What can be told without the book (unknown order, version, sizes, band, client id) is checked first and leaves
        the old order UNCHANGED; a new order that then would take against post-only leaves CANCELED_ONLY.
        """
        self.begin()
        old = self._orders.get(order_id)
        if old is None:
            return Replacement(OrderStatus.UNCHANGED, None, Reject.UNKNOWN_ORDER)
        if expected_version is not None and expected_version != old.version:
            return Replacement(OrderStatus.UNCHANGED, None, Reject.VERSION_CONFLICT)
        reject = self._refusal(old.owner, client_id, price_ticks, size_lots)
        if reject is Reject.DUPLICATE_CLIENT_ID and client_id == old.client_id:
            reject = _ACCEPTED
        if reject is not _ACCEPTED:
            return Replacement(OrderStatus.UNCHANGED, None, reject)
        self.cancel(order_id)
        order = self.limit(
            old.owner,
            old.side,
            price_ticks,
            size_lots,
            is_post_only=is_post_only,
            client_id=client_id,
            prevention=old.prevention,
        )
        status = OrderStatus.CANCELED_ONLY if order.status is _REJECTED else OrderStatus.REPLACED
        return Replacement(status, order, order.reject)

    # What stands in the book

    def order(self, order_id: int) -> Order | None:
        """Return a resting order, or None."""
        return self._orders.get(order_id)

    def find(self, owner: str, client_id: str) -> Order | None:
        """Return the resting order of that owner and client id, or None."""
        return self._by_client.get((owner, client_id))

    @property
    def open_orders(self) -> int:
        """Return how many orders rest."""
        return len(self._orders)

    def best(self, side: int) -> int:
        """Return the best price of a side, in ticks; 0 when it is empty."""
        if side:
            keys = self._asks.keys
            return -keys[-1] if keys else 0
        keys = self._bids.keys
        return keys[-1] if keys else 0

    def would_take(self, side: int, price_ticks: int) -> bool:
        """Tell whether an order at that price would meet the other side."""
        if side:
            keys = self._bids.keys
            return bool(keys) and keys[-1] >= price_ticks
        keys = self._asks.keys
        return bool(keys) and -keys[-1] <= price_ticks

    def level_count(self, side: int) -> int:
        """Return how many levels a side has."""
        return len(self._half(side).keys)

    def lots_at(self, side: int, price_ticks: int) -> int:
        """Return the size at one price; 0 when there is no level."""
        level = self._half(side).levels.get(-price_ticks if side else price_ticks)
        return 0 if level is None else level.lots

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        half = self._half(side)
        keys = half.keys[: -count - 1 : -1] if count > 0 else []
        return [(abs(key), half.levels[key].lots) for key in keys]

    def orders_at(self, side: int, price_ticks: int) -> Iterator[Order]:
        """Yield the orders at one price in the order in which they will be filled."""
        level = self._half(side).levels.get(-price_ticks if side else price_ticks)
        order = None if level is None else level.first
        while order is not None:
            yield order
            order = order._behind  # noqa: SLF001 - the list is intrusive; this module owns its links

    def take_changes(self) -> list[tuple[int, int, int]]:
        """Return `(side, ticks, lots now)` of every level touched since the last call, bids first, best first."""
        changes: list[tuple[int, int, int]] = []
        for side, half in ((0, self._bids), (1, self._asks)):
            if half.changed:
                levels = half.levels
                for key in sorted(half.changed, reverse=True):
                    level = levels.get(key)
                    changes.append((side, abs(key), 0 if level is None else level.lots))
                half.changed.clear()
        return changes

    @property
    def has_changes(self) -> bool:
        """Tell whether `take_changes` would return something."""
        return bool(self._bids.changed or self._asks.changed)

    # Private

    def _half(self, side: int) -> _Half:
        return self._asks if side else self._bids

    def _refusal(self, owner: str, client_id: str, price_ticks: int, size_lots: int) -> Reject:
        """Return why an order cannot be accepted whatever the book looks like."""
        limits = self._limits
        if size_lots < limits.min_size_lots:
            return Reject.SIZE_TOO_SMALL
        if size_lots > limits.max_size_lots:
            return Reject.SIZE_TOO_LARGE
        if not limits.min_price_ticks <= price_ticks <= limits.max_price_ticks:
            return Reject.PRICE_OUT_OF_BAND
        if client_id and (owner, client_id) in self._by_client:
            return Reject.DUPLICATE_CLIENT_ID
        return _ACCEPTED

    def _amend_refusal(self, order: Order, price_ticks: int, leaves_lots: int, expected_version: int | None) -> Reject:
        if expected_version is not None and expected_version != order.version:
            return Reject.VERSION_CONFLICT
        if leaves_lots < 1:
            return Reject.SIZE_TOO_SMALL
        if order.is_post_only and self.would_take(order.side, price_ticks):
            return Reject.WOULD_TAKE
        return self._refusal(order.owner, "", price_ticks, order.filled_lots + leaves_lots)

    def _match(self, order: Order, time_in_force: TimeInForce) -> None:
        """Trade an order that must or can trade at once; it is still OPEN when its remainder is to rest."""
        if order.is_post_only:
            _end(order, _REJECTED, Reject.WOULD_TAKE)
            return
        limit_key = order.price_ticks if order.side else -order.price_ticks
        if time_in_force is _FOK and not self._is_fillable(order, limit_key):
            _end(order, _EXPIRED, Reject.NOT_FILLABLE)
            return
        self._take(order, limit_key)
        if time_in_force is not _GTC and order.status is _OPEN:
            _end(order, _EXPIRED, Reject.NO_LIQUIDITY)

    def _enter(self, order: Order) -> None:
        """Let the remainder of a new order rest, if there is room for it."""
        owner, orders, counts = order.owner, self._orders, self._open_by_owner
        limits = self._limits
        count = counts.get(owner, 0) if owner else 0
        if count >= limits.max_open_orders_per_owner or len(orders) >= limits.max_open_orders:
            # What has traded has traded: only the remainder is refused.
            _end(order, _EXPIRED if order.filled_lots else _REJECTED, Reject.TOO_MANY_ORDERS)
            return
        orders[order.order_id] = order
        if owner:
            counts[owner] = count + 1
        if order.client_id:
            self._by_client[owner, order.client_id] = order
        self._rest(order)
        self.version += 1

    def _move(self, order: Order, price_ticks: int, leaves_lots: int) -> None:
        """Take a resting order out of its queue and let it in again at another price or with a larger size."""
        self._unlink(order)
        order.price_ticks = price_ticks
        order.leaves_lots = leaves_lots
        order.size_lots = order.filled_lots + leaves_lots
        order.version += 1
        self.version += 1
        if self.would_take(order.side, price_ticks):
            self._take(order, price_ticks if order.side else -price_ticks)
        if order.status is _OPEN:
            self._rest(order)
        else:
            self._finish(order, order.status)

    def _rest(self, order: Order) -> None:
        """Put an order at the end of its level's queue."""
        if order.side:
            half, key = self._asks, -order.price_ticks
        else:
            half, key = self._bids, order.price_ticks
        level = half.levels.get(key)
        if level is None:
            level = half.levels[key] = _Level(key, order)
            keys = half.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                insort(keys, key)
            order._ahead = None  # noqa: SLF001 - the list is intrusive; this module owns its links
        else:
            last = level.last
            last._behind = order  # noqa: SLF001
            order._ahead = last  # noqa: SLF001
            level.last = order
        order._behind = None  # noqa: SLF001
        order._level = level  # noqa: SLF001
        level.lots += order.leaves_lots
        if self._tracks_changes:
            half.changed.add(key)

    def _unlink(self, order: Order) -> None:
        """Take a resting order out of its level, wherever it stands in the queue."""
        level, ahead, behind = order._level, order._ahead, order._behind  # noqa: SLF001
        assert level is not None, "only a resting order is unlinked"  # noqa: S101 - tells the type checker
        half = self._asks if order.side else self._bids
        level.lots -= order.leaves_lots
        if ahead is not None:
            ahead._behind = behind  # noqa: SLF001
        else:
            level.first = behind
        if behind is not None:
            behind._ahead = ahead  # noqa: SLF001
        elif ahead is not None:
            level.last = ahead
        else:
            half.drop(level.key)
        order._level = order._ahead = order._behind = None  # noqa: SLF001
        if self._tracks_changes:
            half.changed.add(level.key)

    def _finish(self, order: Order, status: OrderStatus) -> None:
        """Forget an order that no longer rests."""
        order.status = status
        order.leaves_lots = 0
        del self._orders[order.order_id]
        owner = order.owner
        if owner:
            count = self._open_by_owner[owner] - 1
            if count:
                self._open_by_owner[owner] = count
            else:
                del self._open_by_owner[owner]
        if order.client_id:
            del self._by_client[owner, order.client_id]

    def _shrink(self, order: Order, leaves_lots: int) -> None:
        level = order._level  # noqa: SLF001
        assert level is not None, "only a resting order is amended"  # noqa: S101 - tells the type checker
        level.lots -= order.leaves_lots - leaves_lots
        order.leaves_lots = leaves_lots
        order.size_lots = order.filled_lots + leaves_lots
        order.version += 1
        self.version += 1
        if self._tracks_changes:
            self._half(order.side).changed.add(level.key)

    def _take(self, taker: Order, limit_key: int) -> None:
        """Match an order that does not rest against the other side, down to `limit_key`."""
        half = self._bids if taker.side else self._asks
        keys, levels = half.keys, half.levels
        prevention = taker.prevention
        owner = taker.owner if prevention is not _STP_NONE else ANONYMOUS
        while keys and keys[-1] >= limit_key:
            level = levels[keys[-1]]
            maker = level.first
            assert maker is not None, "an empty level is dropped at once"  # noqa: S101 - tells the type checker
            if owner and maker.owner == owner:
                if prevention is not _STP_TAKER:
                    self._unlink(maker)
                    self._finish(maker, _EXPIRED)
                    maker.reject = Reject.SELF_TRADE
                    self.prevented.append(maker)
                    self.version += 1
                if prevention is not _STP_MAKER:
                    _end(taker, _EXPIRED, Reject.SELF_TRADE)
                    return
                continue
            self._execute(maker, taker, level, half)
            if not taker.leaves_lots:
                taker.status = _FILLED
                return

    def _execute(self, maker: Order, taker: Order, level: _Level, half: _Half) -> None:
        """Trade as much as both have, at the maker's price."""
        lots = maker.leaves_lots
        lots = min(lots, taker.leaves_lots)
        self._last_trade_id = trade_id = self._last_trade_id + 1
        self.version += 1
        taker.leaves_lots -= lots
        taker.filled_lots += lots
        taker.version += 1
        maker.filled_lots += lots
        maker.version += 1
        self.executions.append(
            Execution(
                trade_id,
                maker.order_id,
                taker.order_id,
                maker.owner,
                taker.owner,
                taker.side,
                maker.price_ticks,
                lots,
            )
        )
        if lots == maker.leaves_lots:
            self._unlink(maker)
            self._finish(maker, _FILLED)
            return
        maker.leaves_lots -= lots
        level.lots -= lots
        if self._tracks_changes:
            half.changed.add(level.key)

    def _is_fillable(self, order: Order, limit_key: int) -> bool:
        """Tell whether a fill-or-kill order would be filled whole, orders of its own owner considered."""
        half = self._bids if order.side else self._asks
        owner, prevention = order.owner, order.prevention
        sees_own = prevention is not _STP_NONE and owner in self._open_by_owner
        wanted = order.leaves_lots
        for key in reversed(half.keys):
            if key < limit_key:
                break
            level = half.levels[key]
            if not sees_own:
                wanted -= level.lots
            else:
                maker = level.first
                while maker is not None and wanted > 0:
                    if maker.owner != owner:
                        wanted -= maker.leaves_lots
                    elif prevention is not _STP_MAKER:
                        return False
                    maker = maker._behind  # noqa: SLF001
            if wanted <= 0:
                return True
        return False


def _end(order: Order, status: OrderStatus, reject: Reject) -> Order:
    """End an order that does not rest."""
    order.status = status
    order.reject = reject
    order.leaves_lots = 0
    return order
