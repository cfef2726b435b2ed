"""Futures trading against the local venue: what differs from spot."""

from __future__ import annotations

import json
import time

import anyio
import httpx
import pytest

from mmframe.domain.findings import FindingLevel
from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    OrderStatus,
    PositionReport,
    QueryOrder,
    Replace,
    Request,
    TimeInForce,
    VenueStatus,
)
from mmframe.errors import VenueError
from mmframe.net.signing import HmacSigner
from mmframe.plugin import Secret
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import approve, build_context, make_instrument
from mmframe_binance.trading.signing import rest_target
from mmframe_localvenue import ANY, Fault, Role
from mmframe_localvenue.core.orders import Ticket

OPEN, UNKNOWN, UNCHANGED = OrderStatus.OPEN, OrderStatus.UNKNOWN, OrderStatus.UNCHANGED
REJECTED, CANCELED = OrderStatus.REJECTED, OrderStatus.CANCELED
PATIENCE_S = 10
BTC = make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001", kind=InstrumentKind.LINEAR)


@pytest.fixture
def usdm(rig):
    """Return a context: a local venue, and a venue that is up on it."""

    def start(**values):
        return rig.usdm(**values)

    return start


async def switch_to_hedge_mode(rig, local):
    """Let the account's owner keep long and short apart from now on."""
    fields = (("dualSidePosition", "true"), ("timestamp", str(time.time_ns() // 1_000_000)))
    target = rest_target("/fapi/v1/positionSide/dual", fields, HmacSigner(rig.KEY.secret)).decode()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(local.rest_url + target, headers={"X-MBX-APIKEY": rig.KEY.key})
    assert answer.status_code == 200, answer.text


def positions(run):
    return [event.position_lots for event in run.events if isinstance(event, PositionReport)]


async def test_it_is_up_once_balances_and_positions_are_known(usdm):
    async with usdm() as run:
        before = run.events[: next(i for i, e in enumerate(run.events) if isinstance(e, VenueStatus))]

        assert [event.position_lots for event in before if isinstance(event, PositionReport)] == [0]
        assert {event.asset for event in before if isinstance(event, BalanceUpdate)} >= {"USDT"}
        assert run.venue.capabilities.reports_positions


async def test_a_post_only_order_is_gtx_and_is_rejected_when_it_would_take(usdm):
    async with usdm() as run:
        await run.rest()
        action = run.submit(price="51000")
        update = await run.update(action.client_id, REJECTED)

        assert run.local.god.order("mm-test-0-1").labels["timeInForce"] == "GTX"
        assert update.reason.startswith("-5022 GTX_ORDER_REJECT")
        assert run.fills() == []


async def test_a_reduce_only_order_takes_and_is_reduce_only_at_the_exchange_too(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 10)
        await run.until(lambda: positions(run)[-1] == 10, "the position")
        run.local.core.exchange.place_other(run.local.market("BTC/USDT"), Side.BUY, 20, 4_500_000)
        taking = {"side": Side.SELL, "price": "45000", "time_in_force": TimeInForce.IOC, "is_post_only": False}

        part = run.submit(lots=4, is_reduce_only=True, **taking)
        await run.update(part.client_id, OrderStatus.FILLED)
        rest = run.submit(lots=6, is_reduce_only=True, **taking)
        await run.update(rest.client_id, OrderStatus.FILLED)
        more = run.submit(lots=4, is_reduce_only=True, **taking)
        refused = await run.update(more.client_id, REJECTED)
        await run.until(lambda: positions(run)[-1] == 0, "the position")

        assert all(not fill.is_maker for fill in run.fills(part.client_id))
        assert refused.reason.startswith("-2022")


async def test_a_fill_moves_the_position_and_both_are_told(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 4)
        await run.until(lambda: run.filled_lots() == 4 and positions(run)[-1] == 4, "fill and position")

        (fill,) = run.fills()
        assert (fill.is_maker, fill.side, fill.fee_asset, fill.fee > 0) == (True, Side.BUY, "USDT", True)


async def test_an_answer_about_positions_takes_back_nothing_that_the_stream_told_since(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 4)
        await run.until(lambda: positions(run)[-1] == 4, "the position")
        run.venue._position_ms[0] += 60_000  # As if what the stream told were of after the answer below.
        run.local.faults.cut(Role.PRIVATE)
        await run.down()
        told = len(positions(run))
        await run.up()

        assert len(positions(run)) == told


async def test_an_order_of_somebody_else_on_the_account_moves_the_position_and_is_no_fill(usdm):
    async with usdm() as run:
        god = run.local.god
        ticket = Ticket(Side.SELL, 7, 5_050_000, "autoclose-1", labels={"type": "LIMIT", "timeInForce": "GTC"})
        run.local.core.exchange.place(god.account(), run.local.market("BTC/USDT"), ticket)
        god.trade_against("autoclose-1", 7)
        await run.until(lambda: positions(run)[-1] == -7, "the position")

        assert run.fills() == []


# Changing an order.


async def test_an_amend_moves_price_and_whole_size(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.god.trade_against(order.client_id, 2)
        await run.until(lambda: run.filled_lots() == 2)
        run.send(Amend(0, order.client_id, 4_890_000, 5, 0))
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.status, answer.size_lots, answer.price_ticks, answer.filled_lots) == (OPEN, 7, 4_890_000, 2)
        (resting,) = run.local.god.open_orders()
        assert (resting.client_id, resting.leaves_lots, resting.price_ticks) == (order.client_id, 5, 4_890_000)


async def test_an_amend_that_would_take_ends_in_the_truth(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.send(Amend(0, order.client_id, 5_100_000, 10, 0))
        answer = await run.answer(order.client_id, Request.AMEND)
        run.send(QueryOrder(0, order.client_id))
        await run.answer(order.client_id, Request.QUERY)

        assert answer.status in {UNCHANGED, CANCELED, OrderStatus.EXPIRED}
        assert answer.status is not UNCHANGED or answer.size_lots == 0, "it may be gone, so it is asked for"
        assert run.fills() == []
        is_open = bool(run.local.god.open_orders())
        assert (run.statuses(order.client_id)[-1] is OPEN) == is_open


async def test_an_amend_of_a_filled_order_is_a_question(usdm):
    async with usdm() as run:
        order = await run.rest()
        late = run.local.faults.next("order.amend", Fault.LATE_REQUEST)
        run.send(Amend(0, order.client_id, 4_890_000, 5, 0))
        await late.happened()
        run.local.god.trade_against(order.client_id)
        late.release()
        answer = await run.answer(order.client_id, Request.AMEND)

        assert (answer.status, answer.size_lots) == (UNCHANGED, 0)


async def test_an_amend_without_a_clear_answer_is_unknown(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.faults.next("order.amend", Fault.UNKNOWN_NOT_DONE)
        run.send(Amend(0, order.client_id, 4_890_000, 5, 0))

        await run.update(order.client_id, UNKNOWN, Request.AMEND)


async def test_there_is_no_replace(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.send(Replace(0, order.client_id, "mm-test-0-99", 4_890_000, 10))
        answer = await run.answer(order.client_id, Request.REPLACE)

        assert not run.venue.capabilities.can_replace
        assert (answer.status, answer.size_lots, answer.new_client_id) == (UNCHANGED, 10, "mm-test-0-99")


# The three meanings of 503, and cancels.


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        pytest.param(-1000, "Unknown error, please check your request or try again later.", UNKNOWN, id="unknown"),
        pytest.param(-1, "Service Unavailable.", REJECTED, id="failed"),
        pytest.param(-1008, "Request throttled by system-level protection.", REJECTED, id="throttled"),
    ],
)
async def test_a_503_means_what_it_says(usdm, code, message, expected):
    async with usdm() as run:
        body = json.dumps({"code": code, "msg": message})
        run.local.faults.next("order.place", Fault.UNKNOWN_NOT_DONE, status=503, body=body)
        action = run.submit()

        await run.update(action.client_id, expected, Request.SUBMIT)


@pytest.mark.parametrize(
    ("fault", "is_placed"),
    [
        pytest.param(Fault.LOST_REPLY, True, id="lost reply"),
        pytest.param(Fault.LOST_REQUEST, False, id="lost request"),
        pytest.param(Fault.HTML, True, id="html"),
        pytest.param(Fault.HUGE, True, id="huge"),
    ],
)
async def test_a_submit_without_a_clear_answer_is_unknown_and_then_asked_for(usdm, fault, is_placed):
    async with usdm(request_timeout_s=0.5) as run:
        run.local.faults.next("order.place", fault)
        action = run.submit()
        # What was placed the stream tells; an answer that comes before that, or nothing at all, is UNKNOWN.
        await run.update(action.client_id, OPEN if is_placed else UNKNOWN)
        run.send(QueryOrder(0, action.client_id))
        answer = await run.answer(action.client_id, Request.QUERY)
        await run.quiet()

        assert answer.status is (OPEN if is_placed else OrderStatus.NOT_FOUND)
        assert set(run.statuses(action.client_id)) <= {UNKNOWN, answer.status}
        assert len(run.local.god.requests_of("order.place")) == 1


async def test_cancel_all_is_told_by_the_stream(usdm):
    async with usdm() as run:
        orders = [await run.rest(price=price) for price in ("48000", "48500")]
        run.send(CancelAll(0, "stop"))
        for order in orders:
            await run.update(order.client_id, CANCELED)


# The private stream.


async def test_an_expired_listen_key_is_down_until_another_one_is_made(usdm):
    async with usdm() as run:
        keys = len(run.local.god.requests_of("user-stream.open"))
        order = await run.rest()
        run.expire_listen_key()
        await run.down()
        run.local.god.trade_against(order.client_id, 3)
        await run.up()

        assert run.filled_lots() == 3
        assert len(run.local.god.requests_of("user-stream.open")) > keys


async def test_positions_are_told_anew_after_a_break(usdm):
    async with usdm() as run:
        order = await run.rest()
        run.local.faults.lose(Role.PRIVATE)
        await run.down()
        run.local.god.trade_against(order.client_id, 3)
        run.local.faults.heal()
        await run.up()

        assert run.filled_lots() == 3
        assert positions(run)[-1] == 3


# The dead-man switch.


async def test_without_a_word_from_us_the_exchange_cancels_everything(rig):
    async with rig.local_venue("usdm") as local:
        async with rig.running("usdm", local, dead_man_s=0.5) as run:
            await run.rest()
            await run.until(lambda: run.switched >= 3, "the switch to be wound")
            assert local.god.open_orders(), "it is wound while the run lives"
        with anyio.fail_after(PATIENCE_S):
            await local.god.until(lambda: not local.god.open_orders())


async def test_the_switch_is_put_off_when_nothing_rests(rig):
    async with rig.local_venue("usdm") as local:
        async with rig.running("usdm", local, dead_man_s=600.0) as run:
            order = await run.rest()
            run.send(Cancel(0, order.client_id))
            await run.update(order.client_id, CANCELED)
            await run.until(lambda: run.switched == 1, "the switch to be wound")

        assert run.switched == 2


async def test_a_market_whose_switch_cannot_be_wound_keeps_no_other_from_it(rig):
    markets = (rig.market("BTC/USDT", price="50000"), rig.market("ETH/USDT", price="3000"))
    async with rig.local_venue("usdm", markets=markets) as local:
        body = json.dumps({"code": -4141, "msg": "Symbol is closed."})
        local.faults.next("dead-man", Fault.UNKNOWN_NOT_DONE, status=400, body=body)
        async with rig.running("usdm", local, dead_man_s=600.0) as run:
            await run.until(lambda: run.switched == 2, "the switch of the second market")


async def test_a_switch_that_is_off_is_never_wound(rig):
    async with rig.local_venue("usdm") as local, rig.running("usdm", local, dead_man_s=0.0) as run:
        await run.rest()

        assert run.switched == 0
        assert not run.venue.capabilities.has_dead_man_switch


# How a run may not begin, and the doctor.


async def test_hedge_mode_ends_the_run(rig):
    async with rig.local_venue("usdm") as local:
        await switch_to_hedge_mode(rig, local)
        async with rig.running("usdm", local, wait=False) as run:
            with pytest.raises(VenueError, match=r"^position mode: expected one-way, was hedge mode$"):
                await run.up()


async def test_a_wrong_key_ends_the_run(rig):
    wrong = Secret("wrong", "test")
    async with rig.local_venue("usdm") as local, rig.running("usdm", local, wait=False, api_secret=wrong) as run:
        with pytest.raises(VenueError, match=r"-1022 INVALID_SIGNATURE"):
            await run.up()


async def findings(rig, local, **values):
    context = build_context(mode=Mode.LIVE, clock=SystemClock(), instruments=(BTC,))
    return {
        finding.subject: finding
        for finding in await rig.SPECS["usdm"].doctor(rig.options_for("usdm", local, **values), context)
    }


async def test_the_doctor_looks_at_mode_and_position_too(rig):
    async with rig.local_venue("usdm") as local:
        found = await findings(rig, local)
        assert all(seen.method == "GET" for seen in local.god.requests)
        await switch_to_hedge_mode(rig, local)
        hedged = await findings(rig, local)

        assert found["account mode"].text == "one-way"
        assert found["position in BTC/USDT"].text == "none"
        assert hedged["account mode"].level is FindingLevel.FAILED


async def test_the_doctor_bears_a_position_that_is_no_number(rig):
    async with rig.local_venue("usdm") as local:
        lines = json.dumps([{"symbol": "BTCUSDT", "positionAmt": "many", "positionSide": "BOTH"}])
        local.faults.next("positions", Fault.UNKNOWN_NOT_DONE, status=200, body=lines)
        found = await findings(rig, local)

        assert found["position"].level is FindingLevel.FAILED
        assert "open orders" in found, "the other questions are asked all the same"


# Secrets.


async def test_nothing_that_is_written_shows_key_signature_or_listen_key(rig, caplog):
    caplog.set_level("DEBUG")
    async with rig.local_venue("usdm") as local, rig.running("usdm", local, request_timeout_s=0.3) as run:
        signatures = rig.watch_signatures(run.venue)
        for fault in (Fault.HTML, Fault.CORRUPT, Fault.LOST_REPLY):
            local.faults.next(ANY, fault)
            action = run.submit()
            run.send(QueryOrder(0, action.client_id))
            with anyio.move_on_after(0.5):
                await run.quiet(40)
        local.faults.lose(Role.PRIVATE)
        await run.down()
        local.faults.heal()
        await run.up()
        shown = [repr(run.venue), repr(vars(run.venue)), *map(repr, run.events)]
        keys = run.listen_keys()

    assert len(signatures) > 5
    assert keys
    text = "\n".join(shown) + caplog.text
    for secret in (rig.KEY.secret, rig.KEY.key, *signatures, *keys):
        assert secret not in text


def test_a_queued_action_before_the_run_is_answered_as_never_sent(rig):
    options = rig.SPECS["usdm"].options(api_key=Secret("k", "test"), api_secret=Secret("s", "test"))
    venue = rig.SPECS["usdm"].build(options, build_context(mode=Mode.LIVE, instruments=(BTC,)))

    venue.execute(approve(Amend(0, "mm-1", 5, 5, 0)), 7)

    (update,) = venue.poll(7)
    assert (update.status, update.size_lots, update.receive_ns) == (UNCHANGED, 0, 7)
