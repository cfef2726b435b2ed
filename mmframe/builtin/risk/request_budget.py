"""The risk control `request-budget`: quotes move less, and then stop, before a venue's order budgets run out."""

from __future__ import annotations

from math import floor, inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.risk._clock import CLOCK_TEXT, JITTER_S
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "BUDGET_LOW",
    "ORDERS_SPENT",
    "ORDER_TO_TRADE_SPENT",
    "REQUESTS_SPENT",
    "REQUEST_BUDGET",
    "RequestBudgetOptions",
    "request_budget",
]

BUDGET_LOW = int(Reason.PLUGIN) + 249
ORDERS_SPENT = int(Reason.PLUGIN) + 250
REQUESTS_SPENT = int(Reason.PLUGIN) + 251
ORDER_TO_TRADE_SPENT = int(Reason.PLUGIN) + 252
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)

_DAY_S = 86_400.0
_PARTS = 24
"""A window is counted in so many parts and the one that is open, so that memory is bounded."""
_SLOTS = _PARTS + 1

_NOW_S = 0
_HAS_BEGUN = 1
_ORDERS = 2
"""State: the counters as they stood at the last decision."""
_REQUESTS = 3
_FILLS = 4
_SPENT = 5
"""The reason of the budget that is spent; 0 while all have room."""
_HELD_BID = 6
"""The price at which a side is held; 0 for none."""
_HELD_ASK = 7
_WINDOWS = 8
"""From here on four windows: orders, orders of a day, requests, requests for each trade."""
_NUMBER = 0
"""Of a window: the number of the part that is open."""
_OPEN = 1
"""Its place in the ring."""
_SUM = 2
"""What was spent in all parts, less what executions took off it."""
_TRADES = 3
"""Executions in all parts."""
_SPENDINGS = 4
_EXECUTIONS = _SPENDINGS + _SLOTS
_WINDOW_SIZE = _EXECUTIONS + _SLOTS


@attrs.frozen
class RequestBudgetOptions:
    """Options of `request-budget`; a budget that is not set does not bind.

    Raises:
        DomainError: If no budget is set, one has no room above the reserve, or resume_below is not above soft_from.
    """

    max_orders: int | None = option(
        help="Most new orders (submits and replaces) within orders_window_s.",
        default=None,
        unit="orders",
        minimum=1,
        example=80,
    )
    orders_window_s: float = option(help="Window of max_orders.", default=10.0, unit="s", above=0.0, maximum=86_400.0)
    max_daily_orders: int | None = option(
        help="Most new orders within 24 hours.", default=None, unit="orders", minimum=1, example=150_000
    )
    order_credit: int = option(
        help="New orders that each execution takes off the count of those that were sent before it.",
        default=0,
        unit="orders",
        minimum=0,
        maximum=10,
    )
    max_requests: int | None = option(
        help="Most requests about orders (submits, amends, replaces, cancels) within requests_window_s.",
        default=None,
        unit="requests",
        minimum=1,
        example=600,
    )
    requests_window_s: float = option(
        help="Window of max_requests.", default=60.0, unit="s", above=0.0, maximum=86_400.0
    )
    max_order_to_trade: float | None = option(
        help="Largest ratio of requests to executions, less 1, within ratio_window_s.",
        default=None,
        unit="ratio",
        above=0.0,
        example=250.0,
    )
    ratio_window_s: float = option(
        help="Window of max_order_to_trade.", default=_DAY_S, unit="s", above=0.0, maximum=86_400.0
    )
    ratio_from_requests: int = option(
        help="Requests within ratio_window_s up to which the ratio is not looked at.",
        default=100,
        unit="requests",
        minimum=0,
        maximum=1_000_000,
    )
    soft_from: float = option(
        help="Share of a budget from which on quotes are held.", default=0.6, unit="share", minimum=0.0, maximum=0.99
    )
    max_hold_bps: float = option(
        help="How far a held quote may fall behind at the end of a budget before it moves.",
        default=5.0,
        unit="bps",
        minimum=0.0,
        maximum=500.0,
    )
    resume_below: float = option(
        help="After a budget was spent quotes come back when every one is used less than this.",
        default=0.9,
        unit="share",
        above=0.0,
        maximum=0.99,
    )
    reserve: int = option(
        help="Requests that one decision may send: 2 for each level of the ladder.",
        default=4,
        unit="requests",
        minimum=1,
        maximum=1_000,
    )

    def __attrs_post_init__(self) -> None:
        ratio = self.max_order_to_trade
        trade_budget = None if ratio is None else max(ratio + 1.0, float(self.ratio_from_requests))
        budgets = {
            "max_orders": self.max_orders,
            "max_daily_orders": self.max_daily_orders,
            "max_requests": self.max_requests,
            "max_order_to_trade": trade_budget,
        }
        if all(budget is None for budget in budgets.values()):
            msg = f"max_orders: expected this or another of {', '.join(list(budgets)[1:])}, was none"
            raise DomainError(msg, hint="without a budget nothing is ever spent: leave the control out instead")
        for name, budget in budgets.items():
            # What is left must be enough to quote and to cancel again, or there is never a quote.
            if budget is not None and budget * self.resume_below <= 2 * self.reserve:
                least = 2.0 * self.reserve / self.resume_below
                least -= name == "max_order_to_trade"
                msg = f"{name}: expected more than {least:g}, was {getattr(self, name):g}"
                raise DomainError(msg, hint="twice the reserve must fit below resume_below, or nothing can be quoted")
        if self.resume_below <= self.soft_from:
            msg = f"resume_below: expected more than soft_from, {self.soft_from:g}, was {self.resume_below:g}"
            raise DomainError(msg)


class RequestBudgetParams(NamedTuple):
    """The options as the rule reads them; a budget that is not set is infinity, lengths are those of a part."""

    max_orders: float
    orders_part_s: float
    max_daily_orders: float
    daily_part_s: float
    max_requests: float
    requests_part_s: float
    max_per_trade: float
    free_requests: float
    ratio_part_s: float
    order_credit: float
    soft_from: float
    max_hold: float
    """Share of the mid."""
    resume_below: float
    reserve: float


def request_budget(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: RequestBudgetParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Count what was sent since the last decision, and return the quotes, held or cancelled as the budgets ask."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    orders = inventory.orders_sent
    requests = inventory.requests_sent
    fills = inventory.fill_count
    if not (
        0.0 <= orders < inf
        and 0.0 <= requests < inf
        and 0.0 <= fills < inf
        and 0.0 <= inventory.open_orders < inf
        and 0.0 < view.mid < inf
    ):
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)
    now_s = view.now_ns / 1e9
    remembered_s = state[_NOW_S]
    is_anew = now_s < remembered_s - JITTER_S
    if not is_anew and now_s < remembered_s:
        now_s = remembered_s
    state[_NOW_S] = now_s
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        # Executions are counted over the whole run, restarts included: those before this one earn nothing.
        state[_FILLS] = fills
        is_anew = True
    # The counters of requests begin at 0 with each process.
    new_orders = orders - state[_ORDERS] if orders >= state[_ORDERS] else orders
    new_requests = requests - state[_REQUESTS] if requests >= state[_REQUESTS] else requests
    new_fills = fills - state[_FILLS] if fills >= state[_FILLS] else 0.0
    state[_ORDERS] = orders
    state[_REQUESTS] = requests
    state[_FILLS] = fills

    used = 0.0
    spent = 0
    for window in range(4):
        if window == 0:
            limit = params.max_orders
            part_s = params.orders_part_s
        elif window == 1:
            limit = params.max_daily_orders
            part_s = params.daily_part_s
        elif window == 2:
            limit = params.max_requests
            part_s = params.requests_part_s
        else:
            limit = params.max_per_trade
            part_s = params.ratio_part_s
        if limit == inf:
            continue
        base = _WINDOWS + window * _WINDOW_SIZE
        credit = params.order_credit if window < 2 else 0.0
        number = floor(now_s / part_s)
        place = int(state[base + _OPEN])
        if is_anew:
            # What was spent stays spent and grows old from here on.
            state[base + _NUMBER] = float(number)
        passed = number - int(state[base + _NUMBER])
        spending = new_orders if window < 2 else new_requests
        if passed > 0 or spending > 0.0 or new_fills > 0.0:
            for _ in range(min(passed, _SLOTS)):
                place = (place + 1) % _SLOTS
                state[base + _SPENDINGS + place] = 0.0
                state[base + _EXECUTIONS + place] = 0.0
            state[base + _NUMBER] = float(number)
            state[base + _OPEN] = float(place)
            state[base + _SPENDINGS + place] += spending
            state[base + _EXECUTIONS + place] += new_fills
            # A count that executions lower but never below 0 is the largest of what was spent since any moment. In a
            # part of the window they are taken to have come before what was sent.
            spent_since = 0.0
            most = 0.0
            trades = 0.0
            for age in range(_SLOTS):
                slot = (place + _SLOTS - age) % _SLOTS
                spent_since += state[base + _SPENDINGS + slot]
                most = spent_since if spent_since > most else most
                spent_since -= credit * state[base + _EXECUTIONS + slot]
                trades += state[base + _EXECUTIONS + slot]
            state[base + _SUM] = most
            state[base + _TRADES] = trades
        if window == 3:
            limit *= state[base + _TRADES] if state[base + _TRADES] > 1.0 else 1.0
            limit = limit if limit > params.free_requests else params.free_requests
        share = state[base + _SUM] / limit
        used = share if share > used else used
        # What a decision sends must still fit, and a cancel of each of these orders and of each that rests already.
        kept = params.reserve if window < 2 else 2.0 * params.reserve + inventory.open_orders
        if state[base + _SUM] + kept > limit:
            spent = ORDERS_SPENT if window < 2 else REQUESTS_SPENT
            if window == 3:
                spent = ORDER_TO_TRADE_SPENT
    if spent != 0:
        state[_SPENT] = float(spent)
    elif used < params.resume_below:
        state[_SPENT] = 0.0
    if state[_SPENT] > 0.0:
        state[_HELD_BID] = 0.0
        state[_HELD_ASK] = 0.0
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, int(state[_SPENT]))
    if not used > params.soft_from:
        state[_HELD_BID] = 0.0
        state[_HELD_ASK] = 0.0
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)

    # Held: a quote stays where it is while what is asked for is not behind it and not too far ahead of it.
    reach = (used - params.soft_from) / (1.0 - params.soft_from)
    reach = (reach if reach < 1.0 else 1.0) * params.max_hold * view.mid
    held = state[_HELD_BID]
    if bid_size > 0.0:
        if not (held > 0.0 and held <= bid <= held + reach):
            held = bid - reach / 2.0
        if held > 0.0:
            bid = held
        else:
            bid_size = 0.0
        state[_HELD_BID] = held if held > 0.0 else 0.0
    else:
        state[_HELD_BID] = 0.0
    held = state[_HELD_ASK]
    if ask_size > 0.0:
        if not (held > 0.0 and held - reach <= ask <= held):
            held = ask + reach / 2.0
        ask = held
        state[_HELD_ASK] = held
    else:
        state[_HELD_ASK] = 0.0
    return RiskVerdict(_SHRINK, bid, bid_size, ask, ask_size, BUDGET_LOW)


def _budget(value: float | None) -> float:
    return inf if value is None else float(value)


def _build(options: RequestBudgetOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = RequestBudgetParams(
        _budget(options.max_orders),
        options.orders_window_s / _PARTS,
        _budget(options.max_daily_orders),
        _DAY_S / _PARTS,
        _budget(options.max_requests),
        options.requests_window_s / _PARTS,
        _budget(options.max_order_to_trade) + 1.0,
        float(options.ratio_from_requests),
        options.ratio_window_s / _PARTS,
        float(options.order_credit),
        options.soft_from,
        options.max_hold_bps / 10_000.0,
        options.resume_below,
        float(options.reserve),
    )
    return RiskRule(request_budget, params, (0.0,) * (_WINDOWS + 4 * _WINDOW_SIZE))


REQUEST_BUDGET = RiskControlSpec(
    name="request-budget",
    summary="Keeps unfilled-order counts, requests and the order-to-trade ratio within a venue's budgets.",
    description=f"""\
Four budgets of this market, each over a rolling window, from what this process has asked for:

    orders within orders_window_s       <= max_orders
    orders within 24 hours              <= max_daily_orders
    requests within requests_window_s   <= max_requests
    ratio within ratio_window_s         <= max_order_to_trade

Orders are submits and replaces, less order_credit x executions; requests are submits, amends, replaces and cancels. The
ratio is requests / max(1, executions) - 1; up to ratio_from_requests it is not looked at.

Hard: when `reserve` more would not fit (for the last two: these, as many cancels of them, and one for each order that
rests), nothing is quoted until every budget is used less than resume_below: CANCEL_ONLY with ORDERS_SPENT (1250),
REQUESTS_SPENT (1251) or ORDER_TO_TRADE_SPENT (1252). Between the two it would pull and place, and so spend, with every
request that gets old.

Soft: above soft_from of a budget quotes are held (BUDGET_LOW, 1249, level SHRINK):

    reach = (used - soft_from) / (1 - soft_from) x max_hold_bps of the mid
    bid   = held bid, while held bid <= bid asked for <= held bid + reach
          = bid asked for - reach / 2, which is held from now on, otherwise

and the ask likewise. A quote costs requests when it moves, so this is what saves them: a price that wanders with
sigma leaves a reach of width r after about (r / 2)^2 / sigma^2 seconds, so twice the reach is a quarter of the
requests, on both sides, and both stay quoted. Dropping a side would save half of them at most and leave the position
one way; smaller sizes save none. The price is up to `reach` of competitiveness; a held quote is never ahead of what
was asked for, so this only tightens.

A window is counted in 24 parts and the one that is open: it reaches back between its length and 1/24 more. Requests
count at the first decision after them. {CLOCK_TEXT} What was spent then stays spent and grows old anew; it outlives a
restart, as of the last time that a limit of the market began or ceased to bind.

Venues: Binance counts new orders by account over fixed intervals (ORDERS, each 10 s and each UTC day); a first
execution takes 1 order off the count, or more when the order rested, never below 0, and a cancel takes off nothing. A
rolling window is never below a fixed one. order_credit = 0 counts every order; executions of one order in parts would
earn more than once, so more than 0 needs orders that fill whole; what an execution takes off is looked for before its
own part of the window. Where several markets trade on one account, divide.
The ratio is that of RTS 9 (Commission Delegated Regulation (EU) 2017/566, article 3, in number terms), by instrument
and session; without an execution one is assumed, as ESMA answers, so that a run begins with max_order_to_trade + 1
requests or ratio_from_requests, whichever is more: set that to what the venue lets pass. There a modification counts as
two, here a request is one: halve the limit where orders are amended.

When it fails: it sees neither other processes nor queries; the venue's own answer (HTTP 429) stays the last word. A
counter that is not a number cancels (NOT_FINITE).

Source: Binance, Spot unfilled order count rules; Regulation (EU) 2017/566 and its annex.

Example: max_orders = 100 in 10 s, soft_from = 0.6, max_hold_bps = 5, mid 100.00. After 80 orders within the window
reach is half of 5 bps, 0.025. A bid asked for at 99.95 is held at 99.9375, and stays there while 99.9375 to 99.9625 is
asked for. After 97, 4 more would not fit: nothing is quoted until fewer than 90 are in the window.""",
    options=RequestBudgetOptions,
    build=_build,
    reasons={
        BUDGET_LOW: "a budget of requests is running low: quotes move less often",
        ORDERS_SPENT: "the budget of new orders is spent",
        REQUESTS_SPENT: "the budget of requests is spent",
        ORDER_TO_TRADE_SPENT: "too many requests for each execution",
    },
    limits={
        "max_orders": LimitFacts(),
        "max_daily_orders": LimitFacts(),
        "max_requests": LimitFacts(),
        "max_order_to_trade": LimitFacts(),
        "soft_from": LimitFacts(is_hard=False),
    },
    keeps_state=True,
)
