"""`mmframe venue`: runs until it is interrupted and says how to connect."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib

import httpx
import pytest
from websockets.sync.client import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def run():
    """Return a function that starts the command; what still runs at the end is interrupted."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "mmframe", "venue", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_one_line_of_json_leads_to_an_open_venue_that_ends_on_interrupt(run):
    process = run("binance-spot", "--json", "--still", "--symbol", "DOGE/USDT=0.2", "--key", "k-1:s-1")

    said = json.loads(process.stdout.readline())
    book = httpx.get(f"{said['rest_url']}/api/v3/depth", params={"symbol": "DOGEUSDT", "limit": 1}, trust_env=False)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert (said["dialect"], said["api_key"], said["api_secret"]) == ("binance-spot", "k-1", "s-1")
    assert said["rest_url"].startswith("http://127.0.0.1:")
    assert book.json()["bids"][0][0] == "0.19999999"
    assert (process.returncode, errors) == (0, "")


def printed(process):
    """Return what is printed for people, up to the last line of it."""
    lines = []
    while not lines or "--yes-live" not in lines[-1]:
        lines.append(process.stdout.readline())
    return "".join(lines)


def pasted(process):
    """Return the strategy file that is printed."""
    text = printed(process)
    return text[text.index("schema = 1") : text.index("Then, in another shell")]


@pytest.mark.parametrize(
    ("dialect", "use"),
    [("binance-spot", "binance/spot"), ("binance-usdm", "binance/usdm"), ("bybit", "bybit/linear")],
    ids=["binance-spot", "binance-usdm", "bybit"],
)
def test_what_is_printed_for_people_is_a_strategy_file_to_paste(run, tmp_path, dialect, use):
    file = tmp_path / "local.toml"
    file.write_text(pasted(run(dialect)))

    tables = tomllib.loads(file.read_text())
    check = subprocess.run(
        [sys.executable, "-m", "mmframe", "check", str(file)],
        env=os.environ | {"LOCAL_API_KEY": "local-key", "LOCAL_API_SECRET": "local-secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert tables["feed"]["use"] == tables["venue"]["live"]["use"] == use
    assert tables["venue"]["live"]["api_key"] == {"env": "LOCAL_API_KEY"}
    assert tables["markets"] == [
        {"instrument": "BTC/USDT", "order_size": "0.00040", "tick_size": "0.01", "lot_size": "0.00001"}
    ]
    assert check.returncode == 0, check.stderr


def test_bybit_opens_each_symbol_as_perpetual_and_on_spot(run):
    tables = tomllib.loads(pasted(run("bybit")))
    names = {
        category: [one["symbol"] for one in listed.json()["result"]["list"]]
        for category in ("spot", "linear")
        for listed in [
            httpx.get(
                f"{tables['venue']['live']['rest_url']}/v5/market/instruments-info",
                params={"category": category},
                trust_env=False,
            )
        ]
    }

    assert names == {"spot": ["BTCUSDT", "ETHUSDT"], "linear": ["BTCUSDT", "ETHUSDT"]}
    assert tables["feed"]["stream_url"].endswith("/v5/public/linear")
    assert tables["venue"]["live"]["private_stream_url"].endswith("/v5/private")
    assert tables["venue"]["live"]["trade_stream_url"].endswith("/v5/trade")


def test_futures_stream_at_the_printed_address(run):
    said = json.loads(run("binance-usdm", "--json").stdout.readline())

    with connect(f"{said['stream_url']}/public/ws/btcusdt@depth@100ms", proxy=None) as socket:
        event = json.loads(socket.recv(timeout=30))

    assert (event["e"], event["s"]) == ("depthUpdate", "BTCUSDT")


def test_a_port_in_use_is_said_so(run):
    port = json.loads(run("binance-spot", "--still", "--json").stdout.readline())["rest_url"].rpartition(":")[2]

    output, errors = run("binance-spot", "--still", "--port", port).communicate(timeout=30)

    assert output == ""
    assert errors.startswith(f"error[usage]: --port: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--symbol", "BTCUSDT"), "--symbol: expected BASE/QUOTE=PRICE, was 'BTCUSDT'"),
        (("--symbol", "BTC/USDT=NaN"), "--symbol: expected a price above 0 behind BTC/USDT=, was 'NaN'"),
        (("--symbol", "BTC/USDT=-1"), "--symbol: expected a price above 0 behind BTC/USDT=, was '-1'"),
        (("--key", "no-secret"), "--key: expected KEY:SECRET, was 'no-secret'"),
    ],
    ids=["shape", "nan", "negative", "key"],
)
def test_a_bad_option_is_refused_before_anything_opens(run, arguments, text):
    process = run("binance-spot", *arguments)

    output, errors = process.communicate(timeout=30)

    assert (process.returncode, output) == (2, "")
    assert errors.startswith(f"error[usage]: {text}")
