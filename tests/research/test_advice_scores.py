"""Scores of forecasts, by hand and as scikit-learn gives them."""

import math
import random

import pytest

from mmframe.errors import DomainError
from mmframe.research.advice.scores import MidSeries, brier, buckets, forecasts_of, score

S = 1_000_000_000
START = 1_700_000_000 * S


def mids(values, step_s=10):
    times = [START + step_s * S * place for place in range(len(values))]
    return MidSeries(times, values, times[-1])


def test_a_brier_score_is_the_mean_squared_distance():
    # sklearn.metrics.brier_score_loss
    assert brier([0.9, 0.2, 0.6, 0.7, 0.5], [True, False, False, True, True]) == pytest.approx(0.15)


def test_calibration_counts_what_came_true_of_like_confidence():
    found = buckets([0.1, 0.65, 0.79, 1.0], [False, True, False, True])

    assert [(each.low, each.count, each.mean_confidence, each.hit_rate) for each in found] == [
        (0.0, 1, 0.1, 0.0),
        (0.6, 2, pytest.approx(0.72), 0.5),
        (0.8, 1, 1.0, 1.0),
    ]


def test_a_forecast_counts_from_when_it_took_effect(make_call):
    # 100 when asked, 101 when it took effect at 10 s, 103 twenty seconds later.
    series = mids([100.0, 101.0, 102.0, 103.0, 104.0])

    (found,), unresolved = forecasts_of([make_call(10, direction=1.0)], 0, series, 20 * S)

    assert found.return_bps == pytest.approx(math.log(103 / 101) * 1e4)
    assert found.is_hit
    assert unresolved == 0


def test_what_cannot_be_known_yet_is_not_scored(make_call):
    calls = [make_call(-5, direction=1.0), make_call(0, direction=-1.0), make_call(30, direction=1.0), make_call(5)]

    (only,) = score(calls, {0: ("BTC/USDT", mids([100.0, 101.0, 102.0, 103.0]))}, horizons_s=[20.0])

    assert (only.forecasts, only.unresolved, only.hits, only.misses) == (1, 2, 0, 1)
    assert only.brier == 1.0
    assert only.information_coefficient is None


def test_a_mid_that_did_not_move_is_neither_hit_nor_miss(make_call):
    (only,) = score([make_call(0, direction=1.0)], {0: ("BTC/USDT", mids([100.0] * 4))}, horizons_s=[10.0])

    assert (only.forecasts, only.unchanged, only.hits, only.misses) == (1, 1, 0, 0)
    assert only.hit_rate is None
    assert only.brier is None


@pytest.mark.parametrize("is_informed", [True, False])
def test_a_forecast_that_knows_stands_out_and_a_blind_one_does_not(make_call, is_informed):
    source = random.Random(5)
    series = [100.0]
    for _ in range(400):
        series.append(series[-1] * math.exp(source.gauss(0.0, 1e-4)))
    calls = []
    for place in range(390):
        truth = math.copysign(1.0, series[place + 1] - series[place])
        right = truth if source.random() < 0.75 else -truth
        blind = source.choice((-1.0, 1.0))
        calls.append(make_call(10 * place, direction=right if is_informed else blind, confidence=0.75))

    (only,) = score(calls, {0: ("BTC/USDT", mids(series))}, horizons_s=[10.0])

    assert only.forecasts == 390
    if is_informed:
        assert only.hit_rate == pytest.approx(0.75, abs=0.05)
        assert only.brier == pytest.approx(0.1875, abs=0.02)
        assert only.information_low > 0.2
        assert only.information_p < 0.001
    else:
        assert only.information_low < 0.0 < only.information_high
        assert only.brier > 0.29


def test_a_horizon_that_is_none_is_refused(make_call):
    with pytest.raises(DomainError) as refused:
        score([make_call(0)], {}, horizons_s=[0.0])

    assert refused.value.message == "horizons_s: expected times above 0, was (0.0,)"
