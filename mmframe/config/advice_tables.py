"""The kernel's keys of `[[adviser]]`: when to ask, what an answer may change, and what asking may cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import attrs

from mmframe.errors import DomainError
from mmframe.plugin.options import option

__all__ = ["AdviserKeys", "BoundsTable", "BudgetTable", "PriceTable"]


@attrs.frozen(kw_only=True)
class PriceTable:
    """`[[adviser.budget.prices]]`: what a model costs from a date on, USD per million tokens."""

    model: str = option(help="The model's name, as the provider answers it.", example="gpt-4.1-mini")
    effective_from: str = option(help="First day of these prices, UTC.", default="1970-01-01", example="2026-01-01")
    input_usd: Decimal = option(help="Input.", minimum=0.0, unit="USD per million tokens", example="0.40")
    output_usd: Decimal = option(help="Output.", minimum=0.0, unit="USD per million tokens", example="1.60")
    cached_usd: Decimal | None = option(
        help="Input that the provider had cached; by default the price of input.",
        default=None,
        minimum=0.0,
        unit="USD per million tokens",
        example="0.10",
    )
    cache_write_usd: Decimal | None = option(
        help="Input that is written to the provider's cache; by default the price of input.",
        default=None,
        minimum=0.0,
        unit="USD per million tokens",
        example="0.50",
    )
    batch_share: Decimal = option(
        help="What all of these are multiplied by for a question in a batch.",
        default=Decimal(1),
        minimum=0.0,
        maximum=1.0,
        example="0.5",
    )

    def __attrs_post_init__(self) -> None:
        if not self.model:
            msg = "model: expected a model's name, was an empty text"
            raise DomainError(msg)
        try:
            date.fromisoformat(self.effective_from)
        except ValueError:
            msg = f"effective_from: expected a date such as '2026-01-01', was {self.effective_from!r}"
            raise DomainError(msg) from None


@attrs.frozen
class BudgetTable:
    """`[adviser.budget]`: what asking may cost. When it is spent advice stops, and quoting goes on.

    Raises:
        DomainError: If a cost is limited and no price known, or a model has two prices from one day on.
    """

    max_requests_per_minute: int = option(help="Requests in any minute.", default=6, minimum=1, maximum=600)
    max_tokens_per_day: int | None = option(
        help="Input and output tokens of a UTC day.", default=None, minimum=1, unit="tokens", example=2_000_000
    )
    max_cost_usd_per_day: Decimal | None = option(
        help="Cost of a UTC day by the price table; the worst case of a request is reserved before it is sent.",
        default=None,
        above=0.0,
        unit="USD",
        example="2",
    )
    prices: tuple[PriceTable, ...] = option(
        help="Prices; a model without one is charged the dearest row, and needs none where there is no limit in USD.",
        default=(),
    )

    def __attrs_post_init__(self) -> None:
        if self.max_cost_usd_per_day is not None and not self.prices:
            msg = "max_cost_usd_per_day: expected a price beside it in `prices`, was none"
            hint = 'add a price row such as { model = "gpt-4.1-mini", input_usd = "0.40", output_usd = "1.60" }'
            raise DomainError(msg, hint=hint)
        days = [(row.model, date.fromisoformat(row.effective_from)) for row in self.prices]
        twice = next((row for row in days if days.count(row) > 1), None)
        if twice is not None:
            msg = f"prices: expected one price of {twice[0]!r} from {twice[1]} on, was two"
            raise DomainError(msg)


@attrs.frozen
class BoundsTable:
    """`[adviser.bounds]`: what advice may change. Towards less risk at once; towards more only a little, and slowly.

    Raises:
        DomainError: If a smallest value is above its largest.
    """

    min_spread_multiplier: float = option(
        help="Closest that advice may bring a quote, times its distance.", default=0.95, minimum=0.5, maximum=1.0
    )
    max_spread_multiplier: float = option(
        help="Furthest that advice may move a quote, times its distance.", default=3.0, minimum=1.0, maximum=20.0
    )
    min_size_multiplier: float = option(
        help="Smallest size that advice may ask for, as a multiple; 0 lets it take a side away.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    max_size_multiplier: float = option(
        help="Largest size that advice may ask for, as a multiple; static limits stand above it.",
        default=1.0,
        minimum=1.0,
        maximum=2.0,
    )
    max_skew_bps: float = option(
        help="Largest shift of both quotes, up or down.", default=5.0, minimum=0.0, maximum=100.0, unit="bps"
    )
    min_position_scale: float = option(
        help="Smallest share of the full position that advice may ask to stay within.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    may_pause: bool = option(help="Whether advice may ask for no quotes at all.", default=True)
    max_riskier_step: float = option(
        help="How far a multiplier or the position scale may move towards more risk in one answer.",
        default=0.1,
        above=0.0,
        maximum=1.0,
    )
    max_skew_step_bps: float = option(
        help="How far the shift may move in one answer, but for a move towards 0.",
        default=2.0,
        above=0.0,
        maximum=100.0,
        unit="bps",
    )
    min_confidence: float = option(
        help="An answer with less confidence is only written down.", default=0.0, minimum=0.0, maximum=1.0
    )


@attrs.frozen
class AdviserKeys:
    """Keys of an `[[adviser]]` that belong to the kernel, beside `use`, `provider` and the adviser's own options.

    Raises:
        DomainError: If advice would be gone before it can come, or the interval is shorter than the smallest.
    """

    name: str | None = option(
        help="What records call it; by default what it uses.", default=None, example="night-watch"
    )
    every_s: float = option(help="Time between two questions.", default=60.0, minimum=1.0, maximum=86_400.0, unit="s")
    triggers: tuple[str, ...] = option(
        help="Asks besides when this happens: `regime-change` (a signal named `market_condition` or `condition` takes "
        "another value), `inventory-band` (the position crosses a quarter of its limit), `spike` (a signal named "
        "`spike_flag` or `manipulation` goes up).",
        default=(),
        choices=("regime-change", "inventory-band", "spike"),
    )
    min_interval_s: float = option(
        help="Shortest time between two questions, triggers included.", default=10.0, minimum=0.0, unit="s"
    )
    timeout_s: float = option(
        help="Time for one question, retry included; a later answer is not waited for.",
        default=10.0,
        above=0.0,
        maximum=120.0,
        unit="s",
    )
    ttl_s: float = option(
        help="Longest life of advice; after it, quotes are neutral again.",
        default=180.0,
        above=0.0,
        maximum=86_400.0,
        unit="s",
    )
    max_book_age_s: float = option(
        help="An answer to a question about an older book than this is discarded.",
        default=30.0,
        above=0.0,
        maximum=3_600.0,
        unit="s",
    )
    max_markets_per_request: int = option(
        help="Markets in one question; more are asked about in several.", default=20, minimum=1, maximum=50
    )
    shadow: bool = option(help="Ask, write down and score, and apply nothing.", default=False)
    keeps_prompts: bool = option(help="Write the prompts to the journal too.", default=False)
    replay: Path | None = option(
        help="A journal or a file of calls, whose replies are used instead of asking; a backtest never asks.",
        default=None,
        example="runs/btc.journal",
    )
    replay_miss: str = option(
        help="What a question without a recorded reply leads to.", default="neutral", choices=("neutral", "error")
    )
    bounds: BoundsTable = option(help="What advice may change.", factory=BoundsTable)
    budget: BudgetTable = option(help="What asking may cost.", factory=BudgetTable)

    def __attrs_post_init__(self) -> None:
        if self.min_interval_s > self.every_s:
            msg = f"min_interval_s: expected at most every_s = {self.every_s:g}, was {self.min_interval_s:g}"
            raise DomainError(msg)
        if self.ttl_s <= self.timeout_s:
            msg = f"ttl_s: expected more than timeout_s = {self.timeout_s:g}, was {self.ttl_s:g}"
            raise DomainError(msg, hint="an answer that takes its whole time would be over before it is there")
