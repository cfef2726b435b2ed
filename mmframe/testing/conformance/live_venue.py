"""Conformance of live venues: an adapter against a server that speaks its exchange's protocol on loopback.

The kit needs to see and move what is true at that server, so the author of the adapter wraps it as a `VenuePeer`. The
cases are what a trader's money hangs on: what an adapter says when an answer is lost, when the private stream breaks,
when somebody else has a hand in the account.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import anyio
import pytest

from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderStatus,
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
    VenueStatus,
)
from mmframe.plugin import VenueSpec
from mmframe.runtime.clocks import SystemClock
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.builders import approve, build_component

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from mmframe.domain.orders import Action, VenueEvent
    from mmframe.ports import Venue

__all__ = ["LiveVenueConformance", "LiveVenueRig", "VenuePeer"]

E = TypeVar("E")

_PATIENCE_S = 60.0
"""Wall time after which something that was to come is taken for never; reached only by what fails."""
_LOOK_S = 0.02
_END_S = 10.0


class VenuePeer(Protocol):
    """The exchange's side, under the kit's control. What it tells is the truth, whatever the adapter was told.

    Attributes:
        options: An instance of the spec's options that points the adapter at this server, with a key of its account.
        secrets: Texts that may appear in nothing that the adapter shows: the secret part of the key, to begin with.
        bid_ticks: A price at which a buy order rests.
        ask_ticks: A price at which a sell order rests.
        order_lots: A size that the market takes; at least 4.
    """

    options: Any
    secrets: Sequence[str]
    bid_ticks: int
    ask_ticks: int
    order_lots: int

    def open_ids(self) -> set[str]:
        """Return the client ids of the account's open orders in market 0."""
        ...

    def accepted(self, client_id: str) -> int:
        """Return how many orders were ever accepted under a client id."""
        ...

    def filled_lots(self, client_id: str) -> int:
        """Return how much of an order was ever filled."""
        ...

    def trade_against(self, client_id: str, lots: int) -> None:
        """Let a stranger trade with `lots` of a resting order."""
        ...

    def cancel(self, client_id: str) -> None:
        """Let the account's other hand, its web page, cancel an order."""
        ...

    def place_foreign(self) -> str:
        """Let the account's other hand place an order that rests in market 0; return its client id."""
        ...

    def lose_reply(self, request: Request) -> None:
        """Carry out the next such request and never answer it."""
        ...

    def lose_request(self, request: Request) -> None:
        """Let the next such request vanish on its way."""
        ...

    def answer_unclear(self, request: Request, *, is_done: bool) -> None:
        """Answer the next such request by what the exchange says when it does not know the outcome itself."""
        ...

    def cut_private_stream(self) -> None:
        """Cut the private stream and let none be opened until `heal`; public ones live on."""
        ...

    def heal(self) -> None:
        """Let everything work again."""
        ...


class LiveVenueConformance(ComponentConformance):
    """Subclass it, set `spec` (a VenueSpec), and return a server from `peer`.

    Time is the machine's: no case asserts how long something takes, only that it comes, and in which order.
    """

    spec_class: ClassVar[type[VenueSpec]] = VenueSpec
    mode: ClassVar[Mode] = Mode.LIVE

    def peer(self) -> AbstractAsyncContextManager[VenuePeer]:
        """Return the exchange's side: entered before each case, left after it."""
        raise NotImplementedError

    @case("MM-L01")
    def test_it_begins_down_and_says_when_it_is_up(self) -> None:
        """MM-L01."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L01")
            first = next(event for event in rig.events if isinstance(event, VenueStatus))
            before = rig.events[: rig.events.index(first)]
            expect("MM-L01", first.is_up, was="down after being built down", expected="no status before it is up")
            has_balance = any(isinstance(event, BalanceUpdate) for event in before)
            expect("MM-L01", has_balance, was="no balance before it was up", expected="the account's balances first")
            if rig.venue.capabilities.reports_positions:
                told = {event.market for event in before if isinstance(event, PositionReport)}
                expected = set(range(len(self.instruments)))
                expect("MM-L01", told == expected, was=f"positions of markets {sorted(told)}", expected=expected)

        self._play(play)

    @case("MM-L02")
    def test_it_is_live_and_takes_only_what_was_approved(self) -> None:
        """MM-L02."""

        async def play(rig: LiveVenueRig) -> None:
            venue = rig.venue
            is_live = not venue.capabilities.is_virtual and venue.next_event_ns == NEVER_NS
            expect("MM-L02", is_live, was=f"next_event_ns {venue.next_event_ns}", expected="NEVER_NS, is_virtual False")
            bare: Any = rig.buy("mm-kit-0-1")
            try:
                venue.execute(bare, rig.now_ns())
            except TypeError:
                return
            fail("MM-L02", was="a bare Submit was taken", expected="TypeError")

        self._play(play)

    @case("MM-L03")
    def test_a_submit_is_open_when_the_exchange_says_so(self) -> None:
        """MM-L03."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L03")
            rig.execute(rig.buy("mm-kit-0-1"))
            rig.execute(rig.sell("mm-kit-0-2"))
            for client_id in ("mm-kit-0-1", "mm-kit-0-2"):
                opened = await rig.status_of("MM-L03", client_id, OrderStatus.OPEN)
                expect("MM-L03", bool(opened.venue_order_id), was="no venue_order_id", expected="the exchange's own id")
            expect("MM-L03", rig.peer.open_ids() == {"mm-kit-0-1", "mm-kit-0-2"}, was=rig.peer.open_ids(), expected="2")

        self._play(play)

    @case("MM-L04")
    def test_each_execution_is_told_once_with_its_fee(self) -> None:
        """MM-L04."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L04")
            order = rig.buy("mm-kit-0-1")
            await rig.rest("MM-L04", order)
            rig.peer.trade_against(order.client_id, 1)
            await rig.until("MM-L04", lambda: rig.told_lots(order.client_id) == 1, "a fill of 1 lot")
            rig.peer.trade_against(order.client_id, order.size_lots - 1)
            await rig.status_of("MM-L04", order.client_id, OrderStatus.FILLED)
            fills = rig.fills(order.client_id)
            expect("MM-L04", rig.told_lots(order.client_id) == order.size_lots, was=fills, expected=order.size_lots)
            for fill in fills:
                is_whole = fill.is_maker and fill.side is Side.BUY and fill.price_ticks == order.price_ticks
                expect("MM-L04", is_whole, was=fill, expected="a maker's buy at the order's price")
                expect("MM-L04", bool(fill.fee_asset) or not fill.fee, was=fill, expected="the asset of its fee")
            first_end = next(index for index, event in enumerate(rig.events) if rig.is_end(event, order.client_id))
            last_fill = max(index for index, event in enumerate(rig.events) if event in fills)
            expect("MM-L04", last_fill < first_end, was="FILLED before its last fill", expected="fills first")

        self._play(play)

    @case("MM-L05")
    def test_a_lost_reply_is_unknown(self) -> None:
        """MM-L05."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L05")
            order = rig.buy("mm-kit-0-1")
            rig.peer.lose_reply(Request.SUBMIT)
            rig.execute(order)
            await rig.until("MM-L05", lambda: bool(rig.updates(order.client_id)), "news of the order")
            await rig.settled()
            said = {update.status for update in rig.updates(order.client_id)}
            expect("MM-L05", said <= {OrderStatus.UNKNOWN, OrderStatus.OPEN}, was=said, expected="UNKNOWN, or OPEN")
            rig.execute(QueryOrder(0, order.client_id))
            await rig.answer_of("MM-L05", order.client_id, Request.QUERY, OrderStatus.OPEN)
            accepted = rig.peer.accepted(order.client_id)
            expect("MM-L05", accepted == 1, was=f"{accepted} orders at the exchange", expected="one: never sent again")

        self._play(play)

    @case("MM-L06")
    def test_a_lost_request_is_unknown_and_then_not_found(self) -> None:
        """MM-L06."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L06")
            order = rig.buy("mm-kit-0-1")
            rig.peer.lose_request(Request.SUBMIT)
            rig.execute(order)
            await rig.status_of("MM-L06", order.client_id, OrderStatus.UNKNOWN)
            rig.execute(QueryOrder(0, order.client_id))
            await rig.answer_of("MM-L06", order.client_id, Request.QUERY, OrderStatus.NOT_FOUND)
            accepted = rig.peer.accepted(order.client_id)
            expect("MM-L06", accepted == 0, was=f"{accepted} orders at the exchange", expected="none: never sent again")

        self._play(play)

    @case("MM-L07")
    def test_an_answer_that_knows_no_outcome_is_unknown(self) -> None:
        """MM-L07."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L07")
            for number, is_done in enumerate((True, False)):
                client_id = f"mm-kit-0-{number}"
                rig.peer.answer_unclear(Request.SUBMIT, is_done=is_done)
                rig.execute(rig.buy(client_id))
                await rig.until("MM-L07", lambda name=client_id: bool(rig.updates(name)), "news of the order")  # type: ignore[misc]
                await rig.settled()
                said = {update.status for update in rig.updates(client_id)}
                allowed = {OrderStatus.UNKNOWN, OrderStatus.OPEN} if is_done else {OrderStatus.UNKNOWN}
                expect("MM-L07", said <= allowed, was=said, expected=allowed)
                expected = OrderStatus.OPEN if is_done else OrderStatus.NOT_FOUND
                rig.execute(QueryOrder(0, client_id))
                await rig.answer_of("MM-L07", client_id, Request.QUERY, expected)

        self._play(play)

    @case("MM-L08")
    def test_a_cancel_of_what_is_not_there_ends_nothing(self) -> None:
        """MM-L08."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L08")
            rig.execute(Cancel(0, "mm-kit-0-9"))
            await rig.until("MM-L08", lambda: bool(rig.updates("mm-kit-0-9")), "an answer to the cancel")
            update = rig.updates("mm-kit-0-9")[0]
            is_kept = update.status in {OrderStatus.UNCHANGED, OrderStatus.UNKNOWN} and not update.size_lots
            expect("MM-L08", is_kept, was=update, expected="UNCHANGED without a size, so that the engine asks")

        self._play(play)

    @case("MM-L09")
    def test_a_cancel_takes_the_order_away(self) -> None:
        """MM-L09."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L09")
            order = rig.buy("mm-kit-0-1")
            await rig.rest("MM-L09", order)
            rig.peer.trade_against(order.client_id, 1)
            rig.execute(Cancel(0, order.client_id))
            await rig.status_of("MM-L09", order.client_id, OrderStatus.CANCELED)
            expect("MM-L09", not rig.peer.open_ids(), was=rig.peer.open_ids(), expected="no open order")
            await rig.until("MM-L09", lambda: rig.told_lots(order.client_id) == 1, "the fill before the cancel")

        self._play(play)

    @case("MM-L10")
    def test_the_list_of_open_orders_is_whole(self) -> None:
        """MM-L10."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L10")
            await rig.rest("MM-L10", rig.buy("mm-kit-0-1"))
            foreign = rig.peer.place_foreign()
            listed = await rig.open_orders("MM-L10")
            expected = {"mm-kit-0-1", foreign}
            expect("MM-L10", listed == expected == rig.peer.open_ids(), was=listed, expected=expected)

        self._play(play)

    @case("MM-L11")
    def test_cancel_all_leaves_nothing(self) -> None:
        """MM-L11."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L11")
            for order in (rig.buy("mm-kit-0-1"), rig.sell("mm-kit-0-2")):
                await rig.rest("MM-L11", order)
            rig.execute(CancelAll(0, "stop"))
            for client_id in ("mm-kit-0-1", "mm-kit-0-2"):
                await rig.status_of("MM-L11", client_id, OrderStatus.CANCELED)
            listed = await rig.open_orders("MM-L11")
            expect("MM-L11", not listed and not rig.peer.open_ids(), was=listed, expected="no open order")

        self._play(play)

    @case("MM-L12")
    def test_what_others_do_to_our_orders_is_told(self) -> None:
        """MM-L12."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L12")
            order = rig.buy("mm-kit-0-1")
            await rig.rest("MM-L12", order)
            rig.peer.cancel(order.client_id)
            await rig.status_of("MM-L12", order.client_id, OrderStatus.CANCELED)

        self._play(play)

    @case("MM-L13")
    def test_a_broken_private_stream_is_down_and_up_again_only_with_the_fills_it_missed(self) -> None:
        """MM-L13."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L13")
            order = rig.buy("mm-kit-0-1")
            await rig.rest("MM-L13", order)
            rig.peer.trade_against(order.client_id, 1)
            await rig.until("MM-L13", lambda: rig.told_lots(order.client_id) == 1, "a fill of 1 lot")
            rig.peer.cut_private_stream()
            await rig.until("MM-L13", lambda: not rig.is_up, "to be down")
            mark = len(rig.events)
            rig.peer.trade_against(order.client_id, 2)
            rig.peer.heal()
            await rig.until("MM-L13", lambda: rig.is_up, "to be up again")
            up_at = next(
                index
                for index, event in enumerate(rig.events)
                if index >= mark and isinstance(event, VenueStatus) and event.is_up
            )
            told = {event.venue_trade_id: event.size_lots for event in rig.events[:up_at] if isinstance(event, Fill)}
            expect("MM-L13", sum(told.values()) == 3, was=f"fills {told} before it was up", expected="3 lots")

        self._play(play)

    @case("MM-L14")
    def test_an_execution_has_one_id_however_it_is_told(self) -> None:
        """MM-L14."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L14")
            order = rig.buy("mm-kit-0-1")
            await rig.rest("MM-L14", order)
            rig.peer.trade_against(order.client_id, 2)
            await rig.until("MM-L14", lambda: rig.told_lots(order.client_id) == 2, "a fill of 2 lots")
            rig.peer.cut_private_stream()
            await rig.until("MM-L14", lambda: not rig.is_up, "to be down")
            rig.peer.heal()
            await rig.until("MM-L14", lambda: rig.is_up, "to be up again")
            rig.execute(QueryOrder(0, order.client_id))
            await rig.until("MM-L14", lambda: bool(rig.answers(order.client_id, Request.QUERY)), "the query's answer")
            told = rig.told_lots(order.client_id)
            expect("MM-L14", told == 2, was=f"{told} lots by {rig.fills(order.client_id)}", expected="2 lots")

        self._play(play)

    @case("MM-L15")
    def test_post_only_never_takes(self) -> None:
        """MM-L15."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L15")
            taking = Submit(0, "mm-kit-0-1", Side.BUY, rig.peer.ask_ticks, rig.peer.order_lots)
            rig.execute(taking)
            await rig.until("MM-L15", lambda: rig.has_ended(taking.client_id), "the end of the order")
            said = [update.status for update in rig.updates(taking.client_id) if rig.is_end(update, taking.client_id)]
            is_kept = not rig.peer.filled_lots(taking.client_id) and not rig.peer.open_ids()
            expect("MM-L15", is_kept and OrderStatus.REJECTED in said, was=said, expected="REJECTED, and no fill")

        self._play(play)

    @case("MM-L16")
    def test_a_change_ends_with_the_truth(self) -> None:
        """MM-L16."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L16")
            order = rig.buy("mm-kit-0-1")
            opened = await rig.rest("MM-L16", order)
            can = rig.venue.capabilities
            if not (can.can_amend or can.can_replace):
                pytest.skip("the venue declares neither can_amend nor can_replace")
            rig.peer.trade_against(order.client_id, 1)
            await rig.until("MM-L16", lambda: rig.told_lots(order.client_id) == 1, "a fill of 1 lot")
            live = order.client_id
            if can.can_amend:
                rig.execute(Amend(0, live, order.price_ticks, 2, opened.version))
                amended = await rig.answer_of("MM-L16", live, Request.AMEND, OrderStatus.OPEN)
                told = (amended.size_lots, amended.price_ticks)
                expect(
                    "MM-L16", told in {(3, order.price_ticks), (0, 0)}, was=told, expected="3 lots, filled one and 2"
                )
            if can.can_replace:
                live = "mm-kit-0-2"
                rig.execute(Replace(0, order.client_id, live, order.price_ticks - 1, rig.peer.order_lots))
                await rig.answer_of("MM-L16", order.client_id, Request.REPLACE, OrderStatus.REPLACED)
            expect("MM-L16", rig.peer.open_ids() == {live}, was=rig.peer.open_ids(), expected={live})

        self._play(play)

    @case("MM-L17")
    def test_a_request_before_it_is_up_is_answered(self) -> None:
        """MM-L17."""

        async def play(rig: LiveVenueRig) -> None:
            order = rig.buy("mm-kit-0-1")
            rig.execute(order)
            await rig.until("MM-L17", lambda: bool(rig.updates(order.client_id)), "an answer")
            await rig.settled()
            last = rig.updates(order.client_id)[-1].status
            accepted = rig.peer.accepted(order.client_id)
            is_true = last is not OrderStatus.REJECTED or not accepted
            expect(
                "MM-L17", is_true, was=f"{last} with {accepted} orders accepted", expected="REJECTED only if not sent"
            )

        self._play(play)

    @case("MM-L18")
    def test_no_secret_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """MM-L18."""
        shown: list[str] = []

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L18")
            rig.peer.answer_unclear(Request.SUBMIT, is_done=False)
            rig.execute(rig.buy("mm-kit-0-1"))
            await rig.until("MM-L18", lambda: bool(rig.updates("mm-kit-0-1")), "an answer")
            rig.peer.lose_reply(Request.CANCEL)
            rig.execute(Cancel(0, "mm-kit-0-1"))
            rig.peer.cut_private_stream()
            await rig.until("MM-L18", lambda: not rig.is_up, "to be down")
            rig.peer.heal()
            await rig.until("MM-L18", lambda: rig.is_up, "to be up again")
            shown.extend([repr(rig.venue), repr(vars(rig.venue)) if hasattr(rig.venue, "__dict__") else ""])
            shown.extend(repr(event) for event in rig.events)
            shown.append(repr(rig.peer.options))
            for secret in rig.peer.secrets:
                for text in (*shown, caplog.text):
                    expect("MM-L18", secret not in text, was=f"{secret[:2]}... in {text[:200]}", expected="no secret")

        with caplog.at_level(logging.DEBUG):
            self._play(play)

    @case("MM-L19")
    def test_it_ends_when_it_is_cancelled(self) -> None:
        """MM-L19."""

        async def play(rig: LiveVenueRig) -> None:
            await rig.up("MM-L19")

        self._play(play)

    def _play(self, play: Callable[[LiveVenueRig], Awaitable[None]]) -> None:
        async def main() -> None:
            async with self.peer() as peer:
                clock = SystemClock()
                venue = self.build_with(peer, clock=clock)
                rig = LiveVenueRig(venue, peer, clock)
                failures: list[BaseException] = []
                ended = anyio.Event()

                async def run() -> None:
                    try:
                        await venue.run(rig.notify)
                    finally:
                        ended.set()

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(run)
                    try:
                        await play(rig)
                    except BaseException as error:  # noqa: BLE001 - raised again below, outside of the group
                        failures.append(error)
                    tasks.cancel_scope.cancel()
                    with anyio.move_on_after(_END_S, shield=True) as limit:
                        await ended.wait()
                if failures:
                    raise failures[0]
                expect("MM-L19", not limit.cancelled_caught, was=f"running {_END_S} s later", expected="to end at once")

        anyio.run(main)

    def build_with(self, peer: VenuePeer, **context: Any) -> Venue:
        """Return a new adapter that is pointed at `peer`."""
        venue: Venue = build_component(
            type(self).spec,
            peer.options,
            instruments=self.instruments,
            mode=self.mode,
            directory=self.directory,
            seed=self.seed,
            **context,
        )
        return venue


class LiveVenueRig:
    """One adapter, the server that it is pointed at, and everything that it has told."""

    def __init__(self, venue: Venue, peer: VenuePeer, clock: SystemClock) -> None:
        self.venue = venue
        self.peer = peer
        self.events: list[VenueEvent] = []
        self._clock = clock
        self._news = anyio.Event()

    def now_ns(self) -> int:
        """Return the time by which the adapter lives."""
        return self._clock.now_ns()

    def notify(self) -> None:
        """Take note that there is something to poll."""
        self._news.set()

    def buy(self, client_id: str) -> Submit:
        """Return a post-only buy order that will rest."""
        return Submit(0, client_id, Side.BUY, self.peer.bid_ticks, self.peer.order_lots, TimeInForce.GTC)

    def sell(self, client_id: str) -> Submit:
        """Return a post-only sell order that will rest."""
        return Submit(0, client_id, Side.SELL, self.peer.ask_ticks, self.peer.order_lots, TimeInForce.GTC)

    def execute(self, action: Action) -> None:
        """Send an action as the gate approves it."""
        self.venue.execute(approve(action), self.now_ns())

    @property
    def is_up(self) -> bool:
        """Tell what the adapter said last of itself."""
        said = [event.is_up for event in self.events if isinstance(event, VenueStatus)]
        return bool(said) and said[-1]

    async def until(self, case_id: str, is_so: Callable[[], bool], what: str) -> None:
        """Wait for what the adapter tells until `is_so`; what does not come fails the case."""
        with anyio.move_on_after(_PATIENCE_S):
            while True:
                self.events += self.venue.poll(self.now_ns())
                if is_so():
                    return
                self._news = anyio.Event()
                with anyio.move_on_after(_LOOK_S):
                    await self._news.wait()
        fail(case_id, was=f"nothing of the kind; last events {self.events[-3:]}", expected=what)

    async def settled(self) -> None:
        """Give an order's later news some rounds to come; for cases about what must not be said."""
        for _ in range(10):
            await anyio.sleep(_LOOK_S)
            self.events += self.venue.poll(self.now_ns())

    async def up(self, case_id: str) -> None:
        """Wait until the adapter is up."""
        await self.until(case_id, lambda: self.is_up, "VenueStatus(is_up=True)")

    async def rest(self, case_id: str, order: Submit) -> OrderUpdate:
        """Place an order and wait until it rests."""
        self.execute(order)
        return await self.status_of(case_id, order.client_id, OrderStatus.OPEN)

    async def status_of(self, case_id: str, client_id: str, status: OrderStatus) -> OrderUpdate:
        """Wait until an order is told to be of that status, and return what told it."""

        def found() -> list[OrderUpdate]:
            return [update for update in self.updates(client_id) if update.status is status]

        await self.until(case_id, lambda: bool(found()), f"{client_id} {status.value}")
        return found()[0]

    async def answer_of(self, case_id: str, client_id: str, request: Request, status: OrderStatus) -> OrderUpdate:
        """Wait for the answer to a request and hold it to a status."""
        await self.until(case_id, lambda: bool(self.answers(client_id, request)), f"an answer to {request.value}")
        answer = self.answers(client_id, request)[-1]
        expect(case_id, answer.status is status, was=answer, expected=status.value)
        return answer

    async def open_orders(self, case_id: str) -> set[str]:
        """Ask for the open orders of market 0 and return their client ids."""
        asked = len(self._of(OpenOrdersReport))
        self.execute(QueryOpenOrders(0))
        await self.until(case_id, lambda: len(self._of(OpenOrdersReport)) > asked, "the list of open orders")
        return {entry.client_id for entry in self._of(OpenOrdersReport)[-1].orders}

    def updates(self, client_id: str) -> list[OrderUpdate]:
        """Return what was told of an order."""
        return [update for update in self._of(OrderUpdate) if update.client_id == client_id]

    def answers(self, client_id: str, request: Request) -> list[OrderUpdate]:
        """Return the answers to one kind of request for an order."""
        return [update for update in self.updates(client_id) if update.request is request]

    def fills(self, client_id: str) -> list[Fill]:
        """Return the executions told of an order, as often as they were told."""
        return [fill for fill in self._of(Fill) if fill.client_id == client_id]

    def told_lots(self, client_id: str) -> int:
        """Return the size of an order's executions, each trade id once, as the engine counts them."""
        return sum({fill.venue_trade_id: fill.size_lots for fill in self.fills(client_id)}.values())

    def has_ended(self, client_id: str) -> bool:
        """Tell whether the order was told to have ended."""
        return any(self.is_end(event, client_id) for event in self.events)

    @staticmethod
    def is_end(event: VenueEvent, client_id: str) -> bool:
        """Tell whether an event says that the order has ended."""
        return (
            isinstance(event, OrderUpdate)
            and event.client_id == client_id
            and event.status in {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
        )

    def _of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]
