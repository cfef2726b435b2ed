"""The risk control `balance`: quote no more than the account can pay for."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["BALANCE", "BALANCE_SHORT", "BALANCE_UNKNOWN", "BalanceOptions", "balance"]

BALANCE_SHORT = int(Reason.PLUGIN) + 217
BALANCE_UNKNOWN = int(Reason.PLUGIN) + 218
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)


@attrs.frozen
class BalanceOptions:
    """Options of `balance`."""

    fee_bps: float = option(
        help="Largest fee of a fill, maker or taker; a rebate is no money that one has, so 0 is the least.",
        default=10.0,
        unit="bps",
        minimum=0.0,
        maximum=500.0,
    )
    quote_reserve_share: float = option(
        help="Share of the quote asset that is never used.", default=0.01, minimum=0.0, maximum=1.0
    )
    base_reserve_share: float = option(
        help="Share of the base asset that is never used.", default=0.0, minimum=0.0, maximum=1.0
    )
    require_balances: bool = option(
        help="Quote nothing until the venue has told both balances; otherwise one that is not told does not bind.",
        default=False,
    )


class BalanceParams(NamedTuple):
    """The options as the rule reads them."""

    quote_share: float
    """Of the quote balance that may be spent on a bid before fees."""
    base_share: float
    requires: float
    """1.0 or 0.0."""


def balance(  # noqa: PLR0913, PLR0917 - the rule signature
    params: BalanceParams,
    state: State,  # noqa: ARG001
    view: MarketView,  # noqa: ARG001
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes cut to what the balances pay for."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    quote_balance = inventory.quote_balance
    base_balance = inventory.base_balance
    is_known = -inf < quote_balance < inf and -inf < base_balance < inf
    if params.requires > 0.0 and not is_known:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, BALANCE_UNKNOWN)
    reason = _NONE
    # A balance that is not told is NaN, and no comparison with it holds: it does not bind.
    if bid_size > 0.0 and bid_size * bid > quote_balance * params.quote_share:
        bid_size = quote_balance * params.quote_share / bid if quote_balance > 0.0 and bid > 0.0 else 0.0
        reason = BALANCE_SHORT
    if ask_size > base_balance * params.base_share:
        ask_size = base_balance * params.base_share if base_balance > 0.0 else 0.0
        reason = BALANCE_SHORT
    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _build(options: BalanceOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    with_fee = 1.0 + options.fee_bps / 10_000.0
    params = BalanceParams(
        (1.0 - options.quote_reserve_share) / with_fee,
        (1.0 - options.base_reserve_share) / with_fee,
        1.0 if options.require_balances else 0.0,
    )
    return RiskRule(balance, params)


BALANCE = RiskControlSpec(
    name="balance",
    summary="Cuts sizes to what the account's balances pay for, fees and reserves included.",
    description="""\
    bid size <= quote_balance x (1 - quote_reserve_share) / (1 + fee) / bid
    ask size <= base_balance x (1 - base_reserve_share) / (1 + fee)
    fee = fee_bps / 10,000

Balances are what the account has, free and locked together, since the orders that lock it are ours to replace. The fee
counts on both sides: venues differ in the asset they take it from. Use the taker's fee where orders may take. A ladder
counts as if all of it stood at its best price. Level SHRINK while a side is left, else CANCEL_ONLY; reason
BALANCE_SHORT (1217). It spares refused orders, and the pause that the gate makes after several refusals in a row.

Each market sees the whole balance. Where several markets buy with one quote asset, give each a part by
quote_reserve_share: with three of them 0.67 leaves a third to each.

A balance that the venue does not tell is NaN and does not bind, unless require_balances is set: then nothing is quoted
before both are known (CANCEL_ONLY, reason BALANCE_UNKNOWN, 1218). Balances are told by `binance/spot`, `binance/usdm`
and `bybit/spot`, `bybit/linear`; the venues `embedded` and `simulated` hold no account and tell none. Where a venue
keeps positions (futures), what is sold need not be owned and the base balance is never told. Margin is not modelled: a
bid is held to what the wallet pays for without leverage, an ask not at all. `layered-limits` is for those venues.

When it fails: between a fill and the venue's next word on the balance the figure is old, by as long as that takes. The
venue then refuses what cannot be paid for.

Example: quote_balance 1000, quote_reserve_share = 0.01, fee_bps = 10, bid 100 for 12: 1000 x 0.99 / 1.001 / 100 =
9.8901. base_balance 5, an ask of 12 becomes 5 / 1.001 = 4.9950.""",
    options=BalanceOptions,
    build=_build,
    reasons={
        BALANCE_SHORT: "the account's balance does not pay for the whole size",
        BALANCE_UNKNOWN: "the venue has not told the balances yet, and require_balances is set",
    },
    limits={
        "quote_reserve_share": LimitFacts(),
        "base_reserve_share": LimitFacts(),
        "require_balances": LimitFacts(),
    },
)
