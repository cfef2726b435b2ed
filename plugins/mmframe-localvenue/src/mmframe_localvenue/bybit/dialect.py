"""Bybit v5 as one dialect: everything put together on one port."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import anyio
from aiohttp import web

from mmframe.domain.instrument import InstrumentKind
from mmframe_localvenue.bybit.dead_man import DeadMan
from mmframe_localvenue.bybit.ledger import Ledger
from mmframe_localvenue.bybit.limits import Limits
from mmframe_localvenue.bybit.market_data import MarketData
from mmframe_localvenue.bybit.news import News
from mmframe_localvenue.bybit.orders import OrderDesk
from mmframe_localvenue.bybit.private import PrivateSockets
from mmframe_localvenue.bybit.public import PublicSockets
from mmframe_localvenue.bybit.queries import Queries
from mmframe_localvenue.bybit.rest import Rest
from mmframe_localvenue.bybit.service import Service
from mmframe_localvenue.bybit.trade import TradeSockets
from mmframe_localvenue.core import Urls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe_localvenue.core import Core

__all__ = ["BybitDialect"]


class BybitDialect:
    """Spot and linear of Bybit v5; a market that does not say its kind is linear.

    `LocalVenue.stream_url` is the base of the public streams: append `/spot` or `/linear`. What the matching engine did
    comes on the private stream after the reply to the request; `Fault.LATE_REPLY` on the request turns that round,
    `Fault.LATE` on `user-stream` draws it out.

    Args:
        core: The venue.
    """

    kind: ClassVar[InstrumentKind] = InstrumentKind.LINEAR
    order_limits: ClassVar[tuple[tuple[int, int], ...]] = ()

    def __init__(self, core: Core) -> None:
        ledger = Ledger(core.exchange)
        limits = Limits(core.setup, core.clock)
        self._news = News(core, ledger)
        desk = OrderDesk(core.exchange, ledger, self._news)
        dead_man = DeadMan(core, desk)
        self._public = PublicSockets(core)
        service = Service(
            core,
            market_data=MarketData(core.exchange, desk, self._public.book_id),
            desk=desk,
            queries=Queries(core.exchange, ledger, desk, dead_man),
            ledger=ledger,
            limits=limits,
        )
        self._rest = Rest(core, service, limits)
        self._private = PrivateSockets(core, self._news, dead_man)
        self._trade = TradeSockets(core, service, limits)
        core.faults.on_restart += [self._public.restart, ledger.restart]

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Return the HTTP and websocket routes."""
        return [
            web.get("/v5/public/{category:spot|linear}", self._public.handle),
            web.get("/v5/private", self._private.handle),
            web.get("/v5/trade", self._trade.handle),
            *self._rest.routes(),
        ]

    def urls(self, host: str) -> Urls:
        """Return its addresses."""
        return Urls(
            rest=f"http://{host}",
            stream=f"ws://{host}/v5/public",
            ws_api=f"ws://{host}/v5/trade",
            private=f"ws://{host}/v5/private",
        )

    async def run(self) -> None:
        """Publish books and news until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._public.run)
            tasks.start_soon(self._news.run)
