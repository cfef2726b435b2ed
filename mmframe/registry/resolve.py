"""Everything about a strategy that can be settled before a component is built.

Which components run in the mode, their parsed options, the grids of the markets, the engine's numbers. Problems are
collected, never raised, so that a user sees all of them at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.config.durations import duration_ns
from mmframe.config.locate import format_key
from mmframe.config.option_types import INVALID, Invalid, Reading, read_table
from mmframe.config.strategy import ComponentTable, MarketConfig, StrategyFile, read_strategy_file
from mmframe.config.text import path_text
from mmframe.domain.kinds import Mode
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DomainError, MmframeError, PluginError, UsageError
from mmframe.plugin.options import Use
from mmframe.plugin.plan import ComponentUse, PlanSummary
from mmframe.plugin.specs import ComponentKind, FeedSpec, SignalSpec, VenueSpec
from mmframe.registry.advisers import ParsedAdviser, adviser_warnings, check_advisers
from mmframe.registry.contract import is_signal_name, plugin_error
from mmframe.registry.instruments import resolve_instruments
from mmframe.registry.registry import Registry, ResolvedComponent, kind_title
from mmframe.registry.settings import engine_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.config.locate import KeyPath
    from mmframe.config.problems import Problems
    from mmframe.domain.instrument import Instrument
    from mmframe.engine.settings import EngineSettings

__all__ = [
    "ParsedComponent",
    "ParsedMarket",
    "ResolvedStrategy",
    "RunChoices",
    "resolve",
    "resolve_advisers",
    "resolve_feed",
    "resolve_history",
    "resolve_venue",
]

_DEFAULT_SIMULATION = "simulated"
_EMBEDDED = "embedded"
_SIGNING_KINDS = frozenset({ComponentKind.FEED, ComponentKind.VENUE})
_CONCERNS_VENUE = re.compile(
    r"schema|strategy(\.name)?|plugins\b.*|venue(?!\.(paper|backtest)\b).*|markets"
    r"|markets\[\d+\](\.(instrument|tick_size|lot_size|venue_symbol))?"
)
"""Keys without which the live venue cannot be built."""
_CONCERNS_FEED = re.compile(
    r"schema|strategy(\.name)?|plugins\b.*|feed\b.*|markets"
    r"|markets\[\d+\](\.(instrument|tick_size|lot_size|venue_symbol))?"
)
"""Keys without which the feed cannot be built."""
_CONCERNS_HISTORY = re.compile(
    r"schema|strategy(\.name)?|plugins\b.*|history\b.*|markets"
    r"|markets\[\d+\](\.(instrument|tick_size|lot_size|venue_symbol))?"
)
"""Keys without which the history cannot be built."""
_CONCERNS_ADVISERS = re.compile(r"schema|strategy(\.name)?|plugins\b.*|adviser\b.*|markets")
"""Keys without which advisers cannot be built."""


@attrs.frozen
class RunChoices:
    """What the caller decides instead of the file; None leaves it to the file.

    Attributes:
        options: Values of single options of the feed and of the mode's venue, as they could stand in the file.
        advice_from: A journal, or a file of calls, whose replies every adviser uses instead of asking.
        has_advisers: False leaves the advisers away, and their keys unread: for a look that asks nobody.
    """

    mode: Mode | None = None
    blocked: frozenset[str] = frozenset()
    duration: str | None = None
    seed: int | None = None
    run_id: str = "0"
    options: Mapping[ComponentKind, Mapping[str, Any]] = attrs.field(factory=dict)
    advice_from: Path | None = None
    has_advisers: bool = True


@attrs.frozen
class ParsedComponent:
    """A component that was found, with its options parsed.

    Attributes:
        table: Where the file names it.
        found: Its spec and where it comes from.
        options: An object of the spec's options class.
    """

    table: ComponentTable
    found: ResolvedComponent
    options: Any

    @property
    def spec(self) -> Any:
        """Return the component's spec."""
        return self.found.spec

    def in_market(self, market: int, *, provides: str = "") -> ComponentUse:
        """Return the component as plugins that check a plan see it; `provides` is the field that a signal fills."""
        return ComponentUse(
            kind=self.found.spec.kind,
            use=self.found.use,
            key=self.table.key,
            options=self.options,
            market=market,
            provides=provides,
        )


@attrs.frozen
class ParsedMarket:
    """One market's components; one that could not be parsed is left out, and its problem is known."""

    config: MarketConfig
    book: ParsedComponent | None
    signals: tuple[tuple[str, ParsedComponent], ...]
    """With the fields of `view.signals` that they fill."""
    optimizers: tuple[ParsedComponent, ...]
    risk_controls: tuple[ParsedComponent, ...]

    @property
    def components(self) -> tuple[ParsedComponent, ...]:
        """Return all of them in the order in which they work."""
        book = () if self.book is None else (self.book,)
        return (*book, *(signal for _, signal in self.signals), *self.optimizers, *self.risk_controls)


@attrs.frozen
class ResolvedStrategy:
    """A strategy whose every part is known and nothing is built.

    Attributes:
        sources: Components that serve all markets: feed or history, venue, advisers with their providers, sinks.
        warnings: What works and is probably not meant.
        unchecked: What the file has for other modes and nobody has looked at.
    """

    file: StrategyFile
    problems: Problems = attrs.field(repr=False)
    registry: Registry = attrs.field(repr=False)
    mode: Mode
    seed: int
    duration_ns: int | None
    markets: tuple[ParsedMarket, ...]
    feed: ParsedComponent | None
    history: ParsedComponent | None
    venue: ParsedComponent | None
    sinks: tuple[ParsedComponent, ...]
    instruments: tuple[Instrument, ...]
    settings: EngineSettings | None
    warnings: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    advisers: tuple[ParsedAdviser, ...] = ()

    @property
    def is_virtual(self) -> bool:
        """Tell whether market data and venue live on the driver's clock."""
        is_market_virtual = self.history is not None or (self.feed is not None and self.feed.spec.is_virtual)
        return is_market_virtual and self.venue is not None and bool(self.venue.spec.is_virtual)

    @property
    def sources(self) -> tuple[ParsedComponent, ...]:
        """Return the components that serve all markets."""
        asked = [component for adviser in self.advisers for component in (adviser.component, adviser.provider)]
        return tuple(one for one in (self.feed, self.history, self.venue, *asked, *self.sinks) if one is not None)

    def summary(self) -> PlanSummary:
        """Return the strategy as plugins that check it see it."""
        uses = [source.in_market(ALL_MARKETS) for source in self.sources]
        for index, market in enumerate(self.markets):
            provided = {id(signal): name for name, signal in market.signals}
            uses += [
                component.in_market(index, provides=provided.get(id(component), "")) for component in market.components
            ]
        return PlanSummary(
            name=self.file.strategy.name,
            mode=self.mode,
            instruments=self.instruments,
            components=tuple(uses),
            max_positions=tuple(market.config.gate.max_position for market in self.markets),
        )


def resolve(path: Path, choices: RunChoices) -> ResolvedStrategy:
    """Return what a strategy file comes to.

    Raises:
        ConfigErrors: With every problem of the file and every plugin that cannot be used.
        PluginError: If the one thing wrong is a plugin that cannot be used.
        UsageError: If a choice of the caller is no duration.
    """
    duration = None if choices.duration is None else _chosen_duration(choices.duration)
    file, problems = read_strategy_file(path)
    mode = file.mode if choices.mode is None else choices.mode
    registry = _registry(file, choices.blocked)
    resolver = _Resolver(_with_options(file, mode, choices.options), problems, registry, mode)
    feed, history, venue = resolver.feed(), resolver.history(), resolver.venue()
    markets = tuple(resolver.market(market) for market in file.markets)
    sinks = tuple(sink for sink in map(resolver.parse, file.sinks) if sink is not None)
    advisers = resolver.advisers(choices.advice_from) if choices.has_advisers else ()
    check_advisers(advisers, markets, problems)
    grids = resolver.grids(feed, history, venue)
    settings = engine_settings(file, grids, mode=mode, run_id=choices.run_id, problems=problems)
    resolved = ResolvedStrategy(
        file=file,
        problems=problems,
        registry=registry,
        mode=mode,
        seed=file.strategy.seed if choices.seed is None else choices.seed,
        duration_ns=_file_duration(file) if duration is None else duration,
        markets=markets,
        feed=feed if mode is not Mode.BACKTEST else None,
        history=history,
        venue=venue,
        sinks=sinks,
        instruments=tuple(grid for grid in grids if grid is not None),
        settings=settings,
        warnings=(*_warnings(file, mode, feed), *adviser_warnings(advisers, markets, mode)),
        unchecked=tuple(_unchecked(file, mode)),
        advisers=advisers,
    )
    if not len(problems):
        resolved = _ask_plugins(resolved)
    problems.raise_if_any()
    return resolved


def _with_options(file: StrategyFile, mode: Mode, options: Mapping[ComponentKind, Mapping[str, Any]]) -> StrategyFile:
    """Return the file with the caller's values in its feed and in the venue of the mode."""

    def changed(table: ComponentTable) -> ComponentTable:
        return attrs.evolve(table, raw={**table.raw, **options.get(table.kind, {})})

    venue = file.venue_for(mode)
    return attrs.evolve(
        file,
        feed=None if file.feed is None else changed(file.feed),
        venues=file.venues if venue is None else {**file.venues, mode: changed(venue)},
    )


def resolve_venue(path: Path, *, blocked: frozenset[str] = frozenset()) -> ResolvedStrategy:
    """Return of a strategy file its live venue and its instruments alone: for tools that clean up after a run.

    Mistakes elsewhere in the file are passed over: an optimizer that is gone or a limit that is wrong must not keep
    anyone from removing orders.

    Raises:
        ConfigErrors: With every problem that concerns the venue.
        PluginError: If the one thing wrong is a plugin that cannot be used.
    """
    file, found = read_strategy_file(path)
    problems = found.only(lambda key: _CONCERNS_VENUE.fullmatch(key) is not None)
    resolver = _Resolver(file, problems, _registry(file, blocked), Mode.LIVE)
    sources = [venue] if (venue := resolver.venue()) is not None else []
    if any(market.table.tick_size is None for market in file.markets) and (feed := resolver.feed()) is not None:
        sources.append(feed)
    grids = resolve_instruments(file.markets, sources, problems, is_complete=True)
    problems.raise_if_any()
    if venue is None or None in grids:
        # Something is missing for a reason that only the whole list of problems explains.
        found.raise_if_any()
    return _part(resolver, grids, venue=venue)


def resolve_feed(path: Path, *, blocked: frozenset[str] = frozenset()) -> ResolvedStrategy:
    """Return of a strategy file its feed and its instruments alone: for tools that only listen, without any key.

    Mistakes elsewhere in the file are passed over, and so is what is missing there.

    Raises:
        ConfigErrors: With every problem that concerns the feed.
        PluginError: If the one thing wrong is a plugin that cannot be used.
    """
    file, found = read_strategy_file(path)
    problems = found.only(lambda key: _CONCERNS_FEED.fullmatch(key) is not None)
    resolver = _Resolver(file, problems, _registry(file, blocked), Mode.PAPER)
    feed = resolver.feed()
    grids = resolve_instruments(file.markets, [] if feed is None else [feed], problems, is_complete=feed is not None)
    problems.raise_if_any()
    if feed is None or None in grids:
        # Something is missing for a reason that only the whole list of problems explains.
        found.raise_if_any()
    return _part(resolver, grids, feed=feed)


def resolve_advisers(path: Path, *, blocked: frozenset[str] = frozenset()) -> ResolvedStrategy:
    """Return of a strategy file its advisers with their providers and keys alone: for tools that ask without a run.

    Mistakes elsewhere in the file are passed over, and so is what is missing there.

    Raises:
        ConfigErrors: With every problem that concerns an adviser.
        PluginError: If the one thing wrong is a plugin that one of them needs.
    """
    file, found = read_strategy_file(path)
    problems = found.only(lambda key: _CONCERNS_ADVISERS.fullmatch(key) is not None)
    resolver = _Resolver(file, problems, _registry(file, blocked), Mode.PAPER)
    advisers = resolver.advisers(None)
    grids = resolve_instruments(file.markets, [], problems, is_complete=False)
    problems.raise_if_any()
    return attrs.evolve(_part(resolver, grids), advisers=advisers)


def resolve_history(path: Path, *, blocked: frozenset[str] = frozenset()) -> ResolvedStrategy:
    """Return of a strategy file its history and its instruments alone: for tools that only look at recorded data.

    Mistakes elsewhere in the file are passed over, and so is what is missing there.

    Raises:
        ConfigErrors: With every problem that concerns the history.
        PluginError: If the one thing wrong is a plugin that cannot be used.
    """
    file, found = read_strategy_file(path)
    problems = found.only(lambda key: _CONCERNS_HISTORY.fullmatch(key) is not None)
    resolver = _Resolver(file, problems, _registry(file, blocked), Mode.BACKTEST)
    history = resolver.history()
    sources = [] if history is None else [history]
    grids = resolve_instruments(file.markets, sources, problems, is_complete=history is not None)
    problems.raise_if_any()
    if history is None or None in grids:
        # Something is missing for a reason that only the whole list of problems explains.
        found.raise_if_any()
    return _part(resolver, grids, history=history)


def _registry(file: StrategyFile, blocked: frozenset[str]) -> Registry:
    return Registry(
        blocked=blocked | frozenset(file.plugins.disable),
        local=[Path(path_text(local)) for local in file.plugins.local if local.is_file()],
    )


def _part(
    resolver: _Resolver,
    grids: tuple[Instrument | None, ...],
    *,
    feed: ParsedComponent | None = None,
    history: ParsedComponent | None = None,
    venue: ParsedComponent | None = None,
) -> ResolvedStrategy:
    return ResolvedStrategy(
        file=resolver.file,
        problems=resolver.problems,
        registry=resolver.registry,
        mode=resolver.mode,
        seed=resolver.file.strategy.seed,
        duration_ns=None,
        markets=(),
        feed=feed,
        history=history,
        venue=venue,
        sinks=(),
        instruments=tuple(grid for grid in grids if grid is not None),
        settings=None,
        warnings=(),
    )


def _chosen_duration(text: str) -> int:
    try:
        return duration_ns(text)
    except DomainError as error:
        msg = f"duration: {error.message}"
        raise UsageError(msg) from None


def _file_duration(file: StrategyFile) -> int | None:
    try:
        return file.duration_ns
    except DomainError:
        # Reported when the file was read.
        return None


def _ask_plugins(resolved: ResolvedStrategy) -> ResolvedStrategy:
    """Collect the problems that the plugins see, and return the strategy with their warnings."""
    summary = resolved.summary()
    warnings = list(resolved.warnings)
    for plugin in resolved.registry.loaded:
        try:
            for problem in plugin.check_plan(summary):
                if problem.is_warning:
                    warnings.append(problem.message if problem.hint is None else f"{problem.message}; {problem.hint}")
                else:
                    resolved.problems.add_error(problem)
        except PluginError as error:
            resolved.problems.add_plugin_error(error)
    return attrs.evolve(resolved, warnings=tuple(warnings))


def _warnings(file: StrategyFile, mode: Mode, feed: ParsedComponent | None) -> list[str]:
    warnings = []
    for market in file.markets:
        gate, symbol = market.gate, market.table.instrument
        unlimited = [name for name in ("max_order_size", "max_position") if getattr(gate, name) is None]
        unlimited += [name for name in ("max_daily_loss_quote",) if getattr(file.gate, name) is None]
        if unlimited and mode is not Mode.LIVE:
            warnings.append(
                f"{symbol}: no limit: {', '.join(f'gate.{name}' for name in unlimited)}; "
                f"a live run needs {'it' if len(unlimited) == 1 else 'them'}"
            )
        total = market.ladder_size
        if gate.max_position is not None and market.table.order_size <= gate.max_position < total:
            warnings.append(f"{symbol}: the ladder's {total:f} a side exceeds gate.max_position = {gate.max_position}")
    if feed is not None and mode is not Mode.BACKTEST and not feed.spec.is_virtual and not file.stale_after_ms:
        warnings.append("feed.stale_after_ms = 0: quotes stay when the feed goes silent")
    return warnings


def _unchecked(file: StrategyFile, mode: Mode) -> list[str]:
    skipped = [
        other.value for other in file.venues if other is not mode and file.venue_for(mode) is not file.venues[other]
    ]
    return [f"[venue.{name}] is not checked in mode {mode.value}" for name in sorted(skipped)]


class _Resolver:
    """Finds and parses the components of one file for one mode."""

    def __init__(self, file: StrategyFile, problems: Problems, registry: Registry, mode: Mode) -> None:
        self.file = file
        self.problems = problems
        self.registry = registry
        self.mode = mode
        self._parsed: dict[tuple[KeyPath, int], ParsedComponent | None] = {}

    # Components

    def parse(self, table: ComponentTable) -> ParsedComponent | None:
        """Find a component and parse its options; once, however many markets use the table."""
        key = (table.path, id(table))
        if key not in self._parsed:
            self._parsed[key] = self._parse(table)
        return self._parsed[key]

    def _parse(self, table: ComponentTable, *, asks: bool = True) -> ParsedComponent | None:
        found = self._find(table.kind, table.use, table.path)
        if found is None:
            return None
        reading = self._reading(table.kind)
        if not asks:
            reading = attrs.evolve(reading, reads_secrets=False)
        options = self._options(found, table.raw, table.path, reading=reading, key_paths=table.key_paths)
        return None if options is INVALID else ParsedComponent(table=table, found=found, options=options)

    def _find(self, kind: ComponentKind, use: str, path: KeyPath) -> ResolvedComponent | None:
        key = format_key(path)
        needed_by = f'{key}.use = "{use}" ({self.problems.place((*path, "use"))})'
        try:
            return self.registry.component(kind, use, needed_by)
        except PluginError as error:
            self.problems.add_plugin_error(error)
            return None

    def _reading(self, kind: ComponentKind) -> Reading:
        # Keys that sign requests to a venue enter the process in live runs only. A backtest asks nobody anything.
        reads = self.mode is Mode.LIVE or (self.mode is Mode.PAPER and kind not in _SIGNING_KINDS)
        return Reading(
            problems=self.problems,
            directory=self.file.directory,
            reads_secrets=reads,
            resolve_use=self._nested,
        )

    def _nested(self, path: KeyPath, kind: ComponentKind, use: str, rest: dict[str, Any]) -> Use | Invalid:
        """Resolve a component that stands in the options of another."""
        found = self._find(kind, use, path)
        if found is None:
            return INVALID
        options = self._options(found, rest, path, reading=self._reading(kind), key_paths={})
        return INVALID if options is INVALID else Use(use=found.use, options=options)

    def _options(
        self,
        found: ResolvedComponent,
        raw: Mapping[str, Any],
        path: KeyPath,
        *,
        reading: Reading,
        key_paths: Mapping[str, KeyPath],
    ) -> Any:
        also_known = ("use", *self.file.kernel_keys(found.spec.kind))
        try:
            return read_table(found.spec.options, raw, path, reading, also_known=also_known, key_paths=key_paths)
        except MmframeError:
            raise
        except Exception as error:  # noqa: BLE001 - a validator of a plugin may raise anything; it is reported with its cause
            text = f"options of {found.use!r} raised while they were read"
            self.problems.add_plugin_error(plugin_error(found.owner.installed, text, kind="options", cause=error))
            return INVALID

    # Market data and venue

    def feed(self) -> ParsedComponent | None:
        table = self.file.feed
        if table is None:
            if self.mode is not Mode.BACKTEST and "feed" not in self.file.unread:
                hint = 'add `[feed]` with, for example, `use = "embedded"`'
                self.problems.add(("feed",), f"missing, expected a feed: mode {self.mode.value} needs one", hint=hint)
            return None
        if self.mode is Mode.BACKTEST:
            # A backtest replays its history: the feed's plugin is not even loaded.
            return None
        feed = self.parse(table)
        if feed is not None and self.mode is Mode.LIVE and isinstance(feed.spec, FeedSpec) and feed.spec.is_virtual:
            text = f"{table.use!r} lives on virtual time, expected a feed of a real market in mode live"
            self.problems.add((*table.path, "use"), text)
        return feed

    def history(self) -> ParsedComponent | None:
        if self.mode is not Mode.BACKTEST:
            return None
        if self.file.history is None and "history" in self.file.unread:
            return None
        if self.file.history is None:
            hint = 'add `[history]` with, for example, `use = "tardis/csv"`'
            self.problems.add(("history",), "missing, expected recorded data: mode backtest needs it", hint=hint)
            return None
        return self.parse(self.file.history)

    def venue(self) -> ParsedComponent | None:
        table = self.file.venue_for(self.mode)
        if table is None:
            table = self._default_venue()
        if table is None and self.file.unread & {"venue", "feed"}:
            # A feed that could not be read might have been the embedded one, which brings its venue.
            return None
        if table is None:
            hint = f'add `[venue.{self.mode.value}]` with `use = "..."`'
            if self.mode is Mode.PAPER:
                hint = 'add `[venue.paper]` with `use = "simulated"`'
            text = f"missing, expected a venue: mode {self.mode.value} needs one"
            self.problems.add(("venue", self.mode.value), text, hint=hint)
            return None
        venue = self.parse(table)
        if venue is not None and isinstance(venue.spec, VenueSpec) and self.mode not in venue.spec.modes:
            served = ", ".join(sorted(mode.value for mode in venue.spec.modes))
            text = f"{table.use!r} serves {served}, expected a venue for mode {self.mode.value}"
            hint = f"name one that serves {self.mode.value} in [venue.{self.mode.value}]"
            self.problems.add((*table.path, "use"), text, hint=hint)
        return venue

    def _default_venue(self) -> ComponentTable | None:
        path: KeyPath = ("venue", self.mode.value)
        if self.mode is Mode.BACKTEST:
            return ComponentTable(kind=ComponentKind.VENUE, path=path, use=_DEFAULT_SIMULATION, is_default=True)
        is_embedded = self.file.feed is not None and self.file.feed.use in (_EMBEDDED, f"core/{_EMBEDDED}")
        if self.mode is Mode.PAPER and is_embedded:
            return ComponentTable(kind=ComponentKind.VENUE, path=path, use=_EMBEDDED, is_default=True)
        return None

    def grids(
        self, feed: ParsedComponent | None, history: ParsedComponent | None, venue: ParsedComponent | None
    ) -> tuple[Instrument | None, ...]:
        """Return each market's grid; orders go to the venue, so in a live run its word comes first."""
        order = (venue, feed, history) if self.mode is Mode.LIVE else (history, feed, venue)
        sources = [source for source in order if source is not None]
        market_data = history if self.mode is Mode.BACKTEST else feed
        # A source that is missing has been reported; that it tells no grid would be the same problem again.
        is_complete = market_data is not None and venue is not None
        return resolve_instruments(self.file.markets, sources, self.problems, is_complete=is_complete)

    def advisers(self, advice_from: Path | None) -> tuple[ParsedAdviser, ...]:
        """Return the advisers with their providers; a key is read only for one that will be asked something."""
        found = []
        for table in self.file.advisers:
            keys = table.kernel if advice_from is None else attrs.evolve(table.kernel, replay=advice_from)
            component = self.parse(table)
            part = table.parts.get(ComponentKind.LLM_PROVIDER)
            provider = None if part is None else self._parse(part, asks=keys.replay is None)
            if component is not None and provider is not None:
                name = keys.name or component.spec.name
                found.append(ParsedAdviser(name=name, component=component, provider=provider, keys=keys))
        return tuple(found)

    # Markets

    def market(self, config: MarketConfig) -> ParsedMarket:
        signals = [signal for signal in map(self.parse, config.signals) if signal is not None]
        market = ParsedMarket(
            config=config,
            book=self.parse(config.book),
            signals=tuple(self._named(signals)),
            optimizers=tuple(one for one in map(self.parse, config.optimizers) if one is not None),
            risk_controls=tuple(one for one in map(self.parse, config.risk_controls) if one is not None),
        )
        if len(signals) == len(config.signals):
            self._check_needs(market)
        return market

    def _named(self, signals: list[ParsedComponent]) -> list[tuple[str, ParsedComponent]]:
        named: dict[str, ParsedComponent] = {}
        for signal in signals:
            spec, path = signal.spec, signal.table.path
            own_name = signal.table.kernel.name
            name = spec.provides if own_name is None and isinstance(spec, SignalSpec) else own_name
            place: KeyPath = (*path, "use" if own_name is None else "name")
            if not is_signal_name(name):
                self._once(
                    place, f"expected a public Python identifier, was {name!r}", hint="write it like `fast_volatility`"
                )
            elif name in named:
                first = self.problems.place(named[name].table.path)
                text = f"expected each signal name once, was {name!r} again"
                self._once(place, text, hint=f'the first is at {first}; give this one a `name = "..."`')
            else:
                named[name] = signal
        return list(named.items())

    def _check_needs(self, market: ParsedMarket) -> None:
        names = {name for name, _ in market.signals}
        for component in (*market.optimizers, *market.risk_controls):
            for need in component.spec.needs:
                if need in names:
                    continue
                hint = self._signal_hint(need, market)
                title = kind_title(component.spec.kind).split(" ", 1)[1]
                text = f"{title} {component.table.use!r} needs the signal {need!r}, expected one that provides it"
                self._once((*component.table.path, "use"), text, hint=hint)

    def _signal_hint(self, need: str, market: ParsedMarket) -> str:
        for name, signal in market.signals:
            if isinstance(signal.spec, SignalSpec) and signal.spec.provides == need:
                return f"`{signal.table.key}` provides it under the name {name!r}: remove that name"
        use = next(iter(self.registry.providers(need)), None)
        return f'add `[[signal]]` with `use = "{use}"`' if use else f'add a `[[signal]]` with `name = "{need}"`'

    def _once(self, path: KeyPath, text: str, *, hint: str) -> None:
        """Report a problem of a table that several markets share only once."""
        if not self.problems.has(path, text):
            self.problems.add(path, text, hint=hint)
