from __future__ import annotations

import io
import re
from decimal import Decimal
from types import SimpleNamespace

import pytest
from rich.console import Console

from mmframe.cli.figures import RecentFills, progress_fraction, quote_text, reason_text
from mmframe.cli.live import LiveStatus, RunView
from mmframe.cli.status import DecisionRate, PlainStatus
from mmframe.domain.market import BookState, Side
from mmframe.domain.orders import Fill
from mmframe.domain.views import Reason
from mmframe.runtime.driver import StopRequest
from mmframe.testing import make_instrument


class WallTime:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def wall():
    return WallTime()


@pytest.fixture
def plan():
    return SimpleNamespace(history=None, duration_ns=25_000_000_000)


@pytest.fixture
def plain(plan, wall):
    return PlainStatus(plan, StopRequest(), reasons={1001: "the moon is full"}, now_s=wall)


def test_plain_lines_come_once_in_their_interval(plain, wall, run_status, capsys):
    plain.on_status(run_status())
    assert capsys.readouterr().err == ""

    wall.now_s += 2.0
    plain.on_status(run_status())
    plain.on_status(run_status())

    first, second = capsys.readouterr().err.splitlines()
    assert first == "[12.5 s  50%] 12,345 events, 201 decisions (100/s)"
    assert second.split("; ") == [
        "  BTC/USDT: book in sync",
        "market 60000.0/60006.0 (1.0 bps)",
        "ours 59,997.0 / 60,009.0",
        "+0.03 BTC at 60,001.2 on average",
        "P&L +1.2500 USDT (spread capture +2.5000, inventory -1.0000, fees -0.2500)",
        "1,234 orders, 7 fills",
    ]


def test_a_missing_quote_says_why(plain, wall, run_status, market_status, capsys):
    wall.now_s += 2.0
    market = market_status(
        our_bid=None, bid_reason=int(Reason.POSITION_LIMIT), our_ask=None, ask_reason=1001, risk_level=1
    )

    plain.on_status(run_status(markets=(market,), is_halted=True, halt_reason="daily loss", advice=("model: calm",)))

    text = capsys.readouterr().err
    assert "ours no bid: position limit / no ask: the moon is full" in text
    assert "risk: shrink" in text
    assert "HALTED: daily loss" in text
    assert "  adviser: model: calm" in text


def test_a_pause_is_said(plain, wall, plan, run_status, capsys):
    wall.now_s += 2.0

    plain.on_status(run_status(is_paused=True))

    assert capsys.readouterr().err.splitlines()[0].endswith(", PAUSED")
    assert "PAUSED" in drawn(plan, run_status(is_paused=True))


def test_a_lost_reader_stops_the_run_and_breaks_nothing(plan, wall, run_status, monkeypatch):
    stop = StopRequest()
    status = PlainStatus(plan, stop, reasons={}, now_s=wall)
    monkeypatch.setattr("mmframe.cli.status.note", lambda line: False)
    wall.now_s += 2.0

    status.on_status(run_status())
    wall.now_s += 10.0
    status.on_status(run_status())

    assert stop.reason == "the reader of the status lines went away"


def test_the_rate_is_of_the_last_seconds_and_does_not_flicker(wall):
    rate = DecisionRate(wall)
    assert rate.update(0) == 0.0

    wall.now_s += 1.0
    assert rate.update(10) == 10.0
    wall.now_s += 0.1
    assert rate.update(10) == pytest.approx(10 / 1.1)

    wall.now_s += 9.9
    assert rate.update(10) == 0.0
    wall.now_s += 3.0
    assert rate.update(40) == 10.0


@pytest.mark.parametrize(
    ("history", "duration_ns", "fraction"),
    [
        (None, None, None),
        (None, 50_000_000_000, 0.25),
        (SimpleNamespace(progress=lambda: 0.75), None, 0.75),
        (SimpleNamespace(progress=lambda: 0.1), 50_000_000_000, 0.25),
        (SimpleNamespace(), 5_000_000_000, 1.0),
    ],
    ids=["endless", "duration", "history", "whichever ends first", "never above one"],
)
def test_progress_is_what_is_nearest_to_the_end(history, duration_ns, fraction, run_status):
    assert progress_fraction(SimpleNamespace(history=history, duration_ns=duration_ns), run_status()) == fraction


def test_reasons_read_as_words():
    assert reason_text(Reason.BOOK_STALE) == "book stale"
    assert reason_text(1234) == "reason 1234 of a plugin"
    assert reason_text(1234, {1234: "too windy"}) == "too windy"
    assert quote_text("bid", None, 0) == "no bid resting yet"


def drawn(plan, status, fills=None, *, stopping="", width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    view = RunView(plan, fills or RecentFills((make_instrument(),)), reasons={})
    view.stopping = stopping
    console.print(view.draw(status, width=width))
    return console.file.getvalue()


def test_the_live_display_shows_the_market_our_quotes_the_account_and_what_ctrl_c_does(plan, run_status):
    text = re.sub(r" +", " ", drawn(plan, run_status()))

    for shown in (
        "first-run paper quoting market time 2026-01-01 00:00:12.500 UTC",
        "50%",
        "market 60,000.0 60,006.0 1.00 bps",
        "ours 59,997.0 60,009.0 2.00 bps",
        "from mid -1.0 bps +1.0 bps",
        "position +0.03 BTC at 60,001.2 on average",
        "P&L +1.2500 USDT: spread capture +2.5000 inventory -1.0000 fees -0.2500",
        "orders 1,234 sent, 1 resting; 7 fills, 0.07 BTC",
        "book in sync",
        "Ctrl+C cancels all and ends",
    ):
        assert shown in text


def test_the_live_display_says_halted_stopping_and_stale(plan, run_status, market_status):
    market = market_status(book_state=BookState.STALE, working=())

    assert "HALTED" in drawn(plan, run_status(is_halted=True, halt_reason="daily loss"))
    assert "halted: daily loss" in drawn(plan, run_status(is_halted=True, halt_reason="daily loss"))
    assert "stopped by Ctrl+C: cancelling all orders" in drawn(plan, run_status(), stopping="stopped by Ctrl+C")
    assert "waiting" in drawn(plan, run_status(markets=(market,)))
    assert "book stale" in drawn(plan, run_status(markets=(market,)))


def test_a_narrow_terminal_cuts_nothing_off(plan, run_status):
    text = drawn(plan, run_status(), width=80)

    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert " first-run  paper   quoting   00:00:12.500 UTC" in text
    assert "+1.2500 USDT: spread capture +2.5000 inventory -1.0000 fees -0.2500" in text
    assert "201 decisions" in text


def test_many_markets_are_one_line_each(plan, run_status, market_status):
    names = [f"C{number}/USDT" for number in range(5)]

    text = drawn(plan, run_status(markets=tuple(market_status(instrument=name) for name in names)))

    assert [line.split()[0] for line in text.splitlines() if "/USDT" in line] == names


def sale(price_ticks):
    return Fill(
        market=0,
        client_id="mm-x-0-1",
        venue_trade_id=str(price_ticks),
        side=Side.SELL,
        price_ticks=price_ticks,
        size_lots=2,
        is_maker=True,
        fee=Decimal("0.001"),
        fee_asset="USDT",
        exchange_ns=1_000_000_000,
        receive_ns=1_000_000_000,
    )


def test_recent_fills_are_newest_first_and_few(plan, run_status):
    fills = RecentFills((make_instrument(),))
    for number in range(6):
        fills.on_fill(sale(1000 + number))

    text = drawn(plan, run_status(), fills)

    shown = [line for line in text.splitlines() if "sold" in line]
    assert len(shown) == 4
    assert shown[0].strip() == "00:00:01.000  sold   0.002 BTC at 10.05  maker, fee 0.001 USDT"
    assert "at 10.02 " in shown[3]


def test_the_live_display_leaves_no_trace(run_status, plan):
    console = Console(file=io.StringIO(), width=100, force_terminal=True, force_interactive=True)
    live = LiveStatus(RunView(plan, RecentFills((make_instrument(),)), reasons={}), console)

    live.on_status(run_status())
    live.on_stop_requested("stopped by Ctrl+C")
    live.on_status(run_status())
    live.close()

    show_cursor, erase_line = "\x1b[?25h", "\x1b[2K"
    last_drawing = console.file.getvalue().rpartition("all and ends")[2]
    assert show_cursor in last_drawing
    assert last_drawing.count(erase_line) >= 10
