"""Asking the exchange over HTTP: each request signed, sent once within its limits, and what became of it as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from mmframe.net.budget import Lane
from mmframe.net.http import HttpLimits, HttpSession
from mmframe.net.request import Answer, HttpRequest, NotSent
from mmframe.net.signing import percent_encoded
from mmframe_bybit.trading.codes import HTTP_STATUSES, CodeClass, class_of, meaning_of
from mmframe_bybit.trading.limits import Endpoint
from mmframe_bybit.trading.messages import Envelope, decode, json_text
from mmframe_bybit.trading.outcome import Accepted, NeverSent, Outcome, Refused, Unclear
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe.net.timing import Timing
    from mmframe_bybit.trading.auth import Credentials
    from mmframe_bybit.trading.limits import Limits

__all__ = ["QUERY_PATIENCE_S", "RestClient", "ServerClock"]

QUERY_PATIENCE_S = 5.0
"""How long a question is worth waiting for room in the rate limits."""

_NS_PER_MS = 1_000_000
_TIME_SAMPLES = 3
_OK_STATUS = 200
_FORBIDDEN_STATUS = 403
_BODY_BYTES_MAX = 8 * 1024 * 1024
_CONCURRENT_MAX = 10


class _Time(msgspec.Struct, frozen=True, rename="camel"):
    time_nano: str


class ServerClock:
    """What time it is at the exchange: our clock and the difference.

    Attributes:
        ahead_ns: How far the exchange's clock is ahead of ours.
        uncertainty_ns: Half of the round trip in which that was measured.
        read_ns: When it was measured; 0 for never.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.ahead_ns = 0
        self.uncertainty_ns = 0
        self.read_ns = 0

    def now_ms(self) -> int:
        """Return the exchange's time in milliseconds UTC."""
        return (self._timing.now_ns() + self.ahead_ns) // _NS_PER_MS

    def set(self, *, ahead_ns: int, uncertainty_ns: int) -> None:
        """Take a measurement."""
        self.ahead_ns = ahead_ns
        self.uncertainty_ns = uncertainty_ns
        self.read_ns = self._timing.now_ns()


class RestClient:
    """One account over HTTP. An asynchronous context manager: leaving it closes the connections.

    Args:
        url: Scheme and host.
        credentials: The key.
        limits: The budgets.
        timing: Clock and sleep.
        timeout_s: Time for an answer.

    Attributes:
        clock: The exchange's clock.
        on_clock_wrong: Called when a request was refused for its time.
    """

    def __init__(
        self, url: str, credentials: Credentials, *, limits: Limits, timing: Timing, timeout_s: float = 10.0
    ) -> None:
        self.clock = ServerClock(timing)
        self.on_clock_wrong: Callable[[], None] = _nobody
        self.limits = limits
        self._credentials = credentials
        self._timing = timing
        self._session, self._for_cancels = (
            HttpSession(
                url,
                timing=timing,
                limits=HttpLimits(
                    concurrent_max=_CONCURRENT_MAX, total_s=timeout_s, read_s=timeout_s, body_bytes_max=_BODY_BYTES_MAX
                ),
            )
            for _ in range(2)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.aclose()
        await self._for_cancels.aclose()

    def __repr__(self) -> str:
        return f"<RestClient {self._session.origin}>"

    async def read_clock(self) -> Outcome:
        """Measure the exchange's clock; the quickest of a few answers counts. Return the last outcome."""
        best: tuple[int, int] | None = None
        outcome: Outcome = NeverSent("not asked", self._timing.now_ns())
        for _ in range(_TIME_SAMPLES):
            sent_ns = self._timing.now_ns()
            outcome = await self.ask(Endpoint.TIME)
            if not isinstance(outcome, Accepted):
                break
            trip_ns = max(0, outcome.receive_ns - sent_ns)
            text = decode(outcome.result, _Time).time_nano
            if not text.isascii() or not text.isdigit() or len(text) > 19:
                return Unclear("the exchange's time is no number", outcome.receive_ns)
            if best is None or trip_ns < best[0]:
                best = (trip_ns, int(text) - (sent_ns + trip_ns // 2))
        if best is not None:
            self.clock.set(ahead_ns=best[1], uncertainty_ns=best[0] // 2)
            if not isinstance(outcome, Accepted):
                return Accepted(msgspec.Raw(b"{}"), self._timing.now_ns())
        return outcome

    async def ask(
        self,
        endpoint: Endpoint,
        fields: Mapping[str, object] | None = None,
        *,
        lane: Lane = Lane.QUERY,
        within_s: float = QUERY_PATIENCE_S,
        unless: Callable[[], str] = lambda: "",
    ) -> Outcome:
        """Send one request once and return what became of it.

        Args:
            endpoint: What is asked.
            fields: Its query, or its body; in this order. Values of a query are texts.
            lane: What for.
            within_s: How long it may wait for room in the limits.
            unless: Tells, once there is room, why it is not to be sent any more; empty if it is.
        """
        refusal = await self.limits.take(endpoint, lane, within_s=within_s, over_http=True) or unless()
        if refusal:
            return NeverSent(refusal, self._timing.now_ns())
        session = self._session
        if lane is Lane.CANCEL and session.under_way >= _CONCURRENT_MAX:
            # Behind answers that do not come a cancel would wait until its own time is over.
            session = self._for_cancels
        answer = await session.send(self._request(endpoint, fields or {}))
        now_ns = self._timing.now_ns()
        if isinstance(answer, NotSent):
            return NeverSent(answer.reason, now_ns)
        if not isinstance(answer, Answer):
            if answer.status == _FORBIDDEN_STATUS:
                self.limits.on_forbidden()
            return Unclear(answer.reason, now_ns)
        return self._outcome(endpoint, answer)

    def _request(self, endpoint: Endpoint, fields: Mapping[str, object]) -> HttpRequest:
        if endpoint.is_post:
            content, target = json_text(fields), endpoint.path.encode()
        else:
            content = percent_encoded((name, str(value)) for name, value in fields.items())
            target = endpoint.path.encode() + (b"?" + content if content else b"")
        headers = () if endpoint.is_public else self._credentials.headers(content, self.clock.now_ms())
        if endpoint.is_post:
            headers = (*headers, ("Content-Type", "application/json"))
        return HttpRequest("POST" if endpoint.is_post else "GET", target, headers, content if endpoint.is_post else b"")

    def _outcome(self, endpoint: Endpoint, answer: Answer) -> Outcome:
        self.limits.on_headers(endpoint, answer.headers)
        if answer.status == _FORBIDDEN_STATUS:
            self.limits.on_forbidden()
        if answer.status != _OK_STATUS:
            kind, meaning = HTTP_STATUSES.get(answer.status, (CodeClass.UNCLEAR, "not a documented status"))
            if kind is CodeClass.UNCLEAR:
                return Unclear(f"HTTP {answer.status}: {meaning}", answer.receive_ns)
            return Refused(answer.status, kind, f"HTTP {answer.status}: {meaning}", answer.receive_ns)
        try:
            envelope = decode(answer.body, Envelope)
        except FrameError as error:
            return Unclear(f"{endpoint.path}: {error.message}", answer.receive_ns)
        if envelope.ret_code == 0:
            return Accepted(envelope.result, answer.receive_ns)
        return self.refused(endpoint, envelope.ret_code, envelope.ret_msg, answer.headers, answer.receive_ns)

    def refused(
        self, endpoint: Endpoint, code: int, words: str, headers: Mapping[str, str], receive_ns: int
    ) -> Refused:
        """Return the refusal that a code is, and let its endpoint rest when it says so."""
        kind = class_of(code)
        if kind is CodeClass.THROTTLED:
            self.limits.on_throttled(endpoint, headers, server_ahead_ns=self.clock.ahead_ns)
        elif kind is CodeClass.CLOCK:
            self.on_clock_wrong()
        reason = f"{code}: {self._credentials.shown(words) or meaning_of(code)}"
        return Refused(code, kind, reason, receive_ns)


def _nobody() -> None:
    """Tell nobody: no venue runs."""
