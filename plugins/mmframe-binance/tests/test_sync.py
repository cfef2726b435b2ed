from __future__ import annotations

import pytest

from mmframe_binance.sync import SPOT_IDS_MAX, USDM_IDS_MAX, SpotContinuity, UsdmContinuity, Verdict
from mmframe_binance.wire import DepthUpdate


def update(first, last, previous=None):
    return DepthUpdate(E=0, s="X", U=first, u=last, b=[], a=[], pu=previous)


@pytest.mark.parametrize(
    ("diff", "verdict"),
    [
        (update(90, 100), Verdict.STALE),
        (update(101, 104), Verdict.APPLY),
        (update(98, 104), Verdict.APPLY),
        (update(102, 104), Verdict.GAP),
    ],
    ids=["ends at the snapshot", "follows it", "straddles it", "one id lost"],
)
def test_spot_joins_a_snapshot_with_the_diff_that_holds_the_next_id(diff, verdict):
    continuity = SpotContinuity()
    continuity.join(100)

    assert continuity.judge(diff) is verdict


def test_spot_goes_on_with_the_next_id_and_ignores_what_it_has():
    continuity = SpotContinuity()
    continuity.join(100)
    continuity.judge(update(101, 105))

    assert continuity.judge(update(101, 104)) is Verdict.STALE
    assert continuity.judge(update(104, 108)) is Verdict.APPLY
    assert continuity.judge(update(110, 112)) is Verdict.GAP
    assert continuity.last_id == 108


@pytest.mark.parametrize(
    ("diff", "verdict"),
    [
        (update(90, 99, 89), Verdict.STALE),
        (update(90, 100, 89), Verdict.APPLY),
        (update(95, 110, 94), Verdict.APPLY),
        (update(105, 110, 100), Verdict.APPLY),
        (update(105, 110, 103), Verdict.GAP),
    ],
    ids=["before the snapshot", "ends exactly at it", "contains it", "names it", "names another"],
)
def test_futures_join_a_snapshot_with_the_diff_that_contains_or_names_it(diff, verdict):
    continuity = UsdmContinuity()
    continuity.join(100)

    assert continuity.judge(diff) is verdict


def test_futures_go_on_with_the_diff_that_names_the_last_one_whatever_its_first_id():
    continuity = UsdmContinuity()
    continuity.join(100)
    continuity.judge(update(95, 110, 94))

    assert continuity.judge(update(150, 160, 110)) is Verdict.APPLY
    assert continuity.judge(update(95, 110, 94)) is Verdict.STALE
    assert continuity.judge(update(161, 170, 159)) is Verdict.GAP
    assert continuity.last_id == 160


@pytest.mark.parametrize(("rule", "ids_max"), [(SpotContinuity, SPOT_IDS_MAX), (UsdmContinuity, USDM_IDS_MAX)])
def test_ids_that_no_market_gets_to_are_not_believed(rule, ids_max):
    last, verdicts = 5 * ids_max, []
    for update_id in (last + ids_max, last + ids_max + 1, last - ids_max, last - ids_max - 1):
        made = rule()
        made.join(last)
        verdicts.append(made.judge(update(1, update_id, previous=last)))

    assert verdicts == [Verdict.APPLY, Verdict.IMPLAUSIBLE, Verdict.STALE, Verdict.IMPLAUSIBLE]
