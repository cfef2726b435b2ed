"""The page on what LLM advice costs says what the budget of a run reckons."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.config.advice_tables import BudgetTable, PriceTable
from mmframe.domain.advice import CompletionRequest, Usage
from mmframe.runtime.advice.budget import Budget, Reservation, cost_usd, worst_usage

PAGE = " ".join(
    (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "what-llm-advice-costs.md")
    .read_text(encoding="utf-8")
    .split()
)
DEAR = PriceTable(
    model="m", input_usd=Decimal("2.5"), output_usd=Decimal(8), cached_usd=Decimal("0.5"), cache_write_usd=None
)
CHEAP = PriceTable(model="m", input_usd=Decimal("0.14"), output_usd=Decimal("0.42"))
NOON_NS = 1_767_268_800_000_000_000


def a_day(price=DEAR, *, every_s=60, markets=1, **usage):
    per_question = Usage(**{"input_tokens": 1_500, "output_tokens": 150, **usage})
    return cost_usd(per_question, price) * (86_400 // every_s) * markets


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        pytest.param(a_day(), "**$7.128** | $213.84", id="dear"),
        pytest.param(a_day(CHEAP), "**$0.39312** | $11.7936", id="cheap"),
        pytest.param(a_day() / 1_440, "2.50 / 8.00 | $0.00495 |", id="one dear question"),
        pytest.param(a_day(CHEAP) / 1_440, "0.14 / 0.42 | $0.000273 |", id="one cheap question"),
        pytest.param(a_day() * 30, "$213.84", id="dear month"),
        pytest.param(a_day(CHEAP) * 30, "$11.7936", id="cheap month"),
        pytest.param(a_day(every_s=300), "every five minutes costs $1.4256 a day", id="slower"),
        pytest.param(a_day(every_s=10), "every ten seconds $42.768", id="faster"),
        pytest.param(a_day(markets=10), "one by one cost $71.28 a day", id="ten questions"),
        pytest.param(a_day(input_tokens=4_200, output_tokens=1_500), "in one question $32.40", id="one for ten"),
        pytest.param(a_day(cached_tokens=1_200), "the day costs $3.672 instead of $7.128", id="cached"),
        pytest.param(a_day(output_tokens=1_150), "make the day $18.648 instead of $7.128", id="reasoning"),
    ],
)
def test_each_cost_on_the_page_is_what_the_budget_reckons(cost, said):
    assert said in PAGE
    assert f"{cost.normalize():f}" in said.replace("32.40", "32.4")


def test_the_readme_names_both_days():
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")

    assert f"${a_day().normalize():f} a day for a question a minute" in readme
    assert f"${a_day(CHEAP):.2f} to a\ncheap one" in readme


def test_the_volume_that_pays_for_a_day_is_the_cost_over_the_edge():
    volume = a_day() / (Decimal("0.5") / 10_000)

    assert f"{volume:,.0f} USDT of volume a day" in PAGE


def test_a_days_limit_ends_the_questions_where_the_page_says():
    budget = Budget(BudgetTable(max_cost_usd_per_day=Decimal(2), prices=(DEAR,), max_requests_per_minute=600), None)
    # As long as a question of `spread-adviser`, which may be answered with 200 + 100 tokens.
    request = CompletionRequest("", "x" * 5_256, b"", "spread-adviser", 300)
    worst = worst_usage(request, b"")
    asked = 0
    while isinstance(reserved := budget.reserve(worst, NOON_NS + asked), Reservation):
        budget.settle(reserved, Usage(input_tokens=1_500, output_tokens=150), "m", None)
        asked += 1

    assert (worst.input_tokens, worst.output_tokens) == (5_320, 300)
    assert "reserved as 5,320 tokens in, 300 out, and $0.0157" in PAGE
    assert "$0.0157" in reserved
    assert f"end after {asked} of them, at ${budget.spend.cost_usd.normalize():f}" in PAGE
