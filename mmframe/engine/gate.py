"""The gate: the only maker of `Approved` actions, always last, the same for every strategy.

It reserves the worst case (position + open + in flight + unknown + being cancelled) before anything is sent. What takes
risk away, a cancel, is never refused.

Reduce-only orders have a lane of their own, which the engine opens for the moment of one order: it is the one way to
take, stays open during a HALT, and lets nothing pass that could make a position larger or turn it around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    _SEAL,
    Amend,
    Approved,
    Cancel,
    CancelAll,
    OrderState,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Submit,
    TimeInForce,
)
from mmframe.domain.records import GateRejection
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action
    from mmframe.engine.orders import OrderTracker
    from mmframe.engine.portfolio import MarketLedger
    from mmframe.engine.settings import MarketSettings

__all__ = ["Gate", "GateView", "MarketGate", "approve_removal"]

# Bound once: in Python 3.11 looking up an enum member costs ten times a module name, and these are on the hot path.
_GTC = TimeInForce.GTC

_SECOND_NS = 1_000_000_000
_BPS = 10_000


@attrs.define
class GateView:
    """What the gate must know of a market at the moment of a decision.

    Attributes:
        is_tradable: The book is in sync, not stale, has both sides, is not crossed, and the venue is up.
        refusal: Why it is not tradable; empty when it is.
        mid_half_ticks: Best bid + best ask, in ticks.
        close_cap_bps: How far from the mid a reduce-only order may reach now; None while no position is being closed.
    """

    is_tradable: bool = False
    refusal: str = "no book yet"
    mid_half_ticks: int = 0
    close_cap_bps: float | None = None


class _Asked(NamedTuple):
    """The order that an action would leave resting."""

    side: Side
    price_ticks: int
    lots: int
    replaces: str = ""
    """Client id of the order whose place it takes."""
    replaced_lots: int = 0
    """What of that order stays reserved beside `lots` until the answer."""
    is_one_more: bool = True
    """It is an order of its own; an amend is not."""


class MarketGate:
    """One market's limits, turned into integers once."""

    __slots__ = (
        "_collar_bps",
        "_limits",
        "_max_open_orders",
        "_max_order_lots",
        "_max_order_tick_lots",
        "_max_position_half_tick_lots",
        "_max_position_lots",
        "_max_repeats",
        "_min_lots",
        "_paused_until_ns",
        "_repeat_pause_ns",
        "has_caps",
        "ledger",
        "tracker",
        "view",
    )

    def __init__(self, settings: MarketSettings, tracker: OrderTracker, ledger: MarketLedger) -> None:
        limits, instrument = settings.limits, settings.instrument
        value = instrument.tick_size * instrument.lot_size
        self.tracker = tracker
        self.ledger = ledger
        self.view = GateView()
        self._limits = limits
        self._min_lots = instrument.min_size_lots
        self._max_order_lots = limits.max_order_lots
        self._max_order_tick_lots = _floor(limits.max_order_notional_quote, value)
        self._max_position_lots = limits.max_position_lots
        self._max_position_half_tick_lots = _floor(limits.max_position_notional_quote, value / 2)
        self._max_open_orders = limits.max_open_orders
        self._collar_bps = limits.price_collar_bps
        self._max_repeats = limits.max_repeats
        self._repeat_pause_ns = limits.repeat_pause_ns
        self._paused_until_ns = [0, 0]
        self.has_caps = any(
            limit is not None
            for limit in (
                self._max_order_lots,
                self._max_order_tick_lots,
                self._max_position_lots,
                self._max_position_half_tick_lots,
            )
        )

    def capacity_lots(self, side: Side) -> int | None:
        """Return how much more position `side` may take on from nothing resting; None when not limited."""
        capacity = self._max_position_lots
        limit = self._max_position_half_tick_lots
        if limit is not None and self.view.mid_half_ticks:
            by_value = limit // self.view.mid_half_ticks
            capacity = by_value if capacity is None else min(capacity, by_value)
        if capacity is None:
            return None
        position = self.ledger.position_lots
        return max(0, capacity + position if side else capacity - position)

    def order_cap_lots(self, price_ticks: int) -> int | None:
        """Return the largest order at `price_ticks`; None when not limited."""
        cap = self._max_order_lots
        limit = self._max_order_tick_lots
        if limit is None or price_ticks <= 0:
            return cap
        by_value = limit // price_ticks
        return by_value if cap is None else min(cap, by_value)

    def bound_text(self, side: Side, asked: Sequence[tuple[int, int]]) -> str:
        """Return which limits leave less than the levels that were asked for and by how much, for people.

        Args:
            side: Of the levels.
            asked: `(ticks, lots)`, within what `order_cap_lots` and `capacity_lots` are then to keep it.
        """
        texts = []
        instrument, limits, lots = self.ledger.instrument, self._limits, [level_lots for _, level_lots in asked]
        highest_ticks = max(ticks for ticks, _ in asked)
        cap = self.order_cap_lots(highest_ticks)
        if cap is not None and max(lots) > cap:
            is_size = cap == self._max_order_lots
            name = "max_order_size" if is_size else "max_order_notional_quote"
            limit = instrument.size(cap) if is_size else limits.max_order_notional_quote
            texts.append(_bound(f"{name} {limit}", instrument, cap, max(lots)))
            lots = [min(level_lots, cap) for level_lots in lots]
        capacity = self.capacity_lots(side)
        if capacity is not None and sum(lots) > capacity:
            position = self.ledger.position_lots if side == Side.BUY else -self.ledger.position_lots
            is_size = self._max_position_lots is not None and capacity == max(0, self._max_position_lots - position)
            name = "max_position" if is_size else "max_position_notional_quote"
            limit = instrument.size(self._max_position_lots or 0) if is_size else limits.max_position_notional_quote
            texts.append(_bound(f"{name} {limit}", instrument, capacity, sum(lots)))
        return "; ".join(texts)

    def refusal(self, order: _Asked, now_ns: int) -> tuple[str, str] | None:
        """Return the limit that an order would break and the figures, or None."""
        if not self.view.is_tradable:
            return ("book", self.view.refusal)
        return (
            self._refused_alone(order.price_ticks, order.lots)
            or self._refused_with_others(order)
            or self._refused_for_repeats(order.side, now_ns)
        )

    def refusal_to_close(self, order: Submit) -> tuple[str, str] | None:
        """Return the rule that a reduce-only order would break and the figures, or None.

        Its size and every other order of ours on its side, whatever its state, must fit into the position: then no
        outcome of any of them can make the position larger or turn it around.
        """
        cap_bps = self.view.close_cap_bps
        if cap_bps is None:
            return ("reduce_only", "no position is being closed here")
        if not self.view.is_tradable:
            return ("book", self.view.refusal)
        if order.is_post_only or order.time_in_force is TimeInForce.GTC:
            return ("reduce_only", "expected an order that takes at once or ends")
        position = self.ledger.position_lots
        room = (position if order.side == Side.SELL else -position) - self.tracker.reserved_lots(order.side)
        if order.size_lots > room:
            size = self.ledger.instrument.size_text
            text = f"{order.side.name.lower()} {size(order.size_lots)}, position {size(position)}"
            return ("reduce_only", f"{text}, room {size(max(0, room))}")
        mid = self.view.mid_half_ticks
        if abs(2 * order.price_ticks - mid) * _BPS > cap_bps * mid:
            return ("price_cap_bps", self._distance_text(order.price_ticks, cap_bps))
        return self._refused_alone(order.price_ticks, order.size_lots)

    def close_cap_bps(self, cap_bps: float) -> float:
        """Return how far from the mid a reduce-only order may reach: the collar binds it too."""
        return min(cap_bps, self._collar_bps)

    def _refused_alone(self, price_ticks: int, lots: int) -> tuple[str, str] | None:
        instrument = self.ledger.instrument
        if price_ticks <= 0 or lots < self._min_lots:
            smallest = instrument.size_text(self._min_lots)
            text = f"size {instrument.size_text(lots)} at {instrument.price_text(price_ticks)}"
            return ("order", f"{text}; expected a price above 0 and at least {smallest}")
        if self._max_order_lots is not None and lots > self._max_order_lots:
            return ("max_order_size", self._excess_text("", lots, self._max_order_lots))
        if self._max_order_tick_lots is not None and price_ticks * lots > self._max_order_tick_lots:
            value = instrument.notional_quote(price_ticks, lots)
            return ("max_order_notional_quote", f"worth {value:f}, limit {self._limits.max_order_notional_quote}")
        mid = self.view.mid_half_ticks
        if abs(2 * price_ticks - mid) * _BPS > self._collar_bps * mid:
            return ("price_collar_bps", self._distance_text(price_ticks, self._collar_bps))
        return None

    def _excess_text(self, what: str, lots: int, limit_lots: int) -> str:
        size = self.ledger.instrument.size_text
        return f"{what}{size(lots)}, limit {size(limit_lots)}, {size(lots - limit_lots)} too much"

    def _distance_text(self, price_ticks: int, limit_bps: float) -> str:
        instrument, mid = self.ledger.instrument, self.view.mid_half_ticks
        price, middle = instrument.price_text(price_ticks), instrument.tick_size * mid / 2
        away = f"{abs(2 * price_ticks - mid) / mid * _BPS:.2f} bps from" if mid else "without"
        return f"price {price}, {away} the mid {middle:f}, limit {limit_bps:g} bps"

    def _refused_with_others(self, asked: _Asked) -> tuple[str, str] | None:
        side, price_ticks = asked.side, asked.price_ticks
        reserved = asked.lots + asked.replaced_lots
        for order in self.tracker:
            if order.side != side:
                # While an amend is under way the order may stand at either price.
                other_ticks, moved_ticks = order.price_ticks, order.pending_price_ticks or order.price_ticks
                if (
                    price_ticks >= other_ticks or price_ticks >= moved_ticks
                    if side == Side.BUY
                    else price_ticks <= other_ticks or price_ticks <= moved_ticks
                ):
                    price = self.ledger.instrument.price_text(order.price_ticks)
                    return ("self_cross", f"{order.client_id} of ours stands at {price}")
            elif order.client_id != asked.replaces:
                reserved += order.reserved_lots
                if order.state is OrderState.SENT and order.price_ticks == price_ticks and not asked.replaces:
                    price = self.ledger.instrument.price_text(price_ticks)
                    return ("duplicate", f"{order.client_id} at {price} is already on its way")
        if asked.is_one_more and len(self.tracker) >= self._max_open_orders:
            return ("max_open_orders", f"{len(self.tracker)} open, limit {self._max_open_orders}")
        worst = reserved + (self.ledger.position_lots if side == Side.BUY else -self.ledger.position_lots)
        if self._max_position_lots is not None and worst > self._max_position_lots:
            return ("max_position", self._excess_text("worst case ", worst, self._max_position_lots))
        limit = self._max_position_half_tick_lots
        if limit is not None and worst * self.view.mid_half_ticks > limit:
            instrument = self.ledger.instrument
            value = instrument.notional_quote(self.view.mid_half_ticks, worst) / 2
            text = f"worst case {instrument.size_text(worst)}, worth {value:f} at the mid"
            return ("max_position_notional_quote", f"{text}, limit {self._limits.max_position_notional_quote}")
        return None

    def _refused_for_repeats(self, side: Side, now_ns: int) -> tuple[str, str] | None:
        refusals = self.tracker.refusals_in_a_row
        if refusals[side] >= self._max_repeats:
            refusals[side] = 0
            self._paused_until_ns[side] = now_ns + self._repeat_pause_ns
        if now_ns < self._paused_until_ns[side]:
            return ("max_repeats", f"paused after {self._max_repeats} refusals by the venue in a row")
        return None


class Gate:
    """Approves or refuses every action of a strategy.

    Args:
        markets: One `MarketGate` a market.
        max_orders_per_second: Of all markets together; cancels and queries are not counted.
        lets_take: Lets pass what takes and does not close: for tests of venues, which have to answer it. No engine
            makes a gate that does.
    """

    __slots__ = ("_lets_take", "_rate_index", "_rate_times_ns", "halt_reason", "is_killed", "markets", "refused_count")

    def __init__(self, markets: tuple[MarketGate, ...], *, max_orders_per_second: int, lets_take: bool = False) -> None:
        self.markets = markets
        self._lets_take = lets_take
        self.halt_reason = ""
        self.is_killed = False
        self.refused_count = 0
        self._rate_times_ns = [-_SECOND_NS] * max_orders_per_second
        self._rate_index = 0

    def check(self, action: Action, now_ns: int) -> Approved | GateRejection:
        """Return the approved action, or the limit that refused it."""
        kind = type(action)
        if kind is Submit or kind is Amend or kind is Replace:
            refusal = self._refusal(action, now_ns)  # type: ignore[arg-type] # the three kinds that add risk
            if refusal is not None:
                self.refused_count += 1
                return GateRejection(action=action, limit=refusal[0], detail=refusal[1])
            self._rate_times_ns[self._rate_index] = now_ns
            self._rate_index = (self._rate_index + 1) % len(self._rate_times_ns)
        return Approved(action, _SEAL)

    def _refusal(self, action: Submit | Amend | Replace, now_ns: int) -> tuple[str, str] | None:
        market = self.markets[action.market]
        if isinstance(action, Submit) and action.is_reduce_only:
            if self.is_killed:
                return ("halted", self.halt_reason)
            return market.refusal_to_close(action) or self._refused_for_rate(now_ns)
        if self.halt_reason:
            return ("halted", self.halt_reason)
        if not self._lets_take and not isinstance(action, Amend) and _may_take(action):
            return ("post_only", "expected an order that rests and takes nothing: only a closing one may")
        if isinstance(action, Submit):
            asked = _Asked(action.side, action.price_ticks, action.size_lots)
        else:
            order = market.tracker.live.get(action.client_id)
            if order is None or not order.is_resting:
                return ("order", f"{action.client_id} does not rest")
            reserved = order.reserved_lots
            if isinstance(action, Amend):
                # One order before and after: the larger of the two sizes can fill before the answer comes.
                lots = action.leaves_lots
                asked = _Asked(
                    order.side, action.price_ticks, lots, action.client_id, max(0, reserved - lots), is_one_more=False
                )
            else:
                # Two orders: no venue makes a replace atomic, so both can fill.
                asked = _Asked(order.side, action.price_ticks, action.size_lots, action.client_id, reserved)
        return market.refusal(asked, now_ns) or self._refused_for_rate(now_ns)

    def _refused_for_rate(self, now_ns: int) -> tuple[str, str] | None:
        if now_ns - self._rate_times_ns[self._rate_index] < _SECOND_NS:
            return ("max_orders_per_second", f"{len(self._rate_times_ns)} in the last second")
        return None


def approve_removal(action: Action) -> Approved:
    """Approve what adds no risk, for a tool that cleans up where no engine runs.

    Raises:
        DomainError: If the action is of another kind.
    """
    if not isinstance(action, Cancel | CancelAll | QueryOrder | QueryOpenOrders):
        msg = f"action: expected a cancel or a query, was {type(action).__name__}"
        raise DomainError(msg, hint="what adds risk is approved by the gate of a running engine alone")
    return Approved(action, _SEAL)


def _may_take(action: Submit | Replace) -> bool:
    return not action.is_post_only or (isinstance(action, Submit) and action.time_in_force is not _GTC)


def _bound(limit: str, instrument: Instrument, left: int, asked: int) -> str:
    size = instrument.size_text
    return f"{limit} leaves {size(left)} of {size(asked)}, {size(asked - left)} less"


def _floor(limit: Decimal | None, unit: Decimal) -> int | None:
    if limit is None:
        return None
    if not limit.is_finite() or limit < 0:
        msg = f"limit: expected a finite amount, was {str(limit)!r}"
        raise DomainError(msg)
    return int(limit / unit)
