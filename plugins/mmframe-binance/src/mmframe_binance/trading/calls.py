"""The requests that the venues make, as data: where each goes, what it weighs and how long it is worth waiting for.

Source: the exchange's documentation of REST and websocket API, spot and USDⓈ-M; weights as of 2026-07.
"""

from __future__ import annotations

from typing import NamedTuple

from mmframe.net.budget import Lane

__all__ = ["SPOT_CALLS", "USDM_CALLS", "Call", "Calls"]

_CANCEL_WORTH_S = 5.0
_ORDER_WORTH_S = 0.5
_QUERY_WORTH_S = 5.0


class Call(NamedTuple):
    """One kind of request.

    Attributes:
        method: HTTP's.
        path: On the REST host.
        weight: Of one request.
        lane: What it is for.
        worth_s: How long it may wait for room in the budgets; then it is not sent at all.
        socket_method: On the websocket API; empty when it is not made there.
        orders: What it adds to the count of new orders.
        security: `signed`, `key` (the key alone) or `none`.
    """

    method: str
    path: str
    weight: int
    lane: Lane = Lane.QUERY
    worth_s: float = _QUERY_WORTH_S
    socket_method: str = ""
    orders: int = 0
    security: str = "signed"


def _order(method: str, path: str, weight: int, socket_method: str = "", *, orders: int = 1) -> Call:
    return Call(method, path, weight, Lane.ORDER, _ORDER_WORTH_S, socket_method, orders)


def _cancel(path: str, weight: int, socket_method: str = "") -> Call:
    return Call("DELETE", path, weight, Lane.CANCEL, _CANCEL_WORTH_S, socket_method)


class Calls(NamedTuple):
    """What both products can be asked."""

    time: Call
    exchange_info: Call
    place: Call
    cancel: Call
    cancel_all: Call
    order: Call
    open_orders: Call
    trades: Call
    account: Call


SPOT_CALLS = Calls(
    time=Call("GET", "/api/v3/time", 1, security="none"),
    exchange_info=Call("GET", "/api/v3/exchangeInfo", 20, security="none"),
    place=_order("POST", "/api/v3/order", 1, "order.place"),
    cancel=_cancel("/api/v3/order", 1, "order.cancel"),
    cancel_all=_cancel("/api/v3/openOrders", 1, "openOrders.cancelAll"),
    order=Call("GET", "/api/v3/order", 4),
    open_orders=Call("GET", "/api/v3/openOrders", 6),
    trades=Call("GET", "/api/v3/myTrades", 20),
    account=Call("GET", "/api/v3/account", 20),
)
SPOT_REPLACE = _order("POST", "/api/v3/order/cancelReplace", 1, "order.cancelReplace")
SPOT_AMEND = _order("PUT", "/api/v3/order/amend/keepPriority", 4, "order.amend.keepPriority", orders=0)
SPOT_KEY_RIGHTS = Call("GET", "/sapi/v1/account/apiRestrictions", 1)

USDM_CALLS = Calls(
    time=Call("GET", "/fapi/v1/time", 1, security="none"),
    exchange_info=Call("GET", "/fapi/v1/exchangeInfo", 1, security="none"),
    place=_order("POST", "/fapi/v1/order", 0),
    cancel=_cancel("/fapi/v1/order", 1),
    cancel_all=_cancel("/fapi/v1/allOpenOrders", 1),
    order=Call("GET", "/fapi/v1/order", 1),
    open_orders=Call("GET", "/fapi/v1/openOrders", 1),
    trades=Call("GET", "/fapi/v1/userTrades", 5),
    account=Call("GET", "/fapi/v3/balance", 5),
)
USDM_MODIFY = _order("PUT", "/fapi/v1/order", 0)
USDM_POSITIONS = Call("GET", "/fapi/v3/positionRisk", 5)
USDM_POSITION_MODE = Call("GET", "/fapi/v1/positionSide/dual", 30)
USDM_ACCOUNT_CONFIG = Call("GET", "/fapi/v1/accountConfig", 5)
USDM_COUNTDOWN = Call("POST", "/fapi/v1/countdownCancelAll", 10, Lane.CANCEL, _CANCEL_WORTH_S)
USDM_LISTEN_KEY = Call("POST", "/fapi/v1/listenKey", 1, security="key")
USDM_KEEP_LISTEN_KEY = Call("PUT", "/fapi/v1/listenKey", 1, security="key")
