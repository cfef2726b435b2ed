"""A rig that drives the simulated venue as the driver on virtual time does, with the reference book beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from mmframe.builtin.simulated import VENUES
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.domain.orders import Action, Cancel, Fill, OrderUpdate, Submit, TimeInForce
from mmframe.testing import approve, build_component, make_instrument, make_options
from mmframe.testing.reference import ReferenceBook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import VenueEvent

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000

NO_LATENCY = {"feed_latency_ms": 0.0, "order_latency_ms": 0.0}


class Rig:
    """One venue, one market or more, one clock. Ticks and lots throughout."""

    def __init__(self, *, instruments: tuple[Instrument, ...] | None = None, seed: int = 1, **options: Any) -> None:
        grids = instruments or (make_instrument(tick_size="0.01", lot_size="0.001"),)
        values = NO_LATENCY | {"maker_fee_bps": Decimal(0), "taker_fee_bps": Decimal(0)} | options
        self.venue = build_component(VENUES[0], make_options(VENUES[0], values), instruments=grids, seed=seed)
        self.books = [ReferenceBook() for _ in grids]
        self.now_ns = START_NS
        self.events: list[VenueEvent] = []

    def send(self, action: Action) -> None:
        """Send an action now; poll, so that without latency its answer is there."""
        self.venue.execute(approve(action), self.now_ns)
        self._poll()

    def submit(
        self,
        client_id: str,
        side: Side,
        ticks: int,
        lots: int,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        is_post_only: bool = True,
        market: int = 0,
    ) -> None:
        self.send(Submit(market, client_id, side, ticks, lots, time_in_force, is_post_only))

    def take(self, client_id: str, side: Side, ticks: int, lots: int, time_in_force: TimeInForce) -> None:
        self.submit(client_id, side, ticks, lots, time_in_force=time_in_force, is_post_only=False)

    def cancel(self, client_id: str) -> None:
        self.send(Cancel(0, client_id))

    def message(
        self,
        kind: MessageKind,
        changes: Iterable[tuple[int, int, int]] = (),
        *,
        after_ms: float = 1.0,
        exchange_ns: int | None = None,
        market: int = 0,
    ) -> None:
        """Receive a message `after_ms` from now; what was due before comes first."""
        receive_ns = self.now_ns + round(after_ms * MS)
        self.advance_to(receive_ns)
        batch = MarketBatch(market)
        batch.add(
            kind, exchange_ns=receive_ns if exchange_ns is None else exchange_ns, receive_ns=receive_ns, changes=changes
        )
        book = self.books[market]
        if kind == MessageKind.SNAPSHOT:
            book.clear()
        if kind in {MessageKind.SNAPSHOT, MessageKind.DELTA}:
            book.apply(batch.sides, batch.ticks, batch.lots, 0, len(batch.ticks))
        self.venue.observe(batch, 0, book)
        self._poll()

    def snapshot(self, bids: dict[int, int], asks: dict[int, int], **timing: Any) -> None:
        self.message(MessageKind.SNAPSHOT, _changes(bids, asks), **timing)

    def depth(self, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None, **timing: Any) -> None:
        self.message(MessageKind.DELTA, _changes(bids or {}, asks or {}), **timing)

    def trade(self, taker: Side, ticks: int, lots: int, **timing: Any) -> None:
        self.message(MessageKind.TRADE, [(int(taker), ticks, lots)], **timing)

    def gap(self, **timing: Any) -> None:
        self.message(MessageKind.GAP, **timing)

    def advance_to(self, now_ns: int) -> None:
        while self.venue.next_event_ns <= now_ns:
            self.now_ns = max(self.now_ns, self.venue.next_event_ns)
            self._poll()
        self.now_ns = now_ns

    @property
    def fills(self) -> list[tuple[str, int, int]]:
        """Return `(client id, ticks, lots)` of every fill so far."""
        return [(each.client_id, each.price_ticks, each.size_lots) for each in self.events if isinstance(each, Fill)]

    def updates(self, client_id: str) -> list[OrderUpdate]:
        return [each for each in self.events if isinstance(each, OrderUpdate) and each.client_id == client_id]

    def last(self, client_id: str) -> OrderUpdate:
        return self.updates(client_id)[-1]

    def ahead(self, client_id: str, market: int = 0) -> float:
        """Return the lots that the venue counts before an order."""
        return self.venue._orders[market][client_id].ahead_lots

    def _poll(self) -> None:
        self.events.extend(self.venue.poll(self.now_ns))


def _changes(bids: dict[int, int], asks: dict[int, int]) -> list[tuple[int, int, int]]:
    return [(int(Side.BUY), *level) for level in bids.items()] + [(int(Side.SELL), *level) for level in asks.items()]


@pytest.fixture
def make_rig():
    """Return the rig's class: a test makes one with its own options."""
    return Rig


@pytest.fixture(scope="session")
def make_rig_class():
    """Return the rig's class, for property tests, whose examples share their fixtures."""
    return Rig


@pytest.fixture
def rig() -> Rig:
    """Return a rig without latency and fees in front of a book of 10 lots at 99 and 98, 12 at 101 and 102."""
    rig = Rig()
    rig.snapshot({9900: 10, 9899: 10}, {9902: 12, 9903: 12})
    return rig
