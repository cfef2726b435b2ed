"""Asks the exchange once and says what became of it: done, refused, never sent, or nobody knows.

Every secret stays inside: what is told of an answer is the exchange's own words without key and signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.net.budget import Lane
from mmframe.net.request import Answer, HttpRequest, NotSent, OutcomeUnknown
from mmframe_binance.trading.errors import Verdict, verdict_of
from mmframe_binance.trading.signing import rest_target, socket_params
from mmframe_binance.trading.wire import ErrorAnswer, WireError, decoded, parse_socket_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.net.http import HttpSession
    from mmframe.net.request import Reply
    from mmframe.net.timing import Timing
    from mmframe.net.websocket import WebsocketSession
    from mmframe_binance.trading.calls import Call
    from mmframe_binance.trading.clock import ClockOffset
    from mmframe_binance.trading.errors import ErrorCode
    from mmframe_binance.trading.limits import TradingLimits
    from mmframe_binance.trading.signing import Signer

__all__ = ["Client", "Done", "NotYetError", "Outcome", "Refused", "Unclear"]

_OK = 200
_FORBIDDEN, _TEAPOT, _TOO_MANY = 403, 418, 429
_STOPS = frozenset({_FORBIDDEN, _TEAPOT, _TOO_MANY})
_TOO_MANY_ORDERS = -1015
_MESSAGE_CHARACTERS_MAX = 200
_SIGNATURE = re.compile(r"signature=|[0-9A-Fa-f]{64}|[0-9A-Za-z+/%]{80}")
"""What looks like a signature, or like a query with one."""

_PAUSE_S = 0.25
"""Before a request that is not sent is answered as such: who asks again at once must not spin."""


@attrs.frozen(repr=False)
class Done:
    """The exchange did it.

    Attributes:
        data: The answer's JSON.
        receive_ns: When it came, nanoseconds UTC.
    """

    data: bytes
    receive_ns: int


@attrs.frozen
class Refused:
    """The exchange answered with an error.

    Attributes:
        verdict: What that says of the request.
        reason: Code, name and message, without secrets.
        code: The exchange's.
        receive_ns: When it came, nanoseconds UTC.
        data: What came with it, as JSON.
    """

    verdict: Verdict
    reason: str
    code: int
    receive_ns: int
    data: bytes = attrs.field(default=b"null", repr=False)


@attrs.frozen
class Unclear:
    """Nobody knows whether it was done.

    Attributes:
        reason: Why, without secrets.
    """

    reason: str


class NotYetError(Exception):
    """An answer without which there is no going on did not come; it is asked for again."""


Outcome = Done | Refused | Unclear | NotSent


class Client:
    """One account at one product.

    Args:
        http: Connections to its REST host.
        timing: Clock and sleep.
        clock: The exchange's clock against ours.
        limits: Budgets.
        errors: The product's table.
        recv_window_ms: How long after its time a request may still be executed.
        timeout_s: Time for an answer.

    Attributes:
        on_clock_error: Called when the exchange refused our time.
        on_fatal: Called with the reason when the exchange refused the key or the account.
        on_stop: Called with the reason when the exchange told us to be silent.
        cancel_http: Connections for cancels alone, which so never wait behind orders and queries without an answer;
            None where there are none to come.
    """

    def __init__(  # noqa: PLR0913 - what a request needs, each thing by its name
        self,
        http: HttpSession,
        *,
        timing: Timing,
        clock: ClockOffset,
        limits: TradingLimits,
        errors: Mapping[int, ErrorCode],
        recv_window_ms: int,
        timeout_s: float,
    ) -> None:
        self._http = http
        self._timing = timing
        self._clock = clock
        self._limits = limits
        self._errors = errors
        self._recv_window = str(recv_window_ms)
        self._timeout_s = timeout_s
        self._api_key = ""
        self._signer: Signer | None = None
        self._sequence = 0
        self.on_clock_error: Callable[[], None] = _nothing
        self.on_fatal: Callable[[str], None] = _ignore
        self.on_stop: Callable[[str], None] = _ignore
        self.cancel_http: HttpSession | None = None

    def __repr__(self) -> str:
        return f"<Client of {self._http.origin}>"

    def use_key(self, api_key: str, signer: Signer) -> None:
        """Sign with this key from now on."""
        self._api_key = api_key
        self._signer = signer

    def at(self, http: HttpSession) -> Client:
        """Return a client of the same account at another host."""
        other = Client(
            http,
            timing=self._timing,
            clock=self._clock,
            limits=self._limits,
            errors=self._errors,
            recv_window_ms=int(self._recv_window),
            timeout_s=self._timeout_s,
        )
        other.use_key(self._api_key, self._required_signer())
        return other

    async def ask(
        self,
        call: Call,
        fields: Mapping[str, str],
        *,
        socket: WebsocketSession | None = None,
        refusal: Callable[[], str] | None = None,
    ) -> Outcome:
        """Send one request once, when the budgets have room for it, and return what became of it.

        Args:
            call: What kind.
            fields: Its parameters besides key, time and signature.
            socket: Where to send it instead of REST.
            refusal: Asked when there is room: why it is not to be sent any more, empty when it is.
        """
        reason = await self._admit(call) or ("" if refusal is None else refusal())
        if reason:
            return NotSent(reason)
        if socket is not None and call.socket_method:
            outcome = await self._ask_socket(call, fields, socket)
        else:
            outcome = await self._ask_rest(call, fields)
        if isinstance(outcome, NotSent):
            await self._timing.sleep(_PAUSE_S)
        elif isinstance(outcome, Refused):
            self._heed(outcome)
        return outcome

    def signed_text(self, method: str, fields: Mapping[str, str]) -> tuple[str, str]:
        """Return a signed request for the socket and its id."""
        self._sequence += 1
        request_id = str(self._sequence)
        signer = self._required_signer()
        params = socket_params({**fields, "apiKey": self._api_key, "timestamp": self._timestamp()}, signer)
        request = {"id": request_id, "method": method, "params": params}
        return msgspec.json.encode(request).decode(), request_id

    def outcome_of_reply(self, reply: Reply) -> Outcome:
        """Return what an answer on the socket says, and take its counts."""
        try:
            answer = parse_socket_answer(reply.data)
        except WireError as unreadable:
            return Unclear(unreadable.message)
        error = answer.error
        retry_ms = 0 if error is None else _retry_after_ms(error.data)
        self._limits.on_socket_answer(
            answer.status,
            answer.rate_limits,
            retry_ms,
            reply.receive_ns,
            server_ms=self._clock.timestamp_ms(reply.receive_ns),
            is_order_limit=error is not None and error.code == _TOO_MANY_ORDERS,
        )
        if error is None:
            if answer.status == _OK:
                return Done(bytes(answer.result), reply.receive_ns)
            return Unclear(f"status {answer.status} without an error")
        return self._refused(answer.status, error, reply.receive_ns)

    async def _admit(self, call: Call) -> str:
        """Wait for room in the budgets; return why a request is not to be sent, empty when it is."""
        deadline_ns = self._timing.now_ns() + round(call.worth_s * 1e9)
        while True:
            now_ns = self._timing.now_ns()
            wait_ns = self._limits.wait_ns(call.lane, call.weight, call.orders, now_ns)
            if wait_ns <= 0:
                return ""
            left_ns = deadline_ns - now_ns
            if left_ns <= 0:
                block = self._limits.block(now_ns)
                return f"blocked: {block.reason}" if block else f"no room in the rate limits within {call.worth_s:g} s"
            await self._timing.sleep(min(wait_ns, left_ns) / 1e9)

    async def _ask_rest(self, call: Call, fields: Mapping[str, str]) -> Outcome:
        signer = None
        pairs = list(fields.items())
        if call.security == "signed":
            signer = self._required_signer()
            pairs += [("recvWindow", self._recv_window), ("timestamp", self._timestamp())]
        headers = () if call.security == "none" else (("X-MBX-APIKEY", self._api_key),)
        request = HttpRequest(call.method, rest_target(call.path, pairs, signer), headers)
        http = self.cancel_http if call.lane is Lane.CANCEL and self.cancel_http is not None else self._http
        result = await http.send(request, total_s=self._timeout_s)
        if isinstance(result, OutcomeUnknown):
            return Unclear(result.reason)
        return result if isinstance(result, NotSent) else self._outcome_of_answer(result)

    async def _ask_socket(self, call: Call, fields: Mapping[str, str], socket: WebsocketSession) -> Outcome:
        text, request_id = self.signed_text(call.socket_method, {**fields, "recvWindow": self._recv_window})
        connection = socket.connection
        result = await socket.request(text, request_id, within_s=self._timeout_s)
        if isinstance(result, OutcomeUnknown):
            # Where one request went nowhere the next cancel is not to follow, and the account's events may be lost
            # there too: REST takes over until there is another connection.
            if connection is not None:
                socket.reconnect("a request was not answered", connection.generation)
            return Unclear(result.reason)
        return result if isinstance(result, NotSent) else self.outcome_of_reply(result)

    def _outcome_of_answer(self, answer: Answer) -> Outcome:
        error: ErrorAnswer | None = None
        if answer.status != _OK:
            try:
                error = decoded(answer.body, ErrorAnswer, "error answer")
            except WireError:
                error = None
        is_order_limit = error is not None and error.code == _TOO_MANY_ORDERS
        self._limits.on_answer(answer.status, answer.headers, answer.receive_ns, is_order_limit=is_order_limit)
        if answer.status == _OK:
            return Done(answer.body, answer.receive_ns)
        if error is None:
            if answer.status in _STOPS:
                self.on_stop(f"HTTP {answer.status}")
            return Unclear(f"HTTP {answer.status} without an error code")
        return self._refused(answer.status, error, answer.receive_ns)

    def _refused(self, status: int, error: ErrorAnswer, receive_ns: int) -> Refused:
        verdict = verdict_of(self._errors, status, error.code, error.msg)
        listed = self._errors.get(error.code)
        name = f" {listed.name}" if listed else ""
        reason = f"{error.code}{name}: {self.said(error.msg)}"
        if status in _STOPS and error.code != _TOO_MANY_ORDERS:
            self.on_stop(f"status {status}, {reason}")
        return Refused(verdict, reason, error.code, receive_ns, bytes(error.data))

    def _heed(self, refused: Refused) -> None:
        if refused.verdict is Verdict.CLOCK:
            self.on_clock_error()
        elif refused.verdict is Verdict.FATAL:
            self.on_fatal(refused.reason)

    def said(self, message: str) -> str:
        """Return the exchange's words fit to be shown: a server may quote what it was sent."""
        text = "".join(character if character.isprintable() else "?" for character in message)
        if _SIGNATURE.search(text) or (self._api_key and self._api_key in text):
            return "(not shown: it quotes the request)"
        return text[:_MESSAGE_CHARACTERS_MAX]

    def _timestamp(self) -> str:
        return str(self._clock.timestamp_ms(self._timing.now_ns()))

    def _required_signer(self) -> Signer:
        if self._signer is None:
            msg = "signed request: expected a key, was none"
            raise WireError(msg)
        return self._signer


class _RetryAfter(msgspec.Struct, frozen=True, rename="camel"):
    retry_after: int = 0


def _retry_after_ms(data: msgspec.Raw) -> int:
    try:
        return msgspec.json.decode(data, type=_RetryAfter).retry_after
    except msgspec.DecodeError:
        return 0


def _nothing() -> None:
    """Do nothing: nobody wants to know."""


def _ignore(_reason: str) -> None:
    """Do nothing: nobody wants to know."""
