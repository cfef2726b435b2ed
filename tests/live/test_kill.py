"""`mmframe kill` over a real socket: with a process that runs, hangs, is gone, or places all the while."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from mmframe.runtime.kill_switch import KillSwitch

pytestmark = pytest.mark.slow

PREFIX = "mm-little-"


def ours(exchange):
    return [order for order in exchange.open_orders() if order.client_id.startswith(PREFIX)]


def running(start, exchange, file, *words):
    """Start the strategy live and wait until it has quoted on both sides."""
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet", *words)
    exchange.wait_for(lambda exchange: len(ours(exchange)) >= 2)
    return process


def killed(mmframe, file, *words, env=None):
    done = mmframe("kill", file, "--yes", "--json", *words, env=env)
    return done, json.loads(done.stdout)


def steps(result):
    return [step["text"] for step in result["steps"]]


def test_a_running_strategy_is_stopped_and_its_orders_are_gone(mmframe, start, exchange, strategy):
    file = strategy()
    process = running(start, exchange, file)

    done, result = killed(mmframe, file)

    assert (done.returncode, result["is_clean"], result["failure"]) == (0, True, None)
    assert exchange.open_orders() == []
    assert process.wait(timeout=60) == 5, "a run that was killed ends as one that risk halted"
    assert result["processes"] == []
    assert f"process {process.pid} runs the strategy: the kill switch tells it to end" in steps(result)
    assert f"process {process.pid} has ended" in steps(result)
    assert steps(result)[-1] == "BTC/USDT: 0 open of this strategy, list 2 of 2"


def test_the_orders_of_a_hanging_process_are_removed_and_it_trades_no_more_when_it_wakes(
    mmframe, start, exchange, strategy
):
    file = strategy()
    process = running(start, exchange, file)
    process.send_signal(signal.SIGSTOP)

    done, result = killed(mmframe, file)

    assert (done.returncode, result["is_clean"]) == (0, True)
    assert exchange.open_orders() == []
    assert [one["pid"] for one in result["processes"]] == [process.pid]
    assert f"process {process.pid} has not ended: it hangs, or cannot see the kill switch" in steps(result)

    refused = mmframe("kill", file, "--release")
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)

    assert refused.returncode == 2
    assert f"process {process.pid} still runs the strategy and would go on trading" in refused.stderr
    assert exchange.open_orders() == []


def test_the_orders_of_a_process_that_is_gone_are_removed(mmframe, start, exchange, strategy):
    file = strategy()
    process = running(start, exchange, file)
    process.kill()
    process.wait()
    left = len(ours(exchange))

    done = mmframe("kill", file, "--yes")

    assert left >= 2
    assert done.returncode == 0
    assert exchange.open_orders() == []
    assert done.stdout.startswith("No order of 'little' is left at wire/orders")
    assert "It starts again only after: mmframe kill" in done.stdout


def test_what_a_dead_process_sent_last_may_arrive_until_the_venue_refuses_it(mmframe, start, exchange, strategy):
    """The list counts only when nothing can follow: here 3 s after the journal was last written."""
    file = strategy(absence_delay_ms=3_000)
    process = running(start, exchange, file)
    process.kill()
    process.wait()

    done, result = killed(mmframe, file)
    _, again = killed(mmframe, file)
    _, hurried = killed(mmframe, strategy(absence_delay_ms=3_600_000), "--within", "1s")

    assert (done.returncode, exchange.open_orders()) == (0, [])
    assert any("may still arrive for" in text for text in steps(result))
    assert not any("may still arrive for" in text for text in steps(again)), "nothing was sent since"
    assert hurried["failure"] == "no order was listed last, but one that was sent before may still arrive"


def test_orders_that_are_placed_meanwhile_are_removed_too(mmframe, start, exchange, strategy):
    file = strategy()
    process = start(Path(__file__).with_name("placer.py"), file, "little", exchange.port)
    exchange.wait_for(lambda exchange: len(exchange.orders) >= 20)
    before = len(exchange.orders)

    done, result = killed(mmframe, file)

    assert (done.returncode, result["is_clean"]) == (0, True)
    assert process.wait(timeout=60) == 0
    assert len(exchange.orders) > before
    assert exchange.open_orders() == []


def test_orders_of_others_are_listed_and_said_to_remain(mmframe, exchange, strategy):
    """Cancel-all takes theirs too; one that they place again is left alone."""
    exchange.place(f"{PREFIX}1-1")
    exchange.place("somebody-1")
    exchange.places_after_cancel = "somebody"

    done, result = killed(mmframe, strategy())

    (market,) = result["markets"]
    assert (done.returncode, result["is_clean"], market["orders"]) == (0, True, [])
    assert [order["client_id"][:8] for order in market["orders_of_others"]] == ["somebody"]
    assert exchange.requests.count("cancel_all") <= 2, "once when it began, and once when the venue was up"


def test_with_others_the_orders_of_others_must_go_too(mmframe, exchange, strategy):
    exchange.places_after_cancel = "somebody"

    done = mmframe("kill", strategy(), "--yes", "--others", "--within", "2s")

    assert done.returncode == 4
    assert done.stdout.startswith("NOT PROVED after 2.")
    assert "BTC/USDT: 1 open order of others, left alone" in done.stdout
    assert "Look at the open orders on the exchange's web page and cancel them there, or try again" in done.stdout


def test_a_venue_that_cannot_be_reached_is_no_clean_end(mmframe, exchange, strategy):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    file = strategy(port=port)

    done, result = killed(mmframe, file, "--within", "1s")

    assert (done.returncode, result["is_clean"]) == (4, False)
    assert result["failure"] == "the venue did not list the open orders of BTC/USDT in time"
    assert result["markets"][0]["is_known"] is False
    assert KillSwitch.of(file, "little").is_set()


def test_a_key_that_the_venue_does_not_know_ends_it_at_once(mmframe, exchange, strategy):
    done, result = killed(mmframe, strategy(), env={"WIRE_KEY": "wrong"})

    assert (done.returncode, result["failure"]) == (4, "the exchange does not know the key")
    assert "wrong" not in done.stdout + done.stderr


def test_a_cancel_that_is_not_answered_is_repeated(mmframe, exchange, strategy):
    exchange.place(f"{PREFIX}1-1")
    exchange.deaf_to = {"cancel_all"}

    done, result = killed(mmframe, strategy(), "--within", "2s")

    assert (done.returncode, result["failure"]) == (4, "orders are left")
    assert [order["client_id"] for order in result["markets"][0]["orders"]] == [f"{PREFIX}1-1"]
    assert exchange.requests.count("cancel_all") >= 3


def test_without_its_key_the_switch_is_set_all_the_same(mmframe, strategy):
    file = strategy()

    done = mmframe("kill", file, "--yes", env={"WIRE_KEY": ""})

    assert done.returncode == 2
    assert "environment variable WIRE_KEY is empty" in done.stderr
    assert "no order was removed from here; a strategy that still runs sees the kill switch" in done.stderr
    assert KillSwitch.of(file, "little").is_set()


def test_mistakes_that_do_not_concern_the_venue_are_not_in_the_way(mmframe, exchange, strategy):
    exchange.place(f"{PREFIX}1-1")
    file = strategy(change=('use = "fixed-spread"\nspread_bps = 10', 'use = "gone/since"\nwrong = true'))
    file.write_text(file.read_text().replace("max_position = ", "max_positon = "), encoding="utf-8")

    done, result = killed(mmframe, file)

    assert (done.returncode, result["is_clean"], exchange.open_orders()) == (0, True, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "kill removes real orders and needs --yes where there is no terminal to ask on"),
        (["--yes", "--mode", "paper"], "--mode: expected live, was paper: its orders exist in its own process alone"),
        (["--yes", "--within", "soon"], "--within: expected a length of time such as '20s'"),
    ],
    ids=["unconfirmed", "paper", "duration"],
)
def test_a_kill_that_was_not_meant_like_this_does_nothing(mmframe, exchange, strategy, words, message):
    file = strategy()

    done = mmframe("kill", file, *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert not KillSwitch.of(file, "little").is_set()
    assert exchange.requests == []


@pytest.mark.parametrize(("answer", "status"), [("n", 130), ("y", 0)], ids=["no", "yes"])
def test_on_a_terminal_it_asks(start_on_terminal, exchange, strategy, answer, status):
    file = strategy()
    exchange.place(f"{PREFIX}1-1")

    shown, ended = start_on_terminal("kill", file, answer=answer)

    assert "Stop 'little' and cancel EVERY order of the account in BTC/USDT at wire/orders? [y/N]: " in shown
    assert ended == status
    assert KillSwitch.of(file, "little").is_set() is (answer == "y")
    assert bool(exchange.open_orders()) is (answer == "n")


def test_a_killed_strategy_does_not_start_until_it_is_released(mmframe, start, exchange, strategy):
    file = strategy()
    killed(mmframe, file, "--reason", "lunch")

    refused = mmframe("run", file, "--mode", "live", "--yes-live")
    released = mmframe("kill", file, "--release")
    again = mmframe("kill", file, "--release", "--json")

    assert refused.returncode == 2
    assert "'little' was killed" in refused.stderr
    assert "(lunch)" in refused.stderr
    assert f"mmframe kill {file} --release" in refused.stderr
    assert "submit" not in exchange.requests
    assert released.stdout.startswith("Released: it was set since ")
    assert json.loads(again.stdout)["was_set"] is False
    assert running(start, exchange, file).poll() is None


# Several strategies.


@pytest.fixture
def folder(strategy, exchange, tmp_path):
    """A folder of two strategies on one venue, one that does not trade live, a broken one, and what is none."""
    files = tmp_path / "strategies"
    (files / "deep").mkdir(parents=True)
    text = strategy().read_text()
    first, second = files / "first.toml", files / "deep" / "second.toml"
    first.write_text(text.replace('name = "little"', 'name = "first"'))
    second.write_text(text.replace('name = "little"', 'name = "second"'))
    paper = text.replace("[venue.live]", "[venue.backtest]").replace('name = "little"', 'name = "paper-only"')
    (files / "paper.toml").write_text(paper)
    (files / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return files, first, second


@pytest.mark.parametrize("words", [["--all"], ["--venue", "wire/orders"], ["--venue", "wire"]], ids=lambda w: w[-1])
def test_every_strategy_of_a_folder_is_stopped_and_its_orders_are_gone(mmframe, exchange, folder, words):
    files, first, second = folder
    exchange.place("mm-first-1-1")
    exchange.place("mm-second-1-1")

    done = mmframe("kill", *words, files, "--yes", "--json")
    result = json.loads(done.stdout)

    assert (done.returncode, result["is_clean"], result["unread"]) == (0, True, [])
    assert exchange.open_orders() == []
    assert sorted(one["strategy"] for one in result["strategies"]) == ["first", "second"]
    assert KillSwitch.of(first, "first").is_set()
    assert KillSwitch.of(second, "second").is_set()
    assert not KillSwitch.of(files / "paper.toml", "paper-only").is_set()


def test_all_switches_are_set_before_a_venue_is_connected_to_and_a_failure_holds_up_nobody(mmframe, exchange, folder):
    files, _, second = folder
    (files / "broken.toml").write_text("[strategy\n")
    second.write_text(second.read_text().replace('use = "wire/orders"', 'use = "wire/missing"'))
    exchange.place("mm-first-1-1")

    done = mmframe("kill", "--all", files, "--yes")

    told = [line for line in done.stderr.splitlines() if "kill switch set" in line or "connecting to" in line]
    assert ["kill switch" in line for line in told] == [True, True, False]
    assert done.returncode == 4
    assert exchange.open_orders() == []
    assert KillSwitch.of(second, "second").is_set()
    assert "No order of 'first' is left at wire/orders" in done.stdout
    assert "'second' FAILED" in done.stdout
    assert "NOT LOOKED AT" in done.stdout
    assert "broken.toml" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 of 2 strategy files proved without an order."


def test_switches_of_a_folder_are_released_together(mmframe, folder):
    files, first, second = folder
    mmframe("kill", "--all", files, "--yes")

    done = mmframe("kill", "--all", files, "--release")

    assert done.returncode == 0
    assert done.stdout.count("Released: it was set since") == 2
    assert not KillSwitch.of(first, "first").is_set()
    assert not KillSwitch.of(second, "second").is_set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{files}"], "expected a strategy file, was a folder"),
        (["--all", "--venue", "wire", "{files}"], "--venue and --all: expected at most one of them"),
        (["--venue", "kraken/spot", "{files}"], "trades live on 'kraken/spot'"),
        (["--market", "BTC/USDT", "--all", "{files}"], "--market: expected one strategy file"),
        (["--market", "ETH/USDT", "{first}"], "--market: expected one of BTC/USDT, was 'ETH/USDT'"),
    ],
    ids=["folder", "both", "nothing", "market-of-many", "market"],
)
def test_a_scope_that_makes_no_sense_stops_nobody(mmframe, exchange, folder, words, message):
    files, first, _ = folder

    done = mmframe("kill", *(word.format(files=files, first=first) for word in words), "--yes")

    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not KillSwitch.of(first, "first").is_set()
    assert exchange.requests == []


def test_a_folder_of_files_that_cannot_be_read_names_them(mmframe, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "broken.toml").write_text("[strategy\n")

    done = mmframe("kill", "--all", tmp_path / "bad", "--yes")

    assert done.returncode == 2
    assert "trades live; could not be read: " in done.stderr
    assert "broken.toml" in done.stderr


# One market.


TWO_MARKETS = """
[[markets]]
instrument = "ETH/USDT"
order_size = "0.01"
tick_size = "0.01"
lot_size = "0.001"

[feed]"""


def test_one_market_is_killed_while_the_process_goes_on_with_the_other(mmframe, start, exchange, strategy):
    file = strategy(change=("\n[feed]", TWO_MARKETS))
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet")
    exchange.wait_for(lambda exchange: all(len(exchange.open_orders(market)) >= 2 for market in (0, 1)))

    done, result = killed(mmframe, file, "--market", "ETH/USDT")

    assert (done.returncode, result["is_clean"], result["market"]) == (0, True, "ETH/USDT")
    assert [market["instrument"] for market in result["markets"]] == ["ETH/USDT"]
    assert f"process {process.pid} pulled 2 orders" in steps(result)
    assert exchange.open_orders(1) == []
    assert len(exchange.open_orders(0)) >= 2
    assert process.poll() is None
    assert not KillSwitch.of(file, "little").is_set()

    # A new run does not quote it either, until it is released.
    process.terminate()
    assert process.wait(timeout=60) == 0
    before = len(exchange.orders)
    again = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet")
    exchange.wait_for(lambda exchange: len(exchange.open_orders(0)) >= 2)
    assert {order.market for order in list(exchange.orders.values())[before:]} == {0}
    released = mmframe("kill", file, "--market", "ETH/USDT", "--release")
    assert released.returncode == 0, released.stderr
    assert "ETH/USDT of 'little' may be quoted again" in released.stdout
    exchange.wait_for(lambda exchange: len(exchange.open_orders(1)) >= 2)
    assert again.poll() is None


def test_the_orders_of_one_market_of_a_dead_process_are_removed(mmframe, start, exchange, strategy):
    file = strategy(change=("\n[feed]", TWO_MARKETS))
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet")
    exchange.wait_for(lambda exchange: all(len(exchange.open_orders(market)) >= 2 for market in (0, 1)))
    process.kill()
    process.wait()

    done = mmframe("kill", file, "--market", "ETH/USDT", "--yes")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No order of 'little' is left in ETH/USDT at wire/orders")
    assert f"It is quoted again only after: mmframe kill {file} --market ETH/USDT --release" in done.stdout
    assert exchange.open_orders(1) == []
    assert len(exchange.open_orders(0)) >= 2
