"""The local venue as the peer of drills: what can be made to go wrong at it, by name."""

from __future__ import annotations

import contextlib
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

from mmframe.domain.instrument import InstrumentKind
from mmframe.errors import DomainError, UsageError
from mmframe.plugin import ComponentKind
from mmframe.testing.drill import Drill
from mmframe_localvenue.core import (
    AccountSetup,
    ApiKey,
    CrowdSetup,
    Fault,
    LocalVenue,
    MarketSetup,
    Role,
    VenueSetup,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from mmframe.domain.instrument import Instrument
    from mmframe_localvenue.core import VenueOrder

__all__ = ["DRILLS", "KEY", "KEY_OPTIONS", "SECRET", "LocalPeer", "dialect_of", "open_local_peer", "options_for"]

KEY = "drill-key"
SECRET = "drill-secret"  # noqa: S105 - made up; it opens nothing outside of the drill's own venue

KEY_OPTIONS = {"api_key": {"env": "MMFRAME_DRILL_KEY"}, "api_secret": {"env": "MMFRAME_DRILL_SECRET"}}
"""What stands in for a strategy's own keys; the variables hold `KEY` and `SECRET`."""

_DIALECTS = {
    "binance/spot": "binance-spot",
    "binance/usdm": "binance-usdm",
    "bybit/spot": "bybit",
    "bybit/linear": "bybit",
}
_RICH = Decimal(10) ** 9
_OUTAGE_S = 2.0
"""Long enough to be noticed by everything that has no timeout of its own."""
_SKEW_S = 6.0
_SERVICE_RESTART = 1012
_LATE_S = 5.0
_CROWD_SIZE = 20
"""Median order of the crowd, in the market's smallest orders."""
_TRADE_EVERY_S = 0.1


def dialect_of(use: str) -> str:
    """Return which exchange's protocols a venue such as `binance/spot` needs.

    Raises:
        UsageError: If the local venue does not speak them.
    """
    if use not in _DIALECTS:
        msg = (
            f"venue {use!r}: expected one of {', '.join(sorted(_DIALECTS))}: the local venue speaks no other protocols"
        )
        raise UsageError(msg)
    return _DIALECTS[use]


def options_for(use: str, venue: LocalVenue) -> dict[ComponentKind, dict[str, Any]]:
    """Return the options that point a feed and a venue at a local venue: addresses, key, and short timeouts.

    Args:
        use: Of the venue, such as `binance/spot`.
        venue: The open local venue.
    """
    feed: dict[str, Any] = {"environment": "live", "stream_url": venue.stream_url}
    trading: dict[str, Any] = {"environment": "live", "rest_url": venue.rest_url, **KEY_OPTIONS}
    if use == "binance/spot":
        feed["rest_url"] = venue.rest_url
        trading["ws_api_url"] = venue.ws_api_url
    elif use == "binance/usdm":
        feed["rest_url"] = venue.rest_url
        trading["stream_url"] = venue.stream_url
    else:
        feed["stream_url"] = f"{venue.stream_url}/{use.partition('/')[2]}"
        trading |= {"private_stream_url": venue.private_url, "trade_stream_url": venue.ws_api_url}
    trading |= {"request_timeout_s": 3.0, "recv_window_ms": 3000}
    return {ComponentKind.FEED: feed, ComponentKind.VENUE: trading}


class LocalPeer:
    """A local venue as drills see it.

    Args:
        venue: The open venue.
        instruments: The strategy's markets, in its order.
        use: The strategy's venue, such as `binance/spot`.
    """

    def __init__(self, venue: LocalVenue, instruments: Sequence[Instrument], use: str) -> None:
        self.venue = venue
        self.use = use
        self._instruments = tuple(instruments)
        self._symbols = tuple(instrument.symbol for instrument in instruments)

    def open_orders(self, market: int) -> dict[str, tuple[int, int]]:
        """Return price and open size of the account's open orders by client id."""
        return {order.client_id: (order.price_ticks, order.leaves_lots) for order in self._open(market)}

    def accepted(self) -> dict[str, int]:
        """Return how many orders were ever accepted under each client id."""
        return dict(Counter(order.client_id for order in self.venue.god.orders()))

    def net_lots(self, market: int) -> int:
        """Return the signed sum of the account's executions."""
        return self.venue.god.net_lots(self._symbols[market])

    def position_lots(self, market: int) -> int | None:
        """Return the account's position, or None on a spot market."""
        if self.use in {"binance/spot", "bybit/spot"}:
            return None
        position = self.venue.god.position(self._symbols[market])
        return 0 if position is None else position.size_lots

    async def inject(self, name: str) -> None:
        """Let a drill's fault happen, and return when it has."""
        _, _, act = _ACTS[name]
        await act(self)

    def heal(self) -> None:
        """Let everything work again."""
        self.venue.faults.heal()

    # What drills are made of

    async def request_fault(self, fault: Fault, *operations: str, **figures: Any) -> None:
        """Let the next request of one of these operations meet a fault; trade until there is one."""
        used = [self.venue.faults.next(operation, fault, **figures) for operation in operations]
        while not any(injection.used for injection in used):
            self.trade(is_whole=True)
            await anyio.sleep(_TRADE_EVERY_S)
        await anyio.sleep(_OUTAGE_S)

    async def stream_fault(self, fault: Fault, operation: str = "depth") -> None:
        """Let the next message of a stream meet a fault."""
        injection = self.venue.faults.next(operation, fault)
        await injection.happened()
        await anyio.sleep(_OUTAGE_S)

    async def outage(self, begin: Callable[[], object]) -> None:
        """Let something be away for a while, with executions in between that nobody can tell."""
        begin()
        await anyio.sleep(_OUTAGE_S / 2)
        self.trade()
        await anyio.sleep(_OUTAGE_S / 2)

    def trade(self, *, is_whole: bool = False) -> None:
        """Let strangers trade with an order of ours in each market: with the least there is, or with all of it."""
        for market in range(len(self._symbols)):
            mine = self._open(market)
            if mine:
                order = min(mine, key=lambda each: each.order_id)
                least = min(order.leaves_lots, self._instruments[market].min_size_lots)
                with contextlib.suppress(DomainError):
                    # It may have ended just now; the next round finds another.
                    self.venue.god.trade_against(order.client_id, order.leaves_lots if is_whole else least)

    def _open(self, market: int) -> list[VenueOrder]:
        return self.venue.god.open_orders(self._symbols[market])


def _requests(fault: Fault, *operations: str, **figures: Any) -> Callable[[LocalPeer], Awaitable[None]]:
    return lambda peer: peer.request_fault(fault, *operations, **figures)


def _stream(fault: Fault, operation: str = "depth") -> Callable[[LocalPeer], Awaitable[None]]:
    return lambda peer: peer.stream_fault(fault, operation)


def _outage(begin: Callable[[LocalVenue], object]) -> Callable[[LocalPeer], Awaitable[None]]:
    return lambda peer: peer.outage(lambda: begin(peer.venue))


async def _gap_without_snapshots(peer: LocalPeer) -> None:
    """A gap, and a server that does not answer the request for the snapshot."""
    peer.venue.faults.next("depth", Fault.UNKNOWN_NOT_DONE, count=2)
    await peer.stream_fault(Fault.GAP)


async def _private(peer: LocalPeer, fault: Fault) -> None:
    """The next message of the private stream meets a fault; executions make one."""
    injection = peer.venue.faults.next("user-stream", fault)
    while not injection.used:
        peer.trade()
        await anyio.sleep(_TRADE_EVERY_S)
    await anyio.sleep(_OUTAGE_S)


_CHANGES = ("order.replace", "order.amend", "order.cancel")

_ACTS: Mapping[str, tuple[str, bool, Callable[[LocalPeer], Awaitable[None]]]] = {
    # Name: what goes wrong; whether it is on market data; how it is made to happen.
    "lost-reply": (
        "An order is placed and the answer never comes.",
        False,
        _requests(Fault.LOST_REPLY, "order.place"),
    ),
    "lost-request": ("An order is lost on its way.", False, _requests(Fault.LOST_REQUEST, "order.place")),
    "late-reply": (
        "An order is placed at once and answered late.",
        False,
        _requests(Fault.LATE_REPLY, "order.place", delay_s=_LATE_S),
    ),
    "late-request": (
        "An order is held back and arrives after everybody has given up on it.",
        False,
        _requests(Fault.LATE_REQUEST, "order.place", delay_s=_LATE_S),
    ),
    "unknown-done": (
        "The venue answers that it does not know; the order is there.",
        False,
        _requests(Fault.UNKNOWN_DONE, "order.place"),
    ),
    "unknown-not-done": (
        "The venue answers that it does not know; the order is not there.",
        False,
        _requests(Fault.UNKNOWN_NOT_DONE, "order.place"),
    ),
    "lost-change-reply": (
        "A cancel, amend or replace is done and never answered.",
        False,
        _requests(Fault.LOST_REPLY, *_CHANGES),
    ),
    "lost-change": (
        "A cancel, amend or replace is lost on its way.",
        False,
        _requests(Fault.LOST_REQUEST, *_CHANGES),
    ),
    "throttled": (
        "Orders are refused as too many.",
        False,
        _requests(Fault.THROTTLED, "order.place", count=2, retry_after_s=1),
    ),
    "banned": (
        "The address is banned for two seconds.",
        False,
        _requests(Fault.BANNED, "order.place", retry_after_s=2),
    ),
    "web-page": ("A proxy answers with a web page.", False, _requests(Fault.HTML, "order.place", *_CHANGES)),
    "corrupt-answer": ("The answer to an order breaks off.", False, _requests(Fault.CORRUPT, "order.place")),
    "private-lost": (
        "The private stream is gone while public data live on.",
        False,
        _outage(lambda venue: venue.faults.lose(Role.PRIVATE)),
    ),
    "private-cut": ("The private stream is cut.", False, _outage(lambda venue: venue.faults.cut(Role.PRIVATE))),
    "private-corrupt": (
        "A message of the private stream breaks off.",
        False,
        lambda peer: _private(peer, Fault.CORRUPT),
    ),
    "private-gap": (
        "A message of the private stream never comes.",
        False,
        lambda peer: _private(peer, Fault.GAP),
    ),
    "private-duplicate": (
        "A message of the private stream comes twice.",
        False,
        lambda peer: _private(peer, Fault.DUPLICATE),
    ),
    "trade-socket-cut": (
        "The socket that takes orders is cut.",
        False,
        _outage(lambda venue: venue.faults.cut(Role.API)),
    ),
    "everything-cut": ("Every socket is cut at once.", True, _outage(lambda venue: venue.faults.cut())),
    "service-restart": (
        "The venue closes every socket with code 1012.",
        True,
        _outage(lambda venue: venue.faults.close(_SERVICE_RESTART)),
    ),
    "market-data-lost": (
        "Public data are gone while the private stream lives.",
        True,
        _outage(lambda venue: venue.faults.lose(Role.MARKET)),
    ),
    "stale-data": (
        "Public data stop while their connection lives.",
        True,
        _outage(lambda venue: venue.faults.hold_data(Role.MARKET)),
    ),
    "sequence-gap": ("A message of the book is missing.", True, _stream(Fault.GAP)),
    "gap-without-snapshot": (
        "A message of the book is missing, and the first requests for a snapshot fail.",
        True,
        _gap_without_snapshots,
    ),
    "duplicate": ("A message of the book comes twice.", True, _stream(Fault.DUPLICATE)),
    "reorder": ("Two messages of the book change places.", True, _stream(Fault.REORDER)),
    "corrupt-frame": ("A message of the book breaks off.", True, _stream(Fault.CORRUPT)),
    "huge-frame": ("A message of 32 MiB comes.", True, _stream(Fault.HUGE)),
    "nested-frame": ("A message of 100,000 nested lists comes.", True, _stream(Fault.NESTED)),
    "clock-skew": (
        "The venue's clock is six seconds ahead for two seconds.",
        False,
        _outage(lambda venue: venue.faults.skew_clock(_SKEW_S)),
    ),
}

DRILLS: tuple[Drill, ...] = tuple(
    Drill(name, summary, is_on_market_data) for name, (summary, is_on_market_data, _) in _ACTS.items()
)
"""Everything that can be made to go wrong."""


@contextlib.asynccontextmanager
async def open_local_peer(
    use: str, instruments: Sequence[Instrument], prices: Mapping[str, Decimal], *, seed: int = 1
) -> AsyncIterator[LocalPeer]:
    """Open a local venue with the strategy's markets, a lively crowd and one rich account.

    Args:
        use: The strategy's venue, such as `binance/spot`.
        instruments: Its markets.
        prices: Where each market begins, by symbol.
        seed: Of the crowd.
    """
    # An exchange that trades both kinds under one roof has to be told which of them is meant.
    kind = InstrumentKind.SPOT if use.endswith("/spot") else None
    markets = tuple(_market(instrument, prices[instrument.symbol], kind) for instrument in instruments)
    assets = {asset for instrument in instruments for asset in (instrument.base, instrument.quote)}
    account = AccountSetup(keys=(ApiKey(KEY, SECRET),), balances=dict.fromkeys(sorted(assets), _RICH))
    setup = VenueSetup(dialect=dialect_of(use), markets=markets, accounts=(account,), seed=seed)
    async with LocalVenue(setup) as venue:
        yield LocalPeer(venue, instruments, use)


def _market(instrument: Instrument, price: Decimal, kind: InstrumentKind | None) -> MarketSetup:
    crowd = CrowdSetup(
        volatility_bps_per_sqrt_s=3.0,
        noise_takers_per_s=1.0,
        informed_takers_per_s=1.0,
        typical_size=instrument.size(instrument.min_size_lots) * _CROWD_SIZE,
    )
    return MarketSetup(
        symbol=instrument.symbol,
        kind=kind,
        price=price // instrument.tick_size * instrument.tick_size,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        min_price=instrument.tick_size,
        max_price=instrument.tick_size * (price // instrument.tick_size) * 10,
        min_size=instrument.lot_size * instrument.min_size_lots,
        max_size=instrument.lot_size * 10**9,
        min_notional=instrument.min_notional_quote or instrument.tick_size * instrument.lot_size,
        crowd=crowd,
    )
