"""The calls about a futures account: wallet, positions, modes, leverage, fees, listen keys and permissions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.gateway import Call, Security
from mmframe_localvenue.binance.permissions import restrictions_json
from mmframe_localvenue.binance.usdm.figures import (
    MAINTENANCE_RATE,
    PositionFigures,
    Wallet,
    linear_money,
    plain,
    rounded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.binance.gateway import Caller
    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.binance.usdm.state import AccountModes
    from mmframe_localvenue.binance.usdm.trading import Trading
    from mmframe_localvenue.binance.usdm.user_data import UserData
    from mmframe_localvenue.core import Account, Core, Market, VenueFill

__all__ = ["Accounts"]

_LEVERAGE_MAX = 125
_NOTIONAL_MAX = "50000000"
_INCOMES, _INCOMES_MAX = 100, 1_000
_DONE = {"code": 200, "msg": "success"}


class Accounts:
    """Accounts as their owners see and set them.

    Args:
        core: Of the venue.
        trading: Finds markets.
        modes: What the accounts have chosen.
        user_data: Keeps the listen keys, and tells of changes.
    """

    def __init__(self, core: Core, trading: Trading, modes: AccountModes, user_data: UserData) -> None:
        self._core = core
        self._trading = trading
        self._modes = modes
        self._user_data = user_data

    def calls(self) -> list[Call]:
        """Return the table of calls."""
        return [*self._queries(), *self._settings(), *self._listen_keys()]

    def _queries(self) -> list[Call]:
        def query(operation: str, run: Callable[[Caller], Any], path: str, weight: int = 5) -> Call:
            return Call(operation, run, ("GET", path), "", Security.USER_DATA, weight)

        return [
            query("account", self._account_v2, "/fapi/v2/account"),
            query("account", self._account_v3, "/fapi/v3/account"),
            query("account", self._balances, "/fapi/v2/balance"),
            query("account", self._balances, "/fapi/v3/balance"),
            query("positions", self._positions_v2, "/fapi/v2/positionRisk"),
            query("positions", self._positions_v3, "/fapi/v3/positionRisk"),
            query("account", self._configuration, "/fapi/v1/accountConfig"),
            query("account", self._symbol_configuration, "/fapi/v1/symbolConfig"),
            query("account", self._is_hedged, "/fapi/v1/positionSide/dual", 30),
            query("account", self._has_multi_assets, "/fapi/v1/multiAssetsMargin", 30),
            query("fees", self._commission, "/fapi/v1/commissionRate", 20),
            query("account", self._brackets, "/fapi/v1/leverageBracket", 1),
            query("income", self._income, "/fapi/v1/income", 30),
            query("limits", self._order_limits, "/fapi/v1/rateLimit/order", 1),
            query("limits", self._trading_status, "/fapi/v1/apiTradingStatus", 1),
            query("permissions", self._permissions, "/sapi/v1/account/apiRestrictions", 1),
        ]

    def _settings(self) -> list[Call]:
        def setting(run: Callable[[Caller], Any], path: str) -> Call:
            return Call("account.set", run, ("POST", f"/fapi/v1/{path}"), "", Security.TRADE, 1)

        return [
            setting(self._set_hedged, "positionSide/dual"),
            setting(self._set_multi_assets, "multiAssetsMargin"),
            setting(self._set_leverage, "leverage"),
            setting(self._set_margin_type, "marginType"),
        ]

    def _listen_keys(self) -> list[Call]:
        def stream(operation: str, run: Callable[[Caller], Any], method: str) -> Call:
            return Call(operation, run, (method, "/fapi/v1/listenKey"), "", Security.MARKET_DATA, 1)

        def opened(caller: Caller) -> Any:
            return {"listenKey": self._user_data.open_key(caller.account)}

        def kept(caller: Caller) -> Any:
            return {"listenKey": self._user_data.keep_key(caller.account)}

        def closed(caller: Caller) -> Any:
            self._user_data.close_key(caller.account)
            return {}

        return [
            stream("user-stream.open", opened, "POST"),
            stream("user-stream.keep", kept, "PUT"),
            stream("user-stream.close", closed, "DELETE"),
        ]

    # Wallet

    def _wallets(self, account: Account) -> list[Wallet]:
        markets = list(self._core.exchange.markets.values())
        return [Wallet.of(account, asset, markets) for asset in account.money.balances]

    def _balances(self, caller: Caller) -> Any:
        return [
            {
                "accountAlias": "local",
                "asset": wallet.asset,
                "balance": rounded(wallet.balance),
                "crossWalletBalance": rounded(wallet.balance),
                "crossUnPnl": rounded(wallet.unrealized),
                "availableBalance": rounded(wallet.available),
                "maxWithdrawAmount": rounded(min(wallet.available, wallet.balance)),
                "marginAvailable": True,
                "updateTime": self._core.clock.now_ms(),
            }
            for wallet in self._wallets(caller.account)
        ]

    def _account_v3(self, caller: Caller) -> Any:
        account = caller.account
        wallets = self._wallets(account)
        markets = [
            market
            for market in self._core.exchange.markets.values()
            if account.open_orders(market) or PositionFigures.of(account, market).amount
        ]
        return {
            **_totals(wallets),
            "assets": [_asset(wallet, self._core.clock.now_ms()) for wallet in wallets],
            "positions": [self._account_position(account, market) for market in markets],
        }

    def _account_v2(self, caller: Caller) -> Any:
        account = caller.account
        modes = self._modes.of(account)
        wallets = self._wallets(account)
        positions = []
        for market in self._core.exchange.markets.values():
            figures = PositionFigures.of(account, market)
            position = self._account_position(account, market)
            del position["isolatedMargin"], position["isolatedWallet"]
            positions.append(
                position
                | {
                    "leverage": str(figures.leverage),
                    "isolated": market.name in modes.isolated,
                    "entryPrice": plain(figures.entry),
                    "breakEvenPrice": plain(figures.break_even),
                    "maxNotional": _NOTIONAL_MAX,
                    "bidNotional": plain(figures.bid_notional),
                    "askNotional": plain(figures.ask_notional),
                }
            )
        now_ms = self._core.clock.now_ms()
        return {
            **self._identity(account),
            **_totals(wallets),
            "assets": [_asset(wallet, now_ms) | {"marginAvailable": True} for wallet in wallets],
            "positions": positions,
        }

    def _account_position(self, account: Account, market: Market) -> dict[str, Any]:
        figures = PositionFigures.of(account, market)
        return {
            "symbol": market.name,
            "positionSide": "BOTH",
            "positionAmt": plain(figures.amount),
            "unrealizedProfit": rounded(figures.unrealized),
            "isolatedMargin": "0",
            "notional": plain(figures.notional),
            "isolatedWallet": "0",
            "initialMargin": rounded(figures.initial_margin + figures.order_margin),
            "positionInitialMargin": rounded(figures.initial_margin),
            "openOrderInitialMargin": rounded(figures.order_margin),
            "maintMargin": rounded(figures.maintenance_margin),
            "updateTime": _changed_ms(account, market),
        }

    # Positions

    def _positions_v3(self, caller: Caller) -> Any:
        account = caller.account
        return [
            self._position(account, market)
            | {
                "marginAsset": market.instrument.quote,
                "initialMargin": rounded(figures.initial_margin + figures.order_margin),
                "maintMargin": rounded(figures.maintenance_margin),
                "positionInitialMargin": rounded(figures.initial_margin),
                "openOrderInitialMargin": rounded(figures.order_margin),
                "adl": 0,
                "bidNotional": plain(figures.bid_notional),
                "askNotional": plain(figures.ask_notional),
            }
            for market in self._asked(caller.params)
            # Symbols with neither position nor open order are not listed.
            if (figures := PositionFigures.of(account, market)).amount or account.open_orders(market)
        ]

    def _positions_v2(self, caller: Caller) -> Any:
        account = caller.account
        modes = self._modes.of(account)
        return [
            self._position(account, market)
            | {
                "marginType": "isolated" if market.name in modes.isolated else "cross",
                "isAutoAddMargin": "false",
                "leverage": str(linear_money(account).leverage_of(market.index)),
                "maxNotionalValue": _NOTIONAL_MAX,
            }
            for market in self._asked(caller.params)
        ]

    def _position(self, account: Account, market: Market) -> dict[str, Any]:
        figures = PositionFigures.of(account, market)
        return {
            "symbol": market.name,
            "positionSide": "BOTH",
            "positionAmt": plain(figures.amount),
            "entryPrice": plain(figures.entry),
            "breakEvenPrice": plain(figures.break_even),
            "markPrice": rounded(figures.mark),
            "unRealizedProfit": rounded(figures.unrealized),
            "liquidationPrice": "0",
            "isolatedMargin": "0",
            "notional": plain(figures.notional),
            "isolatedWallet": "0",
            "updateTime": _changed_ms(account, market),
        }

    # Modes

    def _is_hedged(self, caller: Caller) -> Any:
        return {"dualSidePosition": self._modes.of(caller.account).is_hedged}

    def _set_hedged(self, caller: Caller) -> Any:
        account, modes = caller.account, self._modes.of(caller.account)
        wanted = _flag(caller.params, "dualSidePosition")
        if wanted is modes.is_hedged:
            raise BinanceError(-4059, "No need to change position side.")
        if account.open_orders():
            raise BinanceError(-4067, "Position side cannot be changed if there exists open orders.")
        if any(position.size_lots for position in account.money.positions.values()):
            raise BinanceError(-4068, "Position side cannot be changed if there exists position.")
        modes.is_hedged = wanted
        return _DONE

    def _has_multi_assets(self, caller: Caller) -> Any:
        return {"multiAssetsMargin": self._modes.of(caller.account).has_multi_assets}

    def _set_multi_assets(self, caller: Caller) -> Any:
        modes = self._modes.of(caller.account)
        wanted = _flag(caller.params, "multiAssetsMargin")
        if wanted is modes.has_multi_assets:
            raise BinanceError(-4171, "No need to change multi-assets mode.")
        modes.has_multi_assets = wanted
        return _DONE

    def _set_leverage(self, caller: Caller) -> Any:
        account, market = caller.account, self._trading.market(caller.params)
        leverage = caller.params.integer("leverage")
        if leverage is None or not 1 <= leverage <= _LEVERAGE_MAX:
            raise BinanceError(-4028, f"Leverage {leverage} is not valid")
        money = linear_money(account)
        money.leverages[market.index] = leverage
        for order in account.open_orders(market):
            account.lock(order, -order.leaves_lots)
            if order.reserve_per_lot:
                order.reserve_per_lot = market.instrument.notional_quote(order.price_ticks, 1) / leverage
            account.lock(order, order.leaves_lots)
        now_ms = self._core.clock.now_ms()
        change = {"s": market.name, "l": leverage}
        self._user_data.tell(account, {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": change})
        return {"leverage": leverage, "maxNotionalValue": _NOTIONAL_MAX, "symbol": market.name}

    def _set_margin_type(self, caller: Caller) -> Any:
        account, market = caller.account, self._trading.market(caller.params)
        isolated = self._modes.of(account).isolated
        kind = caller.params.required("marginType")
        if kind not in {"ISOLATED", "CROSSED"}:
            raise BinanceError(-1130, "Data sent for parameter 'marginType' is not valid.")
        if (kind == "ISOLATED") is (market.name in isolated):
            raise BinanceError(-4046, "No need to change margin type.")
        if account.open_orders(market):
            raise BinanceError(-4047, "Margin type cannot be changed if there exists open orders.")
        if PositionFigures.of(account, market).amount:
            raise BinanceError(-4048, "Margin type cannot be changed if there exists position.")
        isolated.symmetric_difference_update({market.name})
        return _DONE

    # Configuration and limits

    def _identity(self, account: Account) -> dict[str, Any]:
        return {
            "feeTier": 0,
            "feeBurn": account.setup.fee_asset is not None,
            "canTrade": account.can_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": self._modes.of(account).has_multi_assets,
            "tradeGroupId": -1,
        }

    def _configuration(self, caller: Caller) -> Any:
        body = self._identity(caller.account)
        del body["feeBurn"]
        return body | {"dualSidePosition": self._modes.of(caller.account).is_hedged}

    def _symbol_configuration(self, caller: Caller) -> Any:
        account = caller.account
        modes = self._modes.of(account)
        return [
            {
                "symbol": market.name,
                "marginType": "ISOLATED" if market.name in modes.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": linear_money(account).leverage_of(market.index),
                "maxNotionalValue": _NOTIONAL_MAX,
            }
            for market in self._asked(caller.params)
        ]

    def _commission(self, caller: Caller) -> Any:
        market, setup = self._trading.market(caller.params), caller.account.setup
        return {
            "symbol": market.name,
            "makerCommissionRate": plain(setup.maker_fee),
            "takerCommissionRate": plain(setup.taker_fee),
            "rpiCommissionRate": plain(setup.maker_fee),
        }

    def _income(self, caller: Caller) -> Any:
        params = caller.params
        market = self._trading.market(params) if "symbol" in params else None
        kind = params.text("incomeType")
        start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
        limit, page = params.limit(_INCOMES, _INCOMES_MAX), params.integer("page") or 1
        found = [
            income
            for fill in caller.account.fills
            if market is None or fill.order.market is market
            for income in _incomes(fill, caller.stamp)
            if (kind is None or income["incomeType"] == kind)
            and (start_ms is None or fill.at_ns // 1_000_000 >= start_ms)
            and (end_ms is None or fill.at_ns // 1_000_000 <= end_ms)
        ]
        return found[(page - 1) * limit : page * limit]

    def _brackets(self, caller: Caller) -> Any:
        brackets = [
            {
                "symbol": market.name,
                "notionalCoef": 1.0,
                "brackets": [
                    {
                        "bracket": 1,
                        "initialLeverage": _LEVERAGE_MAX,
                        "notionalCap": int(_NOTIONAL_MAX),
                        "notionalFloor": 0,
                        "maintMarginRatio": float(MAINTENANCE_RATE),
                        "cum": 0,
                    }
                ],
            }
            for market in self._asked(caller.params)
        ]
        return brackets[0] if "symbol" in caller.params else brackets

    def _order_limits(self, caller: Caller) -> Any:
        limits = self._trading.gateway.order_counts(caller.account)
        return [{name: value for name, value in limit.items() if name != "count"} for limit in limits]

    def _trading_status(self, caller: Caller) -> Any:
        caller.params.pass_over("symbol")
        return {"indicators": {}, "updateTime": self._core.clock.now_ms()}

    def _permissions(self, caller: Caller) -> Any:
        return restrictions_json(caller.key, caller.stamp(self._core.clock.now_ns()), is_futures=True)

    def _asked(self, params: Params) -> list[Market]:
        return [self._trading.market(params)] if "symbol" in params else list(self._core.exchange.markets.values())


def _totals(wallets: list[Wallet]) -> dict[str, str]:
    """Return the sums over the assets that positions settle in, of which this venue has one: the dollar's."""
    settled = [wallet for wallet in wallets if wallet.asset == "USDT"]

    def total(read: Callable[[Wallet], Decimal]) -> str:
        return rounded(sum((read(wallet) for wallet in settled), Decimal(0)))

    return {
        "totalInitialMargin": total(lambda one: one.position_margin + one.order_margin),
        "totalMaintMargin": total(lambda one: one.maintenance_margin),
        "totalWalletBalance": total(lambda one: one.balance),
        "totalUnrealizedProfit": total(lambda one: one.unrealized),
        "totalMarginBalance": total(lambda one: one.margin_balance),
        "totalPositionInitialMargin": total(lambda one: one.position_margin),
        "totalOpenOrderInitialMargin": total(lambda one: one.order_margin),
        "totalCrossWalletBalance": total(lambda one: one.balance),
        "totalCrossUnPnl": total(lambda one: one.unrealized),
        "availableBalance": total(lambda one: one.available),
        "maxWithdrawAmount": total(lambda one: min(one.available, one.balance)),
    }


def _asset(wallet: Wallet, now_ms: int) -> dict[str, Any]:
    return {
        "asset": wallet.asset,
        "walletBalance": rounded(wallet.balance),
        "unrealizedProfit": rounded(wallet.unrealized),
        "marginBalance": rounded(wallet.margin_balance),
        "maintMargin": rounded(wallet.maintenance_margin),
        "initialMargin": rounded(wallet.position_margin + wallet.order_margin),
        "positionInitialMargin": rounded(wallet.position_margin),
        "openOrderInitialMargin": rounded(wallet.order_margin),
        "crossWalletBalance": rounded(wallet.balance),
        "crossUnPnl": rounded(wallet.unrealized),
        "availableBalance": rounded(wallet.available),
        "maxWithdrawAmount": rounded(min(wallet.available, wallet.balance)),
        "updateTime": now_ms,
    }


def _changed_ms(account: Account, market: Market) -> int:
    """Return when the position last changed; 0 for never."""
    last = next((fill for fill in reversed(account.fills) if fill.order.market is market), None)
    return 0 if last is None else last.at_ns // 1_000_000


def _incomes(fill: VenueFill, stamp: Callable[[int], int]) -> list[dict[str, Any]]:
    """Return what a fill won and cost."""
    parts = [("REALIZED_PNL", fill.realized_quote, fill.order.market.instrument.quote)]
    parts.append(("COMMISSION", -fill.fee, fill.fee_asset))
    return [
        {
            "symbol": fill.order.market.name,
            "incomeType": kind,
            "income": plain(amount),
            "asset": asset,
            "info": str(fill.trade_id),
            "time": stamp(fill.at_ns),
            "tranId": fill.trade_id * len(parts) + number,
            "tradeId": str(fill.trade_id),
        }
        for number, (kind, amount, asset) in enumerate(parts)
        if amount
    ]


def _flag(params: Params, name: str) -> bool:
    word = params.required(name).lower()
    if word not in {"true", "false"}:
        raise BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return word == "true"
