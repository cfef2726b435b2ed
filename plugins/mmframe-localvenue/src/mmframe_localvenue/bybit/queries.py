"""What an account may ask about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from mmframe_localvenue.bybit.envelope import SPOT, BybitError
from mmframe_localvenue.bybit.params import category_in, integer_of
from mmframe_localvenue.bybit.records import (
    category_of,
    linear_money,
    order_record,
    plain,
    position_record,
    wallet_record,
)
from mmframe_localvenue.core import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mmframe_localvenue.bybit.auth import Caller
    from mmframe_localvenue.bybit.dead_man import DeadMan
    from mmframe_localvenue.bybit.ledger import ExecutionNote, Ledger
    from mmframe_localvenue.bybit.orders import OrderDesk
    from mmframe_localvenue.core import Exchange, VenueOrder

__all__ = ["Queries"]

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_HISTORY_FILTERS = ("orderId", "orderLinkId", "symbol", "baseCoin", "settleCoin", "orderStatus")
_LINEAR = "linear"
_EMPTY_CATEGORIES = ("inverse", "option")
_CATEGORIES = (SPOT, _LINEAR, *_EMPTY_CATEGORIES)
_LEVERAGE_MAX = 100
_CLOSED_ONLY = "1"
_Item = TypeVar("_Item")


class Queries:
    """Answers of the private reading endpoints.

    Args:
        exchange: The truth.
        ledger: What was.
        desk: Settings, and how orders are selected.
        dead_man: Disconnection protection.
    """

    def __init__(self, exchange: Exchange, ledger: Ledger, desk: OrderDesk, dead_man: DeadMan) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._desk = desk
        self._dead_man = dead_man

    def open_orders(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `order/realtime`: open orders, or with `openOnly=1` the recently closed; by id both.

        The cursor of the last page is not empty, the page behind it is: who reads until the cursor is empty gets all.
        """
        category = category_in(query, _CATEGORIES)
        if category in _EMPTY_CATEGORIES:
            return {"list": [], "nextPageCursor": "", "category": category}
        account = caller.account
        order_id, link = query.get("orderId", ""), query.get("orderLinkId", "")
        recent = self._ledger.recent(account, category)
        if order_id or link:
            order = self._ledger.find(account, category, order_id=order_id, link=link)
            orders = [order] if order is not None and (order.state.is_open or order in recent) else []
        elif query.get("openOnly") == _CLOSED_ONLY:
            orders = list(self._desk.narrowed(recent, category, query))
        else:
            orders = self._desk.selected(account, category, query)
        return self._order_page(orders, category, query)

    def order_history(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `order/history`: closed orders of the last seven days, or of the time asked for, newest first.

        Orders that ended without a fill are there for 24 hours only.
        """
        category = category_in(query, _CATEGORIES)
        if category in _EMPTY_CATEGORIES:
            return {"list": [], "nextPageCursor": "", "category": category}
        since_ms, until_ms = self._span(query)
        unfilled_since_ms = max(since_ms, self._exchange.clock.now_ms() - _DAY_MS)
        wanted = {name: query[name] for name in _HISTORY_FILTERS if query.get(name)}
        orders = [
            order
            for order in self._ledger.history(caller.account, category)
            if (since_ms if order.filled_lots else unfilled_since_ms) <= order.created_ns // 1_000_000 <= until_ms
            and all(_fact(order, name) == text for name, text in wanted.items())
        ]
        return self._order_page(orders, category, query)

    def executions(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `execution/list`: newest first, seven days at most; of one order all, whatever else is said."""
        category = category_in(query, _CATEGORIES)
        if category in _EMPTY_CATEGORIES:
            return {"list": [], "nextPageCursor": "", "category": category}
        since_ms, until_ms = self._span(query)
        notes = self._ledger.executions(caller.account, category)
        by_id = next((name for name in ("orderId", "orderLinkId") if query.get(name)), "")
        if by_id:
            notes = [note for note in notes if note.record[by_id] == query[by_id]]
        else:
            wanted = {name: query[name] for name in ("symbol", "execType") if query.get(name)}
            notes = [
                note
                for note in notes
                if since_ms <= note.at_ms <= until_ms
                and all(note.record[name] == text for name, text in wanted.items())
            ]
        page, cursor = _page(notes, _execution_rank, query, default=50, most=100)
        return {"nextPageCursor": cursor, "category": category, "list": [note.record for note in page]}

    def positions(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `position/list`: with a symbol also a flat position, with a coin only what is held."""
        category = category_in(query, (_LINEAR, *_EMPTY_CATEGORIES))
        if category in _EMPTY_CATEGORIES:
            return {"list": [], "nextPageCursor": "", "category": category}
        symbol, settle = query.get("symbol", ""), query.get("settleCoin", "")
        if symbol:
            markets = [self._desk.market(category, symbol)]
        elif settle:
            held = caller.account.money.positions
            markets = [
                market
                for market in self._exchange.markets.values()
                if category_of(market) == _LINEAR
                and market.instrument.quote == settle
                and market.index in held
                and held[market.index].size_lots
            ]
        else:
            raise BybitError(10001, "params error: symbol and settleCoin are both empty")
        records = [position_record(self._exchange, caller.account, market, is_stream=False) for market in markets]
        return {"list": records, "nextPageCursor": "", "category": category}

    def wallet(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `account/wallet-balance` of the unified account."""
        if query.get("accountType") != "UNIFIED":
            raise BybitError(10001, "accountType only support UNIFIED.")
        coins = query.get("coin")
        owned = [coin for coin, balance in caller.account.money.balances.items() if balance.total]
        return {"list": [wallet_record(self._exchange, caller.account, coins.split(",") if coins else owned)]}

    def account_info(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `account/info`."""
        window_s = self._dead_man.window_s(caller.account, "DERIVATIVES")
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(self._exchange.clock.now_ms()),
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF" if window_s is None else "ON",
            "timeWindow": window_s or 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def fee_rate(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `account/fee-rate`."""
        category = category_in(query, _CATEGORIES)
        setup = caller.account.setup
        return {
            "list": [
                {
                    "symbol": market.name,
                    "takerFeeRate": plain(setup.taker_fee),
                    "makerFeeRate": plain(setup.maker_fee),
                }
                for market in self._exchange.markets.values()
                if category_of(market) == category and query.get("symbol") in {None, "", market.name}
            ]
        }

    def user_settings(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `account/user-setting-config`."""
        moves = self._desk.settings(caller.account).moves_prices
        return {"lpaSpot": moves[SPOT], "lpaPerp": moves[_LINEAR], "deltaEnable": False}

    def set_price_action(self, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `account/set-limit-px-action`."""
        category, modifies = category_in(body, (SPOT, _LINEAR, "inverse")), body.get("modifyEnable")
        if not isinstance(modifies, bool):
            raise BybitError(10001, "params error: modifyEnable invalid")
        self._desk.settings(caller.account).moves_prices[_LINEAR if category == "inverse" else category] = modifies
        return {}

    def key_info(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `user/query-api`: what the key may do."""
        permissions = caller.key.permissions
        can_trade = Permission.TRADE in permissions
        return {
            "id": "10000001",
            "note": caller.account.name,
            "apiKey": caller.key.key,
            "readOnly": 0 if can_trade else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if can_trade else [],
                "Spot": ["SpotTrade"] if can_trade else [],
                "Wallet": ["AccountTransfer", "Withdraw"] if Permission.WITHDRAW in permissions else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"] if can_trade else [],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
                "Earn": [],
            },
            "ips": ["127.0.0.1"],
            "type": 1,
            "deadlineDay": 90,
            "expiredAt": "2099-01-01T00:00:00Z",
            "createdAt": "2025-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": 1,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    def dead_man_info(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `account/query-dcp-info`; empty for an account that has no disconnection protection."""
        return {"dcpInfos": self._dead_man.infos(caller.account)}

    def set_dead_man(self, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `order/disconnected-cancel-all`."""
        self._dead_man.configure(caller.account, body.get("product") or "OPTIONS", body.get("timeWindow"))
        return {}

    def switch_mode(self, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `position/switch-mode`: one-way (0) is what there is."""
        category_in(body, (_LINEAR,))
        if body.get("mode") not in (0, 3):
            raise BybitError(10001, "params error: mode invalid")
        if body.get("symbol"):
            self._desk.market(_LINEAR, body["symbol"])
        elif not body.get("coin"):
            raise BybitError(10001, "params error: symbol and coin are both empty")
        if body["mode"] == 0:
            raise BybitError(110025, "Position mode is not modified")
        raise BybitError(110029, "Hedge mode is not supported for this symbol.")

    def set_leverage(self, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `position/set-leverage`; here it is the whole account's, and the same for both sides."""
        category_in(body, (_LINEAR,))
        self._desk.market(_LINEAR, body.get("symbol"))
        buy, sell = body.get("buyLeverage"), body.get("sellLeverage")
        leverage = integer_of(buy, "buyLeverage")
        if buy != sell or not 1 <= leverage <= _LEVERAGE_MAX:
            raise BybitError(10001, "params error: leverage invalid")
        money = linear_money(caller.account)
        if money.leverage == leverage:
            raise BybitError(110043, "leverage not modified")
        money.leverage = leverage
        return {}

    def coins(self, caller: Caller, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `asset/coin/query-info`: the coins of the wallet, none of which can be moved here."""
        wanted = query.get("coin")
        rows = [
            {"name": coin, "coin": coin, "remainAmount": "0", "chains": []}
            for coin in caller.account.money.balances
            if wanted in {None, "", coin}
        ]
        return {"rows": rows}

    # Private

    def _span(self, query: Mapping[str, str]) -> tuple[int, int]:
        start, end = query.get("startTime"), query.get("endTime")
        since_ms = integer_of(start, "startTime") if start else None
        until_ms = integer_of(end, "endTime") if end else None
        if until_ms is None:
            until_ms = self._exchange.clock.now_ms() if since_ms is None else since_ms + _WEEK_MS
        if since_ms is None:
            since_ms = until_ms - _WEEK_MS
        if not 0 <= until_ms - since_ms <= _WEEK_MS:
            raise BybitError(10001, "The time range between startTime and endTime cannot exceed 7 days")
        return since_ms, until_ms

    @staticmethod
    def _order_page(orders: list[VenueOrder], category: str, query: Mapping[str, str]) -> dict[str, Any]:
        page, cursor = _page(orders, _order_rank, query, default=20, most=50)
        return {"list": [order_record(order) for order in page], "nextPageCursor": cursor, "category": category}


def _fact(order: VenueOrder, name: str) -> str:
    """Return what an order has under the name of a filter."""
    instrument = order.market.instrument
    if name in {"baseCoin", "settleCoin"}:
        return instrument.base if name == "baseCoin" else instrument.quote
    return str(order_record(order)[name])


def _order_rank(order: VenueOrder) -> int:
    return order.order_id


def _execution_rank(note: ExecutionNote) -> int:
    return note.number


def _page(
    items: Iterable[_Item], rank: Callable[[_Item], int], query: Mapping[str, str], *, default: int, most: int
) -> tuple[list[_Item], str]:
    """Return one page, newest first, and the cursor of the next; it carries percent signs, as the exchange's do."""
    limit = integer_of(query.get("limit") or str(default), "limit")
    if not 1 <= limit <= most:
        raise BybitError(10001, "params error: limit invalid")
    cursor = unquote(query.get("cursor", "")).partition(":")[0]
    before = integer_of(cursor, "cursor") if cursor else None
    ordered = sorted(items, key=rank, reverse=True)
    page = [item for item in ordered if before is None or rank(item) < before][:limit]
    return page, f"{rank(page[-1])}%3A{rank(page[-1])}" if page else ""
