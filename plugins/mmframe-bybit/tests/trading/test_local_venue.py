"""The kit's cases of live venues, against a venue that speaks the same protocol and was written by others."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.domain.orders import Request
from mmframe.plugin import Secret
from mmframe.testing import make_instrument
from mmframe.testing.conformance import LiveVenueConformance
from mmframe_bybit.plugin import VENUES

localvenue = pytest.importorskip("mmframe_localvenue")
if "bybit" not in localvenue.DIALECTS:
    pytest.skip("this local venue does not speak bybit", allow_module_level=True)

KEY = localvenue.ApiKey("key-0123456789", "secret-abcdefghij")
LOT = Decimal("0.001")
OPERATIONS = {
    Request.SUBMIT: "order.place",
    Request.AMEND: "order.amend",
    Request.CANCEL: "order.cancel",
    Request.QUERY: "order.status",
}


class Peer:
    """The local venue, as the kit moves it."""

    secrets = (KEY.secret, KEY.key)
    bid_ticks = 49_800 * 100
    ask_ticks = 50_200 * 100
    order_lots = 10

    def __init__(self, local, options, kind):
        self.local = local
        self.options = options
        self.symbol = f"BTC/USDT:{kind}"

    def open_ids(self):
        return {order.client_id for order in self.local.god.open_orders(self.symbol)}

    def accepted(self, client_id):
        return len(self.local.god.orders_of(client_id))

    def filled_lots(self, client_id):
        return sum(order.filled_lots for order in self.local.god.orders_of(client_id))

    def trade_against(self, client_id, lots):
        self.local.god.trade_against(client_id, lots)

    def cancel(self, client_id):
        self.local.god.cancel(client_id)

    def place_foreign(self):
        from mmframe_localvenue.core.orders import Ticket

        ticket = Ticket(Side.BUY, self.order_lots, self.bid_ticks - 100, "by-hand-1", labels={"link": "by-hand-1"})
        exchange = self.local.core.exchange
        return exchange.place(self.local.god.account(), self.local.market(self.symbol), ticket).client_id

    def lose_reply(self, request):
        self.local.faults.next(OPERATIONS[request], localvenue.Fault.LOST_REPLY)

    def lose_request(self, request):
        self.local.faults.next(OPERATIONS[request], localvenue.Fault.LOST_REQUEST)

    def answer_unclear(self, request, *, is_done):
        fault = localvenue.Fault.UNKNOWN_DONE if is_done else localvenue.Fault.UNKNOWN_NOT_DONE
        self.local.faults.next(OPERATIONS[request], fault)

    def cut_private_stream(self):
        self.local.faults.lose(localvenue.Role.PRIVATE)

    def heal(self):
        self.local.faults.heal()


class Kit(LiveVenueConformance):
    """What both categories have in common."""

    kind = InstrumentKind.LINEAR
    order_entry = "websocket"
    instruments = (make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001"),)

    @contextlib.asynccontextmanager
    async def peer(self):
        setup = localvenue.VenueSetup(
            dialect="bybit",
            markets=(localvenue.MarketSetup(kind=self.kind, lot_size=LOT, min_size=LOT),),
            accounts=(localvenue.AccountSetup(keys=(KEY,)),),
        )
        async with localvenue.LocalVenue(setup) as local:
            options = self.spec.options(
                api_key=Secret(KEY.key, "test"),
                api_secret=Secret(KEY.secret, "test"),
                order_entry=self.order_entry,
                rest_url=local.rest_url,
                private_stream_url=local.private_url,
                trade_stream_url=local.ws_api_url,
                request_timeout_s=1.0,
            )
            yield Peer(local, options, self.kind.value)


class TestLinear(Kit):
    spec = VENUES[1]


class TestLinearOverHttp(TestLinear):
    order_entry = "rest"


class TestSpot(Kit):
    spec = VENUES[0]
    kind = InstrumentKind.SPOT


del Kit
