"""`mmframe pause` and `resume` of a live run over a real socket, also when its process dies in between."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def live(start, file, *words):
    return start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet", *words)


def test_a_pause_holds_over_the_death_of_its_process_until_it_is_resumed(mmframe, start, exchange, strategy):
    file = strategy()
    first = live(start, file)
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)

    paused = mmframe("pause", file, "--reason", "news", "--json")
    told = json.loads(paused.stdout)
    placed = len(exchange.orders)

    assert (paused.returncode, told["problems"], told["pulled"]) == (0, [], 2)
    assert [each["mode"] for each in told["modes"]] == ["live"]
    assert exchange.open_orders() == []

    first.kill()
    first.wait()
    lists = exchange.requests.count("list")
    second = live(start, file)
    # It compares with the venue and goes on looking: it would have quoted by now.
    exchange.wait_for(lambda exchange: exchange.requests.count("list") > lists)
    again = mmframe("pause", file)
    assert again.stdout.startswith(f"Paused 'little' (live, process {second.pid}): 0 orders pulled.")
    assert len(exchange.orders) == placed

    resumed = mmframe("resume", file)
    assert resumed.stdout == f"Resumed 'little' (live, process {second.pid}).\n"
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)
    second.terminate()
    assert second.wait(timeout=60) == 0
    assert exchange.open_orders() == []
