"""Budgets by endpoint and address, fed by the exchange's own headers."""

from __future__ import annotations

import pytest

from mmframe.net.budget import Lane
from mmframe.net.timing import Timing
from mmframe.testing import START_NS
from mmframe_bybit.trading.limits import Endpoint, Limits

ASKED_OFTEN = [
    Endpoint.OPEN_ORDERS,
    Endpoint.ORDER_HISTORY,
    Endpoint.EXECUTIONS,
    Endpoint.POSITIONS,
    Endpoint.WALLET,
    Endpoint.ACCOUNT,
]


@pytest.fixture
def limits(time):
    return Limits("linear", Timing(time.clock, time.sleep))


async def take(limits, endpoint=Endpoint.CREATE, lane=Lane.ORDER, within_s=0.0, over_http=False):
    return await limits.take(endpoint, lane, within_s=within_s, over_http=over_http)


async def test_ten_orders_a_second_and_no_more(limits, time):
    taken = [await take(limits) for _ in range(11)]

    assert taken[:10] == [None] * 10
    assert taken[10] == "rate limit: /v5/order/create is free in 1100 ms"
    time.clock.advance(ms=1100)
    assert await take(limits) is None


async def test_cancels_have_a_budget_of_their_own(limits):
    for _ in range(10):
        await take(limits)

    assert await take(limits, Endpoint.CANCEL, Lane.CANCEL) is None


async def test_spot_has_other_limits(time):
    spot = Limits("spot", Timing(time.clock, time.sleep))

    assert [await take(spot) for _ in range(21)].count(None) == 20


async def test_the_headers_tell_the_accounts_own_limit_and_what_is_left(limits):
    limits.on_headers(Endpoint.CREATE, {"x-bapi-limit": "20", "x-bapi-limit-status": "3"})

    assert limits.allowed(Endpoint.CREATE) == 20
    assert [await take(limits) for _ in range(4)].count(None) == 3


@pytest.mark.parametrize("text", ["", "-1", "ten", "9" * 400, "1e3", "٣"])
async def test_headers_that_make_no_sense_change_nothing(limits, text):
    limits.on_headers(Endpoint.CREATE, {"x-bapi-limit": text, "x-bapi-limit-status": text})

    assert limits.allowed(Endpoint.CREATE) == 10


@pytest.mark.parametrize(
    ("reset", "rest_ms"),
    [(START_NS // 1_000_000 + 300, 300), (0, 1000), (START_NS // 1_000_000 + 10**9, 1000)],
    ids=["told", "not told", "absurd"],
)
async def test_a_throttled_endpoint_rests(limits, time, reset, rest_ms):
    limits.on_throttled(Endpoint.CREATE, {"x-bapi-limit-reset-timestamp": str(reset)}, server_ahead_ns=0)

    assert await take(limits) == f"rate limit: /v5/order/create is free in {rest_ms} ms"
    time.clock.advance(ms=rest_ms)
    assert await take(limits) is None


async def test_the_reset_time_is_the_servers(limits, time):
    reset_ms = START_NS // 1_000_000 + 5300
    limits.on_throttled(Endpoint.CREATE, {"x-bapi-limit-reset-timestamp": str(reset_ms)}, server_ahead_ns=5_000_000_000)

    assert await take(limits) == "rate limit: /v5/order/create is free in 300 ms"


async def test_forbidden_stops_http_for_ten_minutes_and_leaves_the_socket(limits, time):
    limits.on_forbidden()

    refusal = await take(limits, within_s=5, over_http=True)
    assert refusal == "HTTP 403: too many requests, or not served here; 600 s left"
    assert await take(limits) is None
    time.clock.advance(s=600)
    assert await take(limits, over_http=True) is None


async def test_the_budget_of_the_address_keeps_room_for_orders_and_more_for_cancels(limits):
    questions = [
        await take(limits, endpoint, Lane.QUERY, over_http=True) for endpoint in ASKED_OFTEN for _ in range(50)
    ]

    assert questions.count(None) == 250
    assert await take(limits, Endpoint.CREATE, Lane.ORDER, over_http=True) is None
    assert await take(limits, Endpoint.CANCEL, Lane.CANCEL, over_http=True) is None
