"""What a model is told of a market: numbers, each declared once with name, unit and sign, for prompt and data alike.

Prices stand as distances from the mid in bps, sizes as multiples of the order size, times as ages: neither the price
level nor a date nor the size of the account can be read from them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.advice import MarketPicture
    from mmframe.domain.views import TradeTick

__all__ = ["DEPTH", "LEVELS", "TAPE", "TOUCH", "TRADES", "Fact", "Rows", "Table", "decimal_text", "distance_bps"]

_BPS = 10_000.0
_NS_PER_S = 1_000_000_000
_PLAIN_MAX = 1e9

Rows: TypeAlias = list[list[str | None]]


@attrs.frozen
class Fact:
    """One number about a market.

    Attributes:
        name: Its key in the question, with the unit last.
        help: What it means, with unit and sign.
        places: Decimals told; None tells six digits, for a number of unknown size.
        value: Computes it; NaN is 'not known'.
    """

    name: str
    help: str
    places: int | None
    value: Callable[[MarketPicture], float]

    def told(self, picture: MarketPicture) -> str | None:
        """Return the number as it stands in the question."""
        return decimal_text(self.value(picture), self.places)


@attrs.frozen
class Table:
    """Rows of numbers about a market.

    Attributes:
        name: Its key in the question.
        help: What a row is, with units and signs.
        value: Computes the rows as they stand in the question.
    """

    name: str
    help: str
    value: Callable[[MarketPicture], Rows]

    def told(self, picture: MarketPicture) -> Rows:
        """Return the rows as they stand in the question."""
        return self.value(picture)


def decimal_text(value: float, places: int | None) -> str | None:
    """Return a number as short decimal text; None when it is not finite."""
    if not -math.inf < value < math.inf:
        return None
    if places is None or abs(value) >= _PLAIN_MAX:
        return f"{value:.6g}"
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def distance_bps(picture: MarketPicture, price: float) -> float:
    """Return how far a price is above the mid, bps; negative below."""
    return _share(price - picture.view.mid, picture.view.mid) * _BPS


def _rows(picture: MarketPicture, levels: Sequence[tuple[float, float]]) -> Rows:
    return [
        [decimal_text(distance_bps(picture, price), 2), decimal_text(_orders(picture, size), 2)]
        for price, size in levels
    ]


# Facts of the touch and of the position


def _spread_bps(picture: MarketPicture) -> float:
    view = picture.view
    return _share(view.ask - view.bid, view.mid) * _BPS


def _touch_imbalance(picture: MarketPicture) -> float:
    view = picture.view
    return _share(view.bid_size - view.ask_size, view.bid_size + view.ask_size)


def _position_share(picture: MarketPicture) -> float:
    return _share(picture.inventory.position, picture.inventory.max_position)


def _position_orders(picture: MarketPicture) -> float:
    return _orders(picture, picture.inventory.position - picture.inventory.target)


def _open_result_bps(picture: MarketPicture) -> float:
    inventory = picture.inventory
    if inventory.position == 0.0:
        return 0.0
    moved = _share(picture.view.mid - inventory.average_price, inventory.average_price) * _BPS
    return math.copysign(1.0, inventory.position) * moved


TOUCH = (
    Fact("spread_bps", "best ask minus best bid, bps of the mid.", 3, _spread_bps),
    Fact(
        "touch_imbalance",
        "(best bid size - best ask size) / their sum; -1 to 1, positive when more is bid for.",
        2,
        _touch_imbalance,
    ),
    Fact("bid_touch_orders", "size at the best bid, in our order sizes.", 1, lambda p: _orders(p, p.view.bid_size)),
    Fact("ask_touch_orders", "size at the best ask, in our order sizes.", 1, lambda p: _orders(p, p.view.ask_size)),
    Fact("position_share", "our position as a share of its limit; -1 to 1, positive is long.", 3, _position_share),
    Fact(
        "position_orders", "our position beyond its target, in our order sizes; positive is long.", 2, _position_orders
    ),
    Fact("open_result_bps", "how far the mid has moved in favour of our open position, bps.", 2, _open_result_bps),
)


# Facts of the levels


def _depth(levels: Sequence[tuple[float, float]]) -> float:
    return math.fsum(size for _, size in levels)


def _depth_imbalance(picture: MarketPicture) -> float:
    bids, asks = _depth(picture.bids), _depth(picture.asks)
    return _share(bids - asks, bids + asks)


def _reach_bps(picture: MarketPicture, levels: Sequence[tuple[float, float]]) -> float:
    return abs(distance_bps(picture, levels[-1][0])) if levels else math.nan


DEPTH = (
    Fact("depth_imbalance", "as touch_imbalance, over the levels that we see.", 2, _depth_imbalance),
    Fact(
        "bid_depth_orders",
        "size over the bid levels that we see, in our order sizes.",
        1,
        lambda p: _orders(p, _depth(p.bids)),
    ),
    Fact(
        "ask_depth_orders",
        "size over the ask levels that we see, in our order sizes.",
        1,
        lambda p: _orders(p, _depth(p.asks)),
    ),
    Fact(
        "bid_reach_bps",
        "distance of the last bid level that we see from the mid, bps.",
        2,
        lambda p: _reach_bps(p, p.bids),
    ),
    Fact(
        "ask_reach_bps",
        "distance of the last ask level that we see from the mid, bps.",
        2,
        lambda p: _reach_bps(p, p.asks),
    ),
)


# Facts of the executions


def _trades_span_s(picture: MarketPicture) -> float:
    return _age_s(picture, picture.trades[0]) if picture.trades else math.nan


def _buy_share(picture: MarketPicture) -> float:
    told = [trade for trade in picture.trades if trade.side != 0.0]
    bought = math.fsum(trade.size for trade in told if trade.side > 0.0)
    return _share(bought, math.fsum(trade.size for trade in told))


def _move_bps(picture: MarketPicture) -> float:
    return -distance_bps(picture, picture.trades[0].price) if picture.trades else math.nan


def _range_bps(picture: MarketPicture) -> float:
    prices = [trade.price for trade in picture.trades]
    return _share(max(prices) - min(prices), picture.view.mid) * _BPS if prices else math.nan


TAPE = (
    Fact("trade_count", "executions that we see.", 0, lambda picture: float(len(picture.trades))),
    Fact("trades_span_s", "age of the oldest of them, s.", 1, _trades_span_s),
    Fact("buy_share", "share of their size whose taker bought, 0 to 1.", 2, _buy_share),
    Fact("move_bps", "the mid against the price of the oldest of them, bps; positive is up.", 2, _move_bps),
    Fact("range_bps", "highest minus lowest price of them, bps of the mid.", 2, _range_bps),
)


# Levels and executions as they are


def _trade_rows(picture: MarketPicture) -> Rows:
    return [
        [
            decimal_text(_age_s(picture, trade), 1),
            decimal_text(distance_bps(picture, trade.price), 2),
            decimal_text(_orders(picture, trade.size), 2),
            decimal_text(trade.side, 0),
        ]
        for trade in picture.trades
    ]


LEVELS = (
    Table(
        "bids",
        "bid levels, best first: [distance from the mid in bps, size in our order sizes].",
        lambda p: _rows(p, p.bids),
    ),
    Table(
        "asks",
        "ask levels, best first: [distance from the mid in bps, size in our order sizes].",
        lambda p: _rows(p, p.asks),
    ),
)
TRADES = (
    Table(
        "trades",
        "executions, oldest first: [age in s, distance from the mid now in bps, size in our order sizes, taker: 1 "
        "bought, -1 sold, 0 not told].",
        _trade_rows,
    ),
)


def _orders(picture: MarketPicture, size: float) -> float:
    return _share(size, picture.view.order_size)


def _age_s(picture: MarketPicture, trade: TradeTick) -> float:
    return max(0, picture.view.now_ns - trade.now_ns) / _NS_PER_S


def _share(part: float, whole: float) -> float:
    # Zero, infinity and what is no number have no shares.
    return part / whole if 0.0 < whole < math.inf else math.nan
