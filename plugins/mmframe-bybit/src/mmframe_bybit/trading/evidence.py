"""What the exchange tells, frame by frame and row by row, as events for the strategy. No I/O.

An entry that cannot be read is counted and spoils no other; as it may have been a fill, it is a reason to ask anew.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.market import Side
from mmframe.domain.orders import BalanceUpdate, Fill, OrderReport, PositionReport
from mmframe_bybit.trading.messages import (
    ControlFrame,
    ExecutionRow,
    OrderRow,
    PositionRow,
    WalletRow,
    decode,
    execution_facts,
    nearest_lots,
    nearest_ticks,
    order_facts,
    parse_private_frame,
    position_facts,
    sane_decimal,
)
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Sequence

    import msgspec

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import VenueEvent
    from mmframe_bybit.trading.tracking import OrderRecords

__all__ = ["Demand", "Evidence", "Outbox"]

_OURS = "mm-"
"""Starts every client id of mmframe."""

_CLIENT_ID_PARTS = 4
_TRADE = "Trade"
_FUNDING = "Funding"
_ZERO = Decimal(0)


class Outbox:
    """Events on their way to the strategy, in the order in which they became known."""

    def __init__(self, records: OrderRecords) -> None:
        self.notify: Callable[[], None] = _nobody
        self._records = records
        self._events: deque[VenueEvent] = deque()

    def put(self, events: Iterable[VenueEvent]) -> None:
        """Append events and wake who polls."""
        before = len(self._events)
        self._events.extend(events)
        if len(self._events) > before:
            self.notify()

    def drain(self) -> list[VenueEvent]:
        """Return all events; each once. From now on the strategy knows the fills among them."""
        events = list(self._events)
        self._events.clear()
        for event in events:
            if isinstance(event, Fill):
                self._records.on_polled(event)
        return events


class Demand(NamedTuple):
    """What has to be asked after a frame.

    Attributes:
        resync: Why something may have been missed; empty if nothing was.
        positions: Something else than our trading may have moved a position.
    """

    resync: str = ""
    positions: bool = False


class Evidence:
    """Reads what the exchange tells of one category.

    Args:
        category: `spot` or `linear`.
        instruments: The strategy's markets.
        symbols: What the exchange calls them.
        records: What is known of our orders.
        outbox: Where events go.
        logger: For what cannot be read.
        rounds: Amounts off the grid are rounded: nothing will be placed on it.

    Attributes:
        bad_entries: Frames and entries that could not be read.
    """

    def __init__(  # noqa: PLR0913 - its parts, each by its name
        self,
        category: str,
        instruments: Sequence[Instrument],
        symbols: Sequence[str],
        *,
        records: OrderRecords,
        outbox: Outbox,
        logger: logging.Logger,
        rounds: bool = False,
    ) -> None:
        self.bad_entries = 0
        self._rounds = rounds
        self._category = category
        self._instruments = tuple(instruments)
        self._markets = {symbol: market for market, symbol in enumerate(symbols)}
        self._records = records
        self._outbox = outbox
        self._logger = logger
        self._prefix = _OURS
        self._position_lots: dict[int, int] = {}

    def learn(self, client_id: str) -> None:
        """Learn from one of our client ids how those of this strategy begin, those of earlier runs too."""
        parts = client_id.split("-")
        if client_id.startswith(_OURS) and len(parts) >= _CLIENT_ID_PARTS:
            self._prefix = "-".join(parts[:2]) + "-"

    def is_ours(self, client_id: str) -> bool:
        """Tell whether an order is of this strategy: others on the account are not ours to count."""
        return bool(client_id) and (client_id.startswith(self._prefix) or self._records.get(client_id) is not None)

    def on_frame(self, frame: bytes, receive_ns: int) -> Demand:
        """Take one frame of the private stream."""
        try:
            message = parse_private_frame(frame)
        except FrameError as error:
            self._count_bad(error)
            return Demand(resync="a frame of the private stream could not be read")
        if isinstance(message, ControlFrame):
            return Demand()
        topic = message.topic.partition(".")[0]
        demands = [self._on_entry(topic, entry, receive_ns) for entry in message.data]
        return Demand(
            resync=next((demand.resync for demand in demands if demand.resync), ""),
            positions=any(demand.positions for demand in demands),
        )

    def on_order_row(self, row: OrderRow, receive_ns: int) -> None:
        """Take an order row, if it is of ours.

        Raises:
            FrameError: If it cannot be read.
        """
        market = self._market_of(row)
        if market is None or not self.is_ours(row.order_link_id):
            return
        facts = order_facts(row, self._instruments[market], rounds=self._rounds)
        self._outbox.put(self._records.on_order(market, facts, receive_ns))

    def on_execution_row(self, row: ExecutionRow, receive_ns: int) -> Demand:
        """Take an execution: a fill if it is a trade of ours, else perhaps a reason to ask for the position.

        Raises:
            FrameError: If it cannot be read.
        """
        market = self._market_of(row)
        if market is None or row.exec_type == _FUNDING:
            return Demand()
        if row.exec_type != _TRADE:
            fields = {"exec_type": row.exec_type[:40], "market": self._instruments[market].symbol}
            self._logger.warning("position_moved_by_exchange", extra=fields)
            return Demand(positions=True)
        if self.is_ours(row.order_link_id):
            facts = execution_facts(row, self._instruments[market], rounds=self._rounds)
            self._outbox.put(self._records.on_execution(market, facts, receive_ns))
        return Demand()

    def on_position_row(self, row: PositionRow, receive_ns: int, *, is_asked: bool) -> str:
        """Take a position; return why it cannot be traded on, empty if it can.

        Unasked ones come with every order: only a changed size is told.

        Raises:
            FrameError: If it cannot be read.
        """
        market = self._market_of(row)
        if market is None:
            return ""
        facts = position_facts(row, self._instruments[market], rounds=self._rounds)
        if facts.position_index and self._rounds:
            return ""
        if facts.position_index:
            symbol = self._instruments[market].symbol
            return f"{symbol}: expected one-way mode, was hedge mode (positionIdx {facts.position_index})"
        if is_asked or self._position_lots.get(market) != facts.position_lots:
            self._position_lots[market] = facts.position_lots
            report = PositionReport(
                market=market,
                position_lots=facts.position_lots,
                mark_price_ticks=facts.mark_price_ticks,
                exchange_ns=facts.updated_ms * 1_000_000 or receive_ns,
                receive_ns=receive_ns,
            )
            self._outbox.put([report])
        return ""

    def on_wallet_rows(self, rows: Iterable[WalletRow], receive_ns: int, *, is_whole: bool) -> None:
        """Take the wallet; `is_whole` means that an asset which is not in it is nil.

        Raises:
            FrameError: If it cannot be read.
        """
        updates: dict[str, BalanceUpdate] = {}
        if is_whole:
            for instrument in self._instruments:
                for asset in (instrument.base, instrument.quote):
                    updates[asset] = BalanceUpdate(asset, _ZERO, _ZERO, receive_ns)
        for row in rows:
            for coin in row.coin:
                # Texts are empty under portfolio margin, where the account as a whole is the collateral.
                parts = (coin.locked, coin.total_order_im, coin.total_position_im)
                locked = sum((sane_decimal(text or "0", coin.coin) for text in parts), start=_ZERO)
                total = sane_decimal(coin.wallet_balance or "0", coin.coin)
                updates[coin.coin] = BalanceUpdate(coin.coin, total - locked, locked, receive_ns)
        self._outbox.put(updates.values())

    def report(self, row: OrderRow, market: int) -> OrderReport | None:
        """Return an open order for the report; None for one of ours whose end has been seen meanwhile.

        Those of others may be off our grid or of kinds that have no price: they are told as nearly as can be.

        Raises:
            FrameError: If one of ours cannot be read.
        """
        instrument = self._instruments[market]
        if not self.is_ours(row.order_link_id):
            return _foreign(row, instrument)
        record = self._records.get(row.order_link_id)
        if record is not None and record.is_ended:
            return None
        facts = order_facts(row, instrument, rounds=self._rounds)
        return OrderReport(
            client_id=facts.client_id,
            venue_order_id=facts.venue_order_id,
            side=facts.side,
            price_ticks=facts.price_ticks,
            size_lots=facts.size_lots,
            filled_lots=facts.filled_lots,
        )

    def _on_entry(self, topic: str, entry: msgspec.Raw, receive_ns: int) -> Demand:
        try:
            if topic == "order":
                self.on_order_row(decode(entry, OrderRow), receive_ns)
            elif topic == "execution":
                return self.on_execution_row(decode(entry, ExecutionRow), receive_ns)
            elif topic == "position":
                return Demand(resync=self.on_position_row(decode(entry, PositionRow), receive_ns, is_asked=False))
            elif topic == "wallet":
                self.on_wallet_rows([decode(entry, WalletRow)], receive_ns, is_whole=False)
        except FrameError as error:
            self._count_bad(error)
            return Demand(resync=f"an entry of {topic!r} could not be read: {error.message}")
        return Demand()

    def _market_of(self, row: OrderRow | ExecutionRow | PositionRow) -> int | None:
        if row.category and row.category != self._category:
            return None
        return self._markets.get(row.symbol)

    def _count_bad(self, error: FrameError) -> None:
        self.bad_entries += 1
        # Each time that their number has doubled: a stream of nonsense must not fill the disk.
        if self.bad_entries & (self.bad_entries - 1) == 0:
            fields = {"reason": error.message, "bad_entries": self.bad_entries}
            self._logger.warning("bad_private_entry", extra=fields)


def _foreign(row: OrderRow, instrument: Instrument) -> OrderReport:
    return OrderReport(
        client_id=row.order_link_id or row.order_id,
        venue_order_id=row.order_id,
        side=Side.SELL if row.side == "Sell" else Side.BUY,
        price_ticks=nearest_ticks(_decimal_or_zero(row.price), instrument),
        size_lots=nearest_lots(_decimal_or_zero(row.qty), instrument),
        filled_lots=nearest_lots(_decimal_or_zero(row.cum_exec_qty), instrument),
    )


def _decimal_or_zero(text: str) -> Decimal:
    try:
        return sane_decimal(text or "0", "number")
    except FrameError:
        return _ZERO


def _nobody() -> None:
    """Wake nobody: nothing runs yet."""
