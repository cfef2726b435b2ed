"""`market-data` quotes nothing on a book that is old, or later than it used to be."""

import statistics

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.market_data import DATA_LATE, DATA_OLD, MARKET_DATA, MarketDataOptions
from mmframe.domain.market import MessageKind
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, RiskLevel, RiskVerdict
from mmframe.registry import compose_history
from mmframe.testing import START_NS, build_component, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
ALLOWED = RiskVerdict(RiskLevel.ALLOW, 99.9, 0.2, 100.1, 0.2, 0)
MS_NS = 1_000_000
RECORDED = """
schema = 1
[strategy]
name = "recorded"
[[markets]]
instrument = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00000001"
[history]
use = "binance/capture"
product = "spot"
paths = ["{path}"]
"""


class Stream:
    """A control and what it is shown, in milliseconds."""

    def __init__(self, **options):
        self.control = build_component(MARKET_DATA, MarketDataOptions(**options))

    def at(self, now_ms, lag_ms=0.0, age_ms=0.0):
        view = make_view(now_ns=START_NS + int(now_ms * MS_NS), lag_ns=int(lag_ms * MS_NS), age_ns=int(age_ms * MS_NS))
        return self.control.assess(view, make_inventory(), NEUTRAL_ADVICE, QUOTES)

    def reason(self, *when, **how):
        return self.at(*when, **how).reason


def test_the_example_of_its_description_holds():
    stream = Stream(max_late_ms=250)

    seen = [stream.reason(*moment) for moment in ((0, -1272), (50, -1270), (150, -900), (649, -1268), (651, -1268))]

    assert seen == [0, 0, DATA_LATE, DATA_LATE, 0]


def test_a_book_is_old_beyond_its_age_and_no_longer_with_the_next_message():
    stream = Stream(max_age_ms=1_000)

    assert stream.at(0, age_ms=1_000) == ALLOWED
    assert stream.at(1, age_ms=1_001) == RiskVerdict(RiskLevel.CANCEL_ONLY, 99.9, 0.0, 100.1, 0.0, DATA_OLD)
    assert stream.at(2) == ALLOWED


@pytest.mark.parametrize("offset_ms", [-3_600_000, -1_272, 0, 90_000])
def test_clocks_that_differ_by_a_constant_are_no_lateness(offset_ms):
    stream = Stream(max_late_ms=100)

    seen = [stream.reason(step * 100, offset_ms + step % 7) for step in range(50)]

    assert set(seen) == {0}
    assert stream.reason(5_000, offset_ms + 107) == DATA_LATE


def test_a_run_that_begins_late_takes_that_for_usual_until_a_faster_message_comes():
    stream = Stream(max_late_ms=100, hold_ms=0)

    assert [stream.reason(*moment) for moment in ((0, 500), (1, 500), (2, 20), (3, 500))] == [0, 0, 0, DATA_LATE]


def test_a_lag_that_stays_is_forgiven_at_the_pace_of_the_creep():
    stream = Stream(max_late_ms=100, hold_ms=0, creep_ms_per_min=10.0)
    stream.at(0, 20)

    # 130 ms later than usual: 30 more than allowed, so three minutes.
    seen = [stream.reason(minute * 60_000 + 1, 150) for minute in (0, 1, 2, 3)]

    assert seen == [DATA_LATE, DATA_LATE, DATA_LATE, 0]


def test_a_message_without_an_exchange_time_says_nothing_of_the_lag():
    stream = Stream(max_late_ms=100, hold_ms=50)

    # As from clocks that are 5 s apart, where a snapshot's 0 would make everything late.
    seen = [stream.reason(*moment) for moment in ((0, 0), (1, 5_000), (2, 0), (3, 5_020), (4, 5_200), (5, 0))]

    assert seen == [0, 0, 0, 0, DATA_LATE, DATA_LATE]


def test_a_real_recording_with_a_constant_offset_is_not_late_until_it_is(shared_data, tmp_path):
    pytest.importorskip("mmframe_binance")
    path = tmp_path / "recorded.toml"
    path.write_text(RECORDED.format(path=shared_data / "binance_spot" / "btcusdt_20240808.raw.gz"))
    lags_ms = [
        ((batch.receive_ns[index] - batch.exchange_ns[index]) / MS_NS, batch.receive_ns[index] / MS_NS)
        for batch in compose_history(path).history.batches()
        for index in range(len(batch))
        if batch.kinds[index] in {MessageKind.SNAPSHOT, MessageKind.DELTA}
    ]
    stream, start_ms = Stream(), lags_ms[0][1]

    told = {stream.reason(now_ms - start_ms, lag_ms) for lag_ms, now_ms in lags_ms}

    # The set's own figure is -1,272 ms; its snapshot has no exchange time.
    assert statistics.median(lag_ms for lag_ms, _ in lags_ms) == pytest.approx(-1_272, abs=1)
    assert told == {0}
    assert stream.reason(lags_ms[-1][1] - start_ms + 1, -1_272 + 260) == DATA_LATE


def test_without_creep_nothing_is_forgiven():
    stream = Stream(max_late_ms=100, creep_ms_per_min=0.0)
    stream.at(0, 20)

    assert stream.reason(86_400_000, 121) == DATA_LATE


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(-2_000, 2_000)), min_size=1, max_size=40))
@example([(0, 0), (3, 2_000), (0, 0)])
def test_it_is_late_when_no_earlier_message_explains_the_lag(messages):
    """The usual lag is the smallest over all messages of lag plus what it has crept since."""
    stream = Stream(max_late_ms=250, hold_ms=0, creep_ms_per_min=60.0)
    now_ms, seen = 0, []

    for wait_ms, lag_ms in messages:
        now_ms += wait_ms
        # Off the 0 that stands for no exchange time.
        seen.append((now_ms, lag_ms + 0.5))
        usual_ms = min(lag + (now_ms - then) / 1_000 for then, lag in seen)
        late_ms = lag_ms + 0.5 - usual_ms
        reason = stream.reason(now_ms, lag_ms + 0.5)

        if abs(late_ms - 250) > 1e-3:
            assert reason == (DATA_LATE if late_ms > 250 else 0)
