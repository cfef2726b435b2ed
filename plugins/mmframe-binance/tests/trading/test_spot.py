"""Spot trading against the local venue: what each outcome of each request leads to, and what being up demands."""

from __future__ import annotations

import itertools
import json

import anyio
import pytest

from mmframe.domain.findings import FindingLevel
from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    OrderStatus,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
    VenueStatus,
)
from mmframe.errors import DomainError, VenueError
from mmframe.plugin import Secret
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import approve, build_context
from mmframe_localvenue import ANY, Fault, Role

OPEN, UNKNOWN, UNCHANGED = OrderStatus.OPEN, OrderStatus.UNKNOWN, OrderStatus.UNCHANGED
REJECTED, CANCELED = OrderStatus.REJECTED, OrderStatus.CANCELED
TRANSPORTS = ("websocket", "rest")


@pytest.fixture(params=TRANSPORTS)
def entry(request):
    return request.param


@pytest.fixture
def spot(rig):
    """Return a context: a local venue, and a venue that is up on it."""

    def start(**values):
        return rig.spot(**values)

    return start


async def raced(run, operation, order, action):
    """Let the order be filled while the action is on its way."""
    late = run.local.faults.next(operation, Fault.LATE_REQUEST)
    run.send(action)
    await late.happened()
    run.local.god.trade_against(order.client_id)
    late.release()


# Up and down.


async def test_it_is_up_once_the_clock_and_the_balances_are_known(spot):
    async with spot() as run:
        kinds = [type(event) for event in run.events]

        assert kinds[-1] is VenueStatus
        assert {event.asset for event in run.events if isinstance(event, BalanceUpdate)} >= {"BTC", "USDT"}
        assert run.venue.clock.is_known


async def test_nothing_is_placed_while_it_is_down(rig):
    async with rig.local_venue("spot") as local:
        local.faults.lose(Role.API)
        async with rig.running("spot", local, wait=False) as run:
            action = run.submit()
            update = await run.update(action.client_id, REJECTED)

            assert update.reason == "the venue is down: no private stream"
            assert local.god.requests_of("order.place") == []


async def test_a_lost_private_stream_is_down_and_up_tells_the_fills_and_ends_that_it_missed(spot):
    async with spot() as run:
        filled, cancelled = await run.rest(), await run.rest(price="48000")
        run.local.faults.lose(Role.API)
        await run.down()
        run.local.god.trade_against(filled.client_id)
        run.local.god.cancel(cancelled.client_id)
        run.local.faults.heal()
        await run.up()

        assert run.filled_lots(filled.client_id) == 10
        up_at = max(index for index, event in enumerate(run.events) if isinstance(event, VenueStatus))
        told = {event.client_id: event.status for event in run.events[:up_at] if hasattr(event, "filled_lots")}
        assert told == {filled.client_id: OrderStatus.FILLED, cancelled.client_id: CANCELED}
        assert run.venue._fills.fetched >= 1


async def test_a_silent_private_stream_is_down(spot):
    async with spot(liveness_timeout_s=0.3) as run:
        run.local.faults.silence(Role.API)
        await run.down()
        run.local.faults.heal()
        await run.up()


async def test_an_ended_subscription_gets_another_connection(spot):
    async with spot() as run:
        run.local.faults.next("user-stream", Fault.CORRUPT)
        order = await run.rest()
        await run.down()
        await run.up()

        assert OPEN in run.statuses(order.client_id)
        assert run.venue.counts.bad_frames == 1


def tell_account(run, event):
    """Let the exchange say something on the account's stream."""
    for connection in run.local.god.connections:
        connection.send_data("test", json.dumps({"subscriptionId": 0, "event": event}), Role.PRIVATE)


async def test_an_announced_shutdown_moves_to_another_connection_without_a_break(spot):
    async with spot() as run:
        order = await run.rest()
        (first,) = run.local.god.connections
        tell_account(run, {"e": "serverShutdown", "E": 1})
        await run.until(lambda: len(run.venue._subscribed) == 2, "a second connection beside the first")
        run.local.god.trade_against(order.client_id, 3)
        await run.until(lambda: run.local.god.connections and first not in run.local.god.connections, "the first to go")
        run.local.god.trade_against(order.client_id, 2)
        await run.until(lambda: run.filled_lots() == 5)

        assert run.is_up
        assert [event.is_up for event in run.events if isinstance(event, VenueStatus)] == [True], "never down"
        assert len(run.fills()) == 2, "what both connections tell counts once"


async def test_a_terminated_subscription_is_down_until_it_is_made_anew(spot):
    async with spot() as run:
        tell_account(run, {"e": "eventStreamTerminated", "E": 1})
        await run.down()
        await run.up()

        assert len(run.local.god.requests_of("user-stream.open")) == 2


async def test_a_grid_that_the_exchange_changes_takes_the_venue_down_with_what_to_change(spot):
    async with spot() as run:
        refusal = json.dumps({"code": -1013, "msg": "Filter failure: PRICE_FILTER"})
        run.local.faults.next("order.place", Fault.UNKNOWN_NOT_DONE, status=400, body=refusal)
        info = json.dumps({"symbols": [run.changed_info(tick_size="0.10000000")], "rateLimits": []})
        run.local.faults.next("info", Fault.UNKNOWN_NOT_DONE, status=200, body=info)
        action = run.submit()
        await run.update(action.client_id, REJECTED)
        await run.down()

        reason = [event.reason for event in run.events if isinstance(event, VenueStatus)][-1]
        assert reason == "BTC/USDT: tick_size: expected 0.1 as the exchange says, was 0.01"


async def test_trades_of_an_earlier_run_are_told_when_its_orders_are_asked_for(rig):
    async with rig.local_venue("spot") as local:
        async with rig.running("spot", local) as earlier:
            order = await earlier.rest(client_id="mm-test-0-7")
        local.god.trade_against("mm-test-0-7", 3)
        async with rig.running("spot", local) as run:
            run.send(QueryOrder(0, "mm-test-0-7"))
            answer = await run.answer("mm-test-0-7", Request.QUERY)
            run.send(Amend(0, "mm-test-0-7", order.price_ticks, 2, 0))
            amended = await run.answer("mm-test-0-7", Request.AMEND)

            assert (answer.filled_lots, run.filled_lots("mm-test-0-7")) == (3, 3)
            assert (amended.status, amended.size_lots) == (OPEN, 5)


async def test_an_ed25519_key_trades(rig):
    public, private = rig.ed25519_pair()
    account = rig.AccountSetup(keys=(rig.ApiKey("ed-key", "", ed25519_public_key=public),))
    keys = {"api_key": Secret("ed-key", "test"), "api_secret": Secret(private, "test"), "key_type": "ed25519"}
    async with rig.local_venue("spot", account=account) as local, rig.running("spot", local, **keys) as run:
        order = await run.rest()
        run.send(Cancel(0, order.client_id))
        await run.update(order.client_id, CANCELED)


async def test_several_markets_share_a_socket_and_are_told_apart(rig):
    markets = (rig.MARKET, rig.market("ETH/USDT", price="3000"))
    async with rig.local_venue("spot", markets=markets) as local, rig.running("spot", local) as run:
        run.send(Submit(1, "mm-test-0-50", Side.BUY, 290_000, 10))
        await run.update("mm-test-0-50", OPEN)
        await run.rest()
        local.god.trade_against("mm-test-0-50", 4)
        await run.until(lambda: run.filled_lots() == 4)
        run.send(CancelAll(1, "stop"))
        await run.update("mm-test-0-50", CANCELED)

        assert {fill.market for fill in run.fills()} == {1}
        assert [order.client_id for order in local.god.open_orders()] == ["mm-test-0-1"]


async def test_cancels_go_over_rest_while_the_socket_is_down(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.lose(Role.API)
        await run.down()
        run.send(Cancel(0, order.client_id))
        await run.update(order.client_id, CANCELED)

        assert run.local.god.requests_of("order.cancel")[-1].method == "DELETE"


async def test_a_revoked_key_latches_the_venue(spot, rig):
    async with spot() as run:
        run.local.god.revoke_key(rig.KEY.key)
        action = run.submit()
        update = await run.update(action.client_id, REJECTED)
        await run.down()

        assert update.reason.startswith("-2015 REJECTED_MBX_KEY")
        again = run.submit()
        assert (await run.update(again.client_id, REJECTED)).reason.startswith("the venue is down: -2015")


# How a run may not begin.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"api_secret": Secret("wrong", "test")}, "-1022 INVALID_SIGNATURE", id="wrong secret"),
        pytest.param({"api_key": Secret("nobody", "test")}, "-2015 REJECTED_MBX_KEY", id="unknown key"),
    ],
)
async def test_a_key_that_is_refused_ends_the_run(rig, values, message):
    async with rig.local_venue("spot") as local, rig.running("spot", local, wait=False, **values) as run:
        with pytest.raises(VenueError) as caught:
            await run.up()

    assert message in caught.value.message


async def test_another_grid_than_the_exchanges_ends_the_run(rig):
    async with rig.local_venue("spot") as local:
        instruments = (rig.instrument(tick_size="0.1"),)
        async with rig.running("spot", local, wait=False, instruments=instruments) as run:
            with pytest.raises(
                VenueError, match=r"^BTC/USDT: tick_size: expected 0\.01 as the exchange says, was 0\.1$"
            ):
                await run.up()


async def test_an_unknown_market_ends_the_run(rig):
    async with rig.local_venue("spot") as local:
        instruments = (rig.instrument("DOGE/USDT"),)
        async with rig.running("spot", local, wait=False, instruments=instruments) as run:
            with pytest.raises(VenueError, match=r"-1121 BAD_SYMBOL"):
                await run.up()


def test_a_host_of_another_environment_is_refused_when_it_is_built(rig):
    options = rig.SPECS["spot"].options(
        api_key=Secret("k", "test"), api_secret=Secret("s", "test"), rest_url="https://testnet.binance.vision"
    )

    with pytest.raises(DomainError, match=r"^rest_url: expected a host of the environment 'live'"):
        rig.SPECS["spot"].build(options, build_context(mode=Mode.LIVE))


async def test_a_clock_that_is_off_by_seconds_is_allowed_for(rig):
    async with rig.local_venue("spot") as local:
        local.faults.skew_clock(7.0)
        async with rig.running("spot", local) as run:
            await run.rest()

            assert 6500 < run.venue.clock.offset_ms < 7500


async def test_a_clock_that_jumps_is_refused_for_certain_and_measured_anew(spot, entry):
    async with spot(order_entry=entry) as run:
        run.local.faults.skew_clock(20.0)
        refused = run.submit()
        update = await run.update(refused.client_id, REJECTED)
        await run.until(lambda: run.venue.clock.offset_ms > 15_000, "the clock to be measured")
        await run.rest()

        assert update.reason.startswith("-1021 INVALID_TIMESTAMP")


async def test_the_clock_is_measured_again_and_again(spot):
    async with spot(clock_refresh_s=0.1) as run:
        run.local.faults.skew_clock(3.0)
        await run.until(lambda: run.venue.clock.offset_ms > 2500, "the clock to be measured")
        await run.rest()


# Orders.


async def test_a_post_only_order_rests_and_is_answered_with_its_figures(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest(price="49000", lots=10)
        update = run.updates(order.client_id)[-1]

        seen = run.local.god.requests_of("order.place")[0]
        assert (seen.method == "WS") == (entry == "websocket")
        assert (update.price_ticks, update.size_lots, update.filled_lots) == (4_900_000, 10, 0)
        assert update.venue_order_id == str(run.local.god.order(order.client_id).order_id)


async def test_a_post_only_order_that_would_take_is_rejected(spot, entry):
    async with spot(order_entry=entry) as run:
        action = run.submit(price="51000")
        update = await run.update(action.client_id, REJECTED)

        assert update.reason == "-2010 NEW_ORDER_REJECTED: Order would immediately match and take."
        assert run.fills() == []


async def test_an_order_that_takes_is_told_with_its_fills_first(spot, entry):
    async with spot(order_entry=entry) as run:
        action = run.submit(price="51000", is_post_only=False, time_in_force=TimeInForce.IOC)
        await run.update(action.client_id, OrderStatus.FILLED)

        first_end = next(i for i, e in enumerate(run.events) if getattr(e, "status", None) is OrderStatus.FILLED)
        before = [event for event in run.events[:first_end] if event in run.fills(action.client_id)]
        assert sum(fill.size_lots for fill in before) == 10
        assert all(not fill.is_maker and fill.fee > 0 and fill.fee_asset == "BTC" for fill in before)


async def test_an_order_off_the_filters_is_refused_without_being_sent(spot):
    async with spot() as run:
        action = run.submit(price="1", lots=1)
        update = await run.update(action.client_id, REJECTED)

        assert update.reason == "notional: expected at least 5, was 0.001"
        assert run.local.god.requests_of("order.place") == []


async def test_every_execution_is_told_once_whatever_tells_it_again(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.next("user-stream", Fault.DUPLICATE, count=2)
        run.local.god.trade_against(order.client_id, 4)
        await run.until(lambda: run.filled_lots() == 4)
        run.send(QueryOrder(0, order.client_id))
        answer = await run.answer(order.client_id, Request.QUERY)

        assert (answer.status, answer.filled_lots, run.filled_lots()) == (OPEN, 4, 4)


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_an_orders_fills_are_told_to_the_first_however_many_pages_they_take(rig, product, monkeypatch):
    monkeypatch.setattr("mmframe_binance.trading.fills._PAGE", 3)
    async with rig.local_venue(product) as local:
        async with rig.running(product, local) as earlier:
            order = await earlier.rest()
        for _ in range(8):
            local.god.trade_against(order.client_id, 1)
        async with rig.running(product, local, backfill_margin_s=0.0) as run:
            run.send(QueryOrder(0, order.client_id))
            await run.answer(order.client_id, Request.QUERY)

            assert run.filled_lots(order.client_id) == 8


async def test_a_fill_that_the_stream_lost_is_fetched_before_the_answer_that_counts_it(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.next("user-stream", Fault.GAP, count=2)
        run.local.god.trade_against(order.client_id, 4)
        run.send(QueryOrder(0, order.client_id))
        answer = await run.answer(order.client_id, Request.QUERY)

        assert answer.filled_lots == 4
        assert run.events.index(run.fills()[0]) < run.events.index(answer)
        assert run.venue._fills.fetched == 1


@pytest.mark.parametrize(
    ("fault", "is_placed"),
    [
        pytest.param(Fault.LOST_REPLY, True, id="lost reply"),
        pytest.param(Fault.LOST_REQUEST, False, id="lost request"),
        pytest.param(Fault.UNKNOWN_DONE, True, id="5xx, done"),
        pytest.param(Fault.UNKNOWN_NOT_DONE, False, id="5xx, not done"),
        pytest.param(Fault.CORRUPT, True, id="corrupt"),
        pytest.param(Fault.THROTTLED, False, id="429"),
    ],
)
async def test_a_submit_without_a_clear_answer_is_unknown_and_then_asked_for(spot, entry, fault, is_placed):
    async with spot(order_entry=entry, request_timeout_s=0.3) as run:
        run.local.faults.next("order.place", fault)
        action = run.submit()
        # What was placed the stream tells; an answer that comes before that, or nothing at all, is UNKNOWN.
        await run.update(action.client_id, OPEN if is_placed else UNKNOWN)
        run.send(QueryOrder(0, action.client_id))
        answer = await run.answer(action.client_id, Request.QUERY)
        await run.quiet()

        assert answer.status is (OPEN if is_placed else OrderStatus.NOT_FOUND)
        assert set(run.statuses(action.client_id)) <= {UNKNOWN, answer.status}
        assert len(run.local.god.orders_of(action.client_id)) == is_placed, "sent once at most"
        assert len(run.local.god.requests_of("order.place")) == 1


async def another_connection(run, entry):
    """Wait for the one that follows a socket which left a request unanswered."""
    if entry == "websocket":
        await run.down()
        await run.up()


async def test_cancels_go_over_rest_after_a_socket_left_a_request_unanswered(spot):
    async with spot(request_timeout_s=0.3) as run:
        first, second = await run.rest(), await run.rest(price="48000")
        # More of them than are tried: the socket swallows whatever it is given.
        run.local.faults.next("order.cancel", Fault.LOST_REQUEST, hangs=True)
        run.send(Cancel(0, first.client_id))
        await run.update(first.client_id, UNKNOWN, Request.CANCEL)
        asked = len(run.local.god.requests_of("order.cancel"))
        run.send(Cancel(0, second.client_id))
        await run.update(second.client_id, CANCELED, Request.CANCEL)

        (cancel,) = run.local.god.requests_of("order.cancel")[asked:]
        assert cancel.method == "DELETE"
        await run.up()
        run.send(QueryOrder(0, first.client_id))
        assert (await run.answer(first.client_id, Request.QUERY)).status is OPEN


async def test_a_cancel_does_not_wait_behind_orders_without_an_answer(spot):
    async with spot(order_entry="rest", request_timeout_s=60.0) as run:
        resting = await run.rest(price="48000")
        late = run.local.faults.next("order.place", Fault.LATE_REQUEST, count=15)
        for _ in range(15):
            run.submit()
        await run.quiet()
        run.send(Cancel(0, resting.client_id))
        await run.update(resting.client_id, CANCELED, Request.CANCEL)
        late.release()


async def test_a_lost_reply_of_what_the_stream_has_told_takes_nothing_back(spot, entry):
    async with spot(order_entry=entry, request_timeout_s=0.4) as run:
        resting = await run.rest(price="48000")
        for operation in ("order.place", "order.amend", "order.replace"):
            run.local.faults.next(operation, Fault.LOST_REPLY, hangs=True)
        placed = run.submit()
        await run.update(placed.client_id, OPEN, Request.STREAM)
        await another_connection(run, entry)
        run.send(Amend(0, resting.client_id, resting.price_ticks, 5, 0))
        amended = await run.answer(resting.client_id, Request.AMEND)
        await another_connection(run, entry)
        run.send(Replace(0, placed.client_id, "mm-test-0-99", 4_890_000, 10))
        await run.update("mm-test-0-99", OPEN, Request.STREAM)
        await run.quiet(120)

        assert (amended.status, amended.size_lots) == (OPEN, 5)
        for client_id in (placed.client_id, resting.client_id, "mm-test-0-99"):
            assert UNKNOWN not in run.statuses(client_id)


async def test_an_unlisted_code_is_unknown(spot, entry):
    async with spot(order_entry=entry) as run:
        body = json.dumps({"code": -7777, "msg": "A code of tomorrow."})
        run.local.faults.next("order.place", Fault.UNKNOWN_NOT_DONE, status=400, body=body)
        action = run.submit()

        await run.update(action.client_id, UNKNOWN, Request.SUBMIT)


async def test_a_cancel_tells_the_end_and_what_was_filled_before(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 3)
        run.send(Cancel(0, order.client_id))
        update = await run.update(order.client_id, CANCELED)
        await run.until(lambda: run.filled_lots() == 3)

        assert update.filled_lots == 3


async def test_a_cancel_that_a_fill_overtook_is_no_cancel(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        await raced(run, "order.cancel", order, Cancel(0, order.client_id))
        answer = await run.answer(order.client_id, Request.CANCEL)
        await run.update(order.client_id, OrderStatus.FILLED)

        assert (answer.status, answer.size_lots) == (UNCHANGED, 0)
        assert "-2011 CANCEL_REJECTED" in answer.reason
        assert CANCELED not in run.statuses(order.client_id)


async def test_a_cancelled_order_is_still_found_by_the_name_that_it_was_given(spot):
    async with spot() as run:
        run.local.faults.next("order.place", Fault.LOST_REPLY)
        run.local.faults.next("user-stream", Fault.GAP, count=9)
        action = run.submit()
        await run.local.god.until(run.local.god.open_orders)
        run.local.god.trade_against(action.client_id, 2)
        run.send(Cancel(0, action.client_id))
        await run.update(action.client_id, CANCELED)
        run.local.faults.heal()

        assert run.filled_lots(action.client_id) == 2


# Amend.


async def test_an_amend_makes_an_order_smaller_and_keeps_its_name(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 2)
        await run.until(lambda: run.filled_lots() == 2)
        run.send(Amend(0, order.client_id, order.price_ticks, 5, 0))
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.status, answer.size_lots, answer.filled_lots) == (OPEN, 7, 2)
        (resting,) = run.local.god.open_orders()
        assert (resting.client_id, resting.leaves_lots) == (order.client_id, 5)


async def test_what_is_filled_while_an_amend_is_decided_does_not_rest_again(spot):
    async with spot() as run:
        order = await run.rest()
        known = run.venue._teller.orders.get(0, order.client_id)
        run.local.god.trade_against(order.client_id, 2)
        await run.until_told(lambda: known.told_lots == 2)
        run.send(Amend(0, order.client_id, order.price_ticks, 5, 0))
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.size_lots, answer.filled_lots) == (5, 2)
        assert run.local.god.order(order.client_id).leaves_lots == 3


@pytest.mark.parametrize(("price", "leaves"), [(4_900_001, 5), (4_900_000, 10), (4_900_000, 11)])
async def test_an_amend_that_is_no_shrink_is_not_sent(spot, price, leaves):
    async with spot() as run:
        order = await run.rest()
        run.send(Amend(0, order.client_id, price, leaves, 0))
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.status, answer.size_lots, answer.price_ticks) == (UNCHANGED, 10, 4_900_000)
        assert answer.reason.startswith("amend: expected a smaller size than 10 lots at 4900000 ticks")
        assert run.local.god.requests_of("order.amend") == []


async def test_an_amend_of_a_filled_order_is_a_question(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        await raced(run, "order.amend", order, Amend(0, order.client_id, order.price_ticks, 5, 0))
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.status, answer.size_lots) == (UNCHANGED, 0)


# Replace: the outcomes of its two halves.


async def replaced(run, order, *, price_ticks=4_890_000, lots=10, post_only=True):
    run.send(Replace(0, order.client_id, "mm-test-0-99", price_ticks, lots, is_post_only=post_only))
    return await run.answer(order.client_id, Request.REPLACE)


async def test_a_replace_moves_the_order(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 4)
        answer = await replaced(run, order)
        await run.update("mm-test-0-99", OPEN)

        assert (answer.status, answer.new_client_id, answer.filled_lots) == (
            OrderStatus.REPLACED,
            "mm-test-0-99",
            4,
        )
        assert run.filled_lots(order.client_id) == 4
        assert [each.client_id for each in run.local.god.open_orders()] == ["mm-test-0-99"]


async def test_a_replace_whose_new_order_would_take_leaves_nothing(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        answer = await replaced(run, order, price_ticks=5_100_000)

        assert answer.status is OrderStatus.CANCELED_ONLY
        assert answer.reason == "-2010: Order would immediately match and take."
        assert run.local.god.open_orders() == []


async def test_a_replace_of_a_filled_order_places_nothing_and_asks(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        await raced(run, "order.replace", order, Replace(0, order.client_id, "mm-test-0-99", 4_890_000, 10))
        answer = await run.answer(order.client_id, Request.REPLACE)
        await run.update(order.client_id, OrderStatus.FILLED)

        assert (answer.status, answer.size_lots, answer.new_client_id) == (UNCHANGED, 0, "mm-test-0-99")
        assert run.local.god.orders_of("mm-test-0-99") == []


async def test_a_replace_without_a_clear_answer_leaves_both_orders_in_doubt(spot, entry):
    async with spot(order_entry=entry) as run:
        order = await run.rest()
        run.local.faults.next("order.replace", Fault.UNKNOWN_NOT_DONE)
        answer = await replaced(run, order)

        assert answer.status is UNKNOWN
        assert (await run.update("mm-test-0-99", UNKNOWN)).request is Request.SUBMIT


async def test_a_replace_off_the_filters_leaves_the_order(spot):
    async with spot() as run:
        order = await run.rest()
        answer = await replaced(run, order, price_ticks=100, lots=1)

        assert (answer.status, answer.size_lots) == (UNCHANGED, 10)
        assert run.local.god.requests_of("order.replace") == []


@pytest.mark.parametrize(
    ("status", "code", "cancel", "new", "expected"),
    [
        pytest.param(409, -2021, "FAILURE", "SUCCESS", OrderStatus.BOTH_LIVE, id="both live"),
        pytest.param(400, -2022, "FAILURE", "FAILURE", UNCHANGED, id="both failed"),
        pytest.param(429, -2021, "SUCCESS", "FAILURE", OrderStatus.CANCELED_ONLY, id="over the order limit"),
        pytest.param(429, -2021, "FAILURE", "NOT_ATTEMPTED", UNCHANGED, id="over the order limit, not cancelled"),
    ],
)
async def test_every_pair_of_outcomes_of_a_replace_is_read(spot, status, code, cancel, new, expected):
    def part(outcome, order_id, client_id, state, error):
        if outcome == "SUCCESS":
            figures = {"price": "48900.00", "origQty": "0.010", "executedQty": "0.000", "side": "BUY"}
            names = {"symbol": "BTCUSDT", "orderId": order_id, "clientOrderId": client_id, "status": state}
            return {**names, **figures}
        return None if outcome == "NOT_ATTEMPTED" else error

    async with spot(order_entry="rest") as run:
        order = await run.rest()
        venue_id = run.local.god.order(order.client_id).order_id
        refused = {"code": -2010, "msg": "Order would immediately match and take."}
        data = {
            "cancelResult": cancel,
            "newOrderResult": new,
            "cancelResponse": part(
                cancel, venue_id, order.client_id + "_c", "CANCELED", {"code": -2011, "msg": "Unknown order sent."}
            ),
            "newOrderResponse": part(new, 999_999, "mm-test-0-99", "NEW", refused),
        }
        body = json.dumps({"code": code, "msg": "Order cancel-replace.", "data": data})
        run.local.faults.next("order.replace", Fault.UNKNOWN_NOT_DONE, status=status, body=body)
        answer = await replaced(run, order)

        assert answer.status is expected
        assert answer.size_lots == 0


# All orders.


async def test_cancel_all_tells_each_end(spot, entry):
    async with spot(order_entry=entry) as run:
        orders = [await run.rest(price=price) for price in ("48000", "48500")]
        run.send(CancelAll(ALL_MARKETS, "stop"))
        for order in orders:
            await run.update(order.client_id, CANCELED)

        assert run.local.god.open_orders() == []


async def test_cancel_all_without_an_open_order_ends_nothing(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.next("user-stream", Fault.GAP, count=9)
        run.local.god.trade_against(order.client_id)
        run.send(CancelAll(0, "stop"))
        answer = await run.answer(order.client_id, Request.CANCEL)
        run.local.faults.heal()

        assert (answer.status, answer.size_lots) == (UNCHANGED, 0)


async def test_the_list_of_open_orders_has_others_too_and_bears_sizes_off_our_grid(rig):
    account = rig.AccountSetup(keys=(rig.KEY,))
    coarse = rig.instrument(lot_size="0.001")
    async with (
        rig.local_venue("spot", account=account) as local,
        rig.running("spot", local, instruments=(coarse,)) as run,
    ):
        await run.rest()
        body = [
            {"symbol": "BTCUSDT", "orderId": 77, "clientOrderId": "web_1", "price": "1.005", "origQty": "0.00017"},
            {"symbol": "BTCUSDT", "orderId": 78, "clientOrderId": "web_2", "price": "49000", "origQty": "1"},
        ]
        local.faults.next("orders.open", Fault.UNKNOWN_NOT_DONE, status=200, body=json.dumps(body))
        run.send(QueryOpenOrders(0))
        await run.until(lambda: bool(run.reports()))

        assert [(entry.client_id, entry.price_ticks, entry.size_lots) for entry in run.reports()[0].orders] == [
            ("web_1", 100, 0),
            ("web_2", 4_900_000, 1000),
        ]


async def test_a_query_that_is_not_answered_says_nothing(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.next("order.status", Fault.UNKNOWN_NOT_DONE)
        run.send(QueryOrder(0, order.client_id))
        await run.until(lambda: run.venue.counts.unanswered_queries == 1)
        await run.quiet()

        assert all(update.request is not Request.QUERY for update in run.updates(order.client_id))


# Limits.


async def test_a_ban_takes_it_down_and_lets_nothing_pass_until_it_is_over(spot):
    async with spot() as run:
        order = await run.rest()
        run.local.faults.next("order.status", Fault.BANNED, retry_after_s=1)
        run.send(QueryOrder(0, order.client_id))
        await run.down()
        seen = len(run.local.god.requests)
        run.send(Cancel(0, order.client_id))
        await run.quiet(60)
        assert len(run.local.god.requests) == seen, "silence for as long as told"
        await run.update(order.client_id, CANCELED)
        await run.up()


async def test_orders_beyond_the_limit_are_refused_without_being_sent(rig):
    async with (
        rig.local_venue("spot", order_limits=((86_400, 2),)) as local,
        rig.running("spot", local) as run,
    ):
        actions = [run.submit(price=str(48_000 + number)) for number in range(3)]
        await run.update(actions[-1].client_id, REJECTED)

        assert len(local.god.requests_of("order.place")) == 2
        reason = run.updates(actions[-1].client_id)[-1].reason
        assert reason == "no room in the rate limits within 0.5 s"


async def test_a_queue_that_is_full_refuses_at_once(rig):
    context = build_context(mode=Mode.LIVE, instruments=(rig.instrument(),))
    options = rig.SPECS["spot"].options(api_key=Secret("k", "test"), api_secret=Secret("s", "test"))
    venue = rig.SPECS["spot"].build(options, context)
    for number in range(257):
        venue.execute(approve(QueryOrder(0, f"mm-{number}")), 1)
    for _ in range(256):
        venue.execute(approve(Cancel(0, "mm-1")), 1)
    assert venue.poll(1) == [], "cancels have room of their own"

    venue.execute(approve(Cancel(0, "mm-1")), 1)

    (update,) = venue.poll(1)
    assert (update.status, update.reason) == (UNCHANGED, "512 requests wait already")
    assert venue.counts.unanswered_queries == 1


# The doctor.


async def findings(rig, local, **values):
    context = build_context(mode=Mode.LIVE, clock=SystemClock(), instruments=(rig.instrument(),))
    return {
        finding.subject: finding
        for finding in await rig.SPECS["spot"].doctor(rig.options_for("spot", local, **values), context)
    }


async def test_the_doctor_finds_a_healthy_account_healthy_and_places_nothing(rig):
    async with rig.local_venue("spot") as local:
        found = await findings(rig, local)

        assert {finding.level for finding in found.values()} <= {FindingLevel.OK, FindingLevel.WARNING}
        assert found["key permissions"].text == "the key can trade and cannot withdraw"
        assert found["grid of BTC/USDT"].level is FindingLevel.OK
        assert all(not seen.operation.startswith("order.") or seen.method == "GET" for seen in local.god.requests)


async def test_the_doctor_refuses_keys_that_can_withdraw_or_cannot_trade(rig):
    keys = (
        rig.ApiKey("rich", "s1", permissions=frozenset(rig.Permission)),
        rig.ApiKey("poor", "s2", permissions=frozenset({rig.Permission.READ})),
    )
    async with rig.local_venue("spot", account=rig.AccountSetup(keys=keys)) as local:
        for key in keys:
            secrets = {"api_key": Secret(key.key, "test"), "api_secret": Secret(key.secret, "test")}
            found = await findings(rig, local, **secrets)

            assert found["key permissions"].level is FindingLevel.FAILED, key.key


async def test_the_doctor_says_what_is_wrong_instead_of_raising(rig):
    async with rig.local_venue("spot") as local:
        wrong = await findings(rig, local, api_secret=Secret("wrong", "test"))
        local.faults.skew_clock(3.0)
        late = await findings(rig, local)
        local.faults.next(ANY, Fault.HTML, count=99)
        broken = await findings(rig, local)

    assert wrong["key permissions"].level is FindingLevel.FAILED
    assert late["clock skew"].level is FindingLevel.WARNING
    assert broken["reachability"].level is FindingLevel.FAILED


# Secrets.


async def test_nothing_that_is_written_shows_key_or_signature(rig, caplog):
    caplog.set_level("DEBUG")
    shown = []
    async with rig.local_venue("spot") as local, rig.running("spot", local, request_timeout_s=0.3) as run:
        signatures = rig.watch_signatures(run.venue)
        for fault, transport in itertools.product((Fault.HTML, Fault.CORRUPT, Fault.LOST_REPLY, Fault.CUT), range(2)):
            local.faults.next("order.place" if transport else ANY, fault)
            action = Submit(0, f"mm-canary-{fault.value}-{transport}", Side.BUY, 4_900_000, 10)
            if run.is_up:
                run.send(action)
            run.send(QueryOrder(0, action.client_id))
            with anyio.move_on_after(0.5):
                await run.quiet(40)
            await run.up()
        echo = json.dumps({"code": -1100, "msg": f"Illegal characters: signature={'a' * 64}&apiKey={rig.KEY.key}"})
        local.faults.next("order.place", Fault.UNKNOWN_NOT_DONE, status=400, body=echo)
        told = run.submit()
        await run.update(told.client_id, REJECTED)
        shown += [repr(run.venue), repr(vars(run.venue)), *map(repr, run.events)]
        local.god.revoke_key(rig.KEY.key)
        run.submit()
        await run.down()
        shown += map(repr, run.events)

    assert len(signatures) > 10, "the test saw what was signed"
    text = "\n".join(shown) + caplog.text
    for secret in (rig.KEY.secret, rig.KEY.key, *signatures):
        assert secret not in text


async def test_what_waits_for_room_is_not_sent_once_everything_is_to_be_cancelled(rig):
    async with rig.local_venue("spot") as local, rig.running("spot", local) as run:
        first = await run.rest()
        waiting = run.submit(price="48000")
        run.send(CancelAll(0, "stop"))
        await run.update(first.client_id, CANCELED)
        update = await run.update(waiting.client_id, REJECTED)

        assert update.reason == "everything is being cancelled"
        assert local.god.open_orders() == []
        assert len(local.god.requests_of("order.place")) == 1


async def test_what_waits_for_room_is_not_sent_once_the_venue_is_down(rig):
    async with rig.local_venue("spot") as local, rig.running("spot", local) as run:
        run.local.faults.lose(Role.API)
        waiting = run.submit()
        run.venue._lose_stream("private stream lost")
        update = await run.update(waiting.client_id, REJECTED)

        assert update.reason == "the venue is down: private stream lost"
        assert local.god.requests_of("order.place") == []


async def test_an_order_that_the_exchange_has_forgotten_is_not_asked_for_for_ever(spot):
    async with spot() as run:
        order = await run.rest()
        body = json.dumps({"code": -2013, "msg": "Order does not exist."})
        run.local.faults.next("order.status", Fault.UNKNOWN_NOT_DONE, status=400, body=body)
        run.local.faults.silence(Role.API)
        run.local.god.cancel(order.client_id)
        run.send(QueryOrder(0, order.client_id))
        answer = await run.answer(order.client_id, Request.QUERY)

        assert answer.status is OrderStatus.NOT_FOUND


async def test_an_answer_that_cannot_be_read_delays_being_up_and_ends_nothing(rig):
    async with rig.local_venue("spot") as local:
        for operation in ("time", "info", "account", "trades.mine"):
            local.faults.next(operation, Fault.CORRUPT)
        async with rig.running("spot", local) as run:
            assert {event.reason for event in run.events if isinstance(event, VenueStatus) and not event.is_up}


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_a_market_that_is_gone_keeps_no_order_of_another_from_being_removed(rig, product):
    async with rig.local_venue(product) as local:
        async with rig.running(product, local) as quoting:
            order = await quoting.rest()
        instruments = (*quoting.instruments, rig.instrument("GONE/USDT"))
        async with rig.running(product, local, instruments=instruments, removes_only=True, wait=False) as run:
            run.send(CancelAll(ALL_MARKETS, "kill"))
            await local.god.until(lambda: not local.god.open_orders())
            run.send(QueryOpenOrders(0))
            await run.until(lambda: bool(run.reports()), "the open orders")
            await run.quiet()

            assert run.reports()[-1].orders == ()
            assert local.god.orders_of(order.client_id)
            assert run.failure is None


async def test_who_only_removes_orders_needs_no_grid(rig):
    coarse = (rig.instrument(tick_size="1", lot_size="0.1"),)
    async with rig.local_venue("spot") as local:
        async with rig.running("spot", local) as quoting:
            order = await quoting.rest(price="49000.37", lots=17)
        local.god.trade_against(order.client_id, 3)
        async with rig.running("spot", local, instruments=coarse, removes_only=True) as run:
            run.send(QueryOpenOrders(0))
            await run.until(lambda: bool(run.reports()), "the open orders")
            run.send(CancelAll(0, "kill"))
            await run.update(order.client_id, CANCELED)

            assert [entry.client_id for entry in run.reports()[0].orders] == [order.client_id]
            assert run.fills() == [], "none that the grid cannot hold"
            assert local.god.open_orders() == []
