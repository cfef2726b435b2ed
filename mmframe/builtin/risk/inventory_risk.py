"""The risk control `inventory-risk`: one score of what the position can cost; the side that adds shrinks by it."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "HIGH_RISK",
    "INVENTORY_RISK",
    "RISK_SHRINKS",
    "InventoryRiskOptions",
    "InventoryRiskWeights",
    "inventory_risk",
]

RISK_SHRINKS = int(Reason.PLUGIN) + 210
HIGH_RISK = int(Reason.PLUGIN) + 211
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_DEFAULT_FULL_ORDERS = 10.0
"""Without any limit on the position, a full position is this many order sizes."""


@attrs.frozen
class InventoryRiskWeights:
    """How much each part counts; only their proportions matter, and 0 leaves a part out."""

    position: float = option(help="Of the size of the position.", default=0.5, minimum=0.0, maximum=1.0)
    loss: float = option(help="Of its unrealised loss.", default=0.2, minimum=0.0, maximum=1.0)
    volatility: float = option(help="Of the volatility.", default=0.2, minimum=0.0, maximum=1.0)
    concentration: float = option(help="Of the book's concentration.", default=0.1, minimum=0.0, maximum=1.0)


@attrs.frozen
class InventoryRiskOptions:
    """Options of `inventory-risk`.

    Raises:
        DomainError: If nothing is weighed.
    """

    cancel_from: float = option(
        help="Score from which on the side that adds to the position is taken away.",
        default=0.8,
        above=0.0,
        maximum=1.0,
    )
    shrink_from: float = option(help="Score up to which nothing shrinks.", default=0.0, minimum=0.0, maximum=1.0)
    full_position: Decimal | None = option(
        help="Distance from the target at which the position counts 1; by default the gate's max_position, and without "
        "that 10 order sizes.",
        default=None,
        unit="base units",
        above=0.0,
        example="1.5",
    )
    max_unrealised_loss_quote: Decimal | None = option(
        help="Unrealised loss of this market at which the loss counts 1; without it the loss does not count.",
        default=None,
        unit="quote units",
        above=0.0,
        example="200",
    )
    full_volatility_bps: float = option(
        help="Volatility at which it counts 1.", default=5.0, unit="bps per sqrt(s)", above=0.0, maximum=1_000.0
    )
    weights: InventoryRiskWeights = option(help="How much each part counts.", factory=InventoryRiskWeights)
    hysteresis: float = option(
        help="A side that was taken away comes back below cancel_from x (1 - hysteresis).",
        default=0.1,
        minimum=0.0,
        maximum=0.9,
    )

    def __attrs_post_init__(self) -> None:
        if self.shrink_from >= self.cancel_from:
            msg = f"shrink_from: expected a score below cancel_from = {self.cancel_from:g}, was {self.shrink_from:g}"
            raise DomainError(msg, hint="sizes shrink before they are taken away")
        counted = self.weights.position + self.weights.volatility + self.weights.concentration
        if counted + (0.0 if self.max_unrealised_loss_quote is None else self.weights.loss) <= 0.0:
            msg = "weights: expected a part that counts, was none"
            raise DomainError(msg, hint="a weight of loss counts only with max_unrealised_loss_quote")


class InventoryRiskParams(NamedTuple):
    """The options as the rule reads them."""

    cancel_from: float
    shrink_from: float
    keep: float
    """1 - hysteresis."""
    full_position: float
    """0 when the file sets none."""
    max_loss_quote: float
    full_volatility: float
    """Share of the mid per sqrt(s)."""
    position_weight: float
    loss_weight: float
    """0 without a limit of the loss."""
    volatility_weight: float
    concentration_weight: float


def inventory_risk(  # noqa: C901, PLR0912, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: InventoryRiskParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes with the side that adds to the position cut by the score, or taken above its limit."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    excess = inventory.position - inventory.target
    if not -inf < excess < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)
    if not 0.0 < view.mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    if excess == 0.0:
        # Nothing is held that could cost anything, and neither side adds to it.
        state[0] = 0.0
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)

    full = params.full_position
    if full <= 0.0:
        full = inventory.max_position
    if not 0.0 < full < inf:
        full = _DEFAULT_FULL_ORDERS * view.order_size
    # Each part is 1 unless it is known to be less: a number that is not there counts as the worst.
    score = params.position_weight * (abs(excess) / full if abs(excess) < full else 1.0)
    weight = params.position_weight
    if params.loss_weight > 0.0:
        loss = -inventory.unrealised_pnl_quote / params.max_loss_quote
        if not loss <= 0.0:
            score += params.loss_weight * (loss if loss < 1.0 else 1.0)
        weight += params.loss_weight
    if params.volatility_weight > 0.0:
        signals: Any = view.signals
        volatility = signals.volatility / (view.mid * params.full_volatility)
        score += params.volatility_weight * (volatility if 0.0 <= volatility < 1.0 else 1.0)
        weight += params.volatility_weight
    if params.concentration_weight > 0.0 and not inventory.market_count < 2.0:
        concentration = inventory.concentration
        score += params.concentration_weight * (concentration if 0.0 <= concentration < 1.0 else 1.0)
        weight += params.concentration_weight
    score = score / weight if weight > 0.0 else 0.0

    limit = params.cancel_from * params.keep if state[0] > 0.0 else params.cancel_from
    state[0] = 1.0 if score >= limit else 0.0
    left = 0.0
    reason = HIGH_RISK
    if state[0] == 0.0:
        if score <= params.shrink_from:
            return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
        left = 1.0 - score
        reason = RISK_SHRINKS
    if excess > 0.0:
        bid_size *= left
    else:
        ask_size *= left
    if bid_size == proposal.bid_size and ask_size == proposal.ask_size:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _build(options: InventoryRiskOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    has_loss = options.max_unrealised_loss_quote is not None
    params = InventoryRiskParams(
        options.cancel_from,
        options.shrink_from,
        1.0 - options.hysteresis,
        0.0 if options.full_position is None else float(options.full_position),
        inf if options.max_unrealised_loss_quote is None else float(options.max_unrealised_loss_quote),
        options.full_volatility_bps / 10_000.0,
        options.weights.position,
        options.weights.loss if has_loss else 0.0,
        options.weights.volatility,
        options.weights.concentration,
    )
    return RiskRule(inventory_risk, params, (0.0,))


INVENTORY_RISK = RiskControlSpec(
    name="inventory-risk",
    summary="Scores what the position can cost, and shrinks or takes the side that adds to it.",
    description="""\
    score = sum of weight x part / sum of weights

    position       |position - target| / full_position
    loss           unrealised loss of the market / max_unrealised_loss_quote
    volatility     volatility / mid x 10,000 / full_volatility_bps
    concentration  Herfindahl index of the group's position values

Each part lies between 0 and 1, a larger one counts 1, and so the score is between 0 and 1. The weights are 0.5, 0.2,
0.2 and 0.1 in this order unless `weights` says otherwise; a part that has no meaning is left out of both sums: the loss
without max_unrealised_loss_quote, the concentration in a book of one market. full_position is the option, or else the
gate's max_position, or else 10 order sizes.

The side that adds to the distance from the target is the bid above it and the ask below. The other side is never
touched, and at the target nothing binds, whatever the market does.

Soft: above shrink_from the adding side is cut to (1 - score) of its size (SHRINK, reason RISK_SHRINKS, 1210). Hard:
from cancel_from on it is taken (SHRINK, or CANCEL_ONLY when the other side has no quote; reason HIGH_RISK, 1211), until
the score is below cancel_from x (1 - hysteresis).

Needs the signal volatility, in quote units per sqrt(s) (`ewma-volatility` and others); with weights.volatility = 0 its
value is not read.

It is a score of the author's own making, not a model: a way to let several worries add up that none of the limits
alone would see. `layered-limits` bounds what is held, `inventory-skew` trades out of it.

Fails safe: a loss, volatility or index that is not a number counts 1, a position that is not a number cancels
(NOT_FINITE), and so does a mid that is no price (BOOK_EMPTY).

Example: one market, position 0.6 of 1, max_unrealised_loss_quote = 100 and a loss of 50, mid 100 and volatility 0.02,
which is 2 of 5 bps: (0.5 x 0.6 + 0.2 x 0.5 + 0.2 x 0.4) / 0.9 = 0.5333. A bid of 0.3 becomes 0.14, the ask stays.""",
    options=InventoryRiskOptions,
    build=_build,
    needs=("volatility",),
    reasons={
        RISK_SHRINKS: "the side that adds to the position is smaller by the inventory risk score",
        HIGH_RISK: "the inventory risk score is too high to add to the position",
    },
    limits={"cancel_from": LimitFacts(), "shrink_from": LimitFacts(is_hard=False)},
)
