"""The fewest requests that turn the live orders of one side into the targets.

A queue position is worth money: an order that is close enough stays, a smaller size is an amend where that keeps the
place, and only then an order moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, Replace, Submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.orders import Action, VenueCapabilities
    from mmframe.engine.orders import TrackedOrder
    from mmframe.engine.settings import ReconcileSettings

__all__ = ["Reconciler"]

_MOVES_MAX = 2
"""Refused changes in a row after which an order that is ahead of its target, or larger, is cancelled: the first may
have been a conflict with a fill."""


class Reconciler:
    """Compares targets with live orders of one market.

    Args:
        market: The market's index.
        settings: Tolerances.
        capabilities: What the venue can do.
        next_client_id: Returns a fresh client id.
    """

    __slots__ = ("_can_move", "_can_replace", "_can_shrink", "_market", "_next_client_id", "_settings")

    def __init__(
        self,
        market: int,
        settings: ReconcileSettings,
        capabilities: VenueCapabilities,
        next_client_id: Callable[[], str],
    ) -> None:
        self._market = market
        self._settings = settings
        can_amend, can_replace = capabilities.can_amend, capabilities.can_replace
        self._can_replace = can_replace
        self._can_move = can_amend and not capabilities.amend_only_shrinks
        # Where the place is lost anyway an amend is still one request, and the side is never empty.
        self._can_shrink = can_amend and (capabilities.shrink_keeps_priority or not can_replace)
        self._next_client_id = next_client_id

    def side_actions(
        self, side: Side, targets: list[tuple[int, int]], live: list[TrackedOrder], *, is_limited: bool
    ) -> tuple[list[Action], list[str]]:
        """Return the actions for one side, cancels first, and the client ids that stay as they are.

        Args:
            side: Which side.
            targets: `(ticks, lots)` from best to worst.
            live: The side's orders that are not final.
            is_limited: A limit bound the targets, so that no order may stay above its target's size.
        """
        if len(live) == 1 and len(targets) == 1:
            # The usual case by far: one quote that still stands where it should.
            order = live[0]
            if order.is_resting and self._is_close(order, targets[0], is_limited=is_limited):
                return [], [order.client_id]
        wanted = list(targets)
        resting = self._sorted_resting(side, live, wanted)
        kept: list[str] = []
        movable: list[TrackedOrder] = []
        for order in resting:
            match = next((target for target in wanted if self._is_close(order, target, is_limited=is_limited)), None)
            if match is None:
                movable.append(order)
            else:
                wanted.remove(match)
                kept.append(order.client_id)
        cancels: list[Action] = [Cancel(self._market, order.client_id) for order in movable[len(wanted) :]]
        moves: list[Action] = []
        for order, (ticks, lots) in zip(movable, wanted, strict=False):
            self._move(order, ticks, lots, cancels=cancels, moves=moves)
        submits: list[Action] = [
            Submit(self._market, self._next_client_id(), side, ticks, lots) for ticks, lots in wanted[len(movable) :]
        ]
        return cancels + moves + submits, kept

    @staticmethod
    def _sorted_resting(side: Side, live: list[TrackedOrder], wanted: list[tuple[int, int]]) -> list[TrackedOrder]:
        """Return the resting orders best first; those whose answer is awaited take the nearest target off `wanted`."""
        resting = []
        for order in live:
            if order.is_resting:
                resting.append(order)
            elif wanted and order.will_rest:
                price = order.pending_price_ticks or order.price_ticks
                wanted.remove(min(wanted, key=lambda target: abs(target[0] - price)))
        if len(resting) > 1:
            resting.sort(key=lambda order: order.price_ticks, reverse=side == Side.BUY)
        return resting

    def _is_close(self, order: TrackedOrder, target: tuple[int, int], *, is_limited: bool) -> bool:
        ticks, lots = target
        behind = order.price_ticks - ticks if order.side else ticks - order.price_ticks
        if not 0 <= behind <= self._settings.price_tolerance_ticks:
            return False
        leaves = order.leaves_lots
        if leaves > lots and is_limited:
            return False
        return abs(leaves - lots) <= self._settings.size_tolerance * lots

    def _move(self, order: TrackedOrder, ticks: int, lots: int, *, cancels: list[Action], moves: list[Action]) -> None:
        is_shrink = ticks == order.price_ticks and lots < order.leaves_lots
        is_ahead = order.price_ticks < ticks if order.side else order.price_ticks > ticks
        if order.move_refusals >= _MOVES_MAX and (is_ahead or order.leaves_lots > lots):
            # The venue does not let it move: it must not wait at a price that is no longer wanted.
            cancels.append(Cancel(self._market, order.client_id))
        elif self._can_shrink if is_shrink else self._can_move:
            moves.append(Amend(self._market, order.client_id, ticks, lots, order.version))
        elif self._can_replace:
            moves.append(Replace(self._market, order.client_id, self._next_client_id(), ticks, lots))
        else:
            # The new order follows with the next decision, when the old one is known to be gone.
            cancels.append(Cancel(self._market, order.client_id))
