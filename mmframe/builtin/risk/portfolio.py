"""The risk control `portfolio`: no market may make up too much of the book, nor the book of the capital."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["CONCENTRATED", "GROSS_EXPOSURE", "NET_EXPOSURE", "PORTFOLIO", "PortfolioOptions", "portfolio"]

CONCENTRATED = int(Reason.PLUGIN) + 207
GROSS_EXPOSURE = int(Reason.PLUGIN) + 208
NET_EXPOSURE = int(Reason.PLUGIN) + 209
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)
# The state: 1.0 for each limit that binds.
_CONCENTRATION = 0
_GROSS = 1
_NET = 2
_EQUAL = 1.0 - 1e-9
"""A share this near the index counts as equal: markets that all hold the same must not differ by rounding."""


@attrs.frozen
class PortfolioOptions:
    """Options of `portfolio`; a limit that is not set does not bind.

    Raises:
        DomainError: If there is no limit, or a share without a capital to take it of.
    """

    max_concentration: float | None = option(
        help="Largest Herfindahl index of the position values: 1 when one market holds all, 1/n when n hold the same.",
        default=None,
        above=0.0,
        maximum=1.0,
        example=0.5,
    )
    max_gross_share: float | None = option(
        help="Largest sum of absolute position values as a multiple of capital_quote.",
        default=None,
        above=0.0,
        maximum=100.0,
        example=0.8,
    )
    max_net_share: float | None = option(
        help="Largest absolute sum of signed position values as a multiple of capital_quote.",
        default=None,
        above=0.0,
        maximum=100.0,
        example=0.3,
    )
    capital_quote: Decimal | None = option(
        help="What the strategy trades with, for the shares.",
        default=None,
        unit="quote units",
        above=0.0,
        example="20000",
    )
    min_markets: int = option(
        help="With fewer markets there is no portfolio and nothing binds.",
        default=2,
        unit="markets",
        minimum=2,
        maximum=1_000,
    )
    min_total_notional_quote: Decimal = option(
        help="While all positions together are worth less, nothing binds: the first fill is always all of the book.",
        default=Decimal(0),
        unit="quote units",
        minimum=0.0,
    )
    hysteresis: float = option(
        help="A limit that binds ends to bind below limit x (1 - hysteresis).", default=0.1, minimum=0.0, maximum=0.9
    )

    def __attrs_post_init__(self) -> None:
        shares = {"max_gross_share": self.max_gross_share, "max_net_share": self.max_net_share}
        wanted = [name for name, share in shares.items() if share is not None]
        if wanted and self.capital_quote is None:
            msg = f"capital_quote: expected an amount beside {wanted[0]}, was none"
            raise DomainError(msg, hint="say what the strategy trades with; without it a share is one of nothing")
        if not wanted and self.max_concentration is None:
            msg = "max_concentration: expected a limit here, in max_gross_share or in max_net_share, was none"
            raise DomainError(msg, hint="write max_concentration = 0.5")


class PortfolioParams(NamedTuple):
    """The options as the rule reads them; a limit that is not set is infinity."""

    max_concentration: float
    max_gross_quote: float
    max_net_quote: float
    min_markets: float
    min_total_quote: float
    keep: float
    """1 - hysteresis."""


def portfolio(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: PortfolioParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes without what would add to a book that is too concentrated or too large."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    position = inventory.position
    total_quote = inventory.total_notional_quote
    net_quote = inventory.net_notional_quote
    if inventory.market_count < params.min_markets or total_quote < params.min_total_quote:
        state[_CONCENTRATION] = 0.0
        state[_GROSS] = 0.0
        state[_NET] = 0.0
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    if not (
        -inf < position < inf
        and -inf < total_quote < inf
        and -inf < net_quote < inf
        and -inf < inventory.concentration < inf
        and inventory.market_count >= params.min_markets
        and 0.0 < view.mid < inf
    ):
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)

    reason = _NONE
    # To flat there is always room: no limit of the book keeps a position from being reduced.
    bid_closing = -position if position < 0.0 else 0.0
    ask_closing = position if position > 0.0 else 0.0

    limit = params.max_concentration
    if state[_CONCENTRATION] > 0.0:
        limit *= params.keep
    state[_CONCENTRATION] = 1.0 if inventory.concentration > limit else 0.0
    # The index grows with a position whose share is above it, and falls with one below: only the former is held back.
    if state[_CONCENTRATION] > 0.0 and abs(position) * view.mid >= inventory.concentration * total_quote * _EQUAL:
        if position > 0.0 and bid_size > 0.0:
            bid_size = 0.0
            reason = CONCENTRATED
        elif position < 0.0 and ask_size > 0.0:
            ask_size = 0.0
            reason = CONCENTRATED

    if params.max_gross_quote < inf:
        limit = params.max_gross_quote
        if state[_GROSS] > 0.0:
            limit *= params.keep
        state[_GROSS] = 1.0 if total_quote >= limit else 0.0
        room = 0.0 if state[_GROSS] > 0.0 else (params.max_gross_quote - total_quote) / view.mid
        if bid_size > bid_closing + room:
            bid_size = bid_closing + room
            reason = GROSS_EXPOSURE
        if ask_size > ask_closing + room:
            ask_size = ask_closing + room
            reason = GROSS_EXPOSURE

    if params.max_net_quote < inf:
        limit = params.max_net_quote
        if state[_NET] > 0.0:
            limit *= params.keep
        state[_NET] = 1.0 if abs(net_quote) >= limit else 0.0
        bid_room = (params.max_net_quote - net_quote) / view.mid
        ask_room = (params.max_net_quote + net_quote) / view.mid
        if bid_room < 0.0 or (state[_NET] > 0.0 and net_quote > 0.0):
            bid_room = 0.0
        if ask_room < 0.0 or (state[_NET] > 0.0 and net_quote < 0.0):
            ask_room = 0.0
        if bid_size > bid_closing + bid_room:
            bid_size = bid_closing + bid_room
            reason = NET_EXPOSURE
        if ask_size > ask_closing + ask_room:
            ask_size = ask_closing + ask_room
            reason = NET_EXPOSURE

    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _build(options: PortfolioOptions, context: BuildContext) -> RiskRule:
    quote = context.instrument.quote
    markets = sum(instrument.quote == quote for instrument in context.instruments)
    least = 1.0 / markets
    if options.max_concentration is not None and markets >= options.min_markets and options.max_concentration < least:
        text = f"at least 1/{markets} = {least:.3f}, which {markets} markets have that all hold the same"
        msg = f"max_concentration: expected {text}, was {options.max_concentration:g}"
        raise DomainError(msg, hint="a lower limit would bind for ever")
    capital_quote = inf if options.capital_quote is None else float(options.capital_quote)
    params = PortfolioParams(
        inf if options.max_concentration is None else options.max_concentration,
        inf if options.max_gross_share is None else options.max_gross_share * capital_quote,
        inf if options.max_net_share is None else options.max_net_share * capital_quote,
        float(options.min_markets),
        float(options.min_total_notional_quote),
        1.0 - options.hysteresis,
    )
    return RiskRule(portfolio, params, (0.0, 0.0, 0.0))


PORTFOLIO = RiskControlSpec(
    name="portfolio",
    summary="Holds back what would concentrate the book, or grow it beyond shares of the capital.",
    description="""\
    total = sum of |value_i|
    net = sum of value_i
    H = sum of (|value_i| / total)^2             the Herfindahl index

value_i is the value of a market's position at the mid, negative when it is short. The markets are the group: those of
the strategy with this market's quote asset. It is a control of portfolios: it never binds with fewer than min_markets
of them, where H is 1 whatever one does, nor while total is below min_total_notional_quote, where the first fill would
be a concentration.

It never takes the side that reduces this market's position, up to flat. Of the side that adds:

1. Concentration. While H is above max_concentration, a market whose share of the total is at least H gets none: adding
   there raises H. A market with a smaller share, or none, may add, since that lowers H. Reason CONCENTRATED
   (1207).
2. Gross. The side may add at most (max_gross_share x capital_quote - total) / mid, and nothing once the limit is
   reached. Reason GROSS_EXPOSURE (1208).
3. Net. A bid may add at most (max_net_share x capital_quote - net) / mid, where a short net counts as negative, an ask
   (max_net_share x capital_quote + net) / mid; the side that adds to |net| nothing once the limit is reached. Reason
   NET_EXPOSURE (1209).

Each that binds ends to bind below limit x (1 - hysteresis), so that quotes do not flicker on its edge.

Level SHRINK while a side is left, else CANCEL_ONLY. `layered-limits` has hard limits in units and amounts, and its
limit of the net value holds even against a side that would close this market's position; this one is the softer.

A limit of the concentration below 1/n for n markets can never be met: an error when the strategy is built.

Fails safe: a position, mid, total, net, index or count that is not a number cancels (NOT_FINITE).

Example: two markets worth 800 and 200: H = 0.64 + 0.04 = 0.68. With max_concentration = 0.6 the first, long, gets no
bid (its share 0.8 is above 0.68) while the second keeps both sides. With hysteresis = 0.1 that ends below 0.54.""",
    options=PortfolioOptions,
    build=_build,
    reasons={
        CONCENTRATED: "this market makes up too much of the book",
        GROSS_EXPOSURE: "all positions together are worth too much of the capital",
        NET_EXPOSURE: "the net value of all positions is too much of the capital",
    },
    limits={
        "max_concentration": LimitFacts(scope="group"),
        "max_gross_share": LimitFacts(scope="group"),
        "max_net_share": LimitFacts(scope="group"),
    },
)
