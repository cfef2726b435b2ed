"""The optimizer `drift-skew`: moves both quotes to where the price is drifting."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["DRIFT_SKEW", "DriftSkewOptions", "drift_skew"]

_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_WARMING_UP = int(Reason.WARMING_UP)


@attrs.frozen
class DriftSkewOptions:
    """Options of `drift-skew`."""

    horizon_s: float = option(
        help="Time over which the drift is taken to last: about as long as a position is held.",
        default=10.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    max_skew_bps: float = option(
        help="Largest shift of both quotes.", default=5.0, unit="bps", minimum=0.0, maximum=1_000.0
    )


class DriftSkewParams(NamedTuple):
    """The options as the rule reads them."""

    horizon_s: float
    max_skew: float
    """Share of the mid."""


def drift_skew(  # noqa: PLR0913, PLR0917 - the rule signature
    params: DriftSkewParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, shifted by what the mid drifts within the horizon."""
    signals: Any = view.signals
    drift = signals.drift
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not -inf < drift < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _WARMING_UP, _WARMING_UP)
    limit = params.max_skew * view.mid
    shift = drift * params.horizon_s
    shift = limit if shift > limit else -limit if shift < -limit else shift
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    bid += shift
    ask += shift
    if bid_size > 0.0 and not bid > 0.0:
        bid = nan
        bid_size = 0.0
        bid_reason = _BELOW_MINIMUM
    if ask_size > 0.0 and not ask > 0.0:
        ask = nan
        ask_size = 0.0
        ask_reason = _BELOW_MINIMUM
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: DriftSkewOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    return OptimizerRule(drift_skew, DriftSkewParams(options.horizon_s, options.max_skew_bps / 10_000.0))


DRIFT_SKEW = OptimizerSpec(
    name="drift-skew",
    summary="Moves both quotes along with a drift of the price, as far as it would carry them within a horizon.",
    description="""\
    shift = drift x horizon_s, held within max_skew_bps of the mid        added to bid and ask alike

In a rising market both quotes move up: the bid is likelier to be taken, the ask less. The distance between them stays.
It adapts the quotes of the stages before it and adds none. `glft` with its closed form shifts by just that for its
drift_per_s, with a horizon of C / (gamma x order size x sigma^2) seconds; this stage does it for a drift that is
measured, behind any model.

Needs the signal drift, in quote units per s (`drift`, or `constant` with `name = "drift"`).

When it fails: a measured drift is mostly noise, see `drift`; a short horizon and a small bound keep it cheap. Drifts
end when one has come to believe in them.

No quote: WARMING_UP while the drift is not known, BOOK_EMPTY when the mid is no price above 0, BELOW_MINIMUM when a
price would not be above 0; a side that comes without a quote stays without, for its own reason.

Source: Guéant, Lehalle and Fernandez-Tapia, Dealing with the inventory risk, 2013, section 5.1.

Example: mid 100, quotes 99.90 / 100.10, drift 0.002 quote units per s, horizon_s = 10: shift 0.02, quotes 99.92 /
100.12. With a drift of 0.02 the shift is bounded by 5 bps: 99.95 / 100.15.""",
    options=DriftSkewOptions,
    build=_build,
    needs=("drift",),
)
