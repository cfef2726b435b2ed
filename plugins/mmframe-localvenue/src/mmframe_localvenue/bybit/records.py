"""Orders, executions, positions and wallets as Bybit words them: numbers as strings, "" where there is none.

One wording serves REST and stream; what differs (the name of the average price, the category on each item) is said
where it is used.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe_localvenue.bybit.envelope import SPOT
from mmframe_localvenue.core import OrderState, UnifiedMoney
from mmframe_localvenue.core.accounts import LinearMoney

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe_localvenue.core import (
        Account,
        Exchange,
        Funding,
        Market,
        OrderEvent,
        Position,
        VenueFill,
        VenueOrder,
    )

__all__ = [
    "category_of",
    "execution_record",
    "funding_record",
    "linear_money",
    "link_of",
    "order_id_of",
    "order_record",
    "plain",
    "position_record",
    "public_text",
    "side_text",
    "trimmed",
    "wallet_record",
]

_IDS = uuid.UUID("0c7b2b3e-5a43-4a52-9d5c-0f2f3f0f6c11")
_SPOT_ORDER_BASE = 1_900_000_000_000_000_000
_SPOT_EXECUTION_BASE = 2_290_000_000_000_000_000
_FORCES = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_STATES = {
    OrderState.NEW: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
}
_CENT = Decimal("1e-8")


def plain(number: Decimal) -> str:
    """Return a number as decimal text without trailing zeros or exponent."""
    return trimmed(format(number, "f"))


def trimmed(text: str) -> str:
    """Return decimal text without trailing zeros."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def public_text(market: Market, text: str) -> str:
    """Return a price or size as the public streams of the market's category write it: spot leaves zeros off."""
    return trimmed(text) if category_of(market) == SPOT else text


def category_of(market: Market) -> str:
    """Return `spot` or `linear`."""
    return SPOT if market.instrument.kind is InstrumentKind.SPOT else "linear"


def side_text(side: Side) -> str:
    """Return `Buy` or `Sell`."""
    return "Buy" if side is Side.BUY else "Sell"


def order_id_of(order: VenueOrder) -> str:
    """Return the order's id: a number on spot, a UUID on linear, the same in every run."""
    if category_of(order.market) == SPOT:
        return str(_SPOT_ORDER_BASE + order.order_id)
    return str(uuid.uuid5(_IDS, f"order {order.order_id}"))


def link_of(order: VenueOrder) -> str:
    """Return the client's own id; empty where it gave none."""
    return str(order.labels.get("link", ""))


def order_record(order: VenueOrder) -> dict[str, Any]:
    """Return an order as it stands.

    A spot buy of an amount of quote coin that ends with some of it left is called cancelled, not filled.
    """
    market = order.market
    instrument = market.instrument
    is_spot = category_of(market) == SPOT
    leaves = instrument.size(order.leaves_lots)
    filled = order.filled
    fees: dict[str, Decimal] = {}
    for fill in order.fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, Decimal(0)) + fill.fee
    labels = order.labels
    amount = labels.get("quote_amount")
    leaves_value = leaves * order.price if amount is None else amount - order.filled_quote
    record: dict[str, Any] = {
        "symbol": market.name,
        "orderId": order_id_of(order),
        "orderLinkId": link_of(order),
        "blockTradeId": "",
        "side": side_text(order.side),
        "positionIdx": 0,
        "orderStatus": _status(order, is_spot=is_spot),
        "cancelType": labels.get("cancel_type", "UNKNOWN"),
        "rejectReason": labels.get("reject_reason", "EC_NoError"),
        "timeInForce": "PostOnly" if order.is_post_only else _FORCES[order.time_in_force],
        "isLeverage": "0" if is_spot else "",
        "price": instrument.price_text(order.price_ticks) if order.price_ticks else "0",
        "qty": instrument.size_text(order.size_lots) if amount is None else str(amount),
        "avgPrice": plain((order.filled_quote / filled).quantize(_CENT)) if filled else "",
        "leavesQty": instrument.size_text(order.leaves_lots),
        "leavesValue": plain(leaves_value),
        "cumExecQty": instrument.size_text(order.filled_lots),
        "cumExecValue": plain(order.filled_quote),
        "cumExecFee": plain(sum(fees.values(), Decimal(0))),
        "closedPnl": plain(sum((fill.realized_quote for fill in order.fills), Decimal(0))),
        "feeCurrency": next(iter(fees), "") if is_spot else "",
        "orderType": "Limit" if order.price_ticks else "Market",
        "stopOrderType": "",
        "orderIv": "",
        "triggerPrice": "",
        "takeProfit": "",
        "stopLoss": "",
        "triggerBy": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "triggerDirection": 0,
        "placeType": "",
        "lastPriceOnCreated": labels.get("last_price", ""),
        "closeOnTrigger": False,
        "reduceOnly": order.is_reduce_only,
        "smpType": labels.get("smp_type", "None"),
        "smpGroup": 0,
        "smpOrderId": labels.get("smp_order_id", ""),
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "",
        "rpiTakerAccess": False,
        "rpiMatchedQty": "0",
        "createdTime": str(order.created_ns // 1_000_000),
        "updatedTime": str(order.updated_ns // 1_000_000),
        "cumFeeDetail": {asset: plain(fee) for asset, fee in fees.items()},
    }
    if is_spot:
        record["marketUnit"] = labels.get("market_unit", "")
    else:
        record["createType"] = "CreateByUser"
        record["tpslMode"] = ""
    if amount is not None and leaves_value and not order.state.is_open:
        record |= {"orderStatus": "PartiallyFilledCanceled", "rejectReason": "EC_CancelForNoFullFill"}
    return record


def execution_record(event: OrderEvent, fill: VenueFill, sequence: int) -> dict[str, Any]:
    """Return a fill as it is told when it happens; `leavesQty` is of that moment."""
    order = event.order
    market = order.market
    instrument = market.instrument
    is_spot = category_of(market) == SPOT
    setup = order.account.setup
    record: dict[str, Any] = {
        "symbol": market.name,
        "orderId": order_id_of(order),
        "orderLinkId": link_of(order),
        "execId": str(_SPOT_EXECUTION_BASE + event.number)
        if is_spot
        else str(uuid.uuid5(_IDS, f"fill {event.number}")),
        "execPrice": instrument.price_text(fill.price_ticks),
        "execQty": instrument.size_text(fill.size_lots),
        "execValue": plain(fill.price * fill.size),
        "execFee": plain(fill.fee),
        "feeRate": plain(setup.maker_fee if fill.is_maker else setup.taker_fee),
        "feeCurrency": fill.fee_asset,
        "execType": "Trade",
        "execTime": str(fill.at_ns // 1_000_000),
        "execPnl": plain(fill.realized_quote),
        "isMaker": fill.is_maker,
        "side": side_text(fill.side),
        "orderPrice": instrument.price_text(order.price_ticks) if order.price_ticks else "0",
        "orderQty": instrument.size_text(0 if "quote_amount" in order.labels else order.size_lots),
        "leavesQty": instrument.size_text(order.size_lots - order.filled_lots),
        "closedSize": "" if is_spot else instrument.size_text(_closed_lots(fill)),
        "orderType": "Limit" if order.price_ticks else "Market",
        "stopOrderType": "UNKNOWN",
        "isLeverage": "0",
        "tradeIv": "",
        "markIv": "",
        "markPrice": "" if is_spot else plain(market.last_price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "marketUnit": order.labels.get("market_unit", ""),
        "extraFees": "",
        "seq": sequence,
    }
    if not is_spot:
        record["createType"] = "CreateByUser"
    return record


def funding_record(funding: Funding) -> dict[str, Any]:
    """Return a funding settlement as the execution that the exchange makes of it: of no order, and no trade."""
    instrument = funding.market.instrument
    size = instrument.size_text(abs(funding.size_lots))
    side = "Buy" if funding.size_lots > 0 else "Sell"
    return {
        "symbol": funding.market.name,
        "orderId": f"{funding.at_ns // 1_000_000_000}-{funding.market.name}-{funding.number}-{side}",
        "orderLinkId": "",
        "execId": str(uuid.uuid5(_IDS, f"funding {funding.number}")),
        "execPrice": plain(funding.price),
        "execQty": size,
        "execValue": plain(funding.price * instrument.size(abs(funding.size_lots))),
        "execFee": plain(funding.paid),
        "feeRate": plain(funding.rate),
        "feeCurrency": instrument.quote,
        "execType": "Funding",
        "execTime": str(funding.at_ns // 1_000_000),
        "execPnl": "0",
        "isMaker": False,
        "side": side,
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "closedSize": "0",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "isLeverage": "0",
        "tradeIv": "",
        "markIv": "",
        "markPrice": plain(funding.price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "marketUnit": "",
        "extraFees": "",
        "seq": funding.market.update_id,
        "createType": "",
    }


def position_record(exchange: Exchange, account: Account, market: Market, *, is_stream: bool) -> dict[str, Any]:
    """Return a one-way position, flat ones too; the stream calls the average price `entryPrice`."""
    instrument = market.instrument
    money = linear_money(account)
    position = money.positions.get(market.index)
    lots = 0 if position is None else position.size_lots
    entry = Decimal(0) if position is None else position.entry_quote
    realized = Decimal(0) if position is None else position.realized_quote
    size = instrument.size(abs(lots))
    average = (entry / size).quantize(_CENT) if lots else Decimal(0)
    margin = entry / money.leverage
    now_text = str(exchange.clock.now_ms())
    record: dict[str, Any] = {
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": market.name,
        "side": "" if not lots else "Buy" if lots > 0 else "Sell",
        "size": instrument.size_text(abs(lots)),
        "entryPrice" if is_stream else "avgPrice": plain(average),
        "leverage": str(money.leverage),
        "breakEvenPrice": "",
        "positionValue": plain(entry),
        "positionBalance": plain(margin.quantize(_CENT)),
        "markPrice": plain(market.last_price),
        "positionIM": plain(margin.quantize(_CENT)),
        "positionIMByMp": plain(margin.quantize(_CENT)),
        "positionMM": plain((entry / 200).quantize(_CENT)),
        "positionMMByMp": plain((entry / 200).quantize(_CENT)),
        "takeProfit": "0",
        "stopLoss": "0",
        "trailingStop": "0",
        "unrealisedPnl": plain(_unrealized(market, position).quantize(_CENT)),
        "curRealisedPnl": plain(realized),
        "cumRealisedPnl": plain(realized),
        "sessionAvgPrice": "",
        "createdTime": now_text,
        "updatedTime": now_text,
        "tpslMode": "Full",
        "liqPrice": "",
        "bustPrice": "",
        "positionStatus": "Normal",
        "adlRankIndicator": 2 if lots else 0,
        "autoAddMargin": 0,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "seq": market.update_id if position is not None else -1,
        "isReduceOnly": False,
    }
    return record


def wallet_record(exchange: Exchange, account: Account, coins: Iterable[str]) -> dict[str, Any]:
    """Return the unified wallet; `coins` narrows the list of coins, not the totals."""
    balances = account.money.balances
    every = {coin: _coin_record(exchange, account, coin) for coin in balances}
    wallet = sum((Decimal(one["usdValue"]) for one in every.values()), Decimal(0))
    unrealized = sum((Decimal(one["unrealisedPnl"] or 0) for one in every.values()), Decimal(0))
    initial = sum(
        (Decimal(one["totalOrderIM"]) + Decimal(one["totalPositionIM"]) for one in every.values()), Decimal(0)
    )
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": "0",
        "accountIMRateByMp": "0",
        "accountMMRate": "0",
        "accountMMRateByMp": "0",
        "totalEquity": plain(wallet + unrealized),
        "totalWalletBalance": plain(wallet),
        "totalMarginBalance": plain(wallet + unrealized),
        "totalAvailableBalance": plain(wallet + unrealized - initial),
        "totalPerpUPL": plain(unrealized),
        "totalInitialMargin": plain(initial),
        "totalInitialMarginByMp": plain(initial),
        "totalMaintenanceMargin": "0",
        "totalMaintenanceMarginByMp": "0",
        "coin": [every[coin] for coin in coins if coin in every],
    }


def linear_money(account: Account) -> LinearMoney:
    """Return the derivatives side of an account's wallet.

    Raises:
        TypeError: If the venue has no derivatives market.
    """
    money = account.money
    if isinstance(money, UnifiedMoney):
        return money.linear
    if isinstance(money, LinearMoney):
        return money
    msg = f"account {account.name!r} has no derivatives market"
    raise TypeError(msg)


def _status(order: VenueOrder, *, is_spot: bool) -> str:
    if order.state in _STATES:
        return _STATES[order.state]
    return "PartiallyFilledCanceled" if is_spot and order.filled_lots else "Cancelled"


def _closed_lots(fill: VenueFill) -> int:
    """Return how much of a fill made the position smaller; the position already counts it."""
    position = linear_money(fill.order.account).positions.get(fill.order.market.index)
    held = 0 if position is None else position.size_lots
    signed = fill.size_lots if fill.side is Side.BUY else -fill.size_lots
    before = held - signed
    return min(abs(signed), abs(before)) if before * signed < 0 else 0


def _unrealized(market: Market, position: Position | None) -> Decimal:
    if position is None or not position.size_lots:
        return Decimal(0)
    value = market.last_price * market.instrument.size(abs(position.size_lots))
    return value - position.entry_quote if position.size_lots > 0 else position.entry_quote - value


def _coin_record(exchange: Exchange, account: Account, coin: str) -> dict[str, Any]:
    locked = order_margin = position_margin = unrealized = realized = Decimal(0)
    for order in account.open_orders():
        if order.reserve_asset == coin:
            amount = order.reserve_per_lot * order.leaves_lots
            if category_of(order.market) == SPOT:
                locked += amount
            else:
                order_margin += amount
    for market in exchange.markets.values():
        if category_of(market) == SPOT or market.instrument.quote != coin:
            continue
        position = account.money.positions.get(market.index)
        unrealized += _unrealized(market, position)
        if position is not None:
            position_margin += position.entry_quote / linear_money(account).leverage
            realized += position.realized_quote
    total = account.money.balances[coin].total
    return {
        "coin": coin,
        "equity": plain(total + unrealized),
        "usdValue": plain((total * _usd_price(exchange, coin)).quantize(_CENT)),
        "walletBalance": plain(total),
        "locked": plain(locked),
        "totalOrderIM": plain(order_margin.quantize(_CENT)),
        "totalPositionIM": plain(position_margin.quantize(_CENT)),
        "totalPositionMM": "0",
        "unrealisedPnl": plain(unrealized.quantize(_CENT)),
        "cumRealisedPnl": plain(realized),
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "spotHedgingQty": "0",
        "bonus": "0",
        "availableToBorrow": "",
        "availableToWithdraw": "",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def _usd_price(exchange: Exchange, coin: str) -> Decimal:
    for market in exchange.markets.values():
        if market.instrument.base == coin:
            return market.last_price
    return Decimal(1)
