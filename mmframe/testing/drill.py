"""Drills: a strategy against a venue that goes wrong on purpose, one fault at a time, and what must hold after each.

A drill answers "what happens when the socket dies?" before money is at risk. The strategy's own file runs live, with
the real adapters on real sockets, against a server that speaks the exchange's protocol and knows the truth.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import attrs

from mmframe.config import load_strategy_file
from mmframe.domain.kinds import Mode
from mmframe.domain.market import BookState, MessageKind
from mmframe.domain.orders import Amend, Cancel, CancelAll, OrderState, Replace, Submit
from mmframe.plugin.specs import ComponentKind
from mmframe.registry import compose
from mmframe.runtime.clocks import SystemClock
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.realtime import RealTimeDriver
from mmframe.runtime.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import Action, Fill, OrderUpdate
    from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision
    from mmframe.domain.status import RunResult
    from mmframe.ports import Feed
    from mmframe.runtime.plan import Plan

__all__ = [
    "AGREE_WITHIN_S",
    "PULLED_WITHIN_MS",
    "Drill",
    "DrillCheck",
    "DrillPeer",
    "DrillResult",
    "DrillSubject",
    "run_drill",
]

AGREE_WITHIN_S = 10.0
"""Time after a fault has been healed in which the open orders that the strategy counts on must be the venue's."""

_BEGIN_WITHIN_S = 30.0
_RESUME_WITHIN_S = 60.0
"""More than an adapter's proof of absence takes, which keeps a side empty until a lost request can do no harm."""

_LOOK_S = 0.02
_NS_PER_MS = 1e6

PULLED_WITHIN_MS = 100.0
"""Time in which quotes must be on their way out once a book is out of sync."""


@attrs.frozen
class Drill:
    """One fault.

    Attributes:
        name: Lower case with dashes.
        summary: What goes wrong, in a sentence.
        is_on_market_data: It may take the book out of sync.
    """

    name: str
    summary: str
    is_on_market_data: bool = False


@attrs.frozen
class DrillCheck:
    """One thing that must hold.

    Attributes:
        name: In a few words.
        is_kept: Whether it does.
        text: What was seen.
    """

    name: str
    is_kept: bool
    text: str


@attrs.frozen
class DrillResult:
    """How a strategy came through one drill.

    Attributes:
        drill: Which.
        checks: What must hold, and whether it does.
        figures: Times and counts by name with their unit at the end, for people.
    """

    drill: Drill
    checks: tuple[DrillCheck, ...]
    figures: Mapping[str, float]

    @property
    def is_passed(self) -> bool:
        """Tell whether everything holds."""
        return all(check.is_kept for check in self.checks)


class DrillSubject:
    """The strategy that is drilled.

    Args:
        path: Its file, fit for a live run.
        keys: Options that stand in for the live venue's keys, so that no real key is read.

    Attributes:
        use: Its live venue, such as `binance/spot`.
        instruments: Its markets.

    Raises:
        ConfigErrors: If the file is not fit for a live run.
        PluginError: If a plugin cannot be used.
    """

    def __init__(self, path: Path, keys: Mapping[str, Any]) -> None:
        self._path = path
        plan = compose(path, mode=Mode.LIVE, no_journal=True, with_sinks=False, options={ComponentKind.VENUE: keys})
        table = load_strategy_file(path).venue_for(Mode.LIVE)
        self.use = "" if table is None else table.use
        self.instruments = plan.instruments
        self._settings = plan.settings

    def plan(self, options: Mapping[ComponentKind, Mapping[str, Any]], run_id: str) -> Plan:
        """Return the live plan, pointed at a peer; it writes no journal and fills no sink."""
        return compose(self._path, mode=Mode.LIVE, no_journal=True, with_sinks=False, run_id=run_id, options=options)

    def prices(self) -> dict[str, Decimal]:
        """Return a price for each market at which an order is worth half of what the gate allows."""
        return {
            market.instrument.symbol: (market.limits.max_order_notional_quote or Decimal(1))
            / 2
            / market.instrument.size(market.order_size_lots)
            for market in self._settings.markets
        }


class DrillPeer(Protocol):
    """A venue on loopback that goes wrong on request and tells the truth; markets are the strategy's, by index."""

    def open_orders(self, market: int) -> dict[str, tuple[int, int]]:
        """Return `(price_ticks, leaves_lots)` of the account's open orders by client id."""
        ...

    def accepted(self) -> dict[str, int]:
        """Return how many orders were ever accepted under each client id."""
        ...

    def net_lots(self, market: int) -> int:
        """Return the signed sum of the account's executions."""
        ...

    def position_lots(self, market: int) -> int | None:
        """Return the account's position where the venue keeps positions, else None."""
        ...

    async def inject(self, name: str) -> None:
        """Let a fault happen, and return when it has."""
        ...

    def heal(self) -> None:
        """Let everything work again."""
        ...


P = TypeVar("P", bound=DrillPeer)


class _Watch:
    """A sink that notes what is sent, in which state of the book."""

    wants_decisions = False

    def __init__(self) -> None:
        self.session: Session | None = None
        self.unsynced_quotes: list[Action] = []
        self.pulls_ns: list[int] = []

    def on_action(self, action: Action, now_ns: int) -> None:
        """Hold a quote to a book in sync; note when orders are taken back."""
        if isinstance(action, Submit | Amend | Replace):
            status = self.session.status() if self.session is not None else None
            if status is not None and status.markets[action.market].book_state is not BookState.SYNCED:
                self.unsynced_quotes.append(action)
        elif isinstance(action, Cancel | CancelAll):
            self.pulls_ns.append(now_ns)

    def on_decision(self, decision: QuoteDecision) -> None:
        """Nothing to do."""

    def on_order_update(self, update: OrderUpdate) -> None:
        """Nothing to do."""

    def on_fill(self, fill: Fill) -> None:
        """Nothing to do."""

    def on_advice(self, update: AdviceUpdate) -> None:
        """Nothing to do."""

    def on_limit(self, limit: LimitRecord) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class _GapWatch:
    """The strategy's feed, with a note of when it said that a book is out of sync while quotes rested on it."""

    def __init__(self, feed: Feed, clock: SystemClock, has_quotes: Callable[[int], bool]) -> None:
        self._feed = feed
        self._clock = clock
        self._has_quotes = has_quotes
        self.next_event_ns = feed.next_event_ns
        self.gaps_ns: list[int] = []

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return what the feed returns."""
        batches = self._feed.poll(now_ns)
        if any(MessageKind.GAP in batch.kinds and self._has_quotes(batch.market) for batch in batches):
            self.gaps_ns.append(self._clock.now_ns())
        return batches

    async def run(self, notify: Callable[[], None]) -> None:
        """Run the feed."""
        await self._feed.run(notify)


class _Run:
    """One strategy in progress, and what the drill asks of it."""

    def __init__(self, plan: Plan, peer: DrillPeer) -> None:
        clock = SystemClock()
        feed: Any = plan.feed
        self.watch = _Watch()
        self.feed = _GapWatch(feed, clock, lambda market: bool(self.resting(market)))
        self.session = Session(attrs.evolve(plan, feed=self.feed, sinks=(*plan.sinks, self.watch)))
        self.watch.session = self.session
        self.stop = StopRequest()
        self.peer = peer
        self.markets = range(len(plan.instruments))
        self.result: RunResult | None = None
        self.failure: Exception | None = None
        self._driver = RealTimeDriver(self.session, stop=self.stop, observer=None, limit_ns=None, clock=clock)
        self._clock = clock

    async def drive(self) -> None:
        """Run the strategy to its end; how it ended is in `result` or `failure`."""
        try:
            self.result = await self._driver.run_async()
        except Exception as error:  # noqa: BLE001 - told as the drill's outcome
            self.failure = error

    def now_ns(self) -> int:
        """Return the time of the run."""
        return self._clock.now_ns()

    def is_over(self) -> bool:
        """Tell whether the strategy has ended."""
        return self.result is not None or self.failure is not None

    def resting(self, market: int) -> dict[str, tuple[int, int]]:
        """Return the orders that the strategy counts on as resting, as `DrillPeer.open_orders` does."""
        states = {OrderState.OPEN.value, OrderState.PARTIALLY_FILLED.value}
        instrument = self.session.plan.instruments[market]
        return {
            order.client_id: (instrument.price_ticks(order.price), instrument.size_lots(order.leaves))
            for order in self.session.status().markets[market].working
            if order.state in states
        }

    def agrees(self) -> bool:
        """Tell whether the strategy counts on exactly what rests at the venue, and nothing is in doubt."""
        return all(
            self.resting(market) == self.peer.open_orders(market)
            and len(self.session.status().markets[market].working) == len(self.peer.open_orders(market))
            for market in self.markets
        )

    def counts_on_nothing_else(self) -> bool:
        """Tell whether what the strategy counts on as resting rests, and that the venue has nothing unknown to it."""
        return all(self._is_true(market) for market in self.markets)

    def quotes(self) -> bool:
        """Tell whether each market has a quote at the venue on each side that the strategy wants to quote."""
        if self.session.engine.is_halted:
            return False
        return all(
            self.peer.open_orders(index)
            and (market.our_bid or market.bid_reason)
            and (market.our_ask or market.ask_reason)
            for index, market in enumerate(self.session.status().markets)
        )

    async def until(self, is_so: Callable[[], bool], within_s: float) -> float | None:
        """Wait until something is so; return after how many seconds, or None if it does not come."""
        began_ns = self.now_ns()
        with anyio.move_on_after(within_s):
            while not is_so():
                if self.is_over():
                    return None
                await anyio.sleep(_LOOK_S)
            return (self.now_ns() - began_ns) / 1e9
        return None

    def _is_true(self, market: int) -> bool:
        known = {order.client_id for order in self.session.status().markets[market].working}
        true = self.peer.open_orders(market)
        return self.resting(market).items() <= true.items() and true.keys() <= known


async def run_drill(
    drill: Drill, make_plan: Callable[[P], Plan], open_peer: Callable[[], AbstractAsyncContextManager[P]]
) -> DrillResult:
    """Run a strategy until it quotes, let one thing go wrong, heal it, stop, and say what held.

    Args:
        drill: What goes wrong.
        make_plan: Returns the strategy's live plan, pointed at the peer.
        open_peer: Opens the venue.
    """
    async with open_peer() as peer:
        run = _Run(make_plan(peer), peer)
        figures: dict[str, float] = {}
        checks: list[DrillCheck] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.drive)
            began_s = await run.until(run.quotes, _BEGIN_WITHIN_S)
            checks.append(_timed("quotes before", began_s, _BEGIN_WITHIN_S, run))
            if began_s is not None:
                await _go_wrong(drill, run, checks, figures)
            run.stop.request("end of the drill")
        checks += _truths(run)
        if drill.is_on_market_data:
            checks += _pulls(run, figures)
        return DrillResult(drill, tuple(checks), figures)


async def _go_wrong(drill: Drill, run: _Run, checks: list[DrillCheck], figures: dict[str, float]) -> None:
    with anyio.move_on_after(_BEGIN_WITHIN_S) as limit:
        await run.peer.inject(drill.name)
    checks.append(DrillCheck("the fault happened", not limit.cancelled_caught, drill.summary))
    run.peer.heal()
    agreed_s = await run.until(run.counts_on_nothing_else, AGREE_WITHIN_S)
    checks.append(_timed("open orders agree", agreed_s, AGREE_WITHIN_S, run))
    resumed_s = await run.until(lambda: run.quotes() and run.agrees(), _RESUME_WITHIN_S)
    checks.append(_timed("quotes again by itself", resumed_s, _RESUME_WITHIN_S, run))
    figures["agreed_after_s"] = -1.0 if agreed_s is None else agreed_s
    figures["resumed_after_s"] = -1.0 if resumed_s is None else resumed_s


def _timed(name: str, took_s: float | None, within_s: float, run: _Run) -> DrillCheck:
    if took_s is not None:
        return DrillCheck(name, is_kept=True, text=f"after {took_s:.2f} s")
    if run.failure is not None:
        return DrillCheck(name, is_kept=False, text=f"the run ended: {run.failure}")
    status = run.session.status()
    reasons = f"halted: {status.halt_reason}" if status.is_halted else f"{_belief(run)}"
    return DrillCheck(name, is_kept=False, text=f"not within {within_s:g} s; {reasons}")


def _belief(run: _Run) -> str:
    lines = []
    for index, market in enumerate(run.session.status().markets):
        ours = ", ".join(f"{order.client_id} {order.state}" for order in market.working) or "none"
        true = ", ".join(run.peer.open_orders(index)) or "none"
        lines.append(
            f"{market.instrument}: book {market.book_state.name.lower()}, "
            f"reasons {market.bid_reason}/{market.ask_reason}, ours {ours}; venue {true}"
        )
    return "; ".join(lines)


def _truths(run: _Run) -> list[DrillCheck]:
    """Return what must hold once the run is over."""
    doubled = sorted(client_id for client_id, count in run.peer.accepted().items() if count > 1)
    checks = [
        DrillCheck(
            "one venue order per intent", not doubled, f"twice at the venue: {doubled}" if doubled else "none twice"
        )
    ]
    for index, market in enumerate(run.session.status().markets):
        lots = run.session.plan.instruments[index].size_lots(market.position)
        told = run.peer.position_lots(index)
        figures = {"ours": lots, "fills at the venue": run.peer.net_lots(index)}
        if told is not None:
            figures["position at the venue"] = told
        text = ", ".join(f"{name} {value}" for name, value in figures.items())
        checks.append(DrillCheck(f"position of {market.instrument}", len(set(figures.values())) == 1, text))
    quotes = run.watch.unsynced_quotes
    checks.append(DrillCheck("no quote on an unsynced book", not quotes, f"{len(quotes)} quotes {quotes[:2] or ''}"))
    left = [client_id for market in run.markets for client_id in run.peer.open_orders(market)]
    checks.append(DrillCheck("nothing left at the end", not left, f"left: {left}" if left else "no open order"))
    ended = run.result
    if ended is None:
        checks.append(DrillCheck("a clean end", is_kept=False, text=f"{type(run.failure).__name__}: {run.failure}"))
    else:
        is_clean = ended.is_confirmed_empty and not ended.unresolved and not ended.status.is_halted
        text = f"{ended.ended_because}; unresolved {list(ended.unresolved)}; {ended.status.halt_reason or 'not halted'}"
        checks.append(DrillCheck("a clean end", is_clean, text))
    return checks


def _pulls(run: _Run, figures: dict[str, float]) -> list[DrillCheck]:
    """Hold the time from a book's leaving SYNCED to the first cancel, where quotes rested on it."""
    times_ms = [
        (min((pull for pull in run.watch.pulls_ns if pull >= gap), default=run.now_ns()) - gap) / _NS_PER_MS
        for gap in run.feed.gaps_ns
    ]
    if not times_ms:
        return []
    figures["pulled_after_ms"] = max(times_ms)
    text = f"after {max(times_ms):.2f} ms"
    return [DrillCheck("quotes pulled in time", max(times_ms) <= PULLED_WITHIN_MS, text)]
