"""A composed strategy, ready to run: every component built, nothing connected yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from mmframe.config.advice_tables import AdviserKeys
    from mmframe.domain.findings import Finding
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.kinds import Mode
    from mmframe.engine.settings import EngineSettings, MarketPipeline
    from mmframe.ports import Adviser, Clock, Feed, History, LLMProvider, Sink, Venue

__all__ = ["RUNS_FOLDER", "AdviserPlan", "HistoryPlan", "JournalPlan", "Plan", "Provenance", "VenuePlan"]

RUNS_FOLDER = "mmframe-runs"
"""The folder beside a strategy file for what its runs leave behind: journals, the kill switch."""


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
class AdviserPlan:
    """One source of advice, built and not connected.

    Attributes:
        name: What records call it.
        key: Its place in the strategy file, such as `adviser[0]`.
        provider_use: `plugin/component` of its provider.
        keys: When it asks, what an answer may change, and what asking may cost.
        markets: Indexes of the markets that it advises on.
        directory: The strategy file's folder, where relative paths start and what outlives a run is kept.
        seed: Of the streams of chance that belong to it.
    """

    name: str
    key: str
    adviser: Adviser = attrs.field(repr=False)
    provider: LLMProvider = attrs.field(repr=False)
    provider_use: str
    keys: AdviserKeys
    markets: tuple[int, ...]
    directory: Path
    seed: int = 0


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
        warnings: What works and is probably not meant, one sentence each.
        ask_venue: Asks the real venue whether a live run can work; None where there is nothing to ask. It shares
            nothing with `venue`, so it may be awaited in an event loop of its own.
        advisers: Sources of advice; which of them ask in this mode is for the driver to know.
        ask_models: Asks the providers of a live run whether their models can be asked, as `ask_venue` does.
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
    warnings: tuple[str, ...] = ()
    ask_venue: Callable[[], Awaitable[Sequence[Finding]]] | None = None
    advisers: tuple[AdviserPlan, ...] = ()
    ask_models: Callable[[], Awaitable[Sequence[Finding]]] | None = None


@attrs.frozen
class VenuePlan:
    """The live venue of a strategy alone, built and not connected: for tools that clean up after a run.

    Attributes:
        instruments: On a grid finer than the markets', on which the venue's prices and sizes lie, also after it has
            changed its own.
        use: `plugin/component`.
        journal: The journal that the file names, or None for those in `RUNS_FOLDER`.
    """

    name: str
    strategy_file: Path
    instruments: tuple[Instrument, ...]
    use: str
    venue: Venue
    clock: Clock
    journal: Path | None


@attrs.frozen
class HistoryPlan:
    """The recorded data of a strategy alone: for tools that measure them and run nothing.

    Attributes:
        directory: The strategy file's folder; absolute.
        use: `plugin/component`.
    """

    name: str
    strategy_file: Path
    directory: Path
    instruments: tuple[Instrument, ...]
    use: str
    history: History
