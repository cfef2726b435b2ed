"""`mmframe quote` shows what the engine itself decides: at a moment of a recording, and from given numbers."""

import json
import random
from decimal import Decimal

import pytest

from mmframe.domain.views import NEUTRAL_ADVICE
from mmframe.runtime.explain import Explanation
from mmframe.runtime.moments import time_text

START_US = 1_725_148_800_000_000
MESSAGES = 400
STEP_US = 100_000
HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"

FILE = """\
schema = 1

[strategy]
name = "asked"
requote_interval_ms = 250

[run]
mode = "backtest"

[[markets]]
instrument = "BTC/USDT"
tick_size = "0.5"
lot_size = "0.001"
order_size = "0.01"

[history]
use = "tardis/csv"
paths = ["book.csv", "trades.csv"]

[venue.backtest]
use = "simulated"

[[signal]]
use = "ewma-volatility"
half_life_s = 5
warm_up_s = 2

[[optimizer]]
use = "fixed-spread"
spread_bps = 4

[[optimizer]]
use = "inventory-skew"
skew_bps = 5

[[risk]]
use = "layered-limits"
max_position = "0.04"

[gate]
max_order_size = "0.02"
max_position = "0.05"
max_daily_loss_quote = "500"
"""


def changes(index, price):
    """Return rows of a book of one level a side around a price in half units."""
    time_us = START_US + index * STEP_US
    flag = "true" if not index else "false"
    row = f"binance,BTCUSDT,{time_us},{time_us + 1000},{flag}"
    return [f"{row},bid,{price / 2 - 0.5},{1 + index % 3}", f"{row},ask,{price / 2 + 0.5},{1 + index % 2}"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A strategy file with a recording of 40 s: a price that wanders, and trades that fill both sides."""
    folder = tmp_path_factory.mktemp("recorded")
    chance = random.Random(7)
    price, rows, trades = 120_000, [], []
    for index in range(MESSAGES):
        before, price = price, price + chance.choice((-8, -1, 0, 0, 1, 8))
        time_us = START_US + index * STEP_US
        if before != price:
            gone = f"binance,BTCUSDT,{time_us},{time_us + 1000},false"
            rows += [f"{gone},bid,{before / 2 - 0.5},0", f"{gone},ask,{before / 2 + 0.5},0"] if index else []
        rows += changes(index, price)
        side = chance.choice(("buy", "sell"))
        at = price / 2 + (15.0 if side == "buy" else -15.0)
        trades.append(f"binance,BTCUSDT,{time_us},{time_us + 2000},{index},{side},{at},0.004")
    (folder / "book.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    (folder / "trades.csv").write_text("\n".join([TRADES, *trades]) + "\n")
    (folder / "strategy.toml").write_text(FILE)
    return folder / "strategy.toml"


@pytest.fixture
def quoted(invoke, recorded):
    """Ask for a quote and return the JSON answer."""

    def quote(*words, file=recorded):
        ended = invoke("quote", file, *words, "--json")
        assert ended.status == 0, ended.stderr
        return json.loads(ended.stdout)

    return quote


@pytest.fixture
def changed(recorded, tmp_path):
    """Write the strategy file with one text replaced."""

    def change(old, new):
        assert old in FILE
        for name in ("book.csv", "trades.csv"):
            (tmp_path / name).symlink_to(recorded.parent / name)
        path = tmp_path / "strategy.toml"
        path.write_text(FILE.replace(old, new))
        return path

    return change


NUMBERS = ("--bid", "59999.5", "--ask", "60000.5")


# At a moment of a recording.


@pytest.mark.parametrize("offset_s", [0.5, 7.25, 20.0, 33.333])
def test_a_moment_of_a_recording_is_what_the_backtest_s_journal_tells(invoke, quoted, recorded, tmp_path, offset_s):
    journal = tmp_path / "run.journal"
    assert invoke("run", recorded, "--journal", journal, "--quiet").status == 0
    moment = START_US * 1000 + int(offset_s * 1e9)
    told = json.loads(invoke("explain", journal, "--at", str(moment), "--json").stdout)

    answer = quoted("--at", str(moment))

    # A journal holds an order's intent until the venue's first word; the engine itself knows that it was sent.
    answer = json.loads(json.dumps(answer).replace('"sent"', '"intent"').replace("(sent)", "(intent)"))
    same = set(Explanation.__struct_fields__) - {"journal", "run", "since_start_ns"}
    assert {name: answer[name] for name in same} == {name: told[name] for name in same}
    assert (answer["source"], answer["journal"], answer["run"]) == ("recording", "", 0)


def test_an_offset_a_time_of_day_and_a_date_name_the_same_moment(quoted):
    start = START_US * 1000 + 1_000_000  # the first message was received a millisecond after it happened
    texts = ("12s", "+12s", "00:00:12.001", "2024-09-01T00:00:12.001Z", str(start + 12_000_000_000))

    answers = [quoted("--at", text) for text in texts]

    assert {answer["asked_ns"] for answer in answers} == {start + 12_000_000_000}
    assert {answer["sequence"] for answer in answers} == {answers[0]["sequence"]}
    assert 0 <= answers[0]["asked_ns"] - answers[0]["now_ns"] <= 1_000_000_000


def test_what_warms_up_at_that_moment_is_told(invoke, recorded):
    shown = invoke("quote", recorded, "--at", "1s").stdout

    assert "signals not known yet: volatility; every quote was made without them" in shown
    assert "into the recording" in shown


@pytest.mark.parametrize("moment", ["2h", "2024-08-31T23:59:00Z", "2024-09-02"], ids=["behind", "before", "no time"])
def test_a_moment_outside_of_the_recording_names_its_range(invoke, recorded, moment):
    ended = invoke("quote", recorded, "--at", moment)

    assert ended.status == 2
    assert ended.stderr.startswith("error[usage]: --at: expected ")
    assert time_text(START_US * 1000 + 1_000_000) in ended.stderr
    if moment == "2h":
        assert f"to {time_text(START_US * 1000 + (MESSAGES - 1) * STEP_US * 1000 + 2_000_000)}" in ended.stderr


def test_a_strategy_that_halted_long_before_says_so(invoke, changed):
    file = changed('max_daily_loss_quote = "500"', 'max_daily_loss_quote = "0.01"')

    ended = invoke("quote", file, "--at", "39s")

    assert ended.status == 0, ended.stderr
    assert "the strategy halted at 2024-09-01T00:00:" in ended.stdout
    assert "halted: daily loss" in ended.stdout
    assert "There is no bid in BTC/USDT" in ended.stdout


def test_a_file_without_a_recording_is_refused(invoke, changed):
    ended = invoke("quote", changed("[history]", "[feed]"), "--at", "1s")

    assert ended.status == 2
    assert "history: missing, expected recorded data" in ended.stderr


# From given numbers.


def test_given_numbers_are_quoted_as_the_strategy_does_by_hand(quoted):
    answer = quoted(*NUMBERS, "--position", "0.02", "--signal", "volatility=3")

    # 4 bps of 60,000 are 24: 12 a side. 0.02 of 0.05 is a fullness of 0.4, so both move down 0.4 x 5 bps = 12.
    bid, ask = answer["quotes"]
    assert [(stage["name"], stage["changes"][0]["price_after"]) for stage in answer["stages"][:2]] == [
        ("fixed-spread", pytest.approx(59_988.0)),
        ("inventory-skew", pytest.approx(59_976.0)),
    ]
    assert (Decimal(bid["levels"][0]["price"]), Decimal(ask["levels"][0]["price"])) == (59_976, 60_000)
    assert answer["signals"] == {"volatility": 3.0}
    assert (answer["source"], answer["missing_signals"]) == ("numbers", [])


def test_the_same_numbers_as_a_moment_of_the_recording_give_the_same_quotes(quoted):
    # No stage of this strategy remembers anything, so the moment is all that there is.
    there = quoted("--at", "20s")
    view, inventory = there["view"], there["inventory"]

    here = quoted(
        *(f"--{name.replace('_', '-')}={view[name]}" for name in ("bid", "ask", "bid_size", "ask_size")),
        f"--position={inventory['position']}",
        f"--signal=volatility={there['signals']['volatility']}",
    )

    assert inventory["position"] != 0.0
    assert [quote["levels"] for quote in here["quotes"]] == [quote["levels"] for quote in there["quotes"]]
    assert [stage["changes"] for stage in here["stages"]] == [stage["changes"] for stage in there["stages"]]


def test_position_price_and_profit_arrive_as_they_were_given(quoted):
    answer = quoted(*NUMBERS, "--position", "-0.02", "--average-price", "60010.5", "--day-pnl", "-7.25")

    held = answer["inventory"]
    assert held["position"] == -0.02
    assert held["average_price"] == 60_010.5
    assert held["unrealised_pnl_quote"] == pytest.approx(0.21)
    assert held["day_pnl_quote"] == pytest.approx(-7.25)
    assert held["quote_balance"] is None


def test_an_average_price_between_two_ticks_is_met_to_half_a_tick_of_one_lot(quoted):
    held = quoted(*NUMBERS, "--position", "0.03", "--average-price", "60000.13")["inventory"]

    assert held["average_price"] * 30 == pytest.approx(60_000.13 * 30, abs=0.25)


def test_a_limit_of_the_gate_is_named_with_its_figures(quoted, changed):
    file = changed('max_position = "0.05"', 'max_position = "0.021"')
    file.write_text(file.read_text().replace('max_position = "0.04"', 'max_position = "0.5"'))

    answer = quoted(*NUMBERS, "--position", "0.015", file=file)

    stage = answer["stages"][-1]
    assert (stage["name"], stage["is_binding"]) == ("gate limits", True)
    assert stage["changes"][0]["bound"] == "max_position 0.021 leaves 0.006 of 0.010, 0.004 less"
    assert "max_position 0.021 leaves 0.006" in answer["bound"][-1]
    assert stage["changes"][1]["bound"] == ""


def test_the_loss_of_the_day_ends_quoting_with_its_figures(invoke, recorded):
    shown = invoke("quote", recorded, *NUMBERS, "--day-pnl", "-500").stdout

    assert shown.startswith("There is no bid in BTC/USDT: the daily loss limit is reached.")
    assert "halted: daily loss 500.00 USDT, limit 500" in shown


def test_advice_and_balances_are_in_force(quoted):
    answer = quoted(*NUMBERS, "--advice", "skew_bps=2", "--balance", "USDT=1000")

    assert not answer["is_advice_neutral"]
    assert (answer["advice"]["skew_bps"], answer["advice"]["confidence"]) == (2.0, 1.0)
    assert answer["inventory"]["quote_balance"] == 1000.0


def test_a_signal_that_was_not_given_is_told_with_what_came_of_it(invoke, changed):
    file = changed('use = "fixed-spread"\nspread_bps = 4', 'use = "volatility-regime"')
    file.write_text(file.read_text().replace("[[optimizer]]", '[[signal]]\nuse = "depth"\n\n[[optimizer]]', 1))

    shown = invoke("quote", file, *NUMBERS, "--signal", "volatility=nan").stdout

    assert (
        " ".join(shown.split()).count("signals not given: volatility, relative_depth; there is no bid and no ask") == 1
    )
    assert "stages that remember something started afresh: volatility-regime" in shown


def test_a_signal_that_needs_no_more_than_the_touch_is_read_unless_it_is_given(quoted, changed):
    table = '[[signal]]\nuse = "constant"\nname = "volatility"\nvalue = 2.0\nunit = "bps"\n'
    file = changed('[[signal]]\nuse = "ewma-volatility"\nhalf_life_s = 5\nwarm_up_s = 2\n', table)
    file.write_text(file.read_text().replace("[[optimizer]]", '[[signal]]\nuse = "depth"\n\n[[optimizer]]', 1))

    answer = quoted(*NUMBERS, file=file)
    given = quoted(*NUMBERS, "--signal", "volatility=nan", file=file)

    assert answer["signals"]["volatility"] == pytest.approx(2.0 / 10_000 * 60_000)
    assert answer["missing_signals"] == ["relative_depth"]
    assert given["missing_signals"] == ["volatility", "relative_depth"]


def test_a_person_sees_every_stage_and_what_would_be_sent(invoke, recorded):
    shown = invoke("quote", recorded, *NUMBERS, "--side", "ask").stdout

    assert shown.splitlines()[0] == "The ask in BTC/USDT is 0.010 BTC at 60,012.0, 2.00 bps from the mid."
    assert [line.split()[0] for line in shown.splitlines() if line[:1].isdigit()] == ["1", "2", "3", "4"]
    assert "It would send\n  submit ask 0.010 at 60012.0 as mm-asked-0-2" in shown


def test_what_moved_a_quote_is_said_of_the_stage_that_gave_the_reason(invoke, changed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    # The floor moves the ask to 60,060.03; rounding takes it to the grid and hands the reason on.
    file = changed(
        'use = "inventory-skew"\nskew_bps = 5', 'use = "fee-floor"\nmaker_fee_bps = 0\nmin_profit_bps = 10.005'
    )

    shown = invoke("quote", file, *NUMBERS, "--position", "0.01", "--average-price", "60000", "--side", "ask").stdout

    why = "moved out to where closing the position pays for both fees and the profit asked for"
    assert shown.splitlines()[0] == (
        f"The ask in BTC/USDT is 0.010 BTC at 60,060.5, 10.08 bps from the mid: optimizer fee-floor moved it: {why}."
    )
    (rounding,) = (line for line in shown.splitlines() if line.startswith("3 rounding"))
    assert why not in rounding


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, ["stage", "side", "gives", "bps", "away", "why"]),
        (120, ["stage", "side", "gets", "gives", "bps", "away", "why"]),
    ],
)
def test_the_stages_fit_the_terminal(invoke, recorded, monkeypatch, width, headings):
    monkeypatch.setenv("COLUMNS", str(width))

    lines = invoke("quote", recorded, *NUMBERS, "--position", "0.039").stdout.splitlines()

    (first,) = (number for number, line in enumerate(lines) if line.startswith("stage"))
    assert lines[first].split() == headings
    assert all(len(line) <= width for line in lines[first:])
    assert "shrink; the position limit leaves no or less room" in " ".join(" ".join(lines).split()) or width == 80


def test_nothing_is_left_behind(invoke, recorded):
    before = sorted(recorded.parent.iterdir())

    invoke("quote", recorded, *NUMBERS)
    invoke("quote", recorded, "--at", "5s")

    assert sorted(recorded.parent.iterdir()) == before


BAD = {
    "nothing": ((), "--bid: missing, expected --bid and --ask, or --at", None),
    "no ask": (NUMBERS[:2], "--ask: missing, expected --bid and --ask, or --at", None),
    "crossed": (
        ("--bid", "60001", "--ask", "60000.5"),
        "--bid: expected a price below --ask 60000.5, was '60001'",
        "a crossed book is never quoted on",
    ),
    "off the grid": (
        ("--bid", "59999.7", "--ask", "60000.5"),
        "--bid: expected a multiple of 0.5, was '59999.7'",
        "write 59999.5 or 60000",
    ),
    "no price": (("--bid", "0", "--ask", "1"), "--bid: expected a price above 0, was '0'", None),
    "nan": (("--bid", "nan", "--ask", "1"), "--bid: expected a finite number of sane magnitude, was 'nan'", None),
    "a word": (("--bid", "x", "--ask", "1"), "--bid: expected a decimal number, was 'x'", None),
    "no depth": ((*NUMBERS, "--bid-size", "0"), "--bid-size: expected a size above 0, was '0'", None),
    "a lot and a half": (
        (*NUMBERS, "--position", "0.0015"),
        "--position: expected a multiple of 0.001, was '0.0015'",
        "write 0.001 or 0.002",
    ),
    "a price of nothing": (
        (*NUMBERS, "--average-price", "5"),
        "--average-price: expected --position beside it, was '5'",
        None,
    ),
    "an unknown signal": (
        (*NUMBERS, "--signal", "volatilty=1"),
        "--signal: expected one of volatility, was 'volatilty'",
        "did you mean 'volatility'?",
    ),
    "an endless signal": (
        (*NUMBERS, "--signal", "volatility=inf"),
        "--signal volatility: expected a finite number, was 'inf'",
        None,
    ),
    "a bare signal": ((*NUMBERS, "--signal", "volatility"), "--signal: expected NAME=VALUE, was 'volatility'", None),
    "unknown advice": (
        (*NUMBERS, "--advice", "skew=1"),
        f"--advice: expected one of {', '.join(NEUTRAL_ADVICE._fields[:-1])}, was 'skew'",
        "did you mean 'skew_bps'?",
    ),
    "an unknown market": (
        (*NUMBERS, "--market", "ETH/USDT"),
        "--market: expected one of BTC/USDT, was 'ETH/USDT'",
        None,
    ),
    "both ways": (("--at", "5s", "--bid", "1"), "--at: cannot be combined with --bid", None),
}


@pytest.mark.parametrize(("words", "message", "hint"), BAD.values(), ids=BAD)
def test_a_number_that_cannot_be_is_refused_by_its_option(invoke, recorded, words, message, hint):
    ended = invoke("quote", recorded, *words)

    assert ended.status == 2
    assert ended.stderr.splitlines()[0] == f"error[usage]: {message}"
    assert hint is None or ended.stderr.splitlines()[1] == f"  fix    {hint}"
