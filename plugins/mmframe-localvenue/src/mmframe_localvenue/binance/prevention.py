"""What self-trade prevention kept from matching, one record for each pair of orders."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from mmframe_localvenue.binance.spot_orders import amount

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from mmframe_localvenue.core import OrderEvent, VenueOrder

__all__ = ["PreventedMatch", "PreventedMatches"]

_KEPT = 10_000


@attrs.define
class PreventedMatch:
    """One match that did not happen.

    Attributes:
        number: Its `preventedMatchId`.
        taker: The order that came in; its mode decides who expires.
        maker: The order that rested, at whose price they would have matched.
        at_ns: Time.
        taker_size: What expired of the taker; None where it lives on.
        maker_size: What expired of the maker; None where it lives on.
    """

    number: int
    taker: VenueOrder
    maker: VenueOrder
    at_ns: int
    taker_size: Decimal | None = None
    maker_size: Decimal | None = None

    def answer_json(self) -> dict[str, Any]:
        """Return it as the answer to the taker shows it."""
        fields = {
            "preventedMatchId": self.number,
            "makerOrderId": self.maker.order_id,
            "price": amount(self.maker.price),
        }
        return fields | self._sizes()

    def rest_json(self, stamp: Callable[[int], int]) -> dict[str, Any]:
        """Return it as queries show it."""
        return {
            "symbol": self.taker.market.name,
            "preventedMatchId": self.number,
            "takerOrderId": self.taker.order_id,
            "makerSymbol": self.maker.market.name,
            "makerOrderId": self.maker.order_id,
            "tradeGroupId": -1,
            "selfTradePreventionMode": self.taker.prevention.name,
            "price": amount(self.maker.price),
            **self._sizes(),
            "transactTime": stamp(self.at_ns),
        }

    def _sizes(self) -> dict[str, str]:
        sizes = {"takerPreventedQuantity": self.taker_size, "makerPreventedQuantity": self.maker_size}
        return {name: amount(size) for name, size in sizes.items() if size is not None}


class PreventedMatches:
    """The prevented matches of all accounts, oldest first."""

    def __init__(self) -> None:
        self._matches: deque[PreventedMatch] = deque(maxlen=_KEPT)
        self._last = 0

    def note(self, event: OrderEvent) -> None:
        """Take in that an order expired in a match; a second order of the same match gets the same number."""
        order = event.order
        other = order.account.orders.get(event.counter_order_id, order)
        taker, maker = (order, other) if order.order_id > other.order_id else (other, order)
        match = self._matches[-1] if self._matches else None
        if match is None or match.taker is not taker or match.maker is not maker:
            self._last += 1
            match = PreventedMatch(self._last, taker, maker, event.at_ns)
            self._matches.append(match)
            taker.labels.setdefault("preventedMatches", []).append(match)
        expired = order.size - order.filled
        if order is taker:
            match.taker_size = expired
        else:
            match.maker_size = expired
        order.labels["preventedMatchId"] = match.number

    def of(self, orders: dict[int, VenueOrder]) -> list[PreventedMatch]:
        """Return those between orders of one account."""
        return [match for match in self._matches if match.taker.order_id in orders]
