"""Questions to one account over HTTP, each answered whole or not at all: a list with holes proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from mmframe.net.budget import Lane
from mmframe_bybit.instruments import parse_instruments, venue_symbol
from mmframe_bybit.trading.codes import CodeClass
from mmframe_bybit.trading.limits import Endpoint
from mmframe_bybit.trading.messages import ExecutionRow, OrderRow, PositionRow, WalletRow, decode, decode_rows
from mmframe_bybit.trading.outcome import Accepted, NeverSent, Refused, Unclear
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe_bybit.trading.outcome import Outcome
    from mmframe_bybit.trading.rest import RestClient

__all__ = ["Account", "AccountInfo", "AskError", "DcpInfo", "FeeRate", "KeyInfo", "PriceLimits", "grid_problems"]

_T = TypeVar("_T")
_ORDERS_PER_PAGE = "50"
_EXECUTIONS_PER_PAGE = "100"
_PAGES_MAX = 200
"""Of any list: a cursor that never ends is an error, not a loop."""

_UNIFIED = frozenset({3, 4, 5, 6})
_SPOT_FILTERS = ("Order", "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder")


class AskError(Exception):
    """A question without a usable answer.

    Attributes:
        outcome: What there was instead.
    """

    def __init__(self, what: str, outcome: Refused | NeverSent | Unclear) -> None:
        super().__init__(f"{what}: {outcome.reason}")
        self.outcome = outcome

    @property
    def is_fatal(self) -> bool:
        """Tell whether asking again is of no use: key, permission or account."""
        return isinstance(self.outcome, Refused) and self.outcome.kind is CodeClass.FATAL

    @property
    def is_answered(self) -> bool:
        """Tell whether the exchange said no, rather than nothing."""
        return isinstance(self.outcome, Refused)


class AccountInfo(msgspec.Struct, frozen=True, rename="camel"):
    """Mode of the account."""

    unified_margin_status: int = 0
    margin_mode: str = ""

    @property
    def is_unified(self) -> bool:
        """Tell whether it is a unified trading account."""
        return self.unified_margin_status in _UNIFIED


class KeyInfo(msgspec.Struct, frozen=True, rename="camel"):
    """What a key may do."""

    read_only: int = 1
    permissions: dict[str, list[str]] = {}
    ips: list[str] = []
    deadline_day: int = 0
    uta: int = 0

    def may_trade(self, category: str) -> bool:
        """Tell whether orders of `category` can be placed with it."""
        names = {name for group in self.permissions.values() for name in group}
        wanted = {"SpotTrade"} if category == "spot" else {"Order", "DerivativesTrade"}
        return not self.read_only and bool(names & wanted)

    @property
    def may_withdraw(self) -> bool:
        """Tell whether money can leave the exchange with it."""
        return "Withdraw" in self.permissions.get("Wallet", ())


class PriceLimits(msgspec.Struct, frozen=True):
    """What the exchange does with prices out of limits: futures are moved unless `lpaPerp`, spot only if `lpaSpot`."""

    lpaSpot: bool = False  # noqa: N815 - the exchange's name
    lpaPerp: bool = False  # noqa: N815 - the exchange's name

    def moves_prices(self, category: str) -> bool:
        """Tell whether an order's price may be changed without asking."""
        return self.lpaSpot if category == "spot" else not self.lpaPerp


class DcpInfo(msgspec.Struct, frozen=True, rename="camel"):
    """Cancel on disconnect of one product."""

    product: str = ""
    dcp_status: str = ""
    time_window: str = ""


class FeeRate(msgspec.Struct, frozen=True, rename="camel"):
    """Fees of one symbol, as fractions."""

    symbol: str = ""
    maker_fee_rate: str = ""
    taker_fee_rate: str = ""


class _DcpInfos(msgspec.Struct, frozen=True, rename="camel"):
    dcp_infos: list[DcpInfo] = []


class Account:
    """One account in one category.

    Args:
        category: `spot` or `linear`.
        rest: How it is asked.
        instruments: The strategy's markets.
    """

    def __init__(self, category: str, rest: RestClient, instruments: Sequence[Instrument]) -> None:
        self.category = category
        self.rest = rest
        self.instruments = tuple(instruments)
        self.symbols = tuple(venue_symbol(instrument, category) for instrument in instruments)

    async def info(self) -> AccountInfo:
        """Return the account's mode."""
        return await self._one(Endpoint.ACCOUNT, {}, AccountInfo)

    async def key(self) -> KeyInfo:
        """Return what the key may do."""
        return await self._one(Endpoint.KEY, {}, KeyInfo)

    async def price_limits(self) -> PriceLimits:
        """Return what happens to prices out of limits."""
        return await self._one(Endpoint.SETTINGS, {}, PriceLimits)

    async def refuse_moved_prices(self) -> None:
        """Have orders out of limits refused instead of moved."""
        await self._accepted(Endpoint.SET_PRICE_LIMIT, {"category": self.category, "modifyEnable": False})

    async def dcp(self) -> DcpInfo | None:
        """Return the account's cancel on disconnect for this category; None when it has none."""
        infos = await self._one(Endpoint.DCP, {}, _DcpInfos)
        product = "SPOT" if self.category == "spot" else "DERIVATIVES"
        return next((info for info in infos.dcp_infos if info.product == product and info.dcp_status == "ON"), None)

    async def set_dcp(self, seconds: int) -> None:
        """Set after how long without a ping everything is cancelled; it takes effect some ten seconds later."""
        product = "SPOT" if self.category == "spot" else "DERIVATIVES"
        await self._accepted(Endpoint.SET_DCP, {"product": product, "timeWindow": seconds})

    async def fee_rate(self, market: int) -> FeeRate | None:
        """Return the fees of a market."""
        fields = {"category": self.category, "symbol": self.symbols[market]}
        rows = await self._list(Endpoint.FEE_RATE, fields, FeeRate)
        return next((row for row in rows if row.symbol in {"", self.symbols[market]}), None)

    async def open_orders(self, market: int) -> list[OrderRow]:
        """Return every open order of the account in a market."""
        fields = {
            "category": self.category,
            "symbol": self.symbols[market],
            "openOnly": "0",
            "limit": _ORDERS_PER_PAGE,
        }
        return await self._list(Endpoint.OPEN_ORDERS, fields, OrderRow)

    async def orders_by_id(self, market: int, client_id: str) -> list[OrderRow]:
        """Return what the open and recent orders, then the history say of a client id; at most one list answers."""
        fields = {"category": self.category, "symbol": self.symbols[market], "orderLinkId": client_id}
        for endpoint in (Endpoint.OPEN_ORDERS, Endpoint.ORDER_HISTORY):
            rows = [row for row in await self._list(endpoint, fields, OrderRow) if row.order_link_id == client_id]
            if rows:
                return rows
        return []

    async def executions_by_id(self, market: int, client_id: str) -> list[ExecutionRow]:
        """Return the executions of a client id."""
        fields = {
            "category": self.category,
            "symbol": self.symbols[market],
            "orderLinkId": client_id,
            "limit": _EXECUTIONS_PER_PAGE,
        }
        rows = await self._list(Endpoint.EXECUTIONS, fields, ExecutionRow)
        return [row for row in rows if row.order_link_id == client_id]

    async def executions_since(self, since_ms: int) -> list[ExecutionRow]:
        """Return the category's executions since a time of the exchange, oldest first."""
        fields = {"category": self.category, "startTime": str(since_ms), "limit": _EXECUTIONS_PER_PAGE}
        rows = await self._list(Endpoint.EXECUTIONS, fields, ExecutionRow)
        return rows[::-1]

    async def positions(self, market: int) -> list[PositionRow]:
        """Return the positions of a market: one in one-way mode, two in hedge mode."""
        fields = {"category": self.category, "symbol": self.symbols[market]}
        rows = await self._list(Endpoint.POSITIONS, fields, PositionRow)
        return [row for row in rows if row.symbol == self.symbols[market]]

    async def wallet(self) -> list[WalletRow]:
        """Return the wallet."""
        return await self._list(Endpoint.WALLET, {"accountType": "UNIFIED"}, WalletRow)

    async def listed_instrument(self, market: int) -> Instrument | str:
        """Return what the exchange says of a market's instrument, or why it cannot be traded."""
        symbol = self.symbols[market]
        result = await self._accepted(Endpoint.INSTRUMENTS, {"category": self.category, "symbol": symbol})
        page = parse_instruments(msgspec.json.encode({"retCode": 0, "result": result}))
        if symbol in page.instruments:
            return page.instruments[symbol]
        return page.left_out.get(symbol, f"the exchange lists no {symbol} in {self.category}")

    async def cancel_all(self, market: int, *, is_first: bool) -> Outcome:
        """Ask once for the end of all orders of a market; spot's special orders only when it is not the first time."""
        fields = {"category": self.category, "symbol": self.symbols[market]}
        filters: Sequence[str] = ()
        if self.category == "spot" and not is_first:
            # Without a filter spot cancels plain orders alone.
            filters = _SPOT_FILTERS[1:]
        outcome = await self._cancel_once(fields)
        for order_filter in filters:
            await self._cancel_once({**fields, "orderFilter": order_filter})
        return outcome

    async def _cancel_once(self, fields: Mapping[str, object]) -> Outcome:
        return await self.rest.ask(Endpoint.CANCEL_ALL, fields, lane=Lane.CANCEL)

    async def _accepted(self, endpoint: Endpoint, fields: Mapping[str, object]) -> msgspec.Raw:
        outcome = await self.rest.ask(endpoint, fields)
        if not isinstance(outcome, Accepted):
            raise AskError(endpoint.path, outcome)
        return outcome.result

    async def _one(self, endpoint: Endpoint, fields: Mapping[str, object], what: type[_T]) -> _T:
        return decode(await self._accepted(endpoint, fields), what)

    async def _list(self, endpoint: Endpoint, fields: Mapping[str, object], what: type[_T]) -> list[_T]:
        rows: list[_T] = []
        cursors = set()
        asked = dict(fields)
        for _ in range(_PAGES_MAX):
            page, cursor = decode_rows(await self._accepted(endpoint, asked), what)
            rows += page
            # An empty page ends a list too: some lists repeat the last cursor.
            if not cursor or not page or cursor in cursors:
                return rows
            cursors.add(cursor)
            asked = {**fields, "cursor": cursor}
        msg = f"{endpoint.path}: expected at most {_PAGES_MAX} pages, were more"
        raise FrameError(msg)


def grid_problems(listed: Instrument, ours: Instrument) -> list[str]:
    """Return where the strategy's grid differs from the exchange's: each key with expected and was."""
    problems = []
    for key, expected, was in (
        ("tick_size", listed.tick_size, ours.tick_size),
        ("lot_size", listed.lot_size, ours.lot_size),
    ):
        if expected != was:
            problems.append(f"{ours.symbol} {key}: expected {expected:f} as the exchange says, was {was:f}")
    return problems
