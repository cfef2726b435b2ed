"""Everything that can be asked, in one table: path and socket operation, limit, permission, and who answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mmframe_localvenue.bybit.batch import batch_of, run_batch
from mmframe_localvenue.bybit.envelope import BybitError, Outcome
from mmframe_localvenue.bybit.limits import Allowance, Quota
from mmframe_localvenue.core import Fault, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe_localvenue.bybit.auth import Caller
    from mmframe_localvenue.bybit.ledger import Ledger
    from mmframe_localvenue.bybit.limits import Limits
    from mmframe_localvenue.bybit.market_data import MarketData
    from mmframe_localvenue.bybit.orders import OrderDesk
    from mmframe_localvenue.bybit.queries import Queries
    from mmframe_localvenue.core import Core, RequestSeen

__all__ = ["PrivateCall", "PublicCall", "Service"]

_CATEGORIES = frozenset({"spot", "linear"})


@attrs.frozen
class PublicCall:
    """One thing that anybody may ask."""

    path: str
    operation: str
    run: Callable[[Mapping[str, str]], dict[str, Any]]


@attrs.frozen
class PrivateCall:
    """One thing that an account may ask.

    Attributes:
        method: Of HTTP.
        path: Of the URL.
        operation: Name in the god view and the fault script.
        run: Returns the result; for a batch, of one of its orders.
        quota: How often.
        permission: What the key needs.
        socket_op: Name on the trade socket; empty where it has no such operation.
        is_batch: Whether it carries several orders.
        reads_one_as: Operation name instead, where the request names one order.
    """

    method: str
    path: str
    operation: str
    run: Callable[[Caller, Mapping[str, Any]], dict[str, Any]]
    quota: Quota
    permission: Permission = Permission.READ
    socket_op: str = ""
    is_batch: bool = False
    reads_one_as: str = ""

    def operation_of(self, args: Mapping[str, Any]) -> str:
        """Return the operation name of a request."""
        names_one = args.get("orderId") or args.get("orderLinkId")
        return self.reads_one_as if self.reads_one_as and names_one else self.operation


class Service:
    """Carries requests out, whichever way they came.

    Args:
        core: The venue.
        market_data: Answers anybody.
        desk: Takes orders.
        queries: Answers accounts.
        ledger: Knows orders by their ids.
        limits: How often one may ask.
    """

    def __init__(  # noqa: PLR0913 - everything meets here
        self, core: Core, *, market_data: MarketData, desk: OrderDesk, queries: Queries, ledger: Ledger, limits: Limits
    ) -> None:
        self._core = core
        self._desk = desk
        self._ledger = ledger
        self._limits = limits
        self.public_calls = (
            PublicCall("/v5/market/time", "time", market_data.time),
            PublicCall("/v5/market/instruments-info", "info", market_data.instruments),
            PublicCall("/v5/market/orderbook", "depth", market_data.orderbook),
            PublicCall("/v5/market/tickers", "ticker", market_data.tickers),
            PublicCall("/v5/market/recent-trade", "trades", market_data.trades),
            PublicCall("/v5/market/kline", "candles", market_data.candles),
            PublicCall("/v5/market/price-limit", "price-band", market_data.price_limit),
        )
        self.private_calls = (*self._order_entry(), *_reading(queries), *_settings(queries))

    def by_socket_op(self) -> dict[str, PrivateCall]:
        """Return the operations of the trade socket by their names there."""
        return {call.socket_op: call for call in self.private_calls if call.socket_op}

    def client_id(self, account_name: str, args: Mapping[str, Any]) -> str:
        """Return the client order id that a request names, also where it names the order by the exchange's id."""
        link = args.get("orderLinkId")
        account = self._core.exchange.accounts.get(account_name)
        category, order_id = str(args.get("category")), args.get("orderId")
        if account is not None and isinstance(order_id, str) and order_id and category in _CATEGORIES:
            order = self._ledger.find(account, category, order_id=order_id)
            return "" if order is None else order.client_id
        return link if isinstance(link, str) else ""

    def run(
        self, call: PrivateCall, caller: Caller, args: Mapping[str, Any], seen: RequestSeen
    ) -> tuple[Outcome, Allowance]:
        """Carry a request out and return its outcome and what is left of its limit.

        Raises:
            BybitError: If it was refused before it counted against a limit.
        """
        caller.require(call.permission)
        orders = batch_of(args) if call.is_batch else []
        category = str(args.get("category") or "")
        count = len(orders) or 1
        allowance = self._limits.take(caller.account.name, call.quota, category, count)
        if not allowance.granted:
            return Outcome(code=10006, message="Too many visits. Exceeded the API Rate Limit."), allowance
        try:
            if call.is_batch:
                created_ms = self._core.clock.now_ms() if call.operation == "order.place" else 0
                outcome = run_batch(
                    orders, lambda order: call.run(caller, order), granted=allowance.granted, created_ms=created_ms
                )
            elif call.operation == "order.cancel" and seen.fault == Fault.RACED.value:
                outcome = Outcome(self._desk.cancel(caller.account, args, is_raced=True))
            else:
                outcome = Outcome(call.run(caller, args))
        except BybitError as error:
            outcome = Outcome.of(error)
        return outcome, allowance

    def _order_entry(self) -> tuple[PrivateCall, ...]:
        desk = self._desk

        def create(caller: Caller, args: Mapping[str, Any]) -> dict[str, Any]:
            return desk.create(caller.account, args)

        def amend(caller: Caller, args: Mapping[str, Any]) -> dict[str, Any]:
            return desk.amend(caller.account, args)

        def cancel(caller: Caller, args: Mapping[str, Any]) -> dict[str, Any]:
            return desk.cancel(caller.account, args)

        def cancel_all(caller: Caller, args: Mapping[str, Any]) -> dict[str, Any]:
            return desk.cancel_all(caller.account, args)

        table = (
            ("create", "order.place", create, 10, 20),
            ("amend", "order.amend", amend, 10, 10),
            ("cancel", "order.cancel", cancel, 10, 20),
        )
        calls = [
            PrivateCall(
                "POST",
                f"/v5/order/{name}{suffix}",
                operation,
                run,
                Quota(f"{name}{suffix}", linear, 20 if suffix else spot, is_order_entry=True),
                Permission.TRADE,
                socket_op=f"order.{name}{suffix}",
                is_batch=bool(suffix),
            )
            for name, operation, run, linear, spot in table
            for suffix in ("", "-batch")
        ]
        quota = Quota("cancel-all", 10, 20, is_order_entry=True)
        calls.append(
            PrivateCall("POST", "/v5/order/cancel-all", "order.cancel-all", cancel_all, quota, Permission.TRADE)
        )
        return tuple(calls)


def _reading(queries: Queries) -> tuple[PrivateCall, ...]:
    table = (
        ("/v5/order/realtime", "orders.open", queries.open_orders, 50, "order.status"),
        ("/v5/order/history", "orders.all", queries.order_history, 50, ""),
        ("/v5/execution/list", "trades.mine", queries.executions, 50, ""),
        ("/v5/position/list", "positions", queries.positions, 50, ""),
        ("/v5/account/wallet-balance", "account", queries.wallet, 50, ""),
        ("/v5/account/info", "account.mode", queries.account_info, 50, ""),
        ("/v5/account/fee-rate", "fees", queries.fee_rate, 10, ""),
        ("/v5/account/user-setting-config", "account.mode", queries.user_settings, 5, ""),
        ("/v5/account/query-dcp-info", "dead-man.info", queries.dead_man_info, 5, ""),
        ("/v5/user/query-api", "permissions", queries.key_info, 10, ""),
        ("/v5/asset/coin/query-info", "account.coins", queries.coins, 5, ""),
    )
    return tuple(
        PrivateCall("GET", path, operation, run, Quota(path, limit, limit), reads_one_as=one)
        for path, operation, run, limit, one in table
    )


def _settings(queries: Queries) -> tuple[PrivateCall, ...]:
    table = (
        ("/v5/account/set-limit-px-action", "account.set", queries.set_price_action, 5),
        ("/v5/order/disconnected-cancel-all", "dead-man", queries.set_dead_man, 5),
        ("/v5/position/switch-mode", "account.set", queries.switch_mode, 10),
        ("/v5/position/set-leverage", "account.set", queries.set_leverage, 10),
    )
    return tuple(
        PrivateCall("POST", path, operation, run, Quota(path, limit, limit), Permission.TRADE)
        for path, operation, run, limit in table
    )
