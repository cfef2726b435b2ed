"""What an answer looks like: the envelope of REST, the frame of the trade socket, refusals, faults in their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from mmframe_localvenue.core import Refusal, Reply

if TYPE_CHECKING:
    from mmframe_localvenue.core import Injection, VenueClock

__all__ = ["SPOT", "BybitError", "BybitWords", "Outcome", "body_of", "refused", "reply", "socket_frame"]

SPOT = "spot"
_OK = "OK"
_SERVER_ERRORS = 500

# Linear and spot, as error.mdx lists them.
_REFUSALS: dict[Refusal, tuple[tuple[int, str], tuple[int, str]]] = {
    Refusal.MARKET_CLOSED: (
        (110074, "This contract is not live"),
        (170151, "The trading pair is not open yet."),
    ),
    Refusal.DUPLICATE_CLIENT_ID: (
        (110072, "OrderLinkedID is duplicate"),
        (170141, "Duplicate clientOrderId."),
    ),
    Refusal.INSUFFICIENT_BALANCE: (
        (110007, "ab not enough for new order"),
        (170131, "Insufficient balance."),
    ),
    Refusal.TOO_MANY_OPEN_ORDERS: (
        (110020, "Not allowed to have more than 500 active orders."),
        (170210, "New order rejected."),
    ),
    Refusal.UNKNOWN_ORDER: (
        (110001, "order not exists or too late to cancel"),
        (170213, "Order does not exist."),
    ),
    Refusal.NO_LIQUIDITY: (
        (110118, "Unable to retrieve a price of the market order due to low liquidity"),
        (170149, "Create order failed."),
    ),
    Refusal.NOT_REDUCING: (
        (110017, "orderQty will be truncated to zero."),
        (170210, "New order rejected."),
    ),
    Refusal.NO_CHANGE: (
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
    ),
}


class BybitError(Exception):
    """A refusal in the exchange's words.

    Attributes:
        code: The `retCode`.
        message: The `retMsg`.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


def refused(refusal: Refusal, category: str) -> BybitError:
    """Return a refusal of the matching engine as that category words it."""
    linear, spot = _REFUSALS[refusal]
    code, message = spot if category == SPOT else linear
    return BybitError(code, message)


@attrs.frozen
class Outcome:
    """What came of a request: `result` and `ext` are the JSON objects of those names."""

    result: dict[str, Any] = attrs.field(factory=dict)
    code: int = 0
    message: str = _OK
    ext: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(cls, error: BybitError) -> Outcome:
        """Return the outcome of a request that was refused whole."""
        return cls(code=error.code, message=error.message)


def reply(outcome: Outcome, now_ms: int, headers: dict[str, str] | None = None) -> Reply:
    """Return the REST answer: HTTP 200 whatever the outcome, as the exchange does."""
    body = {
        "retCode": outcome.code,
        "retMsg": outcome.message,
        "result": outcome.result,
        "retExtInfo": outcome.ext,
        "time": now_ms,
    }
    return Reply(200, msgspec.json.encode(body).decode(), headers or {}, outcome.code)


def body_of(answer: Reply) -> dict[str, Any]:
    """Return the envelope of a REST answer; of a proxy's refusal, which has none, an empty one with its code."""
    try:
        body: dict[str, Any] = msgspec.json.decode(answer.text)
    except msgspec.DecodeError:
        return {"retCode": answer.code, "retMsg": answer.text, "result": {}, "retExtInfo": {}}
    return body


def socket_frame(answer: Reply, *, request_id: str | None, operation: str, connection_id: str) -> str:
    """Return a REST answer as the trade socket gives it: `data` for `result`, the headers inside."""
    body = body_of(answer)
    frame: dict[str, Any] = {} if request_id is None else {"reqId": request_id}
    frame |= {
        "retCode": body["retCode"],
        "retMsg": body["retMsg"],
        "op": operation,
        "data": body["result"],
        "retExtInfo": body["retExtInfo"],
        "header": answer.headers,
        "connId": connection_id,
    }
    return msgspec.json.encode(frame).decode()


class BybitWords:
    """Faults in the exchange's words.

    Args:
        clock: The venue's.
    """

    def __init__(self, clock: VenueClock) -> None:
        self._clock = clock

    def unknown_outcome(self, injection: Injection) -> Reply:
        """Return 10016; with a `status` of 500 and above the proxy's HTTP error instead."""
        if injection.status >= _SERVER_ERRORS:
            return Reply(injection.status, "upstream request timeout", code=10016)
        return reply(Outcome(code=10016, message="Server error."), self._clock.now_ms())

    def throttled(self, injection: Injection) -> Reply:
        """Return 10006 and, in the headers, when the limit is reset; with `status=429` the system-wide 10429."""
        now_ms = self._clock.now_ms()
        headers = {
            "X-Bapi-Limit": "10",
            "X-Bapi-Limit-Status": "0",
            "X-Bapi-Limit-Reset-Timestamp": str(now_ms + 1_000 * injection.retry_after_s),
        }
        if injection.status == 429:
            answer = reply(Outcome(code=10429, message="System level frequency protection"), now_ms, headers)
            return attrs.evolve(answer, status=429)
        return reply(Outcome(code=10006, message="Too many visits. Exceeded the API Rate Limit."), now_ms, headers)

    def banned(self, injection: Injection) -> Reply:  # noqa: ARG002 - the exchange does not say for how long
        """Return HTTP 403, as for an address that asked too often; 10403 on the trade socket."""
        return Reply(403, "access too frequent", code=10403)
