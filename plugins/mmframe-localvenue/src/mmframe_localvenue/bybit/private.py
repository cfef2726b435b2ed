"""The private socket: log on, subscribe, hear the account's news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmframe_localvenue.bybit.auth import log_on
from mmframe_localvenue.bybit.envelope import BybitError, BybitWords, Outcome, body_of, reply
from mmframe_localvenue.bybit.news import PRIVATE_TOPICS
from mmframe_localvenue.bybit.sessions import NO_PINGS, Session
from mmframe_localvenue.core import Reply, RequestSeen, Role

if TYPE_CHECKING:
    from aiohttp import web

    from mmframe_localvenue.bybit.dead_man import DeadMan
    from mmframe_localvenue.bybit.news import News
    from mmframe_localvenue.core import Connection, Core

__all__ = ["PrivateSockets"]


class PrivateSockets:
    """All sockets under `/v5/private`.

    Args:
        core: The venue.
        news: What they hear.
        dead_man: Counts those that subscribe `dcp.*`.
    """

    def __init__(self, core: Core, news: News, dead_man: DeadMan) -> None:
        self._core = core
        self._news = news
        self._dead_man = dead_man

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""
        return await self._core.open_socket(request, Role.PRIVATE, NO_PINGS, self._serve)

    async def _serve(self, connection: Connection) -> None:
        session = _PrivateSession(connection, self._core, self._news, self._dead_man)
        try:
            await session.serve(session.on_object)
        finally:
            self._news.forget(session)
            self._dead_man.gone(connection)


class _PrivateSession(Session):
    """One private socket."""

    def __init__(self, connection: Connection, core: Core, news: News, dead_man: DeadMan) -> None:
        super().__init__(connection, core.clock)
        self._core = core
        self._news = news
        self._dead_man = dead_man
        self._topics: set[str] = set()
        self._words = BybitWords(core.clock)

    async def on_object(self, message: dict[str, Any] | None) -> None:
        """Answer one message."""
        if message is None:
            self._ack("", None, "Invalid JSON")
            return
        operation, request_id = str(message.get("op", "")), message.get("req_id")
        if operation == "ping":
            self.touch()
            self._dead_man.pinged(self.connection)
            now_text = str(self._core.clock.now_ms())
            self.say({"req_id": request_id or "", "op": "pong", "args": [now_text], "conn_id": self.connection_id})
        elif operation == "auth":
            await self._log_on(message.get("args"), request_id)
        elif operation in {"subscribe", "unsubscribe"}:
            self._subscribe(operation, message.get("args"), request_id)
        else:
            self._ack(operation, request_id, "Request not supported")

    async def _log_on(self, args: Any, request_id: Any) -> None:
        key_text = args[0] if isinstance(args, list) and args and isinstance(args[0], str) else ""
        owner = self._core.exchange.owner_of(key_text)
        seen = RequestSeen("user-stream.open", "WS", "auth", self._core.clock.now_ns())
        seen.account = "" if owner is None else owner[0].name

        def carry_out() -> Reply:
            try:
                self.connection.account = log_on(self._core.exchange, args).account.name
            except BybitError as error:
                return reply(Outcome.of(error), self._core.clock.now_ms())
            return reply(Outcome(), self._core.clock.now_ms())

        delivery = await self._core.answer(seen, carry_out, self._words)
        self._core.deliver_socket(self.connection, delivery, lambda answer: self._auth_frame(answer, request_id))

    def _auth_frame(self, answer: Reply, request_id: Any) -> str:
        frame: dict[str, Any] = {
            "success": not answer.code,
            "ret_msg": "",
            "op": "auth",
            "conn_id": self.connection_id,
        }
        if answer.code:
            frame["ret_msg"] = str(body_of(answer)["retMsg"])
        if request_id is not None:
            frame["req_id"] = request_id
        return msgspec.json.encode(frame).decode()

    def _subscribe(self, operation: str, args: Any, request_id: Any) -> None:
        topics = {str(topic) for topic in args} if isinstance(args, list) else set()
        problem = self._problem(topics)
        if problem:
            self._ack(operation, request_id, problem)
            return
        self._topics = self._topics | topics if operation == "subscribe" else self._topics - topics
        self._news.subscribe(self, self._topics)
        if operation == "subscribe":
            self._dead_man.subscribed(self.connection, topics)
        self._ack(operation, request_id)

    def _problem(self, topics: set[str]) -> str:
        if not self.connection.account:
            return "Request not authorized"
        unknown = sorted(topics - PRIVATE_TOPICS)
        if not topics or unknown:
            return f"error:handler not found,topic:{','.join(unknown)}"
        for whole in ("order", "execution", "position"):
            if whole in topics and any(f"{whole}.{one}" in topics for one in ("spot", "linear", "inverse", "option")):
                return f"error:topic {whole} and its categories in one request"
        return ""

    def _ack(self, operation: str, request_id: Any, problem: str = "") -> None:
        frame: dict[str, Any] = {"success": not problem, "ret_msg": problem, "op": operation}
        frame |= {"conn_id": self.connection_id, "req_id": "" if request_id is None else request_id}
        self.say(frame)
