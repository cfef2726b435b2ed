"""No window is ever overfilled, cancels always have room, and the venue's word counts more than ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.errors import DomainError
from mmframe.net.budget import FOREVER_NS, Lane, RateBudget, Window, retry_after_ns, try_take_all

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
LANES = st.sampled_from(Lane)


def windows():
    def window(name, limit, length_ns, is_sliding, cancels, orders):
        return Window(name, limit, length_ns, is_sliding=is_sliding, kept_for_cancels=cancels, kept_for_orders=orders)

    one = st.builds(
        window,
        st.uuids().map(str),
        st.integers(15, 40),
        st.integers(5, 200),
        st.booleans(),
        st.integers(0, 5),
        st.integers(0, 4),
    )
    return st.lists(one, min_size=1, max_size=3)


takings = st.lists(st.tuples(st.integers(0, 60), LANES, st.integers(0, 6)), max_size=120)


@given(windows=windows(), takings=takings)
@settings(max_examples=100)
def test_what_is_taken_never_exceeds_a_limit_in_any_window(windows, takings):
    budget, now_ns, taken = RateBudget(windows), 1_000_000, []

    for elapsed_ns, lane, weight in takings:
        now_ns += elapsed_ns
        if budget.try_take(lane, weight, now_ns) == 0:
            taken.append((now_ns, lane, weight))
            for window in windows:
                assert in_window(window, taken, now_ns) <= window.limit
                assert (
                    in_window(window, taken, now_ns) <= window.capacity(lane) or lane is not Lane.QUERY or weight == 0
                )


@given(windows=windows(), takings=takings)
@settings(max_examples=100)
def test_a_request_waits_exactly_until_there_is_room(windows, takings):
    budget, now_ns, taken = RateBudget(windows), 1_000_000, []

    for elapsed_ns, lane, weight in takings:
        now_ns += elapsed_ns
        fits = all(in_window(window, taken, now_ns) + weight <= window.capacity(lane) for window in windows)

        wait_ns = budget.try_take(lane, weight, now_ns)

        assert (wait_ns == 0) == fits
        if fits:
            taken.append((now_ns, lane, weight))
            continue
        # Another budget is asked about the future: one that has seen it would not go back.
        ahead = replayed(windows, taken)
        assert ahead.wait_ns(lane, weight, now_ns + wait_ns - 1) == 1
        assert ahead.wait_ns(lane, weight, now_ns + wait_ns) == 0


@given(windows=windows(), takings=takings)
@settings(max_examples=100)
def test_a_cancel_within_the_kept_room_never_waits_for_quotes_or_queries(windows, takings):
    budget, now_ns = RateBudget(windows), 1_000_000
    kept = min(window.kept_for_cancels for window in windows)

    for elapsed_ns, lane, weight in takings:
        now_ns += elapsed_ns
        budget.try_take(min(lane, Lane.ORDER), weight, now_ns)

        assert budget.wait_ns(Lane.CANCEL, kept, now_ns) == 0


def in_window(window, taken, now_ns):
    """Return what was taken in the window around `now_ns`: slowly and obviously."""
    if window.is_sliding:
        return sum(weight for at_ns, _, weight in taken if at_ns + window.length_ns > now_ns)
    start_ns = now_ns - now_ns % window.length_ns
    return sum(weight for at_ns, _, weight in taken if at_ns >= start_ns)


def replayed(windows, taken):
    budget = RateBudget(windows)
    for at_ns, lane, weight in taken:
        assert budget.try_take(lane, weight, at_ns) == 0
    return budget


def minute(**options):
    return RateBudget([Window("1M", **{"limit": 100, "length_ns": MINUTE_NS, **options})])


def test_lanes_stop_one_after_the_other():
    budget = minute(kept_for_cancels=10, kept_for_orders=20)

    assert budget.try_take(Lane.QUERY, 70, 0) == 0
    assert budget.try_take(Lane.QUERY, 1, 0) == MINUTE_NS
    assert budget.try_take(Lane.ORDER, 20, 0) == 0
    assert budget.try_take(Lane.ORDER, 1, 0) == MINUTE_NS
    assert budget.try_take(Lane.CANCEL, 10, 0) == 0
    assert budget.try_take(Lane.CANCEL, 1, 0) == MINUTE_NS


def test_a_calendar_window_starts_anew_at_its_boundary():
    budget = minute()
    budget.try_take(Lane.CANCEL, 100, MINUTE_NS - 1)

    assert budget.try_take(Lane.QUERY, 1, MINUTE_NS - 1) == 1
    assert budget.try_take(Lane.QUERY, 100, MINUTE_NS) == 0


def test_a_clock_that_goes_back_does_not_give_a_window_twice():
    budget = minute()
    budget.try_take(Lane.QUERY, 100, MINUTE_NS)

    assert budget.try_take(Lane.QUERY, 1, MINUTE_NS - 5) == MINUTE_NS + 5


def test_a_sliding_window_frees_what_is_old_enough_for_the_weight():
    budget = minute(is_sliding=True)
    budget.try_take(Lane.QUERY, 40, 0)
    budget.try_take(Lane.QUERY, 60, 10)

    assert budget.wait_ns(Lane.QUERY, 40, 20) == MINUTE_NS - 20
    assert budget.wait_ns(Lane.QUERY, 41, 20) == MINUTE_NS + 10 - 20


@pytest.mark.parametrize("is_sliding", [False, True], ids=["calendar", "sliding"])
def test_the_venues_count_raises_ours_and_never_lowers_it(is_sliding):
    budget = minute(is_sliding=is_sliding)
    budget.try_take(Lane.QUERY, 30, 0)

    budget.on_used("1M", 80, 1)
    budget.on_used("1M", 10, 2)
    budget.on_used("another window", 1000, 3)

    assert budget.used("1M", 3) == 80
    assert budget.try_take(Lane.QUERY, 21, 3) > 0
    assert budget.used("1M", MINUTE_NS + 1) == 0


def test_several_windows_must_all_have_room():
    budget = RateBudget([Window("10S", 2, 10 * SECOND_NS), Window("1D", 3, DAY_NS)])

    waits = [budget.try_take(Lane.ORDER, 1, at_s * SECOND_NS) for at_s in (0, 1, 2, 10, 20)]

    assert waits == [0, 0, 8 * SECOND_NS, 0, DAY_NS - 20 * SECOND_NS]


def test_several_budgets_are_taken_from_together_or_not_at_all():
    weight, orders = minute(), RateBudget([Window("10S", 1, 10 * SECOND_NS)])

    assert try_take_all([(weight, 5), (orders, 1)], Lane.ORDER, 0) == 0
    assert try_take_all([(weight, 5), (orders, 1)], Lane.ORDER, 1) == 10 * SECOND_NS - 1

    assert (weight.used("1M", 1), orders.used("10S", 1)) == (5, 1)


def test_429_blocks_everything_until_retry_after():
    budget = minute()

    budget.on_status(429, {"retry-after": "7"}, 0, default_wait_ns=1)

    assert budget.try_take(Lane.CANCEL, 1, 1) == 7 * SECOND_NS - 1
    assert budget.block(1).reason == "HTTP 429: too many requests"
    assert budget.try_take(Lane.QUERY, 1, 7 * SECOND_NS) == 0


@pytest.mark.parametrize("status", [403, 418])
def test_a_ban_without_an_end_latches_until_a_person_releases_it(status):
    budget = minute()

    budget.on_status(status, {}, 0, default_wait_ns=FOREVER_NS)
    budget.on_status(429, {"retry-after": "1"}, 0, default_wait_ns=1)

    assert budget.try_take(Lane.CANCEL, 1, DAY_NS) == FOREVER_NS
    assert budget.block(DAY_NS).reason == f"HTTP {status}: banned or refused"
    budget.release()
    assert budget.try_take(Lane.CANCEL, 1, DAY_NS) == 0


def test_a_shorter_block_does_not_end_a_longer_one():
    budget = minute()

    budget.block_until(100, "long")
    budget.block_until(50, "short")

    assert (budget.block(60).reason, budget.block(100)) == ("long", None)


@pytest.mark.parametrize("status", [200, 400, 409, 500, 503])
def test_other_statuses_do_not_block(status):
    budget = minute()

    budget.on_status(status, {"retry-after": "7"}, 0, default_wait_ns=FOREVER_NS)

    assert budget.block(0) is None


@pytest.mark.parametrize(
    ("text", "wait_ns"),
    [
        ("0", 0),
        (" 120 ", 120 * SECOND_NS),
        ("999999999", 3 * DAY_NS),
        ("9" * 10_000, 3 * DAY_NS),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60 * SECOND_NS),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3 * DAY_NS),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(text, wait_ns):
    assert retry_after_ns({"retry-after": text}, 0) == wait_ns


def test_no_header_is_no_wait():
    assert retry_after_ns({}, 0) is None


@pytest.mark.parametrize(("lane", "weight"), [(Lane.QUERY, 71), (Lane.CANCEL, 101), (Lane.ORDER, -1)])
def test_a_weight_that_can_never_pass_is_an_error_and_not_an_endless_wait(lane, weight):
    budget = minute(kept_for_cancels=10, kept_for_orders=20)

    with pytest.raises(DomainError, match=f"in lane {lane.name}, was {weight}"):
        budget.try_take(lane, weight, 0)


def test_a_window_without_room_for_queries_is_refused():
    with pytest.raises(DomainError, match="room left for queries"):
        Window("1S", 10, SECOND_NS, kept_for_cancels=5, kept_for_orders=5)


def test_two_windows_of_one_name_are_refused():
    with pytest.raises(DomainError, match="different names"):
        RateBudget([Window("1S", 10, SECOND_NS), Window("1S", 20, SECOND_NS)])
