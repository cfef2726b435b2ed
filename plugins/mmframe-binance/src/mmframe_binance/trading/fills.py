"""Fills over REST: those that an answer counts and the stream has not told, and those that a gap may have swallowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe_binance.trading.client import NotYetError, Refused
from mmframe_binance.trading.errors import Verdict
from mmframe_binance.trading.telling import MS_NS, Execution, side_of
from mmframe_binance.trading.wire import OrderAnswer, TradeLine, WireError, decoded

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from mmframe.net.timing import Timing
    from mmframe_binance.trading.calls import Calls
    from mmframe_binance.trading.client import Client, Outcome
    from mmframe_binance.trading.clock import ClockOffset
    from mmframe_binance.trading.orders import KnownOrder
    from mmframe_binance.trading.telling import Teller

__all__ = ["FillFetcher"]

_GRACE_S = 0.2
"""How long the stream gets to tell fills that an answer counts, before they are fetched."""

_LOOK_S = 0.02
_PAGE = 1000
_PAGES_MAX = 50
_BY_TIME_MAX_NS = 23 * 3600 * 1_000_000_000
"""Trades are listed by time for a day at most; for longer gaps they are listed from the last known one."""


class FillFetcher:
    """Fetches the account's trades and tells those that were not told.

    Args:
        calls: The product's.
        symbols: The exchange's names of the markets, by index.
        client: Returns who asks.
        required: Returns an answer's body, or raises what the lack of it leads to.
        teller: Where fills go.
        clock: The exchange's clock against ours.
        timing: Clock and sleep.
        margin_s: How far before the last known trade a gap is looked into.
        logger: The venue's.

    Attributes:
        fetched: Fills told from here, ever.
    """

    def __init__(  # noqa: PLR0913 - what it asks with and tells to, each thing by its name
        self,
        calls: Calls,
        symbols: Sequence[str],
        *,
        client: Callable[[], Client],
        required: Callable[[Outcome, str], bytes],
        teller: Teller,
        clock: ClockOffset,
        timing: Timing,
        margin_s: float,
        logger: logging.Logger,
    ) -> None:
        self._calls = calls
        self._symbols = symbols
        self._client = client
        self._required = required
        self._teller = teller
        self._clock = clock
        self._timing = timing
        self._margin_ms = round(margin_s * 1000)
        self._logger = logger
        self.fetched = 0

    async def settle(self, order: KnownOrder, filled_lots: int, *, is_streaming: bool) -> None:
        """Tell the fills that the exchange counts and that were not told: the stream's turn first, then fetch them.

        Raises:
            NotYetError: If they could not be had.
        """
        for _ in range(round(_GRACE_S / _LOOK_S) if is_streaming else 0):
            if order.told_lots >= filled_lots:
                return
            await self._timing.sleep(_LOOK_S)
        if order.told_lots < filled_lots and order.venue_order_id:
            await self.tell_of(order)

    async def settle_quietly(self, order: KnownOrder, filled_lots: int, *, is_streaming: bool) -> None:
        """Do the same; what cannot be had is logged, since the engine keeps what is missing reserved and asks."""
        try:
            await self.settle(order, filled_lots, is_streaming=is_streaming)
        except (NotYetError, WireError) as error:
            self._logger.warning("fills_not_fetched", extra={"reason": str(error)})

    async def backfill(self, market: int) -> None:
        """Tell the trades since the last known one, with a margin: a gap may have swallowed earlier ones too.

        Raises:
            NotYetError: If they could not be had.
        """
        teller = self._teller
        now_ms = self._clock.timestamp_ms(self._timing.now_ns())
        since_ms = (teller.last_trade_ms[market] or now_ms) - self._margin_ms
        if teller.last_trade_id[market] and (now_ms - since_ms) * MS_NS > _BY_TIME_MAX_NS:
            await self._tell_trades(market, {"fromId": str(teller.last_trade_id[market])})
        else:
            await self._tell_trades(market, {"startTime": str(max(0, since_ms))})
        if not teller.last_trade_ms[market]:
            # From here on a gap is looked into from the start of the run at least.
            teller.last_trade_ms[market] = now_ms

    async def tell_of(self, order: KnownOrder) -> None:
        """Tell the trades of an order whose id at the exchange is known.

        Raises:
            NotYetError: If they could not be had.
        """
        await self._tell_trades(order.market, {"orderId": str(order.venue_order_id)})

    async def tell_since(self, market: int, since_ns: int) -> None:
        """Tell the trades since `since_ns` by our clock, with the margin.

        Raises:
            NotYetError: If they could not be had.
        """
        since_ms = self._clock.timestamp_ms(since_ns) - self._margin_ms
        await self._tell_trades(market, {"startTime": str(max(0, since_ms))})

    async def _tell_trades(self, market: int, fields: Mapping[str, str]) -> None:
        symbol = {"symbol": self._symbols[market], "limit": str(_PAGE)}
        query = {**symbol, **fields}
        for _ in range(_PAGES_MAX):
            outcome = await self._client().ask(self._calls.trades, query)
            lines = decoded(self._required(outcome, "trades"), list[TradeLine], "trades")
            receive_ns = self._timing.now_ns()
            for line in lines:
                await self._tell_line(market, line, receive_ns)
            if len(lines) < _PAGE:
                return
            # Of an order the newest trades are listed unless it is said where to begin.
            is_newest = "orderId" in query and "fromId" not in query
            query = {**symbol, "fromId": "0" if is_newest else str(lines[-1].id + 1)}
            if "orderId" in fields:
                query["orderId"] = fields["orderId"]
        raise NotYetError(f"trades: more than {_PAGES_MAX} pages of {_PAGE}")

    async def _tell_line(self, market: int, line: TradeLine, receive_ns: int) -> None:
        orders = self._teller.orders
        order = orders.by_venue_id(market, line.order_id)
        if order is None and not orders.is_foreign(market, line.order_id):
            order = await self._look_up(market, line.order_id)
        if order is None:
            self._teller.seen_trade(market, line.id, line.time)
            return
        execution = Execution(
            line.id,
            side_of("BUY" if line.bought else "SELL"),
            line.price,
            line.qty,
            line.commission,
            line.commission_asset,
            line.made,
            line.time,
        )
        if self._teller.fill(order, execution, receive_ns):
            self.fetched += 1

    async def _look_up(self, market: int, venue_order_id: int) -> KnownOrder | None:
        """Return the order with an id of the exchange, None when it is not ours."""
        fields = {"symbol": self._symbols[market], "orderId": str(venue_order_id)}
        outcome = await self._client().ask(self._calls.order, fields)
        if isinstance(outcome, Refused) and outcome.verdict is Verdict.GONE:
            return None
        answer = decoded(self._required(outcome, "order"), OrderAnswer, "order")
        return self._teller.ours(market, answer.order_id, answer.orig_client_order_id, answer.client_order_id)
