"""`mmframe calibrate`, on a history from a local plugin whose takers are made up to a known A and k."""

from __future__ import annotations

import json
import tomllib

import pytest

STRATEGY = """\
schema = 1

[strategy]
name = "measured"

[plugins]
local = ["./takers.py"]

[run]
mode = "backtest"

[[markets]]
instrument = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.001"
order_size = "0.01"

[history]
use = "takers/tape"
{options}
"""

SECOND = '[[markets]]\ninstrument = "ETH/USDT"\ntick_size = "0.01"\nlot_size = "0.001"\norder_size = "0.01"\n'

# Takers come twice a second and side and reach 2.5 ticks on average: A = 2 / s, k = 0.4 / tick = 40 / USDT.
PLUGIN = """\
import math
import random

import attrs

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DataError
from mmframe.plugin import HistorySpec, hookimpl, option

MMFRAME_API = 1
START_NS = 1_700_000_000_000_000_000


@attrs.frozen
class Options:
    seconds: int = option(help="Length.", default=1200)
    takes: bool = option(help="Whether anybody trades.", default=True)
    tells: bool = option(help="Whether the taker is told.", default=True)
    sweeps: bool = option(help="Whether every taker goes through all levels.", default=False)
    moves: bool = option(help="Whether the touch moves.", default=True)
    breaks: bool = option(help="Whether the file is cut off.", default=False)


class Tape:
    def __init__(self, options, context):
        self.options, self.markets = options, len(context.instruments)

    def progress(self):
        return 0.5

    def batches(self):
        for market in range(self.markets):
            yield from self.market(market)

    def market(self, market):
        options, source = self.options, random.Random(market)
        events = []
        for side, sign in ((Side.SELL, -1), (Side.BUY, 1)):
            now = 0.0
            while options.takes and (now := now + source.expovariate(2.0)) < options.seconds:
                far = 30.0 if options.sweeps else source.expovariate(0.4)
                ticks = math.ceil(6_000_000.5 - far) if sign < 0 else math.floor(6_000_000.5 + far)
                if far >= 0.5:
                    told = side if options.tells else Side.UNKNOWN
                    events.append((now, MessageKind.TRADE, ((int(told), ticks, 1),)))
        for second in range(options.seconds):
            # Mostly it leans to the side to which it moves next.
            up = second // 2 % 2 if options.moves else 0
            bid, ask = ((9, 1) if up else (1, 9)) if second % 2 else (5, 5)
            if options.moves and second % 8 == 7:
                bid, ask = 5, 5
            events.append((float(second), MessageKind.DELTA, ((0, 6_000_000, bid), (1, 6_000_001, ask))))
            if options.moves and second % 60 == 30:
                wide = ((0, 6_000_000, 0), (0, 5_999_999, 5), (1, 6_000_001, 5))
                events.append((second + 0.5, MessageKind.DELTA, wide))
        batch = MarketBatch(market)
        book = ((0, 6_000_000, 5), (0, 5_999_999, 5), (1, 6_000_001, 5), (1, 6_000_002, 5))
        batch.add(MessageKind.SNAPSHOT, exchange_ns=START_NS, receive_ns=START_NS, changes=book)
        for number, (seconds, kind, changes) in enumerate(sorted(events)):
            if options.breaks and number == 50:
                raise DataError("the line is cut off", file="day.csv", line=51)
            now_ns = START_NS + round(seconds * 1e9)
            batch.add(kind, exchange_ns=now_ns, receive_ns=now_ns, changes=changes)
        yield batch


@hookimpl
def mmframe_register_histories():
    return (HistorySpec(name="tape", summary="Made up.", build=Tape, options=Options),)
"""


@pytest.fixture
def strategy(tmp_path, monkeypatch):
    """Write a strategy; `options` go into its [history], `more` below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "takers.py").write_text(PLUGIN, encoding="utf-8")

    def write(options="", more="", change=("", "")):
        path = tmp_path / "strategy.toml"
        path.write_text(STRATEGY.format(options=options).replace(*change) + more, encoding="utf-8")
        return path

    return write


def test_it_finds_the_figures_and_writes_tables_that_pass_check(invoke, strategy, tmp_path):
    path = strategy()

    ended = invoke("calibrate", path, "--toml", "glft.toml")

    assert ended.status == 0, ended.stderr
    assert ended.stderr == ""
    text = (tmp_path / "glft.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    (model,) = tables["optimizer"]
    assert (model["use"], model["inventory_std_orders"]) == ("glft", 3)
    assert model["arrival_rate_per_s"] == pytest.approx(2.0, rel=0.15)
    assert model["decay_per_price"] == pytest.approx(40.0, rel=0.1)
    assert "measured: fill intensity of BTC/USDT" in ended.stdout
    assert "glft.toml holds the tables for strategy.toml." in ended.stdout

    strategy(more=text)

    checked = invoke("check", path, "--json")
    assert checked.status == 0, checked.stderr
    assert "glft" in checked.stdout


@pytest.mark.parametrize("optimizer", ["glft", "avellaneda-stoikov", "cartea-jaimungal"])
def test_the_tables_of_every_model_pass_check(invoke, strategy, optimizer):
    path = strategy("seconds = 300")

    ended = invoke("calibrate", path, "--optimizer", optimizer, "--toml", "-", "--horizon", "2s")
    strategy("seconds = 300", more=ended.stdout)

    assert ended.stdout.startswith("# Written by `mmframe calibrate` from BTC/USDT, 2023-11-14 22:13:20.000 UTC")
    assert "fill intensity of BTC/USDT" in ended.stderr
    assert tomllib.loads(ended.stdout)["signal"][0]["horizon_s"] == 2
    assert invoke("check", path).status == 0


def test_json_says_the_same_to_a_machine(invoke, strategy):
    ended = invoke("calibrate", strategy(), "--json", "--distances", "0.5:9.5:3", "--window", "2s")

    found = json.loads(ended.stdout)
    assert (found["market"], found["model"], found["is_usable"]) == ("BTC/USDT", "fill-intensity", True)
    assert found["data"]["use"] == "takers/tape"
    assert found["data"]["start"] == "2023-11-14T22:13:20.000000000Z"
    assert found["data"]["seconds"] == pytest.approx(1199.5, abs=0.6)
    assert found["window_s"] == 2.0
    rows = found["distances"]
    assert [row["distance_ticks"] for row in rows] == pytest.approx([0.5, 3.5, 6.5, 9.5], abs=0.1)
    assert all(row["both"]["fills"] == row["bids"]["fills"] + row["asks"]["fills"] for row in rows)
    assert all(
        row["both"]["rate_per_s"] == pytest.approx(row["both"]["fills"] / row["both"]["exposure_s"]) for row in rows
    )
    fit = found["fits"]["both"]
    assert fit["decay"] == pytest.approx(40.0, rel=0.1)
    assert fit["decay_block_error"] > 0.0
    assert found["sigma"]["horizon_s"] == 10.0
    assert tomllib.loads(found["toml"])["optimizer"][0]["decay_per_price"] == pytest.approx(fit["decay"], rel=1e-3)
    assert found["toml_file"] is None


def test_a_second_market_gets_tables_of_its_own(invoke, strategy):
    path = strategy("seconds = 300", change=("[history]", SECOND + "\n[history]"))

    first = invoke("calibrate", path, "--toml", "-")
    second = invoke("calibrate", path, "--market", "ETH/USDT", "--toml", "-")

    assert "of BTC/USDT; --market names another of BTC/USDT, ETH/USDT" in first.stderr
    assert "belong right below the [[markets]] table of ETH/USDT" in second.stdout
    assert first.stdout != second.stdout
    for_the_first = '[[optimizer]]\nuse = "fixed-spread"\n'
    strategy("seconds = 300", for_the_first, change=("[history]", SECOND + second.stdout + "\n[history]"))
    checked = json.loads(invoke("check", path, "--json").stdout)
    optimizers = [(one["use"], one["market"]) for one in checked["components"] if one["key"].count("optimizer")]
    assert optimizers == [("core/fixed-spread", 0), ("core/glft", 1)]


def test_for_takes_the_first_part_of_the_recording(invoke, strategy):
    found = json.loads(invoke("calibrate", strategy(), "--for", "2m", "--json").stdout)

    assert 119.0 < found["data"]["seconds"] < 120.0


def test_the_fit_range_is_the_one_that_was_chosen(invoke, strategy):
    found = json.loads(invoke("calibrate", strategy(), "--fit-range", "1:4", "--json").stdout)

    assert found["fit_range_ticks"] == [1.0, 4.0]
    assert all(row["is_fitted"] == (0.75 <= row["distance_ticks"] <= 4.25) for row in found["distances"])


def test_the_micro_price_table_is_written_and_its_signal_passes_check(invoke, strategy, tmp_path):
    path = strategy()

    ended = invoke("calibrate", path, "--model", "micro-price", "--spreads", "2", "--imbalance-buckets", "3")

    assert ended.status == 0, ended.stderr
    assert (tmp_path / "micro-price-btcusdt.json").is_file()
    snippet = ended.stdout[ended.stdout.index("# Written by") :]
    assert tomllib.loads(snippet)["signal"] == [{"use": "stoikov-micro-price", "table": "micro-price-btcusdt.json"}]
    strategy(more=snippet + '\n[[optimizer]]\nuse = "fixed-spread"\n')
    assert invoke("check", path).status == 0
    # Again, over the table that is there, elsewhere, and as JSON.
    found = json.loads(invoke("calibrate", path, "--model", "micro-price", "--json").stdout)
    assert (found["imbalance_buckets"], found["spreads"]) == (9, 3)
    assert len(found["adjustments_ticks"]) == len(found["observations"]) == 27
    assert any("states never came" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("options", "words", "status", "texts"),
    [
        ("", ("--market", "XRP/USDT"), 2, ["--market: expected one of BTC/USDT, was 'XRP/USDT'", "strategy.toml"]),
        ("", ("--distances", "0.5,0.75"), 2, ["--distances: expected multiples of half a tick from 0 up, was 0.75"]),
        ("", ("--distances", "a:b"), 2, ["--distances: expected LO:HI, LO:HI:STEP or numbers with commas", "'a:b'"]),
        ("", ("--distances", "1:9:0"), 2, ["--distances: expected LO:HI, LO:HI:STEP or numbers with commas"]),
        ("", ("--fit-range", "3"), 2, ["--fit-range: expected LO:HI in ticks, was '3'"]),
        ("", ("--fit-range", "5:2"), 2, ["--fit-range: expected 0 <= first < last, was 5 to 2 ticks"]),
        ("", ("--window", "2d"), 2, ["--window: expected 0.001 to 86400, was 172800"]),
        ("", ("--horizon", "2h"), 2, ["--horizon: expected 0.1 to 3600, was 7200"]),
        ("", ("--window", "5 parsecs"), 2, ["--window: expected a length of time"]),
        ("", ("--spreads", "2"), 2, ["--spreads: expected --model micro-price beside it, was fill-intensity"]),
        (
            "",
            ("--model", "micro-price", "--spreads", "0"),
            2,
            ["--spreads: expected 1 to 20 and at most 300 states, was 0"],
        ),
        ("", ("--json", "--toml", "-"), 2, ["--json and --toml -: expected at most one of them"]),
        (
            "",
            ("--toml", "strategy.toml"),
            2,
            ["--toml: expected a new file or one that this command wrote, was 'strategy"],
        ),
        ("", ("--toml", "no/such/folder.toml"), 2, ["--toml: expected a file that can be written", "No such file"]),
        (
            "",
            ("--model", "micro-price", "--table", "strategy.toml"),
            2,
            ["--table: expected a new file or a micro-price"],
        ),
        ("takes = false", (), 4, ["strategy.toml: BTC/USDT in takers/tape: trades: expected some whose taker is told"]),
        ("tells = false", (), 4, ["was none, and ", " whose taker is not told"]),
        ("breaks = true", (), 4, ["day.csv:51: the line is cut off"]),
        (
            "moves = false",
            ("--model", "micro-price"),
            4,
            ["takers/tape: touches: expected some in which the mid moves"],
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_is(invoke, strategy, tmp_path, options, words, status, texts):
    path = strategy(f"seconds = 60\n{options}")
    before = {file.name for file in tmp_path.iterdir()}

    ended = invoke("calibrate", path, *words)

    assert ended.status == status, ended.stderr
    assert all(text in ended.stderr for text in texts), ended.stderr
    assert {file.name for file in tmp_path.iterdir()} - {"__pycache__"} == before - {"__pycache__"}


def test_a_strategy_without_recorded_data_is_refused_with_its_place(invoke, strategy):
    ended = invoke("calibrate", strategy(change=("[history]", "[feed]")))

    assert ended.status == 2
    assert "error[config]: history: missing, expected recorded data" in ended.stderr


def test_a_rate_that_does_not_fall_is_shown_and_makes_no_tables(invoke, strategy, tmp_path):
    path = strategy("seconds = 300\nsweeps = true")

    ended = invoke("calibrate", path, "--toml", "glft.toml", "--distances", "0.5:9.5:3")
    found = json.loads(invoke("calibrate", path, "--json", "--distances", "0.5:9.5:3").stdout)

    assert ended.status == 4
    assert "Not usable." in ended.stdout
    assert "error[feed]: " in ended.stderr
    assert "k is not above 0: over these distances the rate of fills does not fall with the distance\n" in ended.stderr
    assert invoke("calibrate", path, "--toml", "-", "--distances", "0.5:9.5:3").stdout == ""
    assert not (tmp_path / "glft.toml").exists()
    assert (found["is_usable"], found["toml"], found["toml_file"]) == (False, None, None)


def test_its_own_snippet_is_written_over(invoke, strategy, tmp_path):
    path = strategy("seconds = 120")
    (tmp_path / "glft.toml").write_text("# Written by `mmframe calibrate` long ago\nold = 1\n")

    assert invoke("calibrate", path, "--toml", "glft.toml").status == 0
    assert "old" not in (tmp_path / "glft.toml").read_text()


def test_a_bar_shows_the_reading_on_a_terminal_only(invoke, strategy, monkeypatch):
    monkeypatch.setattr("mmframe.cli.reading.stderr_is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, stderr is a terminal now

    drawn = invoke("calibrate", strategy("seconds = 60"))
    quiet = invoke("calibrate", strategy("seconds = 60"), "--quiet")

    assert "reading BTC/USDT" in drawn.stderr
    assert quiet.stderr == ""
