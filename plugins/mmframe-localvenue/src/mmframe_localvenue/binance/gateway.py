"""Requests to Binance over REST and over its WebSocket API: one table of calls, two ways to sign, the same rules.

A product gives a table of `Call`; each has a function from a `Caller` to a JSON value that raises `BinanceError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

import attrs
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mmframe_localvenue.binance.errors import UNKNOWN_KEY, BinanceError, missing
from mmframe_localvenue.binance.limits import WeightLimits
from mmframe_localvenue.binance.params import Params
from mmframe_localvenue.core import Permission, Reply, RequestSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmframe_localvenue.core import Account, ApiKey, Core, Injection, VenueClock

__all__ = ["Call", "Caller", "Gateway", "Security"]

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RECV_WINDOW = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
_RECV_WINDOW_MS, _RECV_WINDOW_MAX_MS = 5_000.0, 60_000.0
_AHEAD_MAX_MS = 1_000
_MICROSECONDS_FROM = 10**14
"""A timestamp from here on is in microseconds: in milliseconds it would lie in the year 5138."""
_ENVELOPE = ("timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits")
"""Parameters of every request, not of the call."""
_INTERVALS = {86_400: ("DAY", 1, "D"), 60: ("MINUTE", 1, "M")}


class Security(Enum):
    """What a call asks of its key."""

    NONE = "none"
    MARKET_DATA = "market_data"
    """A key in the header, no signature."""
    USER_DATA = "user_data"
    TRADE = "trade"


@attrs.define
class Caller:
    """One request, its caller known.

    Attributes:
        params: What was sent, signature and its company not counted.
        account: Whose key signed; None for public calls.
        key: The key that signed.
        places_order: Set by a call that placed an order: the order counts go into the answer.
        is_microsecond: Times of the answer are in microseconds.
    """

    params: Params
    _account: Account | None = None
    key: ApiKey | None = None
    places_order: bool = False
    is_microsecond: bool = False

    @property
    def account(self) -> Account:
        """Return the account of a signed call."""
        assert self._account is not None, "only signed calls ask for their account"  # noqa: S101
        return self._account

    @property
    def has_account(self) -> bool:
        """Tell whether the call was signed."""
        return self._account is not None

    def stamp(self, at_ns: int) -> int:
        """Return a time as the caller wants it: milliseconds, or microseconds."""
        return at_ns // 1_000 if self.is_microsecond else at_ns // 1_000_000


@attrs.frozen
class Call:
    """One thing that can be asked.

    Attributes:
        operation: Name in the god view and the fault script.
        run: Carries it out.
        http: Method and path; None where REST has no such call.
        method: Name on the WebSocket API; empty where it has no such call.
        security: What the key must be and may.
        weight: Of the request; a function where it depends on the parameters.
        is_free: It costs no weight when it succeeds.
    """

    operation: str
    run: Callable[[Caller], Any]
    http: tuple[str, str] | None = None
    method: str = ""
    security: Security = Security.NONE
    weight: int | Callable[[Params], int] = 1
    is_free: bool = False

    def cost(self, params: Params) -> int:
        """Return the weight of a request."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


class Gateway:
    """What stands between requests and the exchange.

    Args:
        core: Of the venue.
        calls: The product's table.
        weight_limit: Weight per minute and address.

    Attributes:
        limits: Weight and bans.
        calls: The table.
    """

    def __init__(self, core: Core, calls: Sequence[Call], *, weight_limit: int) -> None:
        self.core = core
        self.calls = tuple(calls)
        self.limits = WeightLimits(core.clock, core.setup.weight_limit or weight_limit)
        self.methods = {call.method: call for call in self.calls if call.method}

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the REST routes."""
        return [
            web.route(call.http[0], call.http[1], self._rest_handler(call))
            for call in self.calls
            if call.http is not None
        ]

    def rate_limits(self) -> list[dict[str, Any]]:
        """Return the limits as `exchangeInfo` lists them."""
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limits.limit}
        raw = {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000}
        return [weight, *self._order_rules(), raw]

    def order_counts(self, account: Account) -> list[dict[str, Any]]:
        """Return the unfilled orders of an account per interval."""
        now_ns = self.core.clock.now_ns()
        return [
            {
                "rateLimitType": "ORDERS",
                **_interval(window.seconds),
                "limit": window.limit,
                "count": window.count(now_ns),
            }
            for window in account.order_counts
        ]

    def check_order_count(self, account: Account) -> None:
        """Check that the account may place another order.

        Raises:
            BinanceError: 429 if not.
        """
        now_ns = self.core.clock.now_ns()
        for window in account.order_counts:
            if window.count(now_ns) >= window.limit:
                rule = _interval(window.seconds)
                raise BinanceError(
                    -1015,
                    f"Too many new orders; current limit is {window.limit} orders"
                    f" per {rule['intervalNum']} {rule['interval']}.",
                    status=429,
                    retry_after_s=math.ceil(window.left_s(now_ns)),
                )

    # The fault script's words

    def unknown_outcome(self, injection: Injection) -> Reply:
        """Return the 5xx after which nobody knows."""
        msg = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
        return self.refused(BinanceError(-1007, msg, status=injection.status or 503))

    def throttled(self, injection: Injection) -> Reply:
        """Return 429, without touching the weight."""
        return self.refused(self.limits.throttled(injection.retry_after_s))

    def banned(self, injection: Injection) -> Reply:
        """Return 418, and mean it: the address stays banned that long."""
        self.limits.ban(injection.retry_after_s)
        return self.refused(self.limits.banned(injection.retry_after_s))

    # REST

    def refused(self, error: BinanceError) -> Reply:
        """Return a refusal as a reply."""
        headers = self._headers()
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        return Reply(error.status, _json(error.body), headers, error.code)

    def carry_out(self, call: Call, caller: Callable[[], Caller]) -> Reply:
        """Charge, authenticate and run a call.

        Args:
            call: Which.
            caller: Authenticates, and raises `BinanceError` for those it does not let in.
        """
        try:
            known = self._admitted(call, caller)
            result = call.run(known)
            if call.security is Security.USER_DATA:
                known.params.check_all_read()
        except BinanceError as error:
            return self.refused(error)
        if call.is_free:
            self.limits.refund(call.cost(known.params))
        headers = self._headers()
        if known.places_order:
            headers |= self._order_headers(known.account)
        return Reply(200, _json(result), headers)

    def _rest_handler(self, call: Call) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            query = request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape")
            body = await request.read()
            seen = self._seen(call, request, query, body)

            def caller() -> Caller:
                return self._rest_caller(call, request.headers, query, body)

            delivery = await self.core.answer(seen, lambda: self.carry_out(call, caller), self)
            return await self.core.deliver(request, delivery)

        return handle

    def _seen(self, call: Call, request: web.Request, query: bytes, body: bytes) -> RequestSeen:
        fields = dict(parse_qsl((query + b"&" + body).decode("utf-8", "replace")))
        owner = self.core.exchange.owner_of(request.headers.get("X-MBX-APIKEY", ""))
        return RequestSeen(
            operation=call.operation,
            method=request.method,
            path=request.path,
            at_ns=self.core.clock.now_ns(),
            account="" if owner is None else owner[0].name,
            client_id=client_id_in(fields),
        )

    def _rest_caller(self, call: Call, headers: Mapping[str, str], query: bytes, body: bytes) -> Caller:
        values = _fields(query)
        for name, value in _fields(body).items():
            values.setdefault(name, value)
        micro = headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
        if call.security is Security.NONE:
            return Caller(Params(values), is_microsecond=micro)
        account, key = self._key(headers.get("X-MBX-APIKEY", ""), call.security)
        if call.security is Security.MARKET_DATA:
            return Caller(Params(values), account, key, is_microsecond=micro)
        signature = values.pop("signature", "")
        if not signature:
            raise missing("signature")
        payload = _without_signature(query) + _without_signature(body)
        # The bytes must be percent-encoded before they are signed.
        if not payload.isascii():
            raise _bad_signature()
        check_time(self.core.clock, values)
        check_signature(key, payload, signature)
        return Caller(Params(_unsigned(values)), account, key, is_microsecond=micro)

    # Sockets

    def socket_caller(
        self, call: Call, values: dict[str, str], session_key: str | None, *, is_microsecond: bool = False
    ) -> Caller:
        """Authenticate a request of the WebSocket API.

        Args:
            call: Which.
            values: Its parameters as text, as they stand in the frame.
            session_key: Key that the session is logged on with; None for none.
            is_microsecond: Whether the session wants microseconds.

        Raises:
            BinanceError: If the caller is not let in.
        """
        # How the answer looks is no parameter of the call, but it is signed like all others.
        asked = {name: value for name, value in values.items() if name != "returnRateLimits"}
        if call.security in {Security.NONE, Security.MARKET_DATA}:
            return Caller(Params(asked), is_microsecond=is_microsecond)
        if "apiKey" not in values and session_key is not None:
            account, key = self._key(session_key, call.security)
            check_time(self.core.clock, values)
            return Caller(Params(_unsigned(asked)), account, key, is_microsecond=is_microsecond)
        if not values.get("apiKey"):
            raise missing("apiKey")
        account, key = self._key(values["apiKey"], call.security)
        signature = values.get("signature", "")
        if not signature:
            raise missing("signature")
        check_time(self.core.clock, values)
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature").encode()
        check_signature(key, payload, signature)
        return Caller(Params(_unsigned(asked)), account, key, is_microsecond=is_microsecond)

    # Private

    def _admitted(self, call: Call, caller: Callable[[], Caller]) -> Caller:
        """Authenticate and charge; who is refused pays as well, and a banned address hears of nothing else."""
        try:
            known = caller()
        except BinanceError:
            self.limits.charge(1)
            raise
        self.limits.charge(call.cost(known.params))
        return known

    def _key(self, text: str, security: Security) -> tuple[Account, ApiKey]:
        if not _KEY.fullmatch(text):
            raise BinanceError(-2014, "API-key format invalid.", status=401)
        owner = self.core.exchange.owner_of(text)
        needed = Permission.TRADE if security is Security.TRADE else Permission.READ
        if owner is None or needed not in owner[1].permissions:
            raise BinanceError(-2015, UNKNOWN_KEY, status=401)
        return owner

    def _headers(self) -> dict[str, str]:
        used = str(self.limits.used)
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def _order_headers(self, account: Account) -> dict[str, str]:
        now_ns = self.core.clock.now_ns()
        return {
            f"X-MBX-ORDER-COUNT-{_letters(window.seconds)}": str(window.count(now_ns))
            for window in account.order_counts
        }

    def _order_rules(self) -> list[dict[str, Any]]:
        account = self.core.god.account()
        return [
            {"rateLimitType": "ORDERS", **_interval(window.seconds), "limit": window.limit}
            for window in account.order_counts
        ]


def check_time(clock: VenueClock, values: Mapping[str, str]) -> None:
    """Check `timestamp` and `recvWindow` against the venue's clock.

    Raises:
        BinanceError: If one is missing or malformed, or the request is too old or from the future.
    """
    text = values.get("timestamp", "")
    if not text.isdecimal():
        raise missing("timestamp")
    window_text = values.get("recvWindow", "")
    if window_text and not _RECV_WINDOW.fullmatch(window_text):
        raise missing("recvWindow")
    window_ms = float(window_text) if window_text else _RECV_WINDOW_MS
    if window_ms > _RECV_WINDOW_MAX_MS:
        raise BinanceError(-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.")
    stamp = int(text)
    sent_ms = stamp / 1_000 if stamp >= _MICROSECONDS_FROM else float(stamp)
    now_ms = clock.now_ns() / 1e6
    if sent_ms >= now_ms + _AHEAD_MAX_MS:
        raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - sent_ms > window_ms:
        raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_signature(key: ApiKey, payload: bytes, signature: str) -> None:
    """Check a signature over exactly these bytes.

    Raises:
        BinanceError: If it is another's, or none.
    """
    if key.ed25519_public_key is None:
        wanted = hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), signature.lower().encode()):
            raise _bad_signature()
        return
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key.ed25519_public_key).verify(raw, payload)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise _bad_signature() from error


def client_id_in(values: Mapping[str, str]) -> str:
    """Return the client order id that a request is about."""
    for name in ("cancelOrigClientOrderId", "origClientOrderId", "newClientOrderId"):
        if values.get(name):
            return values[name]
    return ""


def _bad_signature() -> BinanceError:
    return BinanceError(-1022, "Signature for this request is not valid.")


def _unsigned(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in _ENVELOPE}


def _fields(raw: bytes) -> dict[str, str]:
    """Return the fields of a query or form.

    Raises:
        BinanceError: If one comes twice.
    """
    values: dict[str, str] = {}
    for part in raw.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        key = unquote_plus(name.decode("utf-8", "replace"))
        if key in values:
            raise BinanceError(-1101, "Duplicate values for a parameter detected.")
        values[key] = unquote_plus(value.decode("utf-8", "replace"))
    return values


def _without_signature(raw: bytes) -> bytes:
    return b"&".join(part for part in raw.split(b"&") if not part.startswith(b"signature="))


def _interval(seconds: int) -> dict[str, Any]:
    name, number, _ = _INTERVALS.get(seconds, ("SECOND", seconds, "S"))
    return {"interval": name, "intervalNum": number}


def _letters(seconds: int) -> str:
    _, number, letter = _INTERVALS.get(seconds, ("SECOND", seconds, "S"))
    return f"{number}{letter}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
