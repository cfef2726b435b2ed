"""One connection to the WebSocket API: requests, log-on, and the user data that was asked for on it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from mmframe_localvenue.binance.errors import UNKNOWN_KEY, BinanceError
from mmframe_localvenue.binance.gateway import Call, Caller, Gateway, Security, client_id_in
from mmframe_localvenue.core import Reply, RequestSeen

if TYPE_CHECKING:
    from mmframe_localvenue.binance.user_data import UserData
    from mmframe_localvenue.core import Connection

__all__ = ["ApiSession"]

_SESSION_WEIGHT = 2


class ApiSession:
    """One connection.

    Args:
        connection: The socket.
        gateway: The product's calls.
        user_data: Private events.
    """

    def __init__(self, connection: Connection, gateway: Gateway, user_data: UserData) -> None:
        self._connection = connection
        self._gateway = gateway
        self._core = gateway.core
        self._user_data = user_data
        self._key: str | None = None
        self._authorized_ns = 0
        self._subscriptions = 0
        self._is_microsecond = connection.query.get("timeUnit", "").upper() == "MICROSECOND"
        self._shows_limits = connection.query.get("returnRateLimits", "true").lower() != "false"
        own = [
            Call("session", self._logon, None, "session.logon", Security.USER_DATA, _SESSION_WEIGHT),
            Call("session", self._status, None, "session.status", weight=_SESSION_WEIGHT),
            Call("session", self._logout, None, "session.logout", weight=_SESSION_WEIGHT),
            Call("session", self._listed, None, "session.subscriptions", weight=_SESSION_WEIGHT),
            Call("user-stream.open", self._subscribe, None, "userDataStream.subscribe", weight=_SESSION_WEIGHT),
            Call(
                "user-stream.open",
                self._subscribe_signed,
                None,
                "userDataStream.subscribe.signature",
                Security.USER_DATA,
                _SESSION_WEIGHT,
            ),
            Call("session", self._unsubscribe, None, "userDataStream.unsubscribe", weight=_SESSION_WEIGHT),
        ]
        self._methods = gateway.methods | {call.method: call for call in own}

    async def serve(self) -> None:
        """Answer requests until the connection is over."""
        self._connection.on_shutdown = self._say_shutdown
        try:
            await self._connection.serve(self._on_text)
        finally:
            self._user_data.forget(self._connection)

    async def _on_text(self, text: str) -> None:
        try:
            # Numbers stay text: what is signed is what was sent.
            request = json.loads(text, parse_float=str, parse_int=str)
            number = _number(text, request)
        except (ValueError, RecursionError):
            self._connection.send(_frame(None, BinanceError(-1135, "Invalid JSON Request")))
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._connection.send(_frame(None, BinanceError(-1135, "Invalid JSON Request")))
            return
        params = request.get("params", {})
        if not isinstance(params, dict):
            self._connection.send(_frame(number, BinanceError(-1135, "JSON sent for parameter 'params' is not valid")))
            return
        call = self._methods.get(request["method"].removeprefix("v3/"))
        if call is None:
            self._connection.send(_frame(number, BinanceError(-1020, "This operation is not supported.")))
            return
        values = {str(name): _text(value) for name, value in params.items() if value is not None}
        # A request that is held back must not hold back those after it.
        self._core.tasks.start_soon(self._answer, call, values, number)

    async def _answer(self, call: Call, values: dict[str, str], number: Any) -> None:
        known: list[Caller] = []

        def caller() -> Caller:
            key = None if call.method in {"session.logon", "userDataStream.subscribe.signature"} else self._key
            known.append(self._gateway.socket_caller(call, dict(values), key, is_microsecond=self._is_microsecond))
            return known[0]

        shows = values.get("returnRateLimits", str(self._shows_limits)).lower() != "false"

        def frame(reply: Reply) -> str:
            return self._frame(reply, number, known[0] if known else None, shows_limits=shows)

        owner = self._core.exchange.owner_of(values.get("apiKey") or self._key or "")
        seen = RequestSeen(
            operation=call.operation,
            method="WS",
            path=call.method,
            at_ns=self._core.clock.now_ns(),
            account="" if owner is None else owner[0].name,
            client_id=client_id_in(values),
        )
        delivery = await self._core.answer(seen, lambda: self._gateway.carry_out(call, caller), self._gateway)
        reply = delivery.reply
        if reply is not None and reply.code == -2015 and self._key is not None and "apiKey" not in values:
            self._key = None
            self._connection.send(_frame(None, BinanceError(-2015, UNKNOWN_KEY, status=401)))
            return
        self._core.deliver_socket(self._connection, delivery, frame)

    def _frame(self, reply: Reply, number: Any, caller: Caller | None, *, shows_limits: bool) -> str:
        body: dict[str, Any] = {"id": number, "status": reply.status}
        content = json.loads(reply.text)
        if reply.status == 200:
            body["result"] = content
        else:
            if "Retry-After" in reply.headers:
                now_ms = self._core.clock.now_ms()
                wait_ms = math.ceil(float(reply.headers["Retry-After"]) * 1000)
                content["data"] = content.get("data", {}) | {"serverTime": now_ms, "retryAfter": now_ms + wait_ms}
            body["error"] = content
        if shows_limits:
            limits = self._gateway.limits
            weight = {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": limits.limit,
                "count": limits.used,
            }
            orders = self._gateway.order_counts(caller.account) if caller is not None and caller.places_order else []
            body["rateLimits"] = [*orders, weight]
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    # Session calls

    def _logon(self, caller: Caller) -> Any:
        if caller.key is None or caller.key.ed25519_public_key is None:
            raise BinanceError(-4056, "HMAC_SHA256 API key is not supported.")
        self._key = caller.key.key
        self._authorized_ns = self._core.clock.now_ns()
        self._connection.account = caller.account.name
        return self._session(caller)

    def _status(self, caller: Caller) -> Any:
        return self._session(caller)

    def _logout(self, caller: Caller) -> Any:
        self._key = None
        for subscription in self._user_data.of(self._connection):
            if subscription.is_session:
                self._user_data.end(subscription)
        return self._session(caller)

    def _listed(self, _: Caller) -> Any:
        return [{"subscriptionId": one.number} for one in self._user_data.of(self._connection)]

    def _subscribe(self, caller: Caller) -> Any:
        owner = None if self._key is None else self._core.exchange.owner_of(self._key)
        if owner is None:
            raise BinanceError(-2015, UNKNOWN_KEY, status=401)
        caller.params.check_all_read()
        return self._start(caller, owner[0].name, is_session=True)

    def _subscribe_signed(self, caller: Caller) -> Any:
        return self._start(caller, caller.account.name, is_session=False)

    def _start(self, caller: Caller, name: str, *, is_session: bool) -> Any:
        account = self._core.exchange.accounts[name]
        number = self._subscriptions
        subscription = self._user_data.subscribe(self._connection, account, number, caller.stamp, is_session=is_session)
        if subscription is None:
            raise BinanceError(-1001, "Internal error; unable to process your request. Please try again.", status=503)
        self._subscriptions += 1
        return {"subscriptionId": number}

    def _unsubscribe(self, caller: Caller) -> Any:
        number = caller.params.integer("subscriptionId")
        chosen = [one for one in self._user_data.of(self._connection) if number is None or one.number == number]
        if not chosen:
            raise BinanceError(-2036, "User Data Stream subscription not active.")
        for subscription in chosen:
            self._user_data.end(subscription)
        return {}

    def _session(self, caller: Caller) -> dict[str, Any]:
        return {
            "apiKey": self._key,
            "authorizedSince": None if self._key is None else caller.stamp(self._authorized_ns),
            "connectedSince": caller.stamp(self._connection.opened_ns),
            "returnRateLimits": self._shows_limits,
            "serverTime": caller.stamp(self._core.clock.now_ns()),
            "userDataStream": bool(self._user_data.of(self._connection)),
        }

    def _say_shutdown(self) -> None:
        event = {"e": "serverShutdown", "E": self._core.clock.now_ms()}
        self._connection.send(json.dumps({"event": event}, separators=(",", ":")))


def _frame(number: Any, error: BinanceError) -> str:
    return json.dumps({"id": number, "status": error.status, "error": error.body}, separators=(",", ":"))


def _number(text: str, request: Any) -> Any:
    """Return the request's id with the type that it was sent with.

    Raises:
        ValueError: If it is a number beyond all measure.
    """
    return json.loads(text)["id"] if isinstance(request, dict) and request.get("id") is not None else None


def _text(value: Any) -> str:
    """Return a parameter as it is signed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
