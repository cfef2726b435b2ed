"""The venues against the local venue on loopback: started, driven and looked at as a driver does it."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from types import SimpleNamespace

import anyio
import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.orders import Fill, OpenOrdersReport, OrderStatus, OrderUpdate, Request, Submit, VenueStatus
from mmframe.errors import MmframeError
from mmframe.plugin import Secret
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import approve, build_context, make_instrument
from mmframe_binance import plugin
from mmframe_localvenue import AccountSetup, ApiKey, LocalVenue, MarketSetup, Permission, VenueSetup

PATIENCE_S = 15
LOOK_S = 0.005
KEY = ApiKey("key-0123456789", "secret-abcdefghij")
DIALECTS = {"spot": "binance-spot", "usdm": "binance-usdm"}
KINDS = {"spot": InstrumentKind.SPOT, "usdm": InstrumentKind.LINEAR}
LOT = Decimal("0.001")
MARKET = MarketSetup(lot_size=LOT, min_size=LOT)
SPECS = {spec.name: spec for spec in plugin.VENUES}


def options_for(product, local, **values):
    sockets = {"spot": {"ws_api_url": local.ws_api_url}, "usdm": {"stream_url": local.stream_url}}
    given = {
        "api_key": Secret(KEY.key, "test"),
        "api_secret": Secret(KEY.secret, "test"),
        "rest_url": local.rest_url,
        **sockets[product],
        **values,
    }
    return SPECS[product].options(**given)


class Run:
    """A venue that runs, and everything that it told, in order."""

    def __init__(self, venue, local, instruments):
        self.venue = venue
        self.local = local
        self.instruments = instruments
        self.clock = SystemClock()
        self.events = []
        self.failure = None
        self._news = anyio.Event()
        self._number = 0

    def notify(self):
        self._news.set()

    async def until(self, is_so, what=""):
        with anyio.move_on_after(PATIENCE_S):
            while True:
                self.events += self.venue.poll(self.clock.now_ns())
                if is_so():
                    return
                if self.failure is not None:
                    raise self.failure
                self._news = anyio.Event()
                with anyio.move_on_after(LOOK_S):
                    await self._news.wait()
        pytest.fail(f"expected {what or 'it to happen'}, was {self.events[-6:]}")

    async def until_told(self, is_so):
        """Wait without taking what the venue tells."""
        with anyio.fail_after(PATIENCE_S):
            while not is_so():
                self._news = anyio.Event()
                await self._news.wait()

    @property
    def is_up(self):
        said = [event.is_up for event in self.events if isinstance(event, VenueStatus)]
        return bool(said) and said[-1]

    async def up(self):
        await self.until(lambda: self.is_up, "the venue to be up")

    async def down(self):
        await self.until(lambda: not self.is_up, "the venue to be down")

    def send(self, action):
        self.venue.execute(approve(action), self.clock.now_ns())

    def submit(self, *, side=Side.BUY, price="49000", lots=10, client_id="", **more):
        self._number += 1
        client_id = client_id or f"mm-test-0-{self._number}"
        action = Submit(0, client_id, side, self.instruments[0].price_ticks(price), lots, **more)
        self.send(action)
        return action

    async def rest(self, **order):
        action = self.submit(**order)
        await self.update(action.client_id, OrderStatus.OPEN)
        return action

    def updates(self, client_id):
        return [each for each in self.events if isinstance(each, OrderUpdate) and each.client_id == client_id]

    def statuses(self, client_id):
        return [each.status for each in self.updates(client_id)]

    def fills(self, client_id=None):
        fills = [each for each in self.events if isinstance(each, Fill)]
        return [each for each in fills if client_id in {None, each.client_id}]

    def filled_lots(self, client_id=None):
        return sum(each.size_lots for each in self.fills(client_id))

    def reports(self):
        return [each for each in self.events if isinstance(each, OpenOrdersReport)]

    async def update(self, client_id, status, request: Request | None = None):
        def found():
            return [
                each for each in self.updates(client_id) if each.status is status and request in {None, each.request}
            ]

        await self.until(lambda: bool(found()), f"{client_id} {status.value} {request}")
        return found()[0]

    async def answer(self, client_id, request):
        await self.until(
            lambda: any(each.request is request for each in self.updates(client_id)), f"an answer to {request.value}"
        )
        return next(each for each in self.updates(client_id) if each.request is request)

    def changed_info(self, *, tick_size):
        """Return `exchangeInfo` of the market with another tick."""
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": tick_size},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.00100000"},
        ]
        names = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
        return {**names, "filters": filters, "amendAllowed": True, "cancelReplaceAllowed": True}

    @property
    def switched(self):
        """Return how often the dead-man switch was set."""
        return len(self.local.god.requests_of("dead-man"))

    @property
    def _user_data(self):
        return self.local._dialect._sockets.owner_of_key.__self__

    def expire_listen_key(self):
        """End the listen key as its hour does: told, and gone."""
        user_data, account = self._user_data, self.local.god.account()
        user_data.tell(account, {"e": "listenKeyExpired", "E": 1, "listenKey": user_data._keys[account.name]})
        user_data.close_key(account)

    def listen_keys(self):
        return list(self._user_data._keys.values())

    async def quiet(self, rounds=20):
        """Give what must not come some rounds to come."""
        for _ in range(rounds):
            await anyio.sleep(LOOK_S)
            self.events += self.venue.poll(self.clock.now_ns())


@contextlib.asynccontextmanager
async def local_venue(product, *, markets=(MARKET,), account=None, **setup):
    account = account or AccountSetup(keys=(KEY,))
    made = VenueSetup(dialect=DIALECTS[product], markets=markets, accounts=(account,), **setup)
    async with LocalVenue(made) as local:
        yield local


@contextlib.asynccontextmanager
async def running(product, local, *, instruments=None, wait=True, removes_only=False, **values):
    """Run a venue against a local one; yields once it is up unless told not to wait."""
    if instruments is None:
        instruments = tuple(market.instrument(KINDS[product]) for market in local.setup.markets)
    clock = SystemClock()
    context = build_context(instruments=instruments, mode=Mode.LIVE, clock=clock)
    context = attrs.evolve(context, removes_only=removes_only)
    venue = SPECS[product].build(options_for(product, local, **values), context)
    run = Run(venue, local, instruments)
    failures = []

    async def serve():
        try:
            await venue.run(run.notify)
        except Exception as error:  # noqa: BLE001 - looked at by the test
            run.failure = first_expected(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            if wait:
                await run.up()
            yield run
        except BaseException as error:  # noqa: BLE001 - raised again below, outside of the group
            failures.append(error)
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]


@contextlib.asynccontextmanager
async def on_spot(**values):
    async with local_venue("spot") as local, running("spot", local, **values) as run:
        yield run


@contextlib.asynccontextmanager
async def on_usdm(**values):
    async with local_venue("usdm") as local, running("usdm", local, **values) as run:
        yield run


def instrument(symbol="BTC/USDT", *, tick_size="0.01", lot_size="0.001"):
    return make_instrument(symbol, tick_size=tick_size, lot_size=lot_size)


def market(symbol, *, price):
    return MarketSetup(symbol=symbol, price=Decimal(price), lot_size=LOT, min_size=LOT)


def ed25519_pair():
    """Return a new key: the raw public part, and the private one in PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), private


def watch_signatures(venue):
    """Return the list to which every signature is added as it is made."""
    made = []
    sign = venue._client._signer

    def signer(payload):
        made.append(sign(payload))
        return made[-1]

    venue._client._signer = signer
    return made


def first_expected(error):
    pending = [error]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending.extend(each.exceptions)
        elif isinstance(each, MmframeError):
            return each
    return error


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def rig():
    """Return what tests of a running venue need."""
    return SimpleNamespace(
        KEY=KEY,
        MARKET=MARKET,
        SPECS=SPECS,
        local_venue=local_venue,
        spot=on_spot,
        usdm=on_usdm,
        instrument=instrument,
        market=market,
        ed25519_pair=ed25519_pair,
        watch_signatures=watch_signatures,
        running=running,
        options_for=options_for,
        first_expected=first_expected,
        AccountSetup=AccountSetup,
        ApiKey=ApiKey,
        Permission=Permission,
    )
