"""From a strategy file to a plan: the one way in which `run`, `check` and tests make a strategy.

Nothing here connects to anything; a check goes the whole way and only leaves the sinks unbuilt, which may open files.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.kinds import Mode
from mmframe.domain.orders import ALL_MARKETS
from mmframe.plugin.specs import ComponentKind, OptimizerSpec, RiskControlSpec, VenueSpec
from mmframe.registry.build import build, build_advisers, build_venue, models_question, venue_question
from mmframe.registry.resolve import (
    ResolvedStrategy,
    RunChoices,
    resolve,
    resolve_advisers,
    resolve_history,
    resolve_venue,
)
from mmframe.runtime.clocks import SystemClock, VirtualClock
from mmframe.runtime.plan import RUNS_FOLDER, AdviserPlan, HistoryPlan, JournalPlan, Plan, Provenance, VenuePlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from mmframe.config.advice_tables import AdviserKeys
    from mmframe.domain.instrument import Instrument
    from mmframe.engine.settings import EngineSettings
    from mmframe.ports import Clock

__all__ = [
    "CheckReport",
    "CheckedComponent",
    "check",
    "compose",
    "compose_advisers",
    "compose_history",
    "compose_venue",
]

_JOURNAL_SUFFIX = ".journal"
_NS_PER_S = 1_000_000_000
_FINER_DIGITS = 3
"""Exchanges make steps finer or coarser by a digit at a time; more digits would only make the integers longer."""


@attrs.frozen
class CheckedComponent:
    """One component that would run.

    Attributes:
        key: Its place in the strategy file, such as `optimizer[0]`.
        use: `plugin/component`; built-ins are `core/<name>`.
        options: Its parsed options, defaults included.
        market: Index of the market that it is for, or `ALL_MARKETS`.
        is_default: The file does not name it; the kernel adds it.
    """

    key: str
    kind: ComponentKind
    use: str
    distribution: str
    version: str
    options: Any
    market: int
    is_default: bool


@attrs.frozen
class CheckReport:
    """What would run.

    Attributes:
        strategy_hash: SHA-256 of the strategy file.
        components: Those that serve all markets first, then each market's in the order in which they work.
        advisers: What the kernel was told of each adviser, by name.
        warnings: What works and is probably not meant, one sentence each.
        assumptions: What results will assume, one sentence each.
    """

    name: str
    mode: Mode
    strategy_file: str
    strategy_hash: str
    is_virtual: bool
    instruments: tuple[Instrument, ...]
    settings: EngineSettings
    components: tuple[CheckedComponent, ...]
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    advisers: Mapping[str, AdviserKeys] = attrs.field(factory=dict)


def compose(  # noqa: PLR0913 - one keyword for each thing that the command line can decide
    path: Path,
    *,
    mode: Mode | None = None,
    blocked: frozenset[str] = frozenset(),
    clock: Clock | None = None,
    duration: str | None = None,
    seed: int | None = None,
    run_id: str = "0",
    journal: Path | None = None,
    no_journal: bool = False,
    with_sinks: bool = True,
    options: Mapping[ComponentKind, Mapping[str, Any]] | None = None,
    advice_from: Path | None = None,
    with_advisers: bool = True,
) -> Plan:
    """Return the plan of a strategy file: every component built, nothing connected.

    Args:
        path: The strategy file.
        mode: Overrides `run.mode`.
        blocked: Plugins that must not be imported, besides `plugins.disable`.
        clock: What components read the time from; by default the machine's clock, or a clock that the driver moves when
            market data and venue are virtual.
        duration: Overrides `run.duration`; text such as `20s`.
        seed: Overrides `strategy.seed`.
        run_id: Distinguishes runs in client ids.
        journal: Overrides `journal.path` and the default file.
        no_journal: Write no journal, whatever the file says.
        with_sinks: False leaves the sinks away, for a look at the plan that writes nothing.
        options: Values of single options of the feed and of the mode's venue instead of the file's, such as the
            addresses of a local venue.
        advice_from: A journal, or a file of calls, whose replies every adviser uses instead of asking.
        with_advisers: False leaves the advisers away, and their keys unread.

    Raises:
        ConfigErrors: With every problem of the file and every plugin that cannot be used.
        PluginError: If the one thing wrong is a plugin.
        UsageError: If `duration` is no length of time.
    """
    choices = RunChoices(
        mode=mode,
        blocked=blocked,
        duration=duration,
        seed=seed,
        run_id=run_id,
        options=options or {},
        advice_from=advice_from,
        has_advisers=with_advisers,
    )
    resolved = resolve(path, choices)
    clock = _default_clock(resolved) if clock is None else clock
    built = build(resolved, clock, with_sinks=with_sinks)
    file = resolved.file
    return Plan(
        name=file.strategy.name,
        mode=resolved.mode,
        strategy_file=str(path),
        strategy_hash=file.digest,
        instruments=resolved.instruments,
        settings=_settings(resolved),
        pipelines=built.pipelines,
        feed=built.feed,
        history=built.history,
        venue=built.venue,
        sinks=built.sinks,
        journal=_journal(resolved, journal, is_off=no_journal),
        assumptions=_assumptions(resolved),
        provenance=_provenance(resolved),
        is_virtual=resolved.is_virtual,
        duration_ns=resolved.duration_ns,
        clock=clock,
        reasons=_reasons(resolved),
        warnings=resolved.warnings,
        ask_venue=venue_question(resolved, clock),
        advisers=built.advisers,
        ask_models=models_question(resolved, clock),
    )


def compose_venue(path: Path, *, blocked: frozenset[str] = frozenset(), clock: Clock | None = None) -> VenuePlan:
    """Return the live venue of a strategy file alone, built and not connected, with the keys that it signs with.

    Mistakes in the file that do not concern the venue are passed over.

    Raises:
        ConfigErrors: With every problem that concerns the venue.
        PluginError: If the one thing wrong is the venue's plugin.
    """
    resolved = resolve_venue(path, blocked=blocked)
    clock = SystemClock() if clock is None else clock
    venue = resolved.venue
    if venue is None:
        msg = "a venue without problems was found"
        raise AssertionError(msg)
    resolved = attrs.evolve(resolved, instruments=tuple(map(_finer, resolved.instruments)))
    journal = resolved.file.journal.path
    return VenuePlan(
        name=resolved.file.strategy.name,
        strategy_file=path,
        instruments=resolved.instruments,
        use=venue.found.use,
        venue=build_venue(resolved, clock),
        clock=clock,
        journal=None if journal is None else resolved.file.directory / journal,
    )


def compose_advisers(path: Path, *, blocked: frozenset[str] = frozenset()) -> tuple[AdviserPlan, ...]:
    """Return the advisers of a strategy file alone with their providers and keys, built and not connected.

    Mistakes in the file that do not concern them are passed over.

    Raises:
        ConfigErrors: With every problem that concerns an adviser.
        PluginError: If the one thing wrong is a plugin that one of them needs.
    """
    return build_advisers(resolve_advisers(path, blocked=blocked), SystemClock())


def compose_history(path: Path, *, blocked: frozenset[str] = frozenset()) -> HistoryPlan:
    """Return the recorded data of a strategy file alone, opened as a backtest would replay them.

    Mistakes in the file that do not concern the history or the markets are passed over: what is measured on the data
    may be what the file still lacks.

    Raises:
        ConfigErrors: With every problem that concerns the history.
        PluginError: If the one thing wrong is the history's plugin.
        DataError: If the data are none that it reads.
    """
    resolved = resolve_history(path, blocked=blocked)
    history = resolved.history
    if history is None:
        msg = "a history without problems was found"
        raise AssertionError(msg)
    return HistoryPlan(
        name=resolved.file.strategy.name,
        strategy_file=path,
        directory=resolved.file.directory,
        instruments=resolved.instruments,
        use=history.found.use,
        history=build(resolved, VirtualClock(), with_sinks=False).history,
    )


def _finer(instrument: Instrument) -> Instrument:
    """Return the instrument on a grid on which the venue's prices and sizes lie, also after it has changed its own."""

    def step(size: Decimal) -> Decimal:
        return Decimal(1).scaleb(size.adjusted() - _FINER_DIGITS)

    changed = attrs.evolve(instrument, tick_size=step(instrument.tick_size), lot_size=step(instrument.lot_size))
    return attrs.evolve(changed, min_size_lots=1, max_size_lots=None)


def check(path: Path, *, mode: Mode | None = None, blocked: frozenset[str] = frozenset()) -> CheckReport:
    """Return what a strategy file would run, having built everything but its sinks.

    Raises:
        ConfigErrors: As `compose`.
        PluginError: As `compose`.
    """
    resolved = resolve(path, RunChoices(mode=mode, blocked=blocked))
    build(resolved, _default_clock(resolved), with_sinks=False)
    return CheckReport(
        name=resolved.file.strategy.name,
        mode=resolved.mode,
        strategy_file=str(path),
        strategy_hash=resolved.file.digest,
        is_virtual=resolved.is_virtual,
        instruments=resolved.instruments,
        settings=_settings(resolved),
        components=_components(resolved),
        warnings=(*resolved.warnings, *resolved.unchecked),
        assumptions=_assumptions(resolved),
        provenance=_provenance(resolved),
        advisers={adviser.name: adviser.keys for adviser in resolved.advisers},
    )


def _settings(resolved: ResolvedStrategy) -> EngineSettings:
    if resolved.settings is None:
        msg = "a strategy without problems has settings"
        raise AssertionError(msg)
    return resolved.settings


def _default_clock(resolved: ResolvedStrategy) -> Clock:
    return VirtualClock() if resolved.is_virtual else SystemClock()


def _journal(resolved: ResolvedStrategy, chosen: Path | None, *, is_off: bool) -> JournalPlan:
    table = resolved.file.journal
    path = None if is_off else chosen
    if not is_off and path is None and table.is_enabled:
        path = table.path if resolved.mode is Mode.BACKTEST or table.path is not None else _new_journal(resolved)
    return JournalPlan(path=None if path is None else str(path), records_decisions=table.decisions)


def _new_journal(resolved: ResolvedStrategy) -> Path:
    """Return a file that is not there yet, named after the wall clock, whatever clock the run itself lives on."""
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(SystemClock().now_ns() // _NS_PER_S))
    folder = resolved.file.directory / RUNS_FOLDER
    stem = f"{resolved.file.strategy.name}-{started}"
    path, number = folder / f"{stem}{_JOURNAL_SUFFIX}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{_JOURNAL_SUFFIX}"
    return path


def _assumptions(resolved: ResolvedStrategy) -> tuple[str, ...]:
    assumptions = []
    venue = resolved.venue
    if venue is not None and isinstance(venue.spec, VenueSpec) and venue.spec.assumptions is not None:
        assumptions += list(venue.spec.assumptions(venue.options))
    interval_ms = resolved.file.strategy.requote_interval_ms
    assumptions.append(f"Each market is decided at most every {interval_ms} ms, on receive time.")
    assumptions.append("Positions are marked to the mid; fees in an asset without a price are listed, not counted.")
    if resolved.is_virtual:
        assumptions.append("Decisions take no time: an order leaves at the instant of the message that led to it.")
    return tuple(assumptions)


def _provenance(resolved: ResolvedStrategy) -> tuple[Provenance, ...]:
    return tuple(
        Provenance(plugin=plugin.name, distribution=plugin.distribution, version=plugin.version)
        for plugin in resolved.registry.loaded
    )


def _reasons(resolved: ResolvedStrategy) -> Mapping[int, str]:
    """Return the texts of the components' own codes; where two plugins use one code, both texts."""
    texts: dict[int, dict[str, None]] = {}
    for market in resolved.markets:
        for component in (*market.optimizers, *market.risk_controls):
            if isinstance(component.spec, OptimizerSpec | RiskControlSpec):
                for code, text in component.spec.reasons.items():
                    texts.setdefault(code, {})[text] = None
    return {code: " / ".join(texts[code]) for code in sorted(texts)}


def _components(resolved: ResolvedStrategy) -> tuple[CheckedComponent, ...]:
    placed = [(ALL_MARKETS, source) for source in resolved.sources]
    placed += [(index, component) for index, market in enumerate(resolved.markets) for component in market.components]
    return tuple(
        CheckedComponent(
            key=component.table.key,
            kind=component.spec.kind,
            use=component.found.use,
            distribution=component.found.distribution,
            version=component.found.version,
            options=component.options,
            market=market,
            is_default=component.table.is_default,
        )
        for market, component in placed
    )
