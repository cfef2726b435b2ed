"""What asking may cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from mmframe.config.advice_tables import BudgetTable, PriceTable
from mmframe.domain.advice import CompletionRequest, Usage
from mmframe.errors import DomainError
from mmframe.runtime.advice.budget import Budget, Reservation, cost_usd, price_of, worst_usage
from mmframe.runtime.durable import write_durably
from mmframe.runtime.journal.lock import JournalLock, lock_holder

MINUTE_NS = 60_000_000_000
NOW_NS = 1_795_000_000_000_000_000
DAY_NS = 86_400_000_000_000
D = Decimal


def price(model="m", start="1970-01-01", **fields):
    fields = {"input_usd": D("2.5"), "output_usd": D(8), **fields}
    return PriceTable(model=model, effective_from=start, **fields)


@pytest.mark.parametrize(("input_usd", "output_usd", "expected"), [("2.5", "8", "7.128"), ("0.14", "0.42", "0.39312")])
def test_a_day_of_a_call_a_minute_costs_what_was_worked_out_by_hand(input_usd, output_usd, expected):
    row = price(input_usd=D(input_usd), output_usd=D(output_usd))

    assert 1_440 * cost_usd(Usage(input_tokens=1_500, output_tokens=150), row) == D(expected)


def test_cached_and_written_tokens_are_part_of_the_input_and_have_prices_of_their_own():
    row = price(cached_usd=D("0.25"), cache_write_usd=D(5))
    usage = Usage(input_tokens=1_000_000, cached_tokens=600_000, cache_write_tokens=100_000, output_tokens=0)

    assert cost_usd(usage, row) == D("0.3") * D("2.5") + D("0.6") * D("0.25") + D("0.1") * 5
    assert cost_usd(Usage(input_tokens=10, cached_tokens=99, cache_write_tokens=99), price()) == D("0.000025")


def test_the_newest_price_in_force_counts_and_an_unknown_model_is_charged_the_dearest():
    rows = (price("a", "2026-01-01"), price("a", "2026-06-01", output_usd=D(1)), price("b", input_usd=D(1)))

    assert price_of(rows, "a", date(2026, 5, 31)).output_usd == 8
    assert price_of(rows, "a", date(2026, 6, 1)).output_usd == 1
    assert price_of(rows, "c", date(2026, 6, 1)) is rows[2]
    assert price_of(rows[:1], "c", date(2020, 1, 1)) is rows[0]
    assert price_of((), "c", date(2020, 1, 1)) is None


def test_it_stops_before_the_request_that_could_go_beyond_the_limit_and_not_a_cent_later(tmp_path):
    # A request may cost $0.05 at worst and costs $0.03: the last that may leave is the one that ends at 0.10 at worst.
    row = price(input_usd=D(1), output_usd=D(1))
    budget = Budget(BudgetTable(max_cost_usd_per_day=D("0.10"), max_requests_per_minute=600, prices=(row,)), None)
    worst, used = Usage(input_tokens=40_000, output_tokens=10_000), Usage(input_tokens=25_000, output_tokens=5_000)

    spent = []
    while isinstance(reserved := budget.reserve(worst, NOW_NS), Reservation):
        assert budget.spend.cost_usd <= D("0.10")
        assert budget.settle(reserved, used, "m", None) == D("0.03")
        spent.append(budget.spend.cost_usd)

    assert spent == [D("0.03"), D("0.06")]
    assert reserved == "$0.06 of $0.10 spent today, and the next question may cost $0.05"
    assert isinstance(budget.reserve(Usage(input_tokens=40_000), NOW_NS), Reservation)
    assert budget.spend.cost_usd == D("0.10")
    assert isinstance(budget.reserve(worst, NOW_NS + DAY_NS), Reservation)


def test_a_restart_goes_on_with_the_days_spend_and_a_lost_process_has_spent_the_worst(tmp_path):
    path = tmp_path / "runs" / "s.spend.json"
    table = BudgetTable(max_cost_usd_per_day=D("0.10"), prices=(price(input_usd=D(1), output_usd=D(1)),))
    first = Budget(table, path)
    settled = first.reserve(Usage(input_tokens=50_000), NOW_NS)
    first.settle(settled, Usage(input_tokens=10_000), "m", None)
    first.reserve(Usage(input_tokens=50_000), NOW_NS)

    second = Budget(table, path)

    assert (second.spend.cost_usd, second.spend.calls) == (D("0.06"), 2)
    assert isinstance(second.reserve(Usage(input_tokens=50_000), NOW_NS), str)
    assert isinstance(second.reserve(Usage(input_tokens=40_000), NOW_NS), Reservation)


def test_a_spend_that_cannot_be_read_or_kept_lets_nothing_pass(tmp_path):
    path = tmp_path / "s.spend.json"
    path.write_text("{", encoding="utf-8")

    assert "cannot be read" in Budget(BudgetTable(), path).reserve(Usage(), NOW_NS)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot be" in Budget(BudgetTable(), tmp_path / "file" / "s.json").reserve(Usage(), NOW_NS)


def test_two_processes_spend_one_after_the_other(tmp_path, monkeypatch):
    path = tmp_path / "s.spend.json"
    table = BudgetTable(max_cost_usd_per_day=D("0.10"), prices=(price(input_usd=D(1), output_usd=D(1)),))
    budget = Budget(table, path)
    held = []

    def watched(*arguments):
        held.append(lock_holder(path) is not None)
        write_durably(*arguments)

    monkeypatch.setattr("mmframe.runtime.advice.budget.write_durably", watched)
    reserved = budget.reserve(Usage(input_tokens=50_000), NOW_NS)
    assert isinstance(reserved, Reservation)
    assert (held, lock_holder(path)) == ([True], None)

    # While another one reads and writes nothing is asked, and what was reserved stays spent.
    monkeypatch.setattr("mmframe.runtime.advice.budget._LOCK_TRIES", 1)
    other = JournalLock(path, run_id="")
    kept = path.read_bytes()
    assert "is being written by another process" in budget.reserve(Usage(input_tokens=1), NOW_NS)
    assert budget.settle(reserved, Usage(input_tokens=10_000), "m", None) == D("0.01")
    assert path.read_bytes() == kept
    other.release()
    assert isinstance(budget.reserve(Usage(input_tokens=50_000), NOW_NS), Reservation)


def test_what_a_provider_hands_over_gives_no_tokens_back_and_raises_nothing():
    budget = Budget(BudgetTable(max_tokens_per_day=100, prices=(price(),)), None)
    reserved = budget.reserve(Usage(input_tokens=90), NOW_NS)

    budget.settle(reserved, Usage(input_tokens=-1_000, output_tokens=-1_000), "m", 0.5)

    assert budget.spend.tokens == 0


def test_tokens_and_requests_have_limits_too():
    budget = Budget(BudgetTable(max_requests_per_minute=2, max_tokens_per_day=100), None)

    assert isinstance(budget.reserve(Usage(input_tokens=60, output_tokens=30), NOW_NS), Reservation)
    assert (
        budget.reserve(Usage(input_tokens=11), NOW_NS)
        == "90 of 100 tokens used today, and the next question may need 11"
    )
    assert isinstance(budget.reserve(Usage(input_tokens=10), NOW_NS + 1), Reservation)
    assert budget.refusal(NOW_NS + MINUTE_NS - 1) == "2 requests in the last minute"
    assert budget.refusal(NOW_NS + MINUTE_NS) == ""


def test_the_higher_of_the_tables_and_the_providers_figure_counts():
    budget = Budget(BudgetTable(prices=(price(),)), None)
    usage = Usage(input_tokens=1_000_000)
    costs = [
        budget.settle(budget.reserve(usage, NOW_NS), usage, "m", reported)
        for reported in (None, D(1), D(3), D("NaN"), D("-9"), D("1e999999"))
    ]

    assert costs == [D("2.5"), D("2.5"), D(3), D("2.5"), D("2.5"), D("2.5")]


def test_a_usage_below_nothing_gives_no_money_back():
    assert cost_usd(Usage(input_tokens=-10, cached_tokens=-5, output_tokens=-7), price()) == 0


def test_the_worst_case_counts_a_token_for_every_byte():
    request = CompletionRequest("s" * 10, "é" * 10, b"{}", "n", 77)

    assert worst_usage(request, b"") == Usage(input_tokens=10 + 20 + 2 + 64, output_tokens=77, is_estimated=True)
    assert worst_usage(request, b"x" * 500).input_tokens == 564


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BudgetTable(max_cost_usd_per_day=D(1)), "max_cost_usd_per_day: expected a price beside it"),
        (
            lambda: BudgetTable(prices=(price(), price())),
            "prices: expected one price of 'm' from 1970-01-01 on, was two",
        ),
        (lambda: price(start="2026-13-01"), "effective_from: expected a date such as '2026-01-01', was '2026-13-01'"),
    ],
)
def test_a_table_that_cannot_work_is_refused(make, message):
    with pytest.raises(DomainError) as caught:
        make()

    assert caught.value.message.startswith(message)
