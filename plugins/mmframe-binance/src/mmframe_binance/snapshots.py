"""Snapshots of books over REST: one at a time, within the weight budget, again and again until they can be joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec

from mmframe.errors import FeedError
from mmframe.net.backoff import Backoff
from mmframe.net.budget import Lane
from mmframe.net.request import Answer, HttpRequest
from mmframe.net.signing import percent_encoded
from mmframe_binance.wire import DepthSnapshot, FrameError, parse_frame

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence
    from random import Random

    from mmframe.net.budget import RateBudget
    from mmframe.net.http import HttpSession
    from mmframe.net.timing import Timing

__all__ = ["Fetched", "SnapshotFetcher"]

_STABLE_S = 10.0
"""Life of a book after which its next snapshot is fetched at once again."""

_LOOK_S = 0.1
"""Between two looks while a snapshot is not due yet or no connection is there: another may be due sooner."""

_BAN_NS = 60_000_000_000
"""How long to be silent after an answer that says stop and not for how long."""

_OK = 200
_BAD_REQUEST = 400


class Fetched(NamedTuple):
    """A snapshot as it arrived.

    Attributes:
        market: Index of the market.
        snapshot: The book.
        receive_ns: When its last byte came, nanoseconds UTC.
        epoch: Of the fetcher when it was asked for.
        body: The answer as it came.
    """

    market: int
    snapshot: DepthSnapshot
    receive_ns: int
    epoch: int
    body: bytes


class _Refusal(msgspec.Struct, frozen=True):
    code: int


class SnapshotFetcher:
    """Fetches the snapshots that are wanted, the longest due one first.

    A market is wanted from `want` to `joined`; `failed` has it fetched again after a delay that grows.

    Args:
        symbols: The exchange's names of the markets, by index.
        path: Of the endpoint.
        levels: Levels a side to ask for.
        weight: Of one request.
        budget: What all requests of this address share.
        timing: Clock and sleep.
        randomness: Of the delays.
        logger: The feed's.
        is_connected: Tells whether the diffs that follow a snapshot are being received.
    """

    def __init__(  # noqa: PLR0913 - what a request needs, each thing by its name
        self,
        symbols: Sequence[str],
        *,
        path: str,
        levels: int,
        weight: int,
        budget: RateBudget,
        timing: Timing,
        randomness: Random,
        logger: logging.Logger,
        is_connected: Callable[[], bool],
    ) -> None:
        self._symbols = symbols
        self._path = path
        self._levels = levels
        self._weight = weight
        self._budget = budget
        self._timing = timing
        self._logger = logger
        self._is_connected = is_connected
        self._backoffs = [Backoff(randomness, stable_after_s=_STABLE_S) for _ in symbols]
        self._wanted: set[int] = set()
        self._due_ns: dict[int, int] = {}
        self._fetched: list[Fetched] = []
        self._news = anyio.Event()
        self.epoch = 0
        """Raised whenever a connection was lost: snapshots asked for before that are of no use."""

    def want(self, market: int) -> None:
        """Have a market's snapshot fetched, unless that is under way already."""
        if market in self._wanted:
            return
        self._wanted.add(market)
        backoff = self._backoffs[market]
        backoff.on_lost(self._timing.now_ns())
        is_first = backoff.attempts == 0
        delay_s = backoff.next_delay_s()
        self._schedule(market, 0.0 if is_first else delay_s)

    def joined(self, market: int) -> None:
        """Take note that a market's book is whole."""
        self._wanted.discard(market)
        self._backoffs[market].on_opened(self._timing.now_ns())

    def failed(self, market: int) -> None:
        """Have a market's snapshot fetched again: the last one was of no use."""
        self._schedule(market, self._backoffs[market].next_delay_s())

    def drain(self) -> list[Fetched]:
        """Return what has arrived, in order; each once."""
        fetched, self._fetched = self._fetched, []
        return fetched

    async def run(self, http: HttpSession, notify: Callable[[], None]) -> None:
        """Fetch until cancelled.

        Raises:
            FeedError: If the exchange says that a request is wrong, as for a symbol that it does not have.
        """
        while True:
            self._news = anyio.Event()
            if not self._due_ns:
                await self._news.wait()
                continue
            market = min(self._due_ns, key=self._due_ns.__getitem__)
            wait_ns = self._due_ns[market] - self._timing.now_ns()
            if wait_ns > 0 or not self._is_connected():
                await self._timing.sleep(_LOOK_S if wait_ns <= 0 else min(wait_ns / 1e9, _LOOK_S))
            else:
                await self._fetch(market, http, notify)

    async def _fetch(self, market: int, http: HttpSession, notify: Callable[[], None]) -> None:
        while (wait_ns := self._budget.try_take(Lane.QUERY, self._weight, self._timing.now_ns())) > 0:
            await self._timing.sleep(wait_ns / 1e9)
        del self._due_ns[market]
        epoch = self.epoch
        query = percent_encoded((("symbol", self._symbols[market]), ("limit", str(self._levels))))
        answer = await http.send(HttpRequest("GET", self._path.encode() + b"?" + query))
        if not isinstance(answer, Answer):
            self._retry(market, answer.reason)
            return
        self._heed(answer)
        if answer.status == _BAD_REQUEST and (code := _refusal_code(answer.body)) is not None:
            raise self._refused(market, code)
        if answer.status != _OK:
            self._retry(market, f"HTTP {answer.status}")
            return
        try:
            snapshot = parse_frame(answer.body)
        except FrameError as error:
            self._retry(market, error.message)
            return
        if not isinstance(snapshot, DepthSnapshot):
            self._retry(market, "the answer is no depth snapshot")
            return
        self._fetched.append(Fetched(market, snapshot, answer.receive_ns, epoch, answer.body))
        notify()

    def _heed(self, answer: Answer) -> None:
        """Take what the answer says of the weight used and of having to wait."""
        used = answer.headers.get("x-mbx-used-weight-1m", "")
        if used.isascii() and used.isdigit() and len(used) < len(str(2**63)):
            self._budget.on_used("1M", int(used), answer.receive_ns)
        self._budget.on_status(answer.status, answer.headers, answer.receive_ns, default_wait_ns=_BAN_NS)

    def _refused(self, market: int, code: int) -> FeedError:
        msg = (
            f"snapshot of {self._symbols[market]}: the exchange refuses the request (HTTP {_BAD_REQUEST}, code {code})"
        )
        return FeedError(
            msg, hint="check that the exchange lists the market; venue_symbol gives it the exchange's name"
        )

    def _retry(self, market: int, reason: str) -> None:
        self._logger.warning("snapshot_failed", extra={"symbol": self._symbols[market], "reason": reason})
        self.failed(market)

    def _schedule(self, market: int, delay_s: float) -> None:
        self._due_ns[market] = self._timing.now_ns() + round(delay_s * 1e9)
        self._news.set()


def _refusal_code(body: bytes) -> int | None:
    """Return the exchange's own code of a refusal; None for the page of somebody in between."""
    try:
        return msgspec.json.decode(body, type=_Refusal).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
