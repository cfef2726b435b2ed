"""A whole plugin in one file: an optimizer that leans towards the heavier side of the book.

A strategy file names it with `[plugins] local = ["./my_quoter.py"]`; the plugin's name is the file's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, hookimpl, option

if TYPE_CHECKING:
    from collections.abc import Iterable

MMFRAME_API = 1


@attrs.frozen
class LeaningOptions:
    """What the strategy file may say under `use = "my_quoter/leaning"`."""

    half_spread_bps: float = option(help="Distance of each quote from the centre.", default=2.0, above=0.0, unit="bps")
    lean: float = option(
        help="How far the centre moves towards the heavier side's price, in half spreads; 0 not at all.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )


class Leaning(NamedTuple):
    """The options as the rule wants them: numbers only."""

    half_spread: float
    lean: float


def leaning(
    params: Leaning,
    state: list[float],
    view: MarketView,
    inventory: Inventory,
    advice: Advice,
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Quote around a centre that follows the weight of the touch."""
    half = view.mid * params.half_spread
    # 1 when all of the touch is bid, -1 when all is offered: where more wait to buy, the next price is likelier higher.
    weight = (view.bid_size - view.ask_size) / (view.bid_size + view.ask_size)
    centre = view.mid + weight * params.lean * half
    return QuoteProposal(
        bid=centre - half,
        bid_size=view.order_size,
        ask=centre + half,
        ask_size=view.order_size,
        bid_reason=0,
        ask_reason=0,
    )


def build(options: LeaningOptions, context: BuildContext) -> OptimizerRule:
    """Return the optimizer of one market."""
    return OptimizerRule(leaning, Leaning(options.half_spread_bps / 10_000.0, options.lean))


@hookimpl
def mmframe_register_optimizers() -> Iterable[OptimizerSpec]:
    """Hand over the optimizer."""
    return (
        OptimizerSpec(
            name="leaning",
            summary="Leans towards the heavier side of the touch.",
            options=LeaningOptions,
            build=build,
        ),
    )
