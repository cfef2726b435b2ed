"""The small parts of the venues: hosts, filters, counts, the clock, wire values and known orders."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.domain.market import Side
from mmframe.errors import DomainError
from mmframe.net.budget import Lane
from mmframe.testing import make_instrument
from mmframe_binance.trading.calls import USDM_CALLS, USDM_MODIFY
from mmframe_binance.trading.clock import ClockOffset
from mmframe_binance.trading.filters import SymbolRules
from mmframe_binance.trading.hosts import SPOT_HOSTS, chosen_url
from mmframe_binance.trading.limits import TradingLimits
from mmframe_binance.trading.orders import KnownOrders, cancel_id, own_id
from mmframe_binance.trading.wire import (
    AccountEvent,
    ExecutionReport,
    FuturesOrderEvent,
    RateLimit,
    StreamNotice,
    SymbolInfo,
    WireError,
    decoded,
    parse_spot_event,
    parse_usdm_event,
    socket_reply_id,
)

LIVE = SPOT_HOSTS["live"].rest_urls
SECOND_NS = 1_000_000_000
T = 1_700_000_000 * SECOND_NS


# Hosts.


@pytest.mark.parametrize(
    "url", [None, "https://api3.binance.com", "http://127.0.0.1:8080", "http://localhost:1/", "https://[::1]:5"]
)
def test_an_environments_own_hosts_and_this_machine_are_taken(url):
    assert chosen_url("rest_url", url, LIVE, "live") == (url or LIVE[0]).rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["https://testnet.binance.vision", "https://api.binance.com.example.net", "https://192.168.0.7"],
    ids=["another environment's", "a look-alike", "the neighbour's"],
)
def test_keys_of_an_environment_go_nowhere_else(url):
    with pytest.raises(DomainError, match=r"^rest_url: expected a host of the environment 'live' or of this machine"):
        chosen_url("rest_url", url, LIVE, "live")


def test_a_plain_connection_leaves_this_machine_never():
    with pytest.raises(DomainError, match=r"expected https, was http"):
        chosen_url("rest_url", "http://api.binance.com", LIVE, "live")


# Filters.


def symbol_info(*filters, **more):
    fields = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
    given = filters or (
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00100000", "maxQty": "9.00000000", "stepSize": "0.00100000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "100000.0", "applyMinToMarket": True},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    )
    return decoded(json.dumps({**fields, "filters": list(given), **more}).encode(), SymbolInfo, "symbol")


def test_a_grid_like_the_exchanges_is_taken_whatever_its_zeros():
    rules = SymbolRules.of(symbol_info(amendAllowed=True, cancelReplaceAllowed=True))

    assert list(rules.grid_problems(make_instrument(tick_size="0.01", lot_size="0.001"))) == []
    assert (rules.can_amend, rules.can_replace, rules.orders_max) == (True, True, 200)


def test_another_grid_is_told_with_both_values():
    rules = SymbolRules.of(symbol_info())

    assert list(rules.grid_problems(make_instrument(tick_size="0.1", lot_size="0.01"))) == [
        "tick_size: expected 0.01 as the exchange says, was 0.1",
        "lot_size: expected 0.001 as the exchange says, was 0.01",
    ]


def test_the_filters_of_futures_are_named_differently():
    rules = SymbolRules.of(
        symbol_info(
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "100000", "tickSize": "0.1"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "50"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        )
    )

    assert (rules.notional_min, rules.notional_max, rules.orders_max) == (Decimal(50), Decimal(0), 200)


@pytest.mark.parametrize(
    ("price", "lots", "problem"),
    [
        pytest.param("50000", 10, "", id="fits"),
        pytest.param("1", 10, "notional: expected at least 5, was 0.01", id="too little"),
        pytest.param("50000", 9001, "size: expected at most 9, was 9.001", id="too large"),
        pytest.param("1000000.01", 1, "price: expected at most 1000000, was 1000000.01", id="too high"),
        pytest.param("50000", 2001, "notional: expected at most 100000, was 100050", id="too much"),
    ],
)
def test_an_order_that_cannot_pass_is_known_before_it_is_sent(price, lots, problem):
    instrument = make_instrument(tick_size="0.01", lot_size="0.001")

    assert SymbolRules.of(symbol_info()).order_problem(instrument, instrument.price_ticks(price), lots) == problem


def test_an_order_that_only_reduces_a_position_may_be_worth_less_and_no_more_than_others():
    rules = SymbolRules.of(symbol_info())
    instrument = make_instrument(tick_size="0.01", lot_size="0.001")

    small, large = (
        rules.order_problem(instrument, instrument.price_ticks(price), lots, is_reduce_only=True)
        for price, lots in (("1", 10), ("50000", 2001))
    )

    assert (small, large) == ("", "notional: expected at most 100000, was 100050")


@pytest.mark.parametrize("text", ["NaN", "1E+1000000", "-1", "Infinity", "twelve", ""])
def test_a_filter_that_is_no_number_is_refused(text):
    filters = (
        {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": text},
        {"filterType": "LOT_SIZE", "minQty": "0", "maxQty": "0", "stepSize": "0.1"},
    )

    with pytest.raises(WireError, match=r"expected a number of 0 or more in a filter"):
        SymbolRules.of(symbol_info(*filters))


# Counts.


def limits():
    return TradingLimits(100, {"10S": 2})


def test_the_exchanges_own_counts_close_the_lanes_from_below():
    budget = limits()

    budget.on_answer(200, {"x-mbx-used-weight-1m": "85", "x-mbx-order-count-10s": "1"}, T, is_order_limit=False)

    assert budget.wait_ns(Lane.QUERY, 1, 0, T) > 0
    assert budget.wait_ns(Lane.ORDER, 1, 1, T) == 0
    assert budget.wait_ns(Lane.ORDER, 1, 1, T) > 0, "the second order of two would be the third"
    assert budget.wait_ns(Lane.CANCEL, 1, 0, T) == 0


def test_orders_at_futures_leave_the_weight_to_queries_and_cancels():
    # As documented: new orders and changes count as orders alone. Counted as weight they would starve the queries that
    # resolve orders of unknown outcome.
    assert (USDM_CALLS.place.weight, USDM_CALLS.place.orders) == (0, 1)
    assert (USDM_MODIFY.weight, USDM_MODIFY.orders) == (0, 1)


def test_too_many_requests_block_everything_for_as_long_as_told():
    budget = limits()

    budget.on_answer(429, {"retry-after": "7"}, T, is_order_limit=False)

    assert budget.wait_ns(Lane.CANCEL, 1, 0, T) == 7 * SECOND_NS
    assert budget.wait_ns(Lane.CANCEL, 1, 0, T + 7 * SECOND_NS) == 0


def test_too_many_orders_block_orders_alone():
    budget = limits()

    budget.on_answer(429, {"retry-after": "7"}, T, is_order_limit=True)

    assert budget.wait_ns(Lane.ORDER, 1, 1, T) > 0
    assert budget.wait_ns(Lane.CANCEL, 1, 0, T) == 0


def test_orders_wait_for_as_long_as_told_when_it_is_the_days_window_that_is_full():
    budget, server_ms = limits(), 1_700_000_000_000

    budget.on_answer(429, {"retry-after": "3600"}, T, is_order_limit=True)
    budget.use([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 100), RateLimit("ORDERS", "DAY", 1, 9)], T)

    assert budget.wait_ns(Lane.ORDER, 1, 1, T + 60 * SECOND_NS) == 3540 * SECOND_NS
    assert budget.wait_ns(Lane.CANCEL, 1, 0, T + 60 * SECOND_NS) == 0

    by_socket = limits()
    by_socket.on_socket_answer(429, (), server_ms + 3_600_000, T, server_ms=server_ms, is_order_limit=True)
    assert by_socket.wait_ns(Lane.ORDER, 1, 1, T + 60 * SECOND_NS) >= 3540 * SECOND_NS


def test_the_socket_tells_until_when_by_the_exchanges_clock():
    budget = limits()
    server_ms = 1_700_000_000_000

    budget.on_socket_answer(418, (), server_ms + 3000, T, server_ms=server_ms, is_order_limit=False)

    assert 3 * SECOND_NS <= budget.wait_ns(Lane.CANCEL, 1, 0, T) <= 4 * SECOND_NS


def test_the_exchanges_list_of_limits_replaces_the_documented_ones_and_keeps_a_block():
    budget = limits()
    budget.on_answer(429, {"retry-after": "7"}, T, is_order_limit=False)

    budget.use([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 10), RateLimit("ORDERS", "SECOND", 10, 1)], T)

    assert budget.wait_ns(Lane.CANCEL, 1, 0, T) == 7 * SECOND_NS
    later = T + 60 * SECOND_NS
    assert budget.wait_ns(Lane.QUERY, 50, 0, later) == 0, "a request heavier than the limit passes an empty window"
    assert budget.wait_ns(Lane.QUERY, 1, 0, later) > 0


# Clock.


def test_the_offset_is_half_way_and_the_shortest_round_trip_is_believed():
    clock = ClockOffset()
    ms = 1_000_000

    clock.measured(T, T // ms + 5100, T + 200 * ms, is_first=True)
    clock.measured(T, T // ms + 5010, T + 20 * ms, is_first=False)
    clock.measured(T, T // ms + 9000, T + 900 * ms, is_first=False)

    assert (clock.offset_ms, clock.round_trip_ms) == (5000.0, 20.0)
    assert clock.timestamp_ms(T) == T // ms + 5000


# Wire.


def spot_event(**fields):
    return json.dumps({"subscriptionId": 0, "event": fields}).encode()


REPORT = {
    "e": "executionReport",
    "E": 1,
    "s": "BTCUSDT",
    "c": "cancel-1",
    "C": "mm-1-b",
    "S": "BUY",
    "o": "LIMIT_MAKER",
    "f": "GTC",
    "q": "1.00",
    "p": "50000.00",
    "x": "CANCELED",
    "X": "CANCELED",
    "r": "NONE",
    "i": 7,
    "l": "0",
    "z": "0",
    "L": "0",
    "n": "0",
    "N": None,
    "T": 2,
    "t": -1,
    "I": 9,
    "m": False,
}


def test_a_cancelled_order_is_found_by_its_own_id_and_not_by_the_cancels():
    report = parse_spot_event(spot_event(**REPORT))

    assert isinstance(report, ExecutionReport)
    assert report.client_id == "mm-1-b"


def test_an_event_with_fields_of_tomorrow_is_read():
    assert isinstance(parse_spot_event(spot_event(**REPORT, zz={"new": 1})), ExecutionReport)


@pytest.mark.parametrize(
    "event",
    [
        spot_event(e="balanceUpdate", a="BTC", d="1"),
        spot_event(e="listStatus"),
        b'{"id":"1","status":200}',
        b'{"event":null}',
    ],
)
def test_what_is_nothing_to_orders_is_passed_over(event):
    assert parse_spot_event(event) is None


@pytest.mark.parametrize(
    "event",
    [
        b"<html>",
        b"",
        b"[" * 100_000,
        b'{"event":{"e":"executionReport"}}',
        b'{"event":{"e":"executionReport","s":7}}',
        b"\xff",
    ],
    ids=["html", "empty", "nested", "fields missing", "fields of another type", "no text"],
)
def test_what_cannot_be_read_is_one_error_without_the_frame(event):
    with pytest.raises(WireError, match=r"^private event: expected one of the documented shape"):
        parse_spot_event(event)


def test_notices_of_the_stream_are_read_in_both_wrappings():
    assert parse_spot_event(b'{"event":{"e":"serverShutdown","E":1}}') == StreamNotice("serverShutdown")
    assert parse_usdm_event(b'{"e":"listenKeyExpired","E":1,"listenKey":"x"}') == StreamNotice("listenKeyExpired")


def test_futures_events_are_read_bare_and_combined():
    order = {"s": "BTCUSDT", "c": "mm-1", "S": "BUY", "q": "1", "p": "2", "x": "NEW", "X": "NEW", "i": 3, "z": "0"}
    event = {"e": "ORDER_TRADE_UPDATE", "E": 5, "T": 4, "o": order}
    account = {"e": "ACCOUNT_UPDATE", "E": 5, "T": 4, "a": {"m": "ORDER", "B": [], "P": [{"s": "B", "pa": "-1"}]}}

    assert isinstance(parse_usdm_event(json.dumps(event).encode()), FuturesOrderEvent)
    combined = json.dumps({"stream": "key", "data": account}, separators=(",", ":")).encode()
    parsed = parse_usdm_event(combined)
    assert isinstance(parsed, AccountEvent)
    assert parsed.a.P[0].pa == "-1"
    assert parse_usdm_event(b'{"e":"TRADE_LITE","s":"BTCUSDT"}') is None


def test_the_id_of_an_answer_is_read_and_an_event_has_none():
    assert socket_reply_id(b'{"id":"17","status":200,"result":{}}') == "17"
    assert socket_reply_id(spot_event(**REPORT)) is None
    assert socket_reply_id(b"{") is None


# Known orders.


def test_a_cancelled_orders_name_leads_back_to_its_own():
    assert own_id(cancel_id("mm-demo-0-7")) == "mm-demo-0-7"
    assert own_id("by-hand_c") == "by-hand_c", "a foreign name is left as it is"
    assert cancel_id("m" * 35) == "", "a name may have 36 characters"


def test_a_trade_is_told_once_an_order_and_both_sides_of_one_with_ourselves_are():
    orders = KnownOrders()

    assert orders.tell_trade(0, 5, 100)
    assert not orders.tell_trade(0, 5, 100)
    assert orders.tell_trade(0, 5, 101)
    assert orders.tell_trade(1, 5, 100)


def test_of_ended_orders_the_oldest_is_forgotten_at_the_bound():
    orders = KnownOrders()
    for number in range(4097):
        order = orders.know(0, f"mm-{number}", T)
        orders.belongs(order, number + 1)
        order.side = Side.BUY
        orders.end(order)

    assert orders.get(0, "mm-0") is None
    assert orders.by_venue_id(0, 1) is None
    assert orders.by_venue_id(0, 4097) is not None
