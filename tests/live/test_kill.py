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


def test_with_all_the_orders_of_others_must_go_too(mmframe, exchange, strategy):
    exchange.places_after_cancel = "somebody"

    done = mmframe("kill", strategy(), "--yes", "--all", "--within", "2s")

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
