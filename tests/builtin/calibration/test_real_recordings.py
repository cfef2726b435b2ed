"""Real recordings give figures that agree with what is known of them, and a curve that fits."""

from __future__ import annotations

import pytest

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.calibration import calibrate_fill_intensity, read_tape
from mmframe.registry import compose_history

FILE = """
schema = 1
[strategy]
name = "recorded"
[[markets]]
instrument = "{symbol}"
tick_size = "{tick}"
lot_size = "{lot}"
[history]
{history}
"""
S = 1_000_000_000


@pytest.fixture
def recorded(tmp_path, shared_data):
    """Read the tape of a recording; `history` is its table, with {data} for the folder."""

    def read(symbol, tick, lot, history, *, limit_ns=None):
        path = tmp_path / "recorded.toml"
        history = history.format(data=shared_data)
        path.write_text(FILE.format(symbol=symbol, tick=tick, lot=lot, history=history), encoding="utf-8")
        return read_tape(compose_history(path).history, SortedBook(), limit_ns=limit_ns)

    return read


def test_a_market_with_a_wide_tick(recorded):
    """NEXO/USDT: the tick is 8 bps, and most of the trades are at the touch."""
    files = "binance_{}_2024-07-23_NEXOUSDT.csv.gz"
    paths = [f"{{data}}/tardis_derived/{files.format(kind)}" for kind in ("incremental_book_L2", "trades")]
    tape = recorded("NEXO/USDT", "0.001", "0.01", f'use = "tardis/csv"\npaths = {paths}')

    found = calibrate_fill_intensity(tape, tick=0.001)

    assert (found.trades, found.unknown_trades) == (2_968, 0)  # rows of the file
    assert found.mid == pytest.approx(1.209, abs=0.001)
    assert found.half_spread_ticks == 0.5
    assert found.both.fit.arrival_rate_per_s == pytest.approx(0.0795, rel=0.01)
    assert found.both.fit.decay == pytest.approx(1351, rel=0.01)
    assert found.both.decay_block_error == pytest.approx(45, rel=0.1)
    assert found.volatility.realised / found.mid * 1e4 == pytest.approx(1.4, rel=0.05)  # bps per sqrt(s)
    # The rate is the same at half a tick and a whole one: each is the touch, at a spread of one tick and of two.
    assert len(found.warnings) == 1
    assert "times as much around the curve" in found.warnings[0]


def test_a_market_with_a_fine_tick(recorded):
    """BTC/USDT futures: far beyond the touch an exponential holds over an order of magnitude."""
    paths = [f"{{data}}/binance_usdm/btcusdt_{day}.raw.gz" for day in ("20230404", "20230405")]
    history = f'use = "binance/capture"\nproduct = "usdm"\npaths = {paths}'

    tape = recorded("BTC/USDT", "0.1", "0.001", history, limit_ns=240 * S)
    found = calibrate_fill_intensity(tape, tick=0.1)

    fit = found.both.fit
    assert found.fit_range_ticks[0] > 0.5  # without the touch
    assert fit.dispersion < 2.0
    assert fit.pseudo_r2 > 0.9
    assert 0.3 < fit.decay < 1.5
    assert found.volatility.realised / found.mid * 1e4 == pytest.approx(0.37, rel=0.35)  # the set's own figure at 1 s
    first, last = found.fit_range_ticks
    assert first <= found.quoted.flat_ticks <= last
