"""What clients say on stream sockets: subscriptions and properties, in the words that all products share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Listener", "answer_command"]

_STREAMS_MAX = 1_024
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Listener(Protocol):
    """One socket, as commands see it."""

    is_combined: bool
    """Whether each message names its stream."""

    @property
    def subscribed(self) -> Collection[str]:
        """Return the names of its streams, in the order in which they came."""
        ...

    def add(self, name: str) -> None:
        """Subscribe to a stream; a second time changes nothing."""
        ...

    def remove(self, name: str) -> None:
        """End a subscription, if it is one."""
        ...


def answer_command(listener: Listener, text: str) -> dict[str, Any]:
    """Carry out a client's message and return the answer: `result`, or `code` and `msg`."""
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
    if not isinstance(request, dict) or "method" not in request:
        return _invalid(f"missing field `method` at line 1 column {len(text)}")
    number = request.get("id")
    if not isinstance(number, int | str | None) or isinstance(number, bool) or "id" not in request:
        return _invalid("request ID must be an unsigned integer")
    method, params = request["method"], request.get("params", [])
    if method not in _METHODS:
        expected = ", ".join(f"`{one}`" for one in _METHODS)
        return _invalid(f"unknown variant `{method}`, expected one of {expected} at line 1 column {len(text)}")
    if not isinstance(params, list):
        return _invalid("too many parameters")
    return _carry_out(listener, method, params, number)


def _carry_out(listener: Listener, method: str, params: list[Any], number: Any) -> dict[str, Any]:
    match method:
        case "SUBSCRIBE":
            if len(listener.subscribed) + len(params) > _STREAMS_MAX:
                return _invalid("too many parameters")
            for name in params:
                listener.add(str(name))
        case "UNSUBSCRIBE":
            for name in params:
                listener.remove(str(name))
        case "LIST_SUBSCRIPTIONS":
            return {"result": list(listener.subscribed), "id": number}
        case _:
            return _property(listener, method, params, number)
    return {"result": None, "id": number}


def _property(listener: Listener, method: str, params: list[Any], number: Any) -> dict[str, Any]:
    if not params or not isinstance(params[0], str):
        return _invalid("property name must be a string")
    if params[0] != "combined":
        return {"code": 0, "msg": "Unknown property", "id": number}
    if method == "GET_PROPERTY":
        return {"result": listener.is_combined, "id": number}
    if len(params) != 2 or not isinstance(params[1], bool):
        return {"code": 1, "msg": "Invalid value type: expected Boolean"}
    listener.is_combined = params[1]
    return {"result": None, "id": number}


def _invalid(why: str) -> dict[str, Any]:
    return {"code": 2, "msg": f"Invalid request: {why}"}
