"""The trade socket: log on once, then send orders without signing each."""

from __future__ import annotations

import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe_localvenue.bybit.auth import Caller, check_time, log_on
from mmframe_localvenue.bybit.envelope import BybitError, BybitWords, Outcome, body_of, reply, socket_frame
from mmframe_localvenue.bybit.orders import BATCH_MAX
from mmframe_localvenue.bybit.params import category_in
from mmframe_localvenue.bybit.sessions import NO_PINGS, Session
from mmframe_localvenue.core import Reply, RequestSeen, Role

if TYPE_CHECKING:
    from aiohttp import web

    from mmframe_localvenue.bybit.limits import Limits
    from mmframe_localvenue.bybit.service import Service
    from mmframe_localvenue.core import Connection, Core

__all__ = ["TradeSockets"]

_REQUEST_ID_MAX = 36
_REQUEST_IDS_KEPT = 100_000


class TradeSockets:
    """All sockets under `/v5/trade`.

    Args:
        core: The venue.
        service: Carries out.
        limits: Of the address.
    """

    def __init__(self, core: Core, service: Service, limits: Limits) -> None:
        self._core = core
        self._service = service
        self._limits = limits

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        return await self._core.open_socket(request, Role.API, NO_PINGS, self._serve)

    async def _serve(self, connection: Connection) -> None:
        session = _TradeSession(connection, self._core, self._service, self._limits)
        await session.serve(session.on_object)


class _TradeSession(Session):
    """One trade socket."""

    def __init__(self, connection: Connection, core: Core, service: Service, limits: Limits) -> None:
        super().__init__(connection, core.clock)
        self._core = core
        self._service = service
        self._limits = limits
        self._calls = service.by_socket_op()
        self._words = BybitWords(core.clock)
        self._caller: Caller | None = None
        self._used_ids: set[str] = set()
        self._used_order: deque[str] = deque()

    async def on_object(self, message: dict[str, Any] | None) -> None:
        """Answer one message; an order's answer may take its time while others go on."""
        if message is None:
            self._refuse(None, "", BybitError(10001, "Invalid JSON"))
            return
        operation, request_id = str(message.get("op", "")), message.get("reqId")
        self.touch()
        if operation == "ping":
            frame: dict[str, Any] = {} if request_id is None else {"reqId": request_id}
            frame |= {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(self._core.clock.now_ms())]}
            self.say(frame | {"connId": self.connection_id})
        elif operation == "auth":
            await self._log_on(message.get("args"), request_id)
        else:
            self._core.tasks.start_soon(self._order, operation, request_id, message)

    async def _log_on(self, args: Any, request_id: Any) -> None:
        key_text = args[0] if isinstance(args, list) and args and isinstance(args[0], str) else ""
        owner = self._core.exchange.owner_of(key_text)
        seen = RequestSeen("session", "WS", "auth", self._core.clock.now_ns())
        seen.account = "" if owner is None else owner[0].name

        def carry_out() -> Reply:
            outcome = Outcome()
            try:
                if self._caller is not None:
                    raise BybitError(20001, "Repeat auth")
                self._caller = log_on(self._core.exchange, args)
                self.connection.account = self._caller.account.name
            except BybitError as error:
                outcome = Outcome.of(error)
            return reply(outcome, self._core.clock.now_ms())

        def frame(answer: Reply) -> str:
            body: dict[str, Any] = {} if request_id is None else {"reqId": request_id}
            message = body_of(answer)["retMsg"]
            body |= {"retCode": answer.code, "retMsg": message, "op": "auth", "connId": self.connection_id}
            return msgspec.json.encode(body).decode()

        delivery = await self._core.answer(seen, carry_out, self._words)
        self._core.deliver_socket(self.connection, delivery, frame)

    async def _order(self, operation: str, request_id: Any, message: dict[str, Any]) -> None:
        call = self._calls.get(operation)
        arguments = message.get("args")
        args = arguments[0] if isinstance(arguments, list) and len(arguments) == 1 else None
        known: dict[str, Any] = args if isinstance(args, dict) else {}
        if call is None:
            self._refuse(request_id, operation, BybitError(10404, "op type is not found"))
            return
        name = "" if self._caller is None else self._caller.account.name
        seen = RequestSeen(call.operation, "WS", operation, self._core.clock.now_ns(), account=name)
        seen.client_id = self._service.client_id(name, known)

        def carry_out() -> Reply:
            headers = {"Timenow": str(self._core.clock.now_ms()), "Traceid": uuid.uuid4().hex}
            try:
                caller = self._admitted(request_id, message, args)
                outcome, allowance = self._service.run(call, caller, known, seen)
                headers |= allowance.headers()
            except BybitError as error:
                outcome = Outcome.of(error)
            return reply(outcome, self._core.clock.now_ms(), headers)

        delivery = await self._core.answer(seen, carry_out, self._words)
        self._core.deliver_socket(
            self.connection,
            delivery,
            lambda answer: socket_frame(
                answer, request_id=request_id, operation=operation, connection_id=self.connection_id
            ),
        )

    def _admitted(self, request_id: Any, message: dict[str, Any], args: Any) -> Caller:
        """Return who asks, once everything about the frame is right.

        Raises:
            BybitError: 10403, 10005, 10001, 20006, 10002 or 10404.
        """
        if self._limits.is_flooded():
            raise BybitError(10403, "exceed IP rate limit")
        if self._caller is None or self._caller.key.key not in self._caller.account.keys:
            raise BybitError(10005, "Permission denied: the connection is not authenticated")
        self._use(request_id)
        headers = message.get("header")
        # Documented as strings; the exchange's own SDK sends the time as a number.
        timestamp = headers.get("X-BAPI-TIMESTAMP") if isinstance(headers, dict) else None
        if not isinstance(headers, dict) or not isinstance(timestamp, str | int) or isinstance(timestamp, bool):
            raise BybitError(10001, "params error: X-BAPI-TIMESTAMP is empty")
        check_time(self._core.clock.now_ms(), str(timestamp), str(headers.get("X-BAPI-RECV-WINDOW", "")))
        if not isinstance(args, dict):
            raise BybitError(10001, "params error: args takes exactly one object")
        category_in(args, BATCH_MAX, code=10404)
        return self._caller

    def _use(self, request_id: Any) -> None:
        if request_id is None:
            return
        if not isinstance(request_id, str) or not 0 < len(request_id) <= _REQUEST_ID_MAX:
            raise BybitError(10001, "params error: reqId invalid")
        if request_id in self._used_ids:
            raise BybitError(20006, "Duplicate reqId")
        self._used_ids.add(request_id)
        self._used_order.append(request_id)
        if len(self._used_order) > _REQUEST_IDS_KEPT:
            self._used_ids.discard(self._used_order.popleft())

    def _refuse(self, request_id: Any, operation: str, error: BybitError) -> None:
        answer = reply(Outcome.of(error), self._core.clock.now_ms())
        self.connection.send(
            socket_frame(answer, request_id=request_id, operation=operation, connection_id=self.connection_id)
        )
