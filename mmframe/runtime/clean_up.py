"""Removes every order of a strategy at its venue, with no engine: what `mmframe kill` does.

`OrderRemoval` is the procedure, on any clock: cancel all, ask for the open orders, again while some show up, until the
list of each market was empty twice in a row. `remove_orders` runs it against a live venue. Only the venue's own lists
count; one that was asked for while a process might still send, or what it sent might still arrive, proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from mmframe.domain.orders import (
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    PositionReport,
    QueryOpenOrders,
    VenueStatus,
)
from mmframe.engine import client_id_prefix
from mmframe.engine.gate import approve_removal
from mmframe.errors import MmframeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, VenueEvent
    from mmframe.runtime.plan import VenuePlan
    from mmframe.runtime.traces import LiveProcess, RunTraces

__all__ = ["MarketLeft", "OrderRemoval", "Removal", "remove_orders"]

EMPTY_REPORTS = 2
"""Lists without an order, in a row, that a market needs."""
GRACE_NS = 5_000_000_000
"""Time in which a living process is expected to see the kill switch and end; then it hangs."""

_ROUND_NS = 500_000_000
"""Between a list and the next request."""
_WAITING_ROUND_NS = 1_000_000_000
"""The same while nothing rests and the lists do not count yet."""
_PATIENCE_UP_NS = 3_000_000_000
"""Without an answer for longer, everything is asked again."""
_PATIENCE_DOWN_NS = 5_000_000_000
"""The same while the venue is not up: what it could not send yet is waiting there already."""
_LOOK_S = 0.1
"""Longest time without a look at the process and the clock."""
_REASON = "mmframe kill"


@attrs.frozen
class MarketLeft:
    """What the venue's last list of one market held.

    Attributes:
        ours: Orders of the strategy.
        others: Other orders of the account.
        reports: Lists received; 0 when the venue never answered, and nothing is known.
        position_lots: Signed position, where the venue told one.
    """

    instrument: Instrument
    ours: tuple[OrderReport, ...]
    others: tuple[OrderReport, ...]
    reports: int
    position_lots: int | None


@attrs.frozen
class Removal:
    """How it ended.

    Attributes:
        is_clean: The venue listed no order, twice in a row in every market, when none could arrive any more.
        failure: Why it is not proved; empty when it is.
        markets: One a market, in the strategy's order.
        fills: Executions that the venue told meanwhile.
        processes: Processes of the strategy that are still there.
        took_ns: Time from begin to end.
    """

    is_clean: bool
    failure: str
    markets: tuple[MarketLeft, ...]
    fills: int
    processes: tuple[LiveProcess, ...]
    took_ns: int


@attrs.define
class _Market:
    index: int
    instrument: Instrument
    ours: tuple[OrderReport, ...] = ()
    others: tuple[OrderReport, ...] = ()
    reports: int = 0
    empty_in_a_row: int = 0
    position_lots: int | None = None
    due_ns: int = 0
    """When the next request leaves."""
    asked_ns: int | None = None
    """When the oldest list without an answer was asked for."""
    wants_cancel: bool = True
    said: str = ""


class OrderRemoval:
    """The procedure for all markets of a strategy; the caller brings the time, sends and receives.

    Args:
        strategy: Name of the strategy, by which its orders are known.
        instruments: Its markets.
        includes_others: Go on until orders of others are gone too.
        now_ns: The begin.
        say: Told each step in words.
        only: Symbol of the one market that it is about; empty for all.

    Attributes:
        settled_ns: Lists asked for before prove nothing; None while that time is not known.
        fills: Executions that the venue told.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that differs between kills
        self,
        strategy: str,
        instruments: Sequence[Instrument],
        *,
        includes_others: bool,
        now_ns: int,
        say: Callable[[str], None],
        only: str = "",
    ) -> None:
        self.settled_ns: int | None = None
        self.fills = 0
        self._prefix = f"{client_id_prefix(strategy)}-"
        self._includes_others = includes_others
        self._say = say
        self._is_up = False
        self._markets = {
            index: _Market(index, instrument, due_ns=now_ns)
            for index, instrument in enumerate(instruments)
            if only in {"", instrument.symbol}
        }

    @property
    def is_clean(self) -> bool:
        """Tell whether every market is proved empty."""
        return all(market.empty_in_a_row >= EMPTY_REPORTS for market in self._markets.values())

    @property
    def is_empty(self) -> bool:
        """Tell whether the last list of every market was empty, proved or not."""
        return all(market.reports and not self._remains(market) for market in self._markets.values())

    @property
    def due_ns(self) -> int:
        """Return when `requests` has the next one."""
        return min(market.due_ns for market in self._markets.values())

    def left(self) -> tuple[MarketLeft, ...]:
        """Return what the last lists held."""
        return tuple(
            MarketLeft(market.instrument, market.ours, market.others, market.reports, market.position_lots)
            for market in self._markets.values()
        )

    def requests(self, now_ns: int) -> list[Action]:
        """Return what is to be sent now, in order."""
        due = [market for market in self._markets.values() if market.due_ns <= now_ns]
        cancels = [market for market in due if market.wants_cancel]
        for market in due:
            market.due_ns = now_ns + (_PATIENCE_UP_NS if self._is_up else _PATIENCE_DOWN_NS)
            market.asked_ns = now_ns if market.asked_ns is None else market.asked_ns
        for market in cancels:
            self._say(f"{market.instrument.symbol}: cancelling all orders")
        return [
            *(CancelAll(market=market.index, reason=_REASON) for market in cancels),
            *(QueryOpenOrders(market=market.index) for market in due),
        ]

    def on_event(self, event: VenueEvent) -> None:
        """Take what the venue says; what it says of other markets is left alone."""
        if isinstance(event, VenueStatus):
            self._on_status(event)
        elif getattr(event, "market", None) not in self._markets:
            return
        elif isinstance(event, OpenOrdersReport):
            self._on_report(self._markets[event.market], event)
        elif isinstance(event, PositionReport):
            self._markets[event.market].position_lots = event.position_lots
        elif isinstance(event, Fill):
            self.fills += 1
            instrument = self._markets[event.market].instrument
            # The grid is finer than the market's: without its trailing zeros.
            size = instrument.size(event.size_lots).normalize()
            price = instrument.price(event.price_ticks).normalize()
            side = event.side.name.lower()
            self._say(f"{instrument.symbol}: {event.client_id} was filled: {side} {size:f} at {price:f}")

    def _on_status(self, status: VenueStatus) -> None:
        if status.is_up == self._is_up:
            return
        self._is_up = status.is_up
        reason = f": {status.reason}" if status.reason else ""
        self._say(f"the venue is {'up' if status.is_up else 'down'}{reason}")
        for market in self._markets.values() if status.is_up else ():
            # What was asked while it was down may never have left.
            market.due_ns = min(market.due_ns, status.receive_ns)

    def _on_report(self, market: _Market, report: OpenOrdersReport) -> None:
        asked_ns, market.asked_ns = market.asked_ns, None
        market.reports += 1
        market.ours = tuple(order for order in report.orders if order.client_id.startswith(self._prefix))
        market.others = tuple(order for order in report.orders if not order.client_id.startswith(self._prefix))
        market.wants_cancel = self._remains(market)
        is_proof = asked_ns is not None and self.settled_ns is not None and asked_ns >= self.settled_ns
        is_waiting = not (is_proof or market.wants_cancel)
        market.due_ns = report.receive_ns + (_WAITING_ROUND_NS if is_waiting else _ROUND_NS)
        if market.wants_cancel:
            market.empty_in_a_row = 0
        elif is_proof:
            market.empty_in_a_row += 1
        listed = self._listed(market, is_proof=is_proof)
        if listed != market.said:
            market.said = listed
            self._say(f"{market.instrument.symbol}: {listed}")

    def _remains(self, market: _Market) -> bool:
        return bool(market.ours or (market.others and self._includes_others))

    def _listed(self, market: _Market, *, is_proof: bool) -> str:
        counts = f"{len(market.ours)} open of this strategy"
        if market.others:
            counts += f", {len(market.others)} of others"
        if market.wants_cancel:
            return counts
        if not is_proof:
            return f"{counts}; more may still arrive"
        return f"{counts}, list {min(market.empty_in_a_row, EMPTY_REPORTS)} of {EMPTY_REPORTS}"


async def remove_orders(  # noqa: PLR0913 - one keyword for each thing that differs between kills
    plan: VenuePlan,
    traces: RunTraces,
    *,
    includes_others: bool,
    within_ns: int,
    say: Callable[[str], None],
    only: str = "",
    obeyed: Collection[tuple[int, str]] = (),
) -> Removal:
    """Remove every order of a strategy, or of one of its markets, at its live venue; it is told to stop already.

    A venue that fails ends it early; nothing is raised for that.

    Args:
        plan: The venue.
        traces: What tells whether a process of the strategy is alive, and when one last sent something.
        includes_others: Go on until orders of others in these markets are gone too.
        within_ns: Time after which it gives up.
        say: Told each step in words.
        only: Symbol of the one market that it is about; empty for all.
        obeyed: Process id and host of those that sent their last order there already, and may go on elsewhere.
    """
    remover = _Remover(
        plan, traces, includes_others=includes_others, within_ns=within_ns, say=say, only=only, obeyed=obeyed
    )
    return await remover.run()


class _Remover:
    def __init__(  # noqa: PLR0913 - as `remove_orders`
        self,
        plan: VenuePlan,
        traces: RunTraces,
        *,
        includes_others: bool,
        within_ns: int,
        say: Callable[[str], None],
        only: str,
        obeyed: Collection[tuple[int, str]],
    ) -> None:
        self._plan = plan
        self._traces = traces
        self._say = say
        self._only = only
        self._began_ns = plan.clock.now_ns()
        self._end_ns = self._began_ns + within_ns
        found = traces.processes()
        self._processes = tuple(one for one in found if (one.holder.pid, one.holder.host) not in obeyed)
        self._is_process_settled = False
        self._failure = ""
        self._news = anyio.Event()
        self._removal = OrderRemoval(
            plan.name, plan.instruments, includes_others=includes_others, now_ns=self._began_ns, say=say, only=only
        )

    async def run(self) -> Removal:
        for process in self._processes:
            told = "it has not answered yet" if self._only else "the kill switch tells it to end"
            self._say(f"{process} runs the strategy: {told}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_venue)
            await self._guarded(self._work)
            tasks.cancel_scope.cancel()
        removal = self._removal
        failure = "" if removal.is_clean else self._failure or self._open_question()
        return Removal(
            is_clean=removal.is_clean,
            failure=failure,
            markets=removal.left(),
            fills=removal.fills,
            processes=tuple(process for process in self._processes if process.is_alive()),
            took_ns=self._plan.clock.now_ns() - self._began_ns,
        )

    async def _run_venue(self) -> None:
        await self._guarded(lambda: self._plan.venue.run(self._notify))
        self._notify()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - it is the result: what failed is told, and where to go on
            self._failure = _failure_text(error)
            self._say(f"the venue failed: {self._failure}")

    def _notify(self) -> None:
        self._news.set()

    async def _work(self) -> None:
        while True:
            self._news = anyio.Event()
            self._step()
            is_over = self._removal.is_clean or bool(self._failure)
            if is_over or self._plan.clock.now_ns() >= self._end_ns:
                return
            await self._wait()

    def _step(self) -> None:
        clock, venue = self._plan.clock, self._plan.venue
        self._look_at_processes()
        for event in venue.poll(clock.now_ns()):
            self._removal.on_event(event)
        for request in self._removal.requests(clock.now_ns()):
            venue.execute(approve_removal(request), clock.now_ns())

    async def _wait(self) -> None:
        due_s = (min(self._removal.due_ns, self._end_ns) - self._plan.clock.now_ns()) / 1e9
        with anyio.move_on_after(max(0.0, min(due_s, _LOOK_S))):
            await self._news.wait()

    def _look_at_processes(self) -> None:
        """Find out from when on nothing that the strategy sent can arrive any more."""
        if self._is_process_settled:
            return
        now_ns = self._plan.clock.now_ns()
        alive = [process for process in self._processes if process.is_alive()]
        if alive and now_ns - self._began_ns < GRACE_NS:
            return
        self._is_process_settled = True
        for process in self._processes:
            sign = "what it is told" if self._only else "the kill switch"
            what = f"has not ended: it hangs, or cannot see {sign}" if process in alive else "has ended"
            self._say(f"{process} {what}")
        last_ns = self._traces.last_written_ns()
        # Without a journal nobody knows when something was last sent: perhaps a moment ago.
        sent_ns = self._began_ns if last_ns is None else min(last_ns, now_ns)
        settled_ns = sent_ns + self._plan.venue.capabilities.absence_delay_ns
        self._removal.settled_ns = settled_ns
        if settled_ns > now_ns:
            wait_s = (settled_ns - now_ns) / 1e9
            self._say(f"what was sent last may still arrive for {wait_s:.1f} s; the lists count after that")

    def _open_question(self) -> str:
        removal = self._removal
        silent = [left.instrument.symbol for left in removal.left() if not left.reports]
        if silent:
            return f"the venue did not list the open orders of {', '.join(silent)} in time"
        if removal.is_empty:
            return "no order was listed last, but one that was sent before may still arrive"
        return "orders are left"


def _failure_text(error: Exception) -> str:
    """Return what failed: the message of an error that is ours, the type alone of one that may say anything."""
    leaves = _leaves(error)
    ours = next((leaf for leaf in leaves if isinstance(leaf, MmframeError)), None)
    return f"{type(leaves[0]).__name__} in the venue's plugin" if ours is None else ours.message


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
