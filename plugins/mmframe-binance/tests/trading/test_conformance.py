"""The kit's cases of live venues, against the local venue."""

from __future__ import annotations

import contextlib
from decimal import Decimal

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.domain.orders import Request
from mmframe.plugin import Secret
from mmframe.testing import make_instrument
from mmframe.testing.conformance import LiveVenueConformance
from mmframe_binance import plugin
from mmframe_localvenue import AccountSetup, ApiKey, Fault, LocalVenue, MarketSetup, Role, VenueSetup
from mmframe_localvenue.core.orders import Ticket

KEY = ApiKey("key-0123456789", "secret-abcdefghij")
LOT = Decimal("0.001")
SPECS = {spec.name: spec for spec in plugin.VENUES}
OPERATIONS = {Request.SUBMIT: "order.place", Request.CANCEL: "order.cancel", Request.QUERY: "order.status"}


class Peer:
    """The local venue, as the kit moves it."""

    secrets = (KEY.secret, KEY.key)
    bid_ticks = 4_900_000
    ask_ticks = 5_100_000
    order_lots = 10

    def __init__(self, local, options, role):
        self.local = local
        self.options = options
        self.role = role

    def open_ids(self):
        return {order.client_id for order in self.local.god.open_orders("BTC/USDT")}

    def accepted(self, client_id):
        return len(self.local.god.orders_of(client_id))

    def filled_lots(self, client_id):
        return sum(order.filled_lots for order in self.local.god.orders_of(client_id))

    def trade_against(self, client_id, lots):
        self.local.god.trade_against(client_id, lots)

    def cancel(self, client_id):
        self.local.god.cancel(client_id)

    def place_foreign(self):
        core = self.local.core
        ticket = Ticket(
            Side.BUY, self.order_lots, self.bid_ticks - 100, "by-hand-1", labels={"type": "LIMIT", "timeInForce": "GTC"}
        )
        return core.exchange.place(self.local.god.account(), self.local.market("BTC/USDT"), ticket).client_id

    def lose_reply(self, request):
        self.local.faults.next(OPERATIONS[request], Fault.LOST_REPLY)

    def lose_request(self, request):
        self.local.faults.next(OPERATIONS[request], Fault.LOST_REQUEST)

    def answer_unclear(self, request, *, is_done):
        self.local.faults.next(OPERATIONS[request], Fault.UNKNOWN_DONE if is_done else Fault.UNKNOWN_NOT_DONE)

    def cut_private_stream(self):
        self.local.faults.lose(self.role)

    def heal(self):
        self.local.faults.heal()


class Kit(LiveVenueConformance):
    """What both products have in common."""

    product = ""
    role = Role.API
    instruments = (make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001"),)

    @contextlib.asynccontextmanager
    async def peer(self):
        setup = VenueSetup(
            dialect=f"binance-{self.product}",
            markets=(MarketSetup(lot_size=LOT, min_size=LOT, min_notional=Decimal(5)),),
            accounts=(AccountSetup(keys=(KEY,)),),
        )
        async with LocalVenue(setup) as local:
            yield Peer(local, self.made_options(local), self.role)

    def made_options(self, local):
        raise NotImplementedError


class TestSpot(Kit):
    """Spot over the websocket API."""

    spec = SPECS["spot"]
    product = "spot"

    def made_options(self, local):
        return self.spec.options(
            api_key=Secret(KEY.key, "test"),
            api_secret=Secret(KEY.secret, "test"),
            rest_url=local.rest_url,
            ws_api_url=local.ws_api_url,
            request_timeout_s=1.0,
        )


class TestSpotOverRest(TestSpot):
    """Spot over REST."""

    def made_options(self, local):
        import attrs

        return attrs.evolve(super().made_options(local), order_entry="rest")


class TestUsdm(Kit):
    """USD-M futures."""

    spec = SPECS["usdm"]
    product = "usdm"
    role = Role.PRIVATE
    instruments = (make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001", kind=InstrumentKind.LINEAR),)

    def made_options(self, local):
        return self.spec.options(
            api_key=Secret(KEY.key, "test"),
            api_secret=Secret(KEY.secret, "test"),
            rest_url=local.rest_url,
            stream_url=local.stream_url,
            request_timeout_s=1.0,
        )


del Kit
