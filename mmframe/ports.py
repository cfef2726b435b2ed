"""What a component must be able to do: Protocols only, no behaviour.

A port says *what*; a spec (`mmframe.plugin`) says how one is named, configured and built. The engine calls components
directly through these methods, so they are narrow, synchronous where they are on the quoting path, and never block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mmframe.domain.advice import (
        AdviceRequest,
        Answer,
        Batch,
        BatchReplies,
        CompletionReply,
        CompletionRequest,
        MarketPicture,
        ModelList,
        Rejection,
    )
    from mmframe.domain.market import MarketBatch, Side, Touch
    from mmframe.domain.orders import Action, Approved, Fill, OrderUpdate, VenueCapabilities, VenueEvent
    from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision
    from mmframe.domain.views import (
        Advice,
        BookTick,
        Inventory,
        MarketView,
        QuoteProposal,
        RiskVerdict,
        TradeTick,
    )

__all__ = [
    "Adviser",
    "BatchProvider",
    "Book",
    "Clock",
    "Feed",
    "History",
    "LLMProvider",
    "MarketObserver",
    "Optimizer",
    "RiskControl",
    "Signal",
    "Sink",
    "Venue",
]


@runtime_checkable
class Clock(Protocol):
    """Time, handed in so that nobody reads it from the machine."""

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        ...


@runtime_checkable
class Book(Protocol):
    """The levels of one market, exact in ticks and lots.

    `touch` and `apply` are on the hot path. The figures that follow from levels (VWAP, imbalance, hash) are in
    `mmframe.domain.depth`, so that a compiled book has only this to provide.
    """

    @property
    def version(self) -> int:
        """Return how many messages have been applied since creation; never goes back."""
        ...

    def clear(self) -> None:
        """Remove every level of both sides."""
        ...

    def apply(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:
        """Set the absolute sizes of changes `start:end`; 0 lots removes a level, an absent one silently."""
        ...

    def touch(self) -> Touch:
        """Return the best level of each side; an empty side is 0 ticks, 0 lots."""
        ...

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        ...

    def level_count(self, side: Side) -> int:
        """Return how many levels `side` has."""
        ...

    def lots_at(self, side: Side, ticks: int) -> int:
        """Return the size at one price; 0 when there is no level."""
        ...

    def lots_through(self, side: Side, limit_ticks: int) -> int:
        """Return the summed size of all levels of `side` at `limit_ticks` or better."""
        ...


@runtime_checkable
class Signal(Protocol):
    """One number about the market, kept up to date from touches and trades and read when a decision is due."""

    on_touch: Callable[[BookTick], None] | None
    """Called after each message that changed the touch of a book in sync; None when not needed."""
    on_trade: Callable[[TradeTick], None] | None
    """Called for each public execution; None when not needed."""

    def read(self, now_ns: int, tick: BookTick) -> float:
        """Return the value at `now_ns`; NaN when it is not known yet."""
        ...


@runtime_checkable
class Optimizer(Protocol):
    """One stage of the quoting chain."""

    def propose(self, view: MarketView, inventory: Inventory, advice: Advice, proposal: QuoteProposal) -> QuoteProposal:
        """Return the quotes after this stage, unrounded; the kernel rounds bids down and asks up."""
        ...


@runtime_checkable
class RiskControl(Protocol):
    """One control of the risk chain. It may only tighten; anything else is a HALT of its scope."""

    def assess(self, view: MarketView, inventory: Inventory, advice: Advice, proposal: QuoteProposal) -> RiskVerdict:
        """Return the same quotes, or less: prices further from the touch, sizes smaller, level higher."""
        ...


@runtime_checkable
class Feed(Protocol):
    """Live market data, or a market that lives on the driver's clock.

    A live feed receives in `run`, puts batches on a bounded queue of its own and calls `notify`; the driver then drains
    `poll`. A virtual feed has its next batch due at `next_event_ns` and needs no `run`.
    """

    next_event_ns: int
    """When `poll` next has something, for a virtual feed; `NEVER_NS` for a live one and at the end."""

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return what has been received up to `now_ns`, in receive order; each batch once."""
        ...

    async def run(self, notify: Callable[[], None]) -> None:
        """Connect, keep connected and fill the queue until cancelled; a virtual feed returns at once."""
        ...


@runtime_checkable
class Venue(Protocol):
    """Where orders go. Every answer, timeouts included, arrives as an event from `poll`, never as a return value.

    A live venue sends in `run` what `execute` queued; a virtual one answers on the driver's clock.
    """

    capabilities: VenueCapabilities
    next_event_ns: int
    """When `poll` next has something, for a virtual venue; `NEVER_NS` for a live one and when nothing is under way."""

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Take one approved action; never block, never raise for an outcome.

        Raises:
            TypeError: If it is not an `Approved`.
        """
        ...

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Return what is known up to `now_ns`, in order; each event once."""
        ...

    async def run(self, notify: Callable[[], None]) -> None:
        """Connect, keep connected and send and receive until cancelled; a virtual venue returns at once."""
        ...


@runtime_checkable
class MarketObserver(Protocol):
    """A virtual venue whose fills follow from public data: it sees each message right after the book did."""

    def observe(self, batch: MarketBatch, index: int, book: Book) -> None:
        """Take message `index` of `batch`, which `book` has already applied."""
        ...


@runtime_checkable
class History(Protocol):
    """Recorded market data of one or more markets."""

    def batches(self) -> Iterator[MarketBatch]:
        """Yield batches in receive order, streaming with bounded memory; each call starts anew.

        All messages are in receive order over batches and markets: a batch's first message is at or after the last one
        of the batch before, so a batch of one market ends where another market's message comes between.

        Raises:
            DataError: If a row cannot be read, with file and line.
        """
        ...


@runtime_checkable
class Sink(Protocol):
    """A reader of what happens: journal, file, dashboard. Called after the actions are on their way."""

    wants_decisions: bool
    """Whether decisions are to be recorded at all; when no sink wants them none is built."""

    def on_decision(self, decision: QuoteDecision) -> None:
        """Take one decision."""
        ...

    def on_action(self, action: Action, now_ns: int) -> None:
        """Take one action that the gate approved."""
        ...

    def on_order_update(self, update: OrderUpdate) -> None:
        """Take what the venue says of an order."""
        ...

    def on_fill(self, fill: Fill) -> None:
        """Take one execution; each once."""
        ...

    def on_advice(self, update: AdviceUpdate) -> None:
        """Take advice that came into force."""
        ...

    def on_limit(self, limit: LimitRecord) -> None:
        """Take the news that a limit began to bind, no longer does, or still does as the run ends."""
        ...

    def close(self) -> None:
        """Write what is buffered and release the resource; called once."""
        ...


@runtime_checkable
class LLMProvider(Protocol):
    """A model behind an API. Used on a thread of its own, never on the quoting path."""

    model: str
    """The model that is asked."""

    def body(self, request: CompletionRequest) -> bytes:
        """Return the exact body that would be sent, without any key: the same request gives the same bytes."""
        ...

    async def complete(self, request: CompletionRequest, *, timeout_s: float) -> CompletionReply:
        """Ask once, within `timeout_s`, and return how it ended; a failure is a reply that says so, never an error."""
        ...

    async def models(self, *, timeout_s: float) -> ModelList:
        """Return the models that may be asked; a failure is a list that says so, never an exception."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once."""
        ...


@runtime_checkable
class BatchProvider(LLMProvider, Protocol):
    """A model that also answers many questions at once, within a day and at a lower price: for recordings alone.

    A failure is a value that says so, never an exception, and nothing is sent twice. Whoever submits keeps the batch
    first, with its status UNKNOWN, and looks for one that is UNKNOWN with `find_batch` before it submits again.
    """

    async def submit_batch(self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float) -> Batch:
        """Hand questions over, by id, and return the batch as it is then; UNKNOWN when it may or may not exist."""
        ...

    async def find_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Look for a batch whose name is not known, by its label; ABSENT only when it is certainly not there."""
        ...

    async def batch_state(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Return how far a batch with a name has come; UNKNOWN when that cannot be told now."""
        ...

    async def batch_replies(
        self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float
    ) -> BatchReplies:
        """Return the reply to each question of a batch that has ended, whatever order it is answered in."""
        ...

    async def cancel_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Ask that a batch be ended early; what is answered by then can be fetched, and costs."""
        ...


@runtime_checkable
class Adviser(Protocol):
    """Turns pictures of markets into a question, and a reply into answers. Pure: the runtime does the asking.

    What an answer may change, for how long and by how much, is bounded by the strategy file and not by the adviser.
    """

    levels: int
    """How many levels a side it wants to see."""
    trades: int
    """How many of the newest executions it wants to see."""

    def request(self, pictures: Sequence[MarketPicture]) -> AdviceRequest | None:
        """Return one question about all of these markets, or None for nothing to ask."""
        ...

    def read(self, text: str, request: AdviceRequest) -> tuple[Sequence[Answer | Rejection], bool]:
        """Return an answer or a rejection for each market asked about, and whether the JSON had to be salvaged.

        Strict, and never an exception: unknown or missing keys, text for numbers, NaN and what is out of range are
        rejections.
        """
        ...
