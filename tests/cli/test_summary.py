from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.cli.summary import result_object, summary_lines


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("NO_COLOR", "1")


def test_a_person_reads_the_figures_the_assumptions_and_what_to_ask_next(run_result):
    assert summary_lines(run_result(), wall_s=12.61) == [
        "first-run  paper, 12.5 s of market time in 12.6 s; ended: duration",
        "  2026-01-01 00:00:00.000 UTC to 2026-01-01 00:00:12.500 UTC",
        "",
        "BTC/USDT",
        "  P&L       +1.2500 USDT = spread capture +2.5000, inventory -1.0000, fees -0.2500",
        "  position  +0.03 BTC at 60,001.2 on average",
        "  orders    1,234 sent",
        "  fills     7, 0.07 BTC traded",
        "",
        "  events     12,345, of them 12,000 market messages",
        f"  decisions  201, hash {'ab' * 32}",
        "",
        "Assumptions behind these figures",
        "  -  Fees: maker 1 bps.",
        "",
        "Journal  mmframe-runs/first-run.journal",
        "Why?     mmframe explain mmframe-runs/first-run.journal",
    ]


def test_what_went_wrong_is_said(run_result, run_status, market_status):
    market = market_status(risk_level=3, unvalued_fees={"BNB": Decimal("0.0010")})
    result = run_result(
        status=run_status(markets=(market,), is_halted=True, halt_reason="daily loss"),
        ended_because="halted",
        rejections=1,
        faults=2,
        fault_notes=("optimizer 'x': ValueError: a", "optimizer 'x': ValueError: b"),
        unresolved=("mm-x-0-9",),
        journal=None,
    )

    text = "\n".join(summary_lines(result, wall_s=1.0))

    assert "ended: halted, daily loss" in text
    assert "fees        0.001 BNB paid besides, which cannot be valued in USDT" in text
    assert "restricted  risk: halt" in text
    assert "gate        refused 1 action" in text
    assert "faults      2 strategy faults contained, last: optimizer 'x': ValueError: b" in text
    assert "unresolved  1 order: mm-x-0-9" in text
    assert "No journal was written" in text


def test_what_advice_came_to_is_said(run_result, run_status):
    line = "night-watch: expired, quotes are neutral, 9 calls, $0.0182 of $0.50"
    result = run_result(status=run_status(advice=(line,)))

    assert f"advice     {line}" in "\n".join(summary_lines(result, wall_s=1.0))
    assert result_object(result, wall_s=1.0)["advice"] == [line]


def test_a_machine_gets_money_as_exact_text_and_counts_as_numbers(run_result):
    answer = json.loads(json.dumps(result_object(run_result(), wall_s=12.6104)))

    profit = {
        "total": "1.25",
        "spread_capture": "2.5",
        "inventory": "-1",
        "fees": "-0.25",
        "realised": "0.5",
        "unrealised": "1",
    }
    assert answer == {
        "strategy": "first-run",
        "mode": "paper",
        "ended_because": "duration",
        "is_halted": False,
        "halt_reason": "",
        "is_paused": False,
        "started": "2026-01-01T00:00:00.000000000Z",
        "ended": "2026-01-01T00:00:12.500000000Z",
        "market_time_s": 12.5,
        "wall_time_s": 12.61,
        "events": 12345,
        "market_messages": 12000,
        "decisions": 201,
        "decision_hash": "ab" * 32,
        "orders": 1234,
        "fills": 7,
        "position": "0.03",
        "pnl": profit,
        "totals": {"USDT": profit},
        "markets": [
            {
                "instrument": "BTC/USDT",
                "quote_asset": "USDT",
                "position": "0.03",
                "average_price": "60001.25",
                "pnl": profit,
                "orders": 1234,
                "fills": 7,
                "volume": "0.07",
                "bid": "60000",
                "ask": "60006",
                "book_state": "synced",
                "risk_level": 0,
                "unvalued_fees": {},
            }
        ],
        "faults": 0,
        "fault_notes": [],
        "rejections": 0,
        "cancelled": 0,
        "unresolved": [],
        "limits": [],
        "advice": [],
        "assumptions": ["Fees: maker 1 bps."],
        "journal": "mmframe-runs/first-run.journal",
    }


def test_markets_of_one_quote_asset_have_one_profit_and_no_common_position(run_result, run_status, market_status):
    markets = (market_status(), market_status(instrument="ETH/USDT", bid=None, ask=None, average_price=None))
    result = run_result(status=run_status(markets=markets))

    answer = result_object(result, wall_s=1.0)

    assert answer["position"] is None
    assert answer["orders"] == 2468
    assert answer["pnl"]["total"] == answer["totals"]["USDT"]["total"] == "2.5"
    assert answer["markets"][1]["bid"] is None
    assert "All markets in USDT: +2.5000 = spread capture" in "\n".join(summary_lines(result, wall_s=1.0))


def test_profits_in_different_assets_are_not_added(run_result, run_status, market_status):
    markets = (market_status(), market_status(instrument="ETH/BTC", quote_asset="BTC"))

    answer = result_object(run_result(status=run_status(markets=markets)), wall_s=1.0)

    assert answer["pnl"] is None
    assert set(answer["totals"]) == {"USDT", "BTC"}


def test_commands_to_copy_begin_as_the_program_was_started(run_result, monkeypatch):
    monkeypatch.setenv("MMFRAME_PROGRAM", "python3 dev.py")

    lines = summary_lines(run_result(journal="my runs/a.journal"), wall_s=1.0)

    assert lines[-1] == "Why?     python3 dev.py explain 'my runs/a.journal'"
