"""REST: the bytes of a request in, the envelope out."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from mmframe_localvenue.bybit.auth import caller_of
from mmframe_localvenue.bybit.envelope import BybitError, BybitWords, Outcome, reply
from mmframe_localvenue.core import Reply, RequestSeen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mmframe_localvenue.bybit.limits import Limits
    from mmframe_localvenue.bybit.service import PrivateCall, PublicCall, Service
    from mmframe_localvenue.core import Core

__all__ = ["Rest", "object_of"]


class Rest:
    """The HTTP side.

    Args:
        core: The venue.
        service: Carries out.
        limits: Bans addresses.
    """

    def __init__(self, core: Core, service: Service, limits: Limits) -> None:
        self._core = core
        self._service = service
        self._limits = limits
        self._words = BybitWords(core.clock)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Return the routes; anything else under `/v5` is 10017."""
        public = [web.get(call.path, self._public(call)) for call in self._service.public_calls]
        private = [web.route(call.method, call.path, self._private(call)) for call in self._service.private_calls]
        return [*public, *private, web.route("*", "/v5/{rest:.*}", self._unknown)]

    def headers(self) -> dict[str, str]:
        """Return what every answer carries."""
        return {"Timenow": str(self._core.clock.now_ms()), "Traceid": uuid.uuid4().hex}

    def _public(self, call: PublicCall) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            query = _query(request)
            seen = self._seen(request, call.operation)

            def run() -> Outcome:
                return Outcome(call.run(query))

            return await self._answer(request, seen, lambda: self._guarded(run, {}))

        return handle

    def _private(self, call: PrivateCall) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            payload = _raw_query(request).encode() if call.method == "GET" else body
            args = _query(request) if call.method == "GET" else object_of(body)
            known = {} if args is None else args
            seen = self._seen(request, call.operation_of(known))
            owner = self._core.exchange.owner_of(request.headers.get("X-BAPI-API-KEY", ""))
            seen.account = "" if owner is None else owner[0].name
            seen.client_id = self._service.client_id(seen.account, known)
            headers: dict[str, str] = {}

            def run() -> Outcome:
                caller = caller_of(self._core.exchange, request.headers, payload)
                if args is None:
                    raise BybitError(10001, "params error: the body is no JSON object")
                outcome, allowance = self._service.run(call, caller, args, seen)
                headers.update(allowance.headers())
                return outcome

            return await self._answer(request, seen, lambda: self._guarded(run, headers))

        return handle

    async def _unknown(self, request: web.Request) -> web.StreamResponse:  # noqa: ARG002 - a route's signature
        answer = reply(Outcome(code=10017, message="Route not found."), self._core.clock.now_ms(), self.headers())
        return web.Response(status=404, text=answer.text, headers=answer.headers, content_type="application/json")

    def _seen(self, request: web.Request, operation: str) -> RequestSeen:
        return RequestSeen(operation, request.method, request.path, self._core.clock.now_ns())

    async def _answer(
        self, request: web.Request, seen: RequestSeen, carry_out: Callable[[], Reply]
    ) -> web.StreamResponse:
        return await self._core.deliver(request, await self._core.answer(seen, carry_out, self._words))

    def _guarded(self, run: Callable[[], Outcome], headers: dict[str, str]) -> Reply:
        """Run a request of an address that is not banned, and word what came of it."""
        if self._limits.is_banned():
            return Reply(403, "access too frequent", code=403)
        try:
            outcome = run()
        except BybitError as error:
            outcome = Outcome.of(error)
        return reply(outcome, self._core.clock.now_ms(), self.headers() | headers)


def object_of(body: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object of a body; None when it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def _raw_query(request: web.Request) -> str:
    """Return the query as it was sent: a signature is over these characters, not over what they mean."""
    return request.raw_path.partition("?")[2]


def _query(request: web.Request) -> dict[str, str]:
    return dict(parse_qsl(_raw_query(request), keep_blank_values=True))
