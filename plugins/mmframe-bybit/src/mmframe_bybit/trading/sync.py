"""Bringing the strategy up to date with the account: before the venue says that it is up, and after every break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from mmframe.domain.orders import VenueStatus
from mmframe.errors import VenueError
from mmframe.net.backoff import Backoff
from mmframe_bybit.trading.account import AskError, grid_problems
from mmframe_bybit.trading.outcome import Accepted
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    import logging
    from random import Random

    from mmframe.domain.instrument import Instrument
    from mmframe.net.timing import Timing
    from mmframe_bybit.trading.account import Account
    from mmframe_bybit.trading.evidence import Evidence, Outbox
    from mmframe_bybit.trading.tracking import OrderRecord, OrderRecords

__all__ = ["Synchroniser"]

_BACKFILL_MARGIN_MS = 60_000
"""How far before the last news of the stream missed executions are looked for: its topics are not in step."""

_BACKOFF_BASE_S = 1.0
_BACKOFF_CAP_S = 5.0
"""Once the exchange answers again nobody should wait long; the questions are few."""

_GRID_HINT = "set tick_size and lot_size of the market to the steps of the exchange"


class Synchroniser:
    """Decides whether the venue is up.

    Args:
        account: Is asked.
        evidence: Takes the answers.
        records: What is known of our orders.
        outbox: Where events go.
        timing: Clock and sleep.
        randomness: Source of the jitter between attempts.
        logger: For outages.
        disconnect_cancel_s: Time for the exchange's own cancel on disconnect, or None for none.
        removes_only: Nothing will be placed, so what only new orders depend on is not looked at.

    Attributes:
        listed: Each market's instrument as the exchange lists it, once it has been asked.
        is_up: Whether the strategy was told that the venue is up.
        latch: Why it stays down for good; empty while it does not.
    """

    def __init__(  # noqa: PLR0913 - its parts, each by its name
        self,
        account: Account,
        *,
        evidence: Evidence,
        records: OrderRecords,
        outbox: Outbox,
        timing: Timing,
        randomness: Random,
        logger: logging.Logger,
        disconnect_cancel_s: int | None,
        removes_only: bool,
    ) -> None:
        self.listed: dict[int, Instrument] = {}
        self.is_up = False
        self.latch = ""
        self._account = account
        self._evidence = evidence
        self._records = records
        self._outbox = outbox
        self._timing = timing
        self._randomness = randomness
        self._logger = logger
        self._disconnect_cancel_s = disconnect_cancel_s
        self._removes_only = removes_only
        self._has_stream = False
        self._was_up = False
        self._is_prepared = False
        self._is_outage_logged = False
        self._last_news_ms: int | None = None
        self._wanted = anyio.Event()

    # What happens to the stream.

    def on_stream_up(self, generation: int) -> None:
        """Take note that the stream is subscribed: from now on nothing of it is missed."""
        self._has_stream = True
        if self._last_news_ms is None:
            self._last_news_ms = self._account.rest.clock.now_ms()
        self._logger.debug("private_stream_subscribed", extra={"generation": generation})
        self._wanted.set()

    def on_stream_lost(self, reason: str) -> None:
        """Take note that there is no stream: nothing is known until the next one and the questions after it."""
        self._has_stream = False
        self.down(reason)

    def on_news(self) -> None:
        """Take note that the stream brought something."""
        if self.is_up:
            self._last_news_ms = self._account.rest.clock.now_ms()

    def resync(self, reason: str) -> None:
        """Go down and ask anew: something may have been missed."""
        self.down(reason)
        self._wanted.set()

    def shut(self, reason: str) -> None:
        """Go down for good: the key or the account cannot trade."""
        if not self.latch:
            self.latch = reason
            self._logger.error("venue_latched", extra={"reason": reason})
        self.down(reason)

    def down(self, reason: str) -> None:
        """Say that the venue is down, if it was said to be up."""
        if self.is_up:
            self.is_up = False
            self._logger.warning("venue_down", extra={"reason": reason})
            self._outbox.put([VenueStatus(is_up=False, receive_ns=self._timing.now_ns(), reason=reason)])

    # Questions.

    async def run(self) -> None:
        """Synchronise whenever it is wanted, until cancelled.

        Raises:
            VenueError: If the account, the key or a market cannot be traded as configured, at the start of a run.
        """
        backoff = Backoff(self._randomness, base_s=_BACKOFF_BASE_S, cap_s=_BACKOFF_CAP_S)
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            try:
                await self._synchronise()
            except (AskError, FrameError) as error:
                await self._after_failure(error, backoff)
                continue
            if not self._wanted.is_set() and self._has_stream and not self.latch:
                self._say_up()
                backoff = Backoff(self._randomness, base_s=_BACKOFF_BASE_S, cap_s=_BACKOFF_CAP_S)

    async def read_clock(self) -> None:
        """Measure the exchange's clock.

        Raises:
            AskError: If it does not tell.
            FrameError: If what it tells cannot be read.
        """
        outcome = await self._account.rest.read_clock()
        if not isinstance(outcome, Accepted):
            raise AskError("the exchange's time", outcome)

    async def read_positions(self) -> None:
        """Ask for and tell the position of every market, where there are positions.

        Raises:
            AskError: If one is not told.
            FrameError: If one cannot be read.
            VenueError: If the account is in hedge mode, at the start of a run.
        """
        for market in range(len(self._account.symbols)) if self._account.category == "linear" else ():
            rows = await self._account.positions(market)
            if not rows:
                msg = f"positions: expected that of {self._account.symbols[market]}, was none"
                raise FrameError(msg)
            for row in rows:
                problem = self._evidence.on_position_row(row, self._timing.now_ns(), is_asked=True)
                if problem:
                    self._refuse(problem, hint="switch the symbol to one-way mode; this venue sends positionIdx 0")

    async def read_fills(self, record: OrderRecord) -> None:
        """Ask for and tell the executions of one order, then how it stands if that waited for them.

        Raises:
            AskError: If they are not told.
            FrameError: If one cannot be read.
        """
        for row in (await self._account.executions_by_id(record.market, record.client_id))[::-1]:
            self._evidence.on_execution_row(row, self._timing.now_ns())

    async def look_up(self, record: OrderRecord) -> bool:
        """Ask how one order stands, and for its executions if they are missing; return whether it is known.

        Raises:
            AskError: If it is not told.
            FrameError: If an answer cannot be read.
        """
        rows = await self._account.orders_by_id(record.market, record.client_id)
        for row in rows:
            self._evidence.on_order_row(row, self._timing.now_ns())
        current = self._records.note(record.market, record.client_id)
        if not rows or current.filled_lots > current.fetched_lots:
            await self.read_fills(current)
        self._outbox.put(self._records.release(current, self._timing.now_ns()))
        return bool(rows)

    async def _synchronise(self) -> None:
        await self.read_clock()
        if not self._removes_only:
            await self._check_markets()
            if not self._is_prepared:
                await self._prepare()
        await self._catch_up()
        await self.read_positions()
        wallet = await self._account.wallet()
        self._evidence.on_wallet_rows(wallet, self._timing.now_ns(), is_whole=True)

    async def _check_markets(self) -> None:
        for market, ours in enumerate(self._account.instruments):
            listed = await self._account.listed_instrument(market)
            if isinstance(listed, str):
                msg = f"{ours.symbol}: {listed}"
                if not self._was_up:
                    raise VenueError(msg, hint="set venue_symbol of the market to a symbol that can be traded")
                raise FrameError(msg)
            problems = grid_problems(listed, ours)
            if problems:
                self._refuse("; ".join(problems), hint=_GRID_HINT)
                continue
            self.listed[market] = listed

    def _refuse(self, problem: str, *, hint: str) -> None:
        """End a run that has not begun; later go down for good instead: who is gone cannot cancel its orders.

        Raises:
            VenueError: If the venue was not up yet.
        """
        if not self._was_up:
            raise VenueError(problem, hint=hint)
        self.shut(problem)

    async def _prepare(self) -> None:
        info = await self._account.info()
        if not info.is_unified:
            msg = f"account: expected a unified trading account, was mode {info.unified_margin_status}"
            raise VenueError(msg, hint="upgrade the account; classic accounts are not supported")
        await self._refuse_moved_prices()
        await self._set_dcp()
        self._is_prepared = True

    async def _refuse_moved_prices(self) -> None:
        """Have futures orders out of limits refused: a quote that was silently moved is not the one that we made."""
        try:
            limits = await self._account.price_limits()
            if limits.moves_prices(self._account.category):
                await self._account.refuse_moved_prices()
                self._logger.info("prices_out_of_limits_are_refused_now", extra={"category": self._account.category})
        except AskError as error:
            if error.is_fatal or not error.is_answered:
                raise
            self._logger.warning("prices_out_of_limits_may_be_moved", extra={"reason": str(error)})

    async def _set_dcp(self) -> None:
        if self._disconnect_cancel_s is None:
            return
        if await self._account.dcp() is None:
            msg = "disconnect_cancel_s: expected an account with cancel on disconnect (DCP), was one without"
            raise VenueError(msg, hint="leave the option out, or ask the exchange's client manager for it")
        await self._account.set_dcp(self._disconnect_cancel_s)

    async def _catch_up(self) -> None:
        """Tell what may have been missed: executions since the last news, then how each live order stands."""
        since_ms = self._last_news_ms
        if self._was_up and since_ms is not None:
            for row in await self._account.executions_since(since_ms - _BACKFILL_MARGIN_MS):
                self._evidence.on_execution_row(row, self._timing.now_ns())
            for record in self._records:
                if record.is_submitting and record.status is None and record.held is None:
                    # Its request has no answer yet; the strategy asks when it takes too long.
                    continue
                if not await self.look_up(record):
                    self._records.forget(record)

    def _say_up(self) -> None:
        if self.is_up:
            return
        self.is_up = self._was_up = True
        self._is_outage_logged = False
        self._last_news_ms = self._account.rest.clock.now_ms()
        self._logger.info("venue_up", extra={"category": self._account.category})
        self._outbox.put([VenueStatus(is_up=True, receive_ns=self._timing.now_ns())])

    async def _after_failure(self, error: AskError | FrameError, backoff: Backoff) -> None:
        reason = error.message if isinstance(error, FrameError) else str(error)
        if isinstance(error, AskError) and error.is_fatal:
            if not self._was_up:
                raise VenueError(reason, hint="check key, environment and permissions: `mmframe doctor`") from None
            self.shut(reason)
        self.down(reason)
        if not self._is_outage_logged:
            self._is_outage_logged = True
            self._logger.warning("venue_not_synchronised", extra={"reason": reason})
        await self._timing.sleep(max(backoff.next_delay_s(), self._account.rest.limits.ban_left_s()))
        self._wanted.set()
