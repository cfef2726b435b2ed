"""Whatever happens, neither secret nor key nor signature is written anywhere."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, CancelAll, QueryOpenOrders, QueryOrder, Submit, VenueStatus
from mmframe.errors import VenueError

KEY = "test-key-0001"
SECRET = "canary-5f2b9c"
SIGNATURE = "0123456789abcdef" * 4


class Signatures:
    """Every signature that reaches the exchange."""

    def __init__(self, exchange):
        self.seen = set()
        check, login = exchange._check, exchange._login_problem
        exchange._check = lambda method, parts, headers, body: (
            self.seen.add(headers.get("x-bapi-sign", "")) or check(method, parts, headers, body)
        )
        exchange._login_problem = lambda request: self.seen.add(request["args"][2]) or login(request)


def written(trader, logs, *more):
    """Return everything that was logged, told or can be shown."""
    records = [logging.Formatter("%(message)s").format(record) + repr(record.__dict__) for record in logs.records]
    values = [repr(event) + json.dumps(str(event)) for event in trader.events]
    running = trader.venue._running
    shown = [repr(trader.venue), repr(vars(trader.venue)), repr(trader.venue._options), repr(running)]
    return "\n".join([*records, *values, *shown, *more])


async def test_orders_errors_and_reconnects_show_nothing(exchange, trader_of, logs):
    signatures = Signatures(exchange)
    trader = trader_of()
    quoting_key = f"key {KEY} and signature {SIGNATURE} are wrong"

    async with trader.running():
        trader.do(Submit(0, "mm-t-0-1", Side.BUY, 200, 10))
        await trader.until(lambda: trader.updates)
        for answer in (10016, 110007, 10002, (500, quoting_key.encode()), (403, quoting_key.encode())):
            exchange.script["/v5/order/realtime"].append(answer)
            exchange.script["order.amend"].append(answer if isinstance(answer, int) else 987654)
        trader.do(QueryOrder(0, "mm-t-0-1"), Amend(0, "mm-t-0-1", 198, 8, 0), Cancel(0, "mm-t-0-2"))
        trader.do(QueryOpenOrders(0), CancelAll(0, "halt"))
        await exchange.push_raw(quoting_key)
        await exchange.push_raw(json.dumps({"topic": "order.linear", "data": [{"orderId": quoting_key}]}))
        for connection in (*exchange.private, *exchange.trade):
            connection.transport.abort()
        exchange.refuses_login = quoting_key
        await trader.until(lambda: trader.of(VenueStatus)[-1].is_up is False)
        await trader.settle(step_s=0.5, rounds=100)
        text = written(trader, logs)

    signatures.seen.discard("")
    assert len(signatures.seen) > 10
    assert logs.records
    assert [word for word in (KEY, SECRET, SIGNATURE, *signatures.seen) if word in text] == []


@pytest.mark.parametrize("what", ["login", "code", "status"])
async def test_errors_that_end_the_run_show_nothing(exchange, trader_of, logs, what):
    quoting_key = f"key {KEY} and signature {SIGNATURE} are wrong"
    if what == "login":
        exchange.refuses_login = quoting_key
    elif what == "code":
        body = json.dumps({"retCode": 10003, "retMsg": quoting_key, "result": {}})
        exchange.script["/v5/account/info"].append((200, body.encode()))
    else:
        exchange.script["/v5/account/info"].append((401, quoting_key.encode()))
    trader = trader_of()

    with pytest.raises(VenueError) as caught:
        await trader.venue.run(lambda: None)

    text = written(trader, logs, "".join(traceback.format_exception(caught.value)), repr(caught.value))
    assert [word for word in (KEY, SECRET, SIGNATURE) if word in text] == []


async def test_no_key_leaves_for_a_place_that_needs_none(exchange, trader_of):
    heads = []
    check = exchange._check
    exchange._check = lambda method, parts, headers, body: (
        heads.append((parts.path, headers)) or check(method, parts, headers, body)
    )
    trader = trader_of()

    async with trader.running():
        pass

    public = [headers for path, headers in heads if path.startswith("/v5/market/")]
    assert public
    assert not any("x-bapi-api-key" in headers for headers in public)
    assert not any(KEY in headers.values() for headers in public)


async def test_options_show_nothing(venue_options):
    options = venue_options()

    assert KEY not in repr(options)
    assert SECRET not in repr(options)
