"""`mmframe breakeven` shows the calculators' figures and names the option that is wrong."""

import json

import pytest

WORDS = ("--spread-bps", "8", "--maker-fee-bps", "1", "--adverse-bps", "1.5")
DAY = ("--order-value", "500", "--fills-per-day", "400", "--fixed-cost-per-day", "24")


def test_the_figures_are_those_of_the_functions(invoke):
    ended = invoke("breakeven", *WORDS, *DAY, "--json")

    answer = json.loads(ended.stdout)
    assert ended.status == 0
    assert answer["results"]["edge_bps"] == 3.0
    assert answer["results"]["break_even_spread_bps"] == 5.0
    assert answer["results"]["minimum_volume_per_day_quote"] == pytest.approx(160_000.0)
    assert answer["results"]["pnl_per_day_quote"] == pytest.approx(6.0)
    assert answer["inputs"]["volume_per_day_quote"] is None
    assert answer["sensitivity"][0]["name"] == "spread_bps"


def test_a_person_reads_the_answer_first(invoke):
    lines = invoke("breakeven", *WORDS, *DAY).stdout.splitlines()

    assert lines[0] == "A round trip at 8 bps earns 3 bps; it breaks even at 5 bps."
    assert "  expected P&L            +6.00  in the quote asset, after 24.00 of fixed costs" in lines
    assert "  minimum volume     160,000.00  pays the fixed costs" in lines
    assert any(line.startswith("--adverse-bps") and line.endswith("+3.00") for line in lines)


def test_without_a_volume_there_is_no_day(invoke):
    shown = invoke("breakeven", "--spread-bps", "4", "--adverse-bps", "3").stdout

    assert shown.startswith("A round trip at 4 bps loses 2 bps; it breaks even at 6 bps.")
    assert "P&L" not in shown


def test_fixed_costs_that_no_volume_pays_are_told(invoke):
    shown = invoke("breakeven", "--spread-bps", "4", "--adverse-bps", "3", "--fixed-cost-per-day", "1").stdout

    assert "no volume pays the fixed costs at this spread" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--spread-bps", "nan"), "--spread-bps: expected a finite number, was nan"),
        (("--spread-bps", "x"), "--spread-bps: 'x' is not a valid float"),
        (
            ("--spread-bps", "4", "--sigma-bps", "1"),
            "--risk-aversion: expected more than 0 beside --sigma-bps, was 0",
        ),
        ((), "Missing option '--spread-bps'"),
    ],
    ids=["nan", "no number", "alone", "missing"],
)
def test_a_wrong_number_is_told_by_its_option(invoke, words, message):
    ended = invoke("breakeven", *words)

    assert ended.status == 2
    assert ended.stderr.startswith(f"error[usage]: {message}")
