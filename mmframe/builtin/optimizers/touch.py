"""The optimizer `touch`: quotes at, just before or behind the best price, or holds a model's quotes to it."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["SMALL_TOUCH", "TOUCH", "TouchOptions", "touch"]

SMALL_TOUCH = int(Reason.PLUGIN) + 100
_NONE = int(Reason.NONE)
_NOT_PROPOSED = int(Reason.NOT_PROPOSED)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)

_JOIN, _PENNY, _STEP_BACK = 0, 1, 2
_MODES = {"join": _JOIN, "penny": _PENNY, "step-back": _STEP_BACK}
_REPLACE, _NEVER_BETTER, _NEVER_WORSE = 0, 1, 2
_APPLICATIONS = {"replace": _REPLACE, "never-better": _NEVER_BETTER, "never-worse": _NEVER_WORSE}

_BID, _BID_SIZE, _ASK, _ASK_SIZE = 0, 1, 2, 3
"""State: what was proposed last; NaN and 0 for a side without a quote."""


@attrs.frozen
class TouchOptions:
    """Options of `touch`.

    Raises:
        DomainError: If the step back is told twice.
    """

    mode: str = option(
        help="`join`: at the best price. `penny`: one tick better, where the spread leaves room. `step-back`: behind "
        "the best price, by step_back_ticks or step_back_bps.",
        default="join",
        choices=tuple(_MODES),
    )
    apply: str = option(
        help="`replace`: these are the prices. `never-better`: only pulls back quotes that are more aggressive. "
        "`never-worse`: only brings quotes forward that are more passive.",
        default="replace",
        choices=tuple(_APPLICATIONS),
    )
    step_back_ticks: int | None = option(
        help="How far behind the best price to step; 1 unless step_back_bps is set.",
        default=None,
        unit="ticks",
        minimum=1,
        maximum=1_000_000,
        example=2,
    )
    step_back_bps: float | None = option(
        help="How far behind the best price to step, instead of step_back_ticks.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
        example=1.0,
    )
    min_touch_size: Decimal | None = option(
        help="A best price with less size than this is neither joined nor improved, but stepped back from.",
        default=None,
        unit="base units",
        above=0.0,
        example="0.1",
    )

    def __attrs_post_init__(self) -> None:
        if self.step_back_ticks is not None and self.step_back_bps is not None:
            msg = f"step_back_bps: expected none beside step_back_ticks, was {self.step_back_bps:g}"
            raise DomainError(msg, hint="remove one of them")


class TouchParams(NamedTuple):
    """The options as the rule reads them."""

    mode: int
    application: int
    step_back_ticks: float
    step_back: float
    """Share of the best price, added to the ticks; one of the two is 0."""
    min_touch_size: float
    """0 when the file sets none."""


def touch(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: TouchParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes at their place by the touch, or the given ones held to one side of it."""
    tick = view.tick
    if not (0.0 < view.bid < view.ask < inf and 0.0 < tick < inf):
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    if params.application == _REPLACE:
        # A side that no stage has set is quoted; one that a stage took away stays away.
        if bid_reason == _NOT_PROPOSED and not bid_size > 0.0:
            bid_size = view.order_size if 0.0 < view.order_size < inf else 0.0
            bid_reason = _BELOW_MINIMUM
        if ask_reason == _NOT_PROPOSED and not ask_size > 0.0:
            ask_size = view.order_size if 0.0 < view.order_size < inf else 0.0
            ask_reason = _BELOW_MINIMUM
    has_bid = bid_size > 0.0
    has_ask = ask_size > 0.0

    # The view does not tell our orders from others'. A touch where our last quote stood, and no larger, is ours.
    half_tick = tick / 2.0
    is_own_bid = abs(view.bid - state[_BID]) < half_tick and view.bid_size <= state[_BID_SIZE] + view.lot / 2.0
    is_own_ask = abs(view.ask - state[_ASK]) < half_tick and view.ask_size <= state[_ASK_SIZE] + view.lot / 2.0
    is_small_bid = not is_own_bid and not view.bid_size >= params.min_touch_size
    is_small_ask = not is_own_ask and not view.ask_size >= params.min_touch_size
    width = view.ask - view.bid
    improves = params.mode == _PENNY and width > 1.5 * tick
    improves_bid = improves and has_bid and not is_own_bid and not is_small_bid
    improves_ask = improves and has_ask and not is_own_ask and not is_small_ask
    if improves_bid and improves_ask and width < 2.5 * tick:
        # One price is free, and two quotes cannot both take it: it is for the side that brings the position back.
        excess = inventory.position - inventory.target
        improves_bid = excess < 0.0
        improves_ask = excess > 0.0
    back_ticks = params.step_back_ticks * tick
    target_bid = view.bid
    target_ask = view.ask
    if improves_bid:
        target_bid += tick
    elif params.mode == _STEP_BACK or is_small_bid:
        target_bid -= back_ticks + params.step_back * view.bid
    if improves_ask:
        target_ask -= tick
    elif params.mode == _STEP_BACK or is_small_ask:
        target_ask += back_ticks + params.step_back * view.ask

    if has_bid and (
        params.application == _REPLACE
        or (params.application == _NEVER_BETTER and bid > target_bid)
        or (params.application == _NEVER_WORSE and bid < target_bid)
    ):
        bid = target_bid
        bid_reason = SMALL_TOUCH if is_small_bid else _NONE
    if has_ask and (
        params.application == _REPLACE
        or (params.application == _NEVER_BETTER and ask < target_ask)
        or (params.application == _NEVER_WORSE and ask > target_ask)
    ):
        ask = target_ask
        ask_reason = SMALL_TOUCH if is_small_ask else _NONE
    if has_bid and has_ask and ask - bid < 0.999 * tick:
        # One quote has come forward to where the other one stands: it stops a tick before, or stays where it was.
        if bid > proposal.bid:
            bid = ask - tick if ask - tick > proposal.bid else proposal.bid
        elif ask < proposal.ask:
            ask = bid + tick if bid + tick < proposal.ask else proposal.ask

    if not (has_bid and 0.0 < bid < inf):
        bid = nan
        bid_size = 0.0
        if has_bid:
            bid_reason = _BELOW_MINIMUM
    if not (has_ask and 0.0 < ask < inf):
        ask = nan
        ask_size = 0.0
        if has_ask:
            ask_reason = _BELOW_MINIMUM
    state[_BID] = bid
    state[_BID_SIZE] = bid_size
    state[_ASK] = ask
    state[_ASK_SIZE] = ask_size
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: TouchOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    ticks = options.step_back_ticks
    if ticks is None:
        ticks = 1 if options.step_back_bps is None else 0
    params = TouchParams(
        _MODES[options.mode],
        _APPLICATIONS[options.apply],
        float(ticks),
        (options.step_back_bps or 0.0) / 10_000.0,
        float(options.min_touch_size or 0),
    )
    return OptimizerRule(touch, params, (nan, 0.0, nan, 0.0))


TOUCH = OptimizerSpec(
    name="touch",
    summary="Joins, pennies or steps back from the best price; or holds a model's quotes to one side of it.",
    description="""\
                bid                               ask
    join        best bid                          best ask
    penny       best bid + 1 tick                 best ask - 1 tick          join where the spread is 1 tick
    step-back   best bid - step                   best ask + step            step: ticks, or bps of the best price

apply = "replace" makes these the prices: as the first stage for the order size on both sides, as a later one for the
sizes that it is given. A side that an earlier stage took away stays away. apply = "never-better" bounds the quotes of
the stages before it: one more aggressive is pulled back to the price above, the rest stay. apply = "never-worse" is the
reverse: one more passive comes forward to it, though never closer than one tick to our own other quote.

With a spread of 2 ticks only one price is free. The side that brings the position back to its target takes it, and on
target neither does.

min_touch_size: a best price with less size is taken for dust and stepped back from, in every mode; so is one whose size
is not known. Reason SMALL_TOUCH (1100) then stands beside the quote.

Our own orders: the view shows the whole book and does not tell them from others', so nothing can be ignored for being
ours. To not outbid itself without end, the rule keeps its last proposal: a best price where its own quote stood, with
no more size than that, is held, neither improved nor judged by min_touch_size. Hence a quote that leads alone stays
there until another one joins or leads it, however far behind the next one is; and with step-back a quote that leads
alone goes back step by step until there is one before it.

When it fails: it follows whoever leads, also into a trap; bound it with a model (never-better after the model) and with
`spread-floor`. Penny invites others to do the same.

No quote: a side that comes without one stays without, for its own reason, unless no stage has set it; BOOK_EMPTY when
the touch is no pair of prices, BELOW_MINIMUM when the order size or the price would not be above 0.

Example: tick 0.01, touch 99.98 / 100.02: join 99.98 / 100.02, penny 99.99 / 100.01, step-back by 2 ticks 99.96 /
100.04. With penny and never-better, a model's quotes 100.00 / 100.05 become 99.99 / 100.05.""",
    options=TouchOptions,
    build=_build,
    reasons={SMALL_TOUCH: "the best price has less size than min_touch_size: stepped back from it"},
)
