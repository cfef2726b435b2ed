"""The risk control `condition-guard`: what to quote in each condition of the market, from a table."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["CONDITION_CANCELLED", "CONDITION_GUARD", "CONDITION_SHRUNK", "ConditionGuardOptions", "condition_guard"]

CONDITION_SHRUNK = int(Reason.PLUGIN) + 270
CONDITION_CANCELLED = int(Reason.PLUGIN) + 271
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_WARMING_UP = int(Reason.WARMING_UP)

_ACTIONS = ("allow", "shrink", "shrink-bid", "shrink-ask", "cancel", "cancel-bid", "cancel-ask")
_MOST_CODES = 16


@attrs.frozen
class ConditionGuardOptions:
    """Options of `condition-guard`.

    Raises:
        DomainError: If an action is not one of those that exist, or there is none or too many of them.
    """

    actions: tuple[str, ...] = option(
        help="What to do at each code of the signal, from code 0 on: " + ", ".join(_ACTIONS) + ".",
        default=("allow", "shrink", "shrink-ask", "shrink-bid", "cancel"),
    )
    unknown: str = option(
        help="What to do while the signal is not known, or has a code that is not in the table.",
        default="cancel",
        choices=_ACTIONS,
    )
    shrink_share: float = option(
        help="Share of a size that shrink leaves.", default=0.5, unit="share", above=0.0, maximum=1.0
    )

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.actions) <= _MOST_CODES:
            msg = f"actions: expected 1 to {_MOST_CODES} of them, was {len(self.actions)}"
            raise DomainError(msg, hint="one for each code of the signal, from 0 on")
        for action in self.actions:
            if action not in _ACTIONS:
                msg = f"actions: expected each to be one of {', '.join(_ACTIONS)}, was {action!r}"
                raise DomainError(msg)


class ConditionGuardParams(NamedTuple):
    """The options as the rule reads them."""

    codes: int
    bid_shares: tuple[float, ...]
    """What is left of the bid at each code, and, last, when it is unknown."""
    ask_shares: tuple[float, ...]


def condition_guard(  # noqa: PLR0913, PLR0917 - the rule signature
    params: ConditionGuardParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return what the table leaves of the quotes in this condition."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    signals: Any = view.signals
    value = signals.market_condition
    code = params.codes
    if 0.0 <= value < inf and value < params.codes and value == int(value):
        code = int(value)
    bid_size *= params.bid_shares[code]
    ask_size *= params.ask_shares[code]
    if bid_size == proposal.bid_size and ask_size == proposal.ask_size:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    reason = CONDITION_SHRUNK
    if (bid_size == 0.0 and proposal.bid_size > 0.0) or (ask_size == 0.0 and proposal.ask_size > 0.0):
        reason = CONDITION_CANCELLED
    if code == params.codes:
        reason = _WARMING_UP
    level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _shares(actions: tuple[str, ...], side: str, shrink_share: float) -> tuple[float, ...]:
    left = {"allow": 1.0, "shrink": shrink_share, f"shrink-{side}": shrink_share, "cancel": 0.0, f"cancel-{side}": 0.0}
    return tuple(left.get(action, 1.0) for action in actions)


def _build(options: ConditionGuardOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    actions = (*options.actions, options.unknown)
    params = ConditionGuardParams(
        len(options.actions),
        _shares(actions, "bid", options.shrink_share),
        _shares(actions, "ask", options.shrink_share),
    )
    return RiskRule(condition_guard, params)


CONDITION_GUARD = RiskControlSpec(
    name="condition-guard",
    summary="Allows, shrinks or cancels each side by the code of a signal, such as that of market-condition.",
    description="""\
    size = size x (1, shrink_share or 0, by actions[code])

code is the signal market_condition. allow leaves both sides, shrink and cancel take both, and with -bid or -ask that
side alone. The default is for `market-condition`:

    0  stable          allow
    1  volatile        shrink
    2  trending up     shrink-ask    the side that a rise runs over
    3  trending down   shrink-bid
    4  low liquidity   cancel

Needs the signal market_condition. Any other with whole codes serves under that name:

    [[signal]]
    use = "liquidity-regime"    # 0 low, 1 normal, 2 high
    name = "market_condition"
    [[risk]]
    use = "condition-guard"
    actions = ["cancel", "allow", "allow"]

It has no memory: the hysteresis is that of the signal. Soft: CONDITION_SHRUNK (1270). Hard: CONDITION_CANCELLED (1271),
which the verdict also says when one side is cancelled and the other shrinks. Both end by themselves. Level SHRINK while
a side is left, CANCEL_ONLY when none is. A signal that is not known yet, or a code beyond the table, is `unknown`
(WARMING_UP when that takes something away).

When it fails: as its signal does.

Example: shrink_share = 0.5, code 2, both sides 0.2: the bid stays 0.2, the ask becomes 0.1.""",
    options=ConditionGuardOptions,
    build=_build,
    needs=("market_condition",),
    reasons={
        CONDITION_SHRUNK: "the condition of the market asks for smaller quotes",
        CONDITION_CANCELLED: "the condition of the market asks for no quote on a side",
    },
    limits={"actions": LimitFacts(), "shrink_share": LimitFacts(is_hard=False)},
)
