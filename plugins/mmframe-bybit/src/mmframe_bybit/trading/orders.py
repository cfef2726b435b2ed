"""The bodies of order requests, the same over both ways; pure.

Source: the exchange's v5 documentation, place, amend and cancel order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce

if TYPE_CHECKING:
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Amend, Submit

__all__ = ["amend_fields", "cancel_fields", "create_fields", "is_client_id"]

_CLIENT_ID = re.compile(r"[0-9A-Za-z_-]{1,36}")


def is_client_id(text: str) -> bool:
    """Tell whether the exchange takes `text` as `orderLinkId`."""
    return _CLIENT_ID.fullmatch(text) is not None


def create_fields(
    action: Submit, instrument: Instrument, *, category: str, symbol: str, self_match: str
) -> dict[str, object]:
    """Return the body that places a limit order."""
    fields: dict[str, object] = {
        "category": category,
        "symbol": symbol,
        "side": "Buy" if action.side is Side.BUY else "Sell",
        "orderType": "Limit",
        "qty": instrument.size_text(action.size_lots),
        "price": instrument.price_text(action.price_ticks),
        "timeInForce": "PostOnly" if action.is_post_only else TimeInForce(action.time_in_force).name,
        "orderLinkId": action.client_id,
        # A resting order's own setting is void: it has to be on every order that may take.
        "smpType": self_match,
    }
    if category == "linear":
        # One-way mode: the one position of the symbol.
        fields["positionIdx"] = 0
        if action.is_reduce_only:
            fields["reduceOnly"] = True
    return fields


def amend_fields(
    action: Amend, instrument: Instrument, *, category: str, symbol: str, size_lots: int
) -> dict[str, object]:
    """Return the body that changes an order; `size_lots` is the whole size afterwards, filled part included."""
    return {
        "category": category,
        "symbol": symbol,
        "orderLinkId": action.client_id,
        "qty": instrument.size_text(size_lots),
        "price": instrument.price_text(action.price_ticks),
    }


def cancel_fields(client_id: str, *, category: str, symbol: str) -> dict[str, object]:
    """Return the body that cancels one order."""
    return {"category": category, "symbol": symbol, "orderLinkId": client_id}
