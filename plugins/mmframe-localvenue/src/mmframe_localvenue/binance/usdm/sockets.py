"""Futures stream sockets: which paths there are, who listens to what, and what clients may ask on them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import web

from mmframe_localvenue.binance.commands import answer_command
from mmframe_localvenue.core import Heartbeat, RateWindow, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mmframe_localvenue.core import Connection, Core

__all__ = ["StreamSockets"]

_PING_S, _PONG_S = 180.0, 600.0
_MESSAGES_PER_S = 10
_POLICY_VIOLATION = 1008
_LISTEN_KEY = re.compile(r"[A-Za-z0-9]{32,}")
_PUBLIC = re.compile(r"[^@]+@(?:depth.*|rpiDepth.*|bookTicker|trade)|!bookTicker")
"""Streams of the path `/public`; what is neither these nor a listen key belongs to `/market`."""


@attrs.define(eq=False)
class _Reader:
    """One socket.

    Attributes:
        sockets: Where it is one of.
        branch: `public`, `market` or `private`; empty for the plain path, which carries everything.
        events: The only user events that it wants; empty for all.
    """

    sockets: StreamSockets
    connection: Connection
    branch: str
    is_combined: bool
    events: frozenset[str]
    messages: RateWindow = attrs.field(factory=lambda: RateWindow(1, _MESSAGES_PER_S))
    names: dict[str, None] = attrs.field(factory=dict)

    @property
    def subscribed(self) -> Collection[str]:
        return self.names

    def add(self, name: str) -> None:
        """Subscribe; a stream of another branch is taken and stays silent, as an unknown one does."""
        if name in self.names:
            return
        is_key = _LISTEN_KEY.fullmatch(name) is not None
        if is_key and not self._join(name):
            return
        self.names[name] = None
        home = "private" if is_key else "public" if _PUBLIC.fullmatch(name) else "market"
        if self.branch in {"", home}:
            self.sockets.listen(self, name)

    def remove(self, name: str) -> None:
        self.names.pop(name, None)
        self.sockets.unlisten(self, name)

    def _join(self, key: str) -> bool:
        if not self.connection.join(Role.PRIVATE):
            return False
        self.connection.account = self.sockets.owner_of_key(key) or self.connection.account
        return True


class StreamSockets:
    """All stream sockets of the venue.

    Args:
        core: Of the venue.

    Attributes:
        owner_of_key: Returns the account of a listen key, empty for none.
        on_added: Called with each stream that somebody begins to listen to.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._by_name: dict[str, list[_Reader]] = {}
        self.owner_of_key: Callable[[str], str] = lambda _: ""
        self.on_added: list[Callable[[str], None]] = []

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the websocket routes: each path plain and behind each branch."""
        return [
            web.get(f"{branch}/{kind}{tail}", self._open)
            for branch in ("", "/public", "/market", "/private")
            for kind in ("ws", "stream")
            for tail in ("", "/", "/{streams:.+}")
        ]

    def has_readers(self, name: str) -> bool:
        """Tell whether anybody listens to a stream."""
        return name in self._by_name

    def listening(self, name: str) -> list[Connection]:
        """Return the sockets that listen to a stream."""
        return [reader.connection for reader in self._by_name.get(name, ())]

    def publish(self, name: str, operation: str, payload: dict[str, Any], role: Role = Role.MARKET) -> None:
        """Send a stream's message to whoever listens to it; `operation` is its name in the fault script."""
        readers = self._by_name.get(name)
        if not readers:
            return
        text = _json(payload)
        for reader in tuple(readers):
            if reader.events and role is Role.PRIVATE and payload["e"] not in reader.events:
                continue
            wrapped = f'{{"stream":{json.dumps(name)},"data":{text}}}' if reader.is_combined else text
            reader.connection.send_data(operation, wrapped, role)

    def listen(self, reader: _Reader, name: str) -> None:
        """Send a stream's messages to a socket from now on."""
        self._by_name.setdefault(name, []).append(reader)
        for hear in self.on_added:
            hear(name)

    def unlisten(self, reader: _Reader, name: str) -> None:
        """Send a stream's messages to a socket no longer."""
        readers = self._by_name.get(name, [])
        if reader in readers:
            readers.remove(reader)
            if not readers:
                del self._by_name[name]

    # Sockets

    async def _open(self, request: web.Request) -> web.StreamResponse:
        names = _names(request)
        is_private = request.path.startswith("/private/") or any(_LISTEN_KEY.fullmatch(name) for name in names)

        async def serve(connection: Connection) -> None:
            await self._serve(connection, names)

        heartbeat = Heartbeat(ping_s=_PING_S, pong_s=_PONG_S)
        return await self._core.open_socket(request, Role.PRIVATE if is_private else Role.MARKET, heartbeat, serve)

    async def _serve(self, connection: Connection, names: Sequence[str]) -> None:
        first, _, rest = connection.path.lstrip("/").partition("/")
        branch, kind = ("", first) if first in {"ws", "stream"} else (first, rest.partition("/")[0])
        events = frozenset(filter(None, connection.query.get("events", "").split("/")))
        reader = _Reader(self, connection, branch, kind == "stream", events)
        connection.on_control = lambda: self._count_control(reader)
        for name in names:
            reader.add(name)

        async def on_text(text: str) -> None:
            if self._count(reader):
                connection.send(_json(_wrapped(answer_command(reader, text))))

        try:
            await connection.serve(on_text)
        finally:
            for name in tuple(reader.names):
                reader.remove(name)

    # What clients say

    def _count(self, reader: _Reader) -> bool:
        """Count an incoming message; close the connection and return False when there are too many."""
        if reader.messages.add(1, self._core.clock.now_ns()) <= _MESSAGES_PER_S:
            return True
        reader.connection.close_soon(_POLICY_VIOLATION)
        return False

    def _count_control(self, reader: _Reader) -> None:
        self._count(reader)


def _names(request: web.Request) -> list[str]:
    tail = request.match_info.get("streams", "")
    text = "/".join((tail, request.query.get("streams", ""), request.query.get("listenKey", "")))
    return [name for name in text.split("/") if name]


def _wrapped(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as futures give it: a refusal is an `error`, and names the request where it could be read."""
    if "result" in answer:
        return answer
    return {"error": {"code": answer["code"], "msg": answer["msg"]}, "id": answer.get("id")}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
