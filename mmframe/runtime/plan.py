"""A composed strategy, ready to run: every component built, nothing connected yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.kinds import Mode
    from mmframe.engine.settings import EngineSettings, MarketPipeline
    from mmframe.ports import Clock, Feed, History, Sink, Venue

__all__ = ["JournalPlan", "Plan", "Provenance"]


@attrs.frozen
class Provenance:
    """Which plugin a run used: recorded in the journal's run header."""

    plugin: str
    distribution: str
    version: str


@attrs.frozen
class JournalPlan:
    """Where the journal goes, and whether there is one.

    Attributes:
        path: File to write, or None for no journal.
        records_decisions: Write every decision, for `mmframe explain`.
    """

    path: str | None
    records_decisions: bool = True


@attrs.frozen
class Plan:
    """Everything that a driver needs.

    Attributes:
        strategy_hash: SHA-256 of the strategy file's text.
        settings: The engine's numbers.
        pipelines: One a market, in market order.
        feed: The market data of paper and live; None in a backtest.
        history: The market data of a backtest; None otherwise.
        venue: Where approved actions go.
        sinks: Readers of what happens, the journal not among them.
        assumptions: Sentences printed with every result.
        is_virtual: Feed (or history) and venue live on the driver's clock.
        duration_ns: Time after which the run ends by itself, or None.
    """

    name: str
    mode: Mode
    strategy_file: str
    strategy_hash: str
    instruments: tuple[Instrument, ...]
    settings: EngineSettings
    pipelines: tuple[MarketPipeline, ...]
    feed: Feed | None
    history: History | None
    venue: Venue
    sinks: tuple[Sink, ...]
    journal: JournalPlan
    assumptions: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    is_virtual: bool
    duration_ns: int | None
    clock: Clock | None = None
    """What the components were built with; a `VirtualClock` is moved by the driver."""
    reasons: Mapping[int, str] = attrs.field(factory=dict)
    """Texts of the components' own reason codes, from their specs."""
