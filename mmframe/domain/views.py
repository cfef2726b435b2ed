"""What rules see and return: flat NamedTuples of numbers, in price units and base units.

Nothing here may hold an object, a string or None: an event engine and a compiling engine run the same rule on the same
tuple. Prices are quote units per base unit, sizes base units, times nanoseconds UTC.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

__all__ = [
    "NEUTRAL_ADVICE",
    "NO_QUOTE",
    "Advice",
    "BookTick",
    "FillTick",
    "Inventory",
    "MarketView",
    "QuoteProposal",
    "Reason",
    "RiskLevel",
    "RiskVerdict",
    "TradeTick",
]


class Reason(IntEnum):
    """Why a quote is absent, moved or smaller. Plugins use their own codes from `PLUGIN` up, named in their spec."""

    NONE = 0
    NOT_PROPOSED = 1
    """No optimizer has set this side."""
    WARMING_UP = 2
    """A signal that is needed has no value yet."""
    BOOK_UNSYNCED = 3
    BOOK_STALE = 4
    BOOK_CROSSED = 5
    BOOK_EMPTY = 6
    """One side of the book has no level."""
    NOT_FINITE = 7
    """A stage returned NaN or infinity."""
    POST_ONLY = 8
    """Moved back so as not to cross the touch."""
    BELOW_MINIMUM = 9
    """Smaller than the instrument's smallest size or notional."""
    POSITION_LIMIT = 10
    TOTAL_LIMIT = 11
    DAILY_LOSS = 12
    SPREAD_FLOOR = 13
    ADVICE_PAUSE = 14
    INVENTORY = 15
    """Inventory moved or removed this side."""
    STRATEGY_ERROR = 16
    """A component raised or broke its contract."""
    HALTED = 17
    PAUSED = 18
    UNKNOWN_ORDER = 19
    """An order of unknown outcome blocks this side."""
    ONE_SIDED = 20
    """The strategy quotes the other side only."""
    VENUE_DOWN = 21
    NOT_COMPARED = 22
    """Our open orders or the position at the venue have not been compared with ours yet."""
    LIQUIDATING = 23
    """The position is being closed; nothing else is quoted meanwhile."""
    NOT_VALUED = 24
    """A position in this market's quote asset has no price yet: the run has not seen its book."""
    PLUGIN = 1000


class RiskLevel(IntEnum):
    """How far a risk control goes; the strongest of a chain wins."""

    ALLOW = 0
    SHRINK = 1
    """Quote, but less or further away."""
    CANCEL_ONLY = 2
    """No new quote; resting orders are pulled."""
    HALT = 3
    """Latched: nothing is quoted until an operator resumes."""
    LIQUIDATE = 4
    """As HALT, and the position is closed slice by slice. Only a control whose spec says how may ask for it."""


class BookTick(NamedTuple):
    """The touch at one instant, for signals. Both sides are present."""

    now_ns: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    mid: float


class TradeTick(NamedTuple):
    """One public execution, for signals."""

    now_ns: int
    price: float
    size: float
    side: float
    """The taker: 1.0 bought, -1.0 sold, 0.0 not told."""


class FillTick(NamedTuple):
    """One execution of our own order, for rules that learn from their fills."""

    now_ns: int
    price: float
    size: float
    side: float
    """1.0 we bought, -1.0 we sold."""
    mid: float
    """At the moment of the fill; the fill's own price when there was no book."""
    is_maker: float
    """1.0 when our order rested, 0.0 when it took."""


class MarketView(NamedTuple):
    """The market at the moment of a decision. The book is in sync, both sides are present and not crossed."""

    now_ns: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    mid: float
    tick: float
    lot: float
    order_size: float
    """The size the strategy file asks for, base units."""
    age_ns: int
    """Since the newest message of the book was received."""
    lag_ns: int
    """Receive time minus exchange time of that message: network and clocks together. Only its changes mean something,
    and it may be negative."""
    signals: tuple[float, ...]
    """A NamedTuple whose fields are the strategy's signals; NaN is 'not known yet'."""


class Inventory(NamedTuple):
    """What we hold in this market, and the sum over all markets."""

    position: float
    """Signed, base units; long is positive."""
    target: float
    """The position that the strategy aims for, base units."""
    max_position: float
    """Largest absolute position, base units; infinity when the file sets none."""
    average_price: float
    """Of the open position; 0.0 when flat."""
    realised_pnl_quote: float
    unrealised_pnl_quote: float
    fees_quote: float
    """Paid so far, positive is a cost."""
    day_pnl_quote: float
    """Since midnight UTC, fees included, all markets with this quote asset: the group."""
    total_notional_quote: float
    """Sum of absolute position values over the group."""
    net_notional_quote: float
    """Sum of signed position values over the group; long is positive."""
    concentration: float
    """Herfindahl index of the group's absolute position values: 1 when one market holds all, 1/n when n hold the same,
    0.0 when all are flat."""
    market_count: float
    """Markets in the group."""
    asset_position: float
    """Signed, base units: the sum of positions of all markets with this market's base asset."""
    total_pnl_quote: float
    """Of the whole run, restarts included, fees included, of the group."""
    peak_pnl_quote: float
    """The highest `total_pnl_quote` since the run began or an operator last resumed it."""
    day_peak_pnl_quote: float
    """The highest `day_pnl_quote` since midnight UTC, where it was 0, or since an operator last resumed."""
    base_balance: float
    """Free and locked amount of the base asset on the account; NaN where the venue does not tell."""
    quote_balance: float
    """Free and locked amount of the quote asset on the account; NaN where the venue does not tell."""
    open_orders: float
    """Our orders in this market that are not final."""
    orders_sent: float
    """New orders asked for in this market by this process: submits and replaces."""
    requests_sent: float
    """All requests about orders in this market by this process: submits, amends, replaces and cancels."""
    fill_count: float
    """Executions in this market in the whole run."""


class Advice(NamedTuple):
    """Bounded advice from a slow source; a field is neutral unless the source said otherwise and has not expired."""

    bid_spread_multiplier: float
    ask_spread_multiplier: float
    size_multiplier: float
    skew_bps: float
    """Shift of both quotes; positive is up."""
    position_scale: float
    pause: float
    """1.0 asks for no quotes."""
    confidence: float
    valid_until_ns: int


NEUTRAL_ADVICE = Advice(
    bid_spread_multiplier=1.0,
    ask_spread_multiplier=1.0,
    size_multiplier=1.0,
    skew_bps=0.0,
    position_scale=1.0,
    pause=0.0,
    confidence=0.0,
    valid_until_ns=0,
)


class QuoteProposal(NamedTuple):
    """The best quote of each side, before rounding. A side with size 0 is not quoted, for `*_reason`."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float
    bid_reason: int
    ask_reason: int


NO_QUOTE = QuoteProposal(math.nan, 0.0, math.nan, 0.0, int(Reason.NOT_PROPOSED), int(Reason.NOT_PROPOSED))
"""What the first optimizer is given."""


class RiskVerdict(NamedTuple):
    """A risk control's answer: the same quotes, or less. Sizes are the side's total over the ladder."""

    level: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    reason: int
    """A `Reason`, or a plugin's code; 0 when `level` is ALLOW."""
