"""The strategy file: the kernel's tables parsed, component tables kept raw with their place, every problem collected.

Nothing here knows which plugins exist; `mmframe.registry.compose` goes on from here.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from mmframe.config.advice_tables import AdviserKeys
from mmframe.config.durations import duration_ns
from mmframe.config.locate import KeyPath, format_key
from mmframe.config.option_types import INVALID, Invalid, Reading, construct, option_fields, read_table, read_values
from mmframe.config.problems import Problems, describe, nearest, nearest_hint, unknown_keys
from mmframe.config.source import TomlSource, read_toml
from mmframe.config.tables import (
    FaultsTable,
    FeedKeys,
    GateTable,
    JournalTable,
    LadderTable,
    LiveTable,
    MarketTable,
    PluginsTable,
    ReconcileTable,
    RunTable,
    SignalKeys,
    StrategyTable,
)
from mmframe.config.text import path_text
from mmframe.domain.kinds import Mode
from mmframe.errors import DomainError
from mmframe.plugin.specs import ComponentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "KERNEL_KEYS",
    "MARKET_TABLES",
    "PARTS",
    "SCHEMA_VERSION",
    "STRATEGY_WIDE_LIMITS",
    "TABLES",
    "ComponentTable",
    "MarketConfig",
    "StrategyFile",
    "load_strategy_file",
    "read_strategy_file",
]

SCHEMA_VERSION = 1

T = TypeVar("T")

KERNEL_KEYS: dict[ComponentKind, type] = {
    ComponentKind.FEED: FeedKeys,
    ComponentKind.SIGNAL: SignalKeys,
    ComponentKind.ADVISER: AdviserKeys,
}
"""Keys of component tables that belong to the kernel."""
PARTS: dict[ComponentKind, tuple[ComponentKind, ...]] = {ComponentKind.ADVISER: (ComponentKind.LLM_PROVIDER,)}
"""Components that stand inside another one's table, each under the name of its kind."""

_LIMIT_TABLES: dict[str, type] = {"ladder": LadderTable, "reconcile": ReconcileTable, "gate": GateTable}
_CHAINS = (ComponentKind.SIGNAL, ComponentKind.OPTIMIZER, ComponentKind.RISK_CONTROL)
_LISTS = (*_CHAINS, ComponentKind.ADVISER, ComponentKind.SINK)
_SINGLES = (ComponentKind.FEED, ComponentKind.HISTORY, ComponentKind.VENUE, ComponentKind.BOOK)
_KERNEL_TABLES: dict[str, type] = {
    "strategy": StrategyTable,
    "run": RunTable,
    "plugins": PluginsTable,
    **_LIMIT_TABLES,
    "faults": FaultsTable,
    "live": LiveTable,
    "journal": JournalTable,
}
MARKET_TABLES = ("book", *(kind.value for kind in _CHAINS), *_LIMIT_TABLES)
"""Tables that a market may have for itself."""
STRATEGY_WIDE_LIMITS = ("max_orders_per_second", "max_daily_loss_quote")
"""Keys of `[gate]` that cannot differ from market to market."""
TABLES = ("schema", "markets", *_KERNEL_TABLES, *(kind.value for kind in (*_SINGLES, *_LISTS)))
"""Everything that may stand at the top of a strategy file."""

_USE = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_SYMBOL = re.compile(r"[^/\s]+/[^/\s]+")
_DEFAULT_BOOK = "sorted"
_UNREAD_MARKET = MarketTable(instrument="", order_size=Decimal(1))


@attrs.frozen
class ComponentTable:
    """One component as the file names it.

    Attributes:
        kind: Which port it fills.
        path: The table's place.
        use: `plugin/component`, or a built-in's name.
        raw: Its own options, unparsed.
        kernel: The kernel's keys in the table, parsed; None for kinds without any.
        is_default: The file does not have the table; the kernel adds it.
        key_paths: Places of keys that come from another table than `path`.
        parts: Components that stand inside this one's table, by kind.
    """

    kind: ComponentKind
    path: KeyPath
    use: str
    raw: Mapping[str, Any] = attrs.field(factory=dict)
    kernel: Any = None
    is_default: bool = False
    key_paths: Mapping[str, KeyPath] = attrs.field(factory=dict)
    parts: Mapping[ComponentKind, ComponentTable] = attrs.field(factory=dict)

    @property
    def key(self) -> str:
        """Return the table's place as text, such as `optimizer[0]`."""
        return format_key(self.path)


@attrs.frozen
class MarketConfig:
    """One market with the tables that hold for it.

    Attributes:
        is_whole: Its own keys are all right; otherwise `table` holds the right ones over made-up ones.
        limit_paths: Where keys of `ladder`, `reconcile` and `gate` are set that are the market's own.
    """

    path: KeyPath
    table: MarketTable
    is_whole: bool
    book: ComponentTable
    signals: tuple[ComponentTable, ...]
    optimizers: tuple[ComponentTable, ...]
    risk_controls: tuple[ComponentTable, ...]
    ladder: LadderTable
    reconcile: ReconcileTable
    gate: GateTable
    limit_paths: Mapping[str, KeyPath]

    @property
    def title(self) -> str:
        """Return what messages call the market."""
        return self.table.instrument or f"market {self.path[-1]}"

    @property
    def ladder_size(self) -> Decimal:
        """Return the size of all levels of one side, base units."""
        factor = _factor(self.ladder)
        return sum((self.table.order_size * factor**level for level in range(self.ladder.levels)), Decimal(0))

    @property
    def largest_order(self) -> Decimal:
        """Return the size of the largest level, base units."""
        return self.table.order_size * max(Decimal(1), _factor(self.ladder) ** (self.ladder.levels - 1))

    @property
    def ladder_reach_bps(self) -> float:
        """Return the distance from the best level of a side to the last, in bps of the best level's price."""
        ladder = self.ladder
        return ladder.step_bps * sum(ladder.step_factor**step for step in range(ladder.levels - 1))

    def limit_path(self, table: str, key: str) -> KeyPath:
        """Return the place of one key of a limit table."""
        return (*self.limit_paths.get(f"{table}.{key}", (table,)), key)


@attrs.frozen
class StrategyFile:
    """A strategy file as parsed.

    Attributes:
        path: As the user gave it.
        text: The file's text.
        digest: SHA-256 of the file's bytes, hexadecimal.
        venue: `[venue]` without a mode.
        venues: `[venue.paper]`, `[venue.backtest]`, `[venue.live]`.
        unread: Tables that are there in a form that could not be read; that nothing came of them is no new problem.
    """

    path: Path
    text: str = attrs.field(repr=False)
    digest: str
    strategy: StrategyTable
    run: RunTable
    plugins: PluginsTable
    faults: FaultsTable
    live: LiveTable
    journal: JournalTable
    gate: GateTable
    markets: tuple[MarketConfig, ...]
    feed: ComponentTable | None
    history: ComponentTable | None
    venue: ComponentTable | None
    venues: Mapping[Mode, ComponentTable]
    advisers: tuple[ComponentTable, ...]
    sinks: tuple[ComponentTable, ...]
    unread: frozenset[str]

    @property
    def directory(self) -> Path:
        """Return the folder at which relative paths in the file start.

        It is absolute: components join it with option paths that start there already, which then changes nothing.
        """
        return self.path.parent.absolute()

    @property
    def mode(self) -> Mode:
        """Return the mode that the file asks for."""
        return Mode(self.run.mode)

    @property
    def duration_ns(self) -> int | None:
        """Return the run's length that the file asks for, or None for no end."""
        return None if self.run.duration is None else duration_ns(self.run.duration)

    @property
    def speed(self) -> float | None:
        """Return the pace on virtual time that the file asks for, or None for as fast as possible."""
        return _speed(self.run.speed)

    @property
    def stale_after_ms(self) -> int:
        """Return after how long without a message a book is stale; 0 for never."""
        kernel = None if self.feed is None else self.feed.kernel
        return kernel.stale_after_ms if isinstance(kernel, FeedKeys) else 0

    def venue_for(self, mode: Mode) -> ComponentTable | None:
        """Return the venue that the file has for a mode; a backtest uses the one of paper when it has none."""
        venue = self.venues.get(mode, self.venue)
        if venue is None and mode is Mode.BACKTEST:
            return self.venues.get(Mode.PAPER)
        return venue

    @staticmethod
    def kernel_keys(kind: ComponentKind) -> tuple[str, ...]:
        """Return the keys of a kind's table that belong to the kernel."""
        cls = KERNEL_KEYS.get(kind)
        parts = tuple(part.value for part in PARTS.get(kind, ()))
        return parts if cls is None else (*(field.name for field in option_fields(cls)), *parts)


def load_strategy_file(path: Path) -> StrategyFile:
    """Read, parse and check a strategy file, as far as that needs no plugin.

    Raises:
        ConfigErrors: With every problem there is.
    """
    strategy_file, problems = read_strategy_file(path)
    problems.raise_if_any()
    return strategy_file


def read_strategy_file(path: Path) -> tuple[StrategyFile, Problems]:
    """Read a strategy file and its problems; what is wrong has been replaced by a default so that checking can go on.

    Raises:
        ConfigErrors: If the file cannot be read, is no TOML or was written for another schema.
    """
    source = read_toml(path)
    problems = Problems(source.file, source.locations)
    _check_schema(source.raw, problems)
    reading = Reading(problems=problems, directory=path.parent.absolute())
    return _Reader(path, source, reading).strategy_file(), problems


def _check_schema(raw: Mapping[str, Any], problems: Problems) -> None:
    """Report a schema that this version cannot read; what else such a file says would only confuse."""
    version = raw.get("schema")
    if version is None:
        problems.add(
            ("schema",), f"missing, expected {SCHEMA_VERSION}", hint=f"add `schema = {SCHEMA_VERSION}` at the top"
        )
        return
    if version == SCHEMA_VERSION and not isinstance(version, bool | float):
        return
    is_newer = isinstance(version, int) and version > SCHEMA_VERSION
    hint = "this file was written for a newer mmframe: pip install --upgrade mmframe" if is_newer else None
    problems.add(("schema",), f"expected {SCHEMA_VERSION}, was {describe(version)}", hint=hint)
    problems.raise_if_any()


def _speed(text: str) -> float | None:
    """Return a pace, or None for `max`.

    Raises:
        ValueError: If it is neither `max` nor a finite number above 0.
    """
    if text == "max":
        return None
    factor = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else 0.0
    if not factor:
        msg = f"expected a number above 0 such as '1' or '10', or 'max', was {text!r}"
        raise ValueError(msg)
    return factor


class _Reader:
    """Reads the tables of one file; every method reports problems and returns something that can be worked with."""

    def __init__(self, path: Path, source: TomlSource, reading: Reading) -> None:
        self.path = path
        self.source = source
        self.raw = source.raw
        self.reading = reading
        self.problems = reading.problems
        self.unread = {near for key in self.raw if key not in TABLES and (near := nearest(key, TABLES))}

    def strategy_file(self) -> StrategyFile:
        unknown_keys(self.raw, TABLES, (), self.problems)
        strategy = self.kernel_table(StrategyTable, "strategy", fallback=StrategyTable(name="invalid"))
        if "strategy" not in self.raw:
            self.problems.add(("strategy",), "missing, expected a table", hint='add `[strategy]` with `name = "..."`')
        limits: dict[str, Any] = {name: self.kernel_table(cls, name) for name, cls in _LIMIT_TABLES.items()}
        venue, venues = self.venues()
        chains = {kind: self.components(kind, self.raw, ()) for kind in _CHAINS}
        book = self.book()
        single = {kind: self.single(kind) for kind in (ComponentKind.FEED, ComponentKind.HISTORY)}
        result = StrategyFile(
            path=self.path,
            text=self.source.text,
            digest=self.source.digest,
            strategy=strategy,
            run=self.kernel_table(RunTable, "run"),
            plugins=self.kernel_table(PluginsTable, "plugins"),
            faults=self.kernel_table(FaultsTable, "faults"),
            live=self.kernel_table(LiveTable, "live"),
            journal=self.kernel_table(JournalTable, "journal"),
            gate=limits["gate"],
            markets=self.markets(book, chains, limits),
            feed=single[ComponentKind.FEED],
            history=single[ComponentKind.HISTORY],
            venue=venue,
            venues=venues,
            advisers=self.components(ComponentKind.ADVISER, self.raw, ()),
            sinks=self.components(ComponentKind.SINK, self.raw, ()),
            unread=frozenset(self.unread),
        )
        _check_values(result, self.problems)
        return result

    def kernel_table(self, cls: type[T], name: str, *, fallback: T | None = None) -> T:
        default = cls() if fallback is None else fallback
        if name not in self.raw:
            return default
        raw = self.table(self.raw[name], (name,))
        table = INVALID if raw is None else read_table(cls, raw, (name,), self.reading)
        return self.salvaged(default, raw or {}) if table is INVALID else table

    def salvaged(self, default: T, raw: Mapping[str, Any]) -> T:
        """Return `default` with what is right in `raw`, so that later checks see as much as possible."""
        unheard = attrs.evolve(self.reading, problems=Problems())
        values = read_values(type(default), raw, (), unheard)
        right = {name: value for name, value in values.items() if value is not INVALID}
        make: Callable[[], T] = partial(attrs.evolve, default, **right)
        made: T | Invalid = construct(make, type(default), (), unheard)
        return default if isinstance(made, Invalid) else made

    def table(self, raw: Any, path: KeyPath) -> dict[str, Any] | None:
        """Return `raw` when it is a table; report and return None otherwise."""
        if isinstance(raw, dict):
            return raw
        name = format_key(path)
        is_array_of_tables = isinstance(raw, list) and raw and isinstance(raw[0], dict)
        hint = f"write [{name}] with single brackets: there is only one" if is_array_of_tables else f"write [{name}]"
        self.problems.add(path, f"expected a table, was {describe(raw)}", hint=hint)
        self.unread.add(str(path[0]))
        return None

    def tables(self, raw: Any, path: KeyPath) -> list[tuple[KeyPath, dict[str, Any]]]:
        """Return the items of an array of tables with their places; report what is none."""
        name = re.sub(r"\[\d+\]", "", format_key(path))
        if not isinstance(raw, list):
            hint = f"write [[{name}]] with double brackets: there may be several"
            self.problems.add(path, f"expected an array of tables, was {describe(raw)}", hint=hint)
            self.unread.add(str(path[-1]))
            return []
        found = []
        for index, item in enumerate(raw):
            if isinstance(item, dict):
                found.append(((*path, index), item))
            else:
                self.problems.add((*path, index), f"expected a table, was {describe(item)}", hint=f"write [[{name}]]")
                self.unread.add(str(path[-1]))
        return found

    def component(
        self, kind: ComponentKind, raw: Mapping[str, Any], path: KeyPath, *, default: str | None = None
    ) -> ComponentTable | None:
        use = raw.get("use", default)
        if use is None:
            hint = f'add `use = "..."`; `mmframe plugins` lists every {kind.value}'
            self.problems.add((*path, "use"), "missing, expected the component's name", hint=hint)
            self.unread.add(kind.value)
            return None
        if not isinstance(use, str) or not _USE.fullmatch(use):
            expected = 'expected a built-in\'s name or "plugin/component"'
            self.problems.add((*path, "use"), f"{expected}, was {describe(use)}")
            self.unread.add(kind.value)
            return None
        cls = KERNEL_KEYS.get(kind)
        names = StrategyFile.kernel_keys(kind)
        own = {key: raw[key] for key in raw if key in names and key not in {part.value for part in PARTS.get(kind, ())}}
        kernel = read_table(cls, own, path, self.reading) if cls else None
        rest = {key: item for key, item in raw.items() if key != "use" and key not in names}
        return ComponentTable(
            kind=kind,
            path=path,
            use=use,
            raw=rest,
            kernel=cls() if cls and kernel is INVALID else kernel,
            parts=self.parts(kind, raw, path),
        )

    def parts(self, kind: ComponentKind, raw: Mapping[str, Any], path: KeyPath) -> dict[ComponentKind, ComponentTable]:
        """Return the components that stand inside a component's table; a missing one is a problem."""
        found = {}
        for part in PARTS.get(kind, ()):
            place: KeyPath = (*path, part.value)
            if part.value not in raw:
                hint = f'add `{part.value} = {{ use = "plugin/component", ... }}`'
                self.problems.add(place, f"missing, expected the {part.value} that is asked", hint=hint)
                continue
            table = raw[part.value]
            if not isinstance(table, dict):
                expected = f'expected {{ use = "plugin/component", ... }}, was {describe(table)}'
                self.problems.add(place, expected)
                continue
            component = self.component(part, table, place)
            if component is not None:
                found[part] = component
        return found

    def single(self, kind: ComponentKind) -> ComponentTable | None:
        if kind.value not in self.raw:
            return None
        raw = self.table(self.raw[kind.value], (kind.value,))
        return None if raw is None else self.component(kind, raw, (kind.value,))

    def components(self, kind: ComponentKind, raw: Mapping[str, Any], path: KeyPath) -> tuple[ComponentTable, ...]:
        items = self.tables(raw.get(kind.value, []), (*path, kind.value))
        built = (self.component(kind, item, place) for place, item in items)
        return tuple(component for component in built if component is not None)

    def book(self) -> ComponentTable:
        path: KeyPath = ("book",)
        default = ComponentTable(kind=ComponentKind.BOOK, path=path, use=_DEFAULT_BOOK, is_default=True)
        raw = self.table(self.raw["book"], path) if "book" in self.raw else None
        return (
            default if raw is None else self.component(ComponentKind.BOOK, raw, path, default=_DEFAULT_BOOK) or default
        )

    def venues(self) -> tuple[ComponentTable | None, dict[Mode, ComponentTable]]:
        raw = self.table(self.raw["venue"], ("venue",)) if "venue" in self.raw else {}
        if not raw:
            return None, {}
        modes = {mode.value: mode for mode in Mode}
        if "use" in raw:
            for name in modes.keys() & raw.keys():
                if isinstance(raw[name], dict) and "use" in raw[name]:
                    hint = f"give `use` of [venue] a mode of its own, or drop [venue.{name}]"
                    self.problems.add(("venue", name), "expected one [venue] or one table a mode, was both", hint=hint)
                    self.unread.add("venue")
                    return None, {}
            return self.component(ComponentKind.VENUE, raw, ("venue",)), {}
        unknown_keys(raw, (*modes, "use"), ("venue",), self.problems)
        if raw.keys() - modes.keys():
            self.unread.add("venue")
        found = {}
        for name in modes.keys() & raw.keys():
            table = self.table(raw[name], ("venue", name))
            component = None if table is None else self.component(ComponentKind.VENUE, table, ("venue", name))
            if component is not None:
                found[modes[name]] = component
        return None, found

    def markets(
        self,
        book: ComponentTable,
        chains: Mapping[ComponentKind, tuple[ComponentTable, ...]],
        limits: Mapping[str, Any],
    ) -> tuple[MarketConfig, ...]:
        if "markets" not in self.raw:
            hint = 'add `[[markets]]` with `instrument = "BTC/USDT"` and `order_size = "0.01"`'
            self.problems.add(("markets",), "missing, expected at least one market", hint=hint)
            return ()
        items = self.tables(self.raw["markets"], ("markets",))
        if self.raw["markets"] == []:
            self.problems.add(("markets",), "expected at least one market, was an empty array")
        return tuple(self.market(raw, path, book=book, chains=chains, limits=limits) for path, raw in items)

    def market(
        self,
        raw: Mapping[str, Any],
        path: KeyPath,
        *,
        book: ComponentTable,
        chains: Mapping[ComponentKind, tuple[ComponentTable, ...]],
        limits: Mapping[str, Any],
    ) -> MarketConfig:
        own = {key: item for key, item in raw.items() if key not in MARKET_TABLES}
        table = read_table(MarketTable, own, path, self.reading, also_known=MARKET_TABLES)
        own_chains = {kind: self.components(kind, raw, path) if kind.value in raw else chains[kind] for kind in _CHAINS}
        own_limits = {name: self.market_limits(name, raw, path, limits[name]) for name in _LIMIT_TABLES}
        own_book = self.market_book(raw, path, book)
        return MarketConfig(
            path=path,
            table=self.salvaged(_UNREAD_MARKET, own) if table is INVALID else table,
            is_whole=table is not INVALID,
            book=own_book,
            signals=own_chains[ComponentKind.SIGNAL],
            optimizers=own_chains[ComponentKind.OPTIMIZER],
            risk_controls=own_chains[ComponentKind.RISK_CONTROL],
            ladder=own_limits["ladder"],
            reconcile=own_limits["reconcile"],
            gate=own_limits["gate"],
            limit_paths={
                f"{name}.{key}": (*path, name)
                for name in _LIMIT_TABLES
                for key in (raw[name] if isinstance(raw.get(name), dict) else ())
            },
        )

    def market_limits(self, name: str, raw: Mapping[str, Any], path: KeyPath, base: Any) -> Any:
        """Return the strategy's limits with the market's own keys laid over them."""
        place: KeyPath = (*path, name)
        own = self.table(raw[name], place) if name in raw else None
        if own is None:
            return base
        for key in STRATEGY_WIDE_LIMITS if name == "gate" else ():
            if key in own:
                self.problems.add(
                    (*place, key), "cannot differ by market: it limits the whole strategy", hint=f"set it in [{name}]"
                )
        values = read_values(_LIMIT_TABLES[name], own, place, self.reading)
        if INVALID in values.values():
            return base
        merged = construct(lambda: attrs.evolve(base, **values), _LIMIT_TABLES[name], place, self.reading)
        return base if merged is INVALID else merged

    def market_book(self, raw: Mapping[str, Any], path: KeyPath, base: ComponentTable) -> ComponentTable:
        """Return the market's book: keys laid over the strategy's, unless it uses another component."""
        place: KeyPath = (*path, "book")
        own = self.table(raw["book"], place) if "book" in raw else None
        component = None if own is None else self.component(ComponentKind.BOOK, own, place, default=base.use)
        if component is None or component.use != base.use:
            return component or base
        inherited = {
            key: (base.path if not base.key_paths else base.key_paths[key])
            for key in base.raw
            if key not in component.raw
        }
        return attrs.evolve(component, raw={**base.raw, **component.raw}, key_paths=inherited)


def _check_values(strategy_file: StrategyFile, problems: Problems) -> None:
    _check_names(strategy_file, problems)
    _check_run(strategy_file.run, problems)
    _check_plugins(strategy_file, problems)
    _check_timing(strategy_file, problems)
    for market in strategy_file.markets:
        _check_market(market, problems)
        if not market.optimizers and "optimizer" not in strategy_file.unread:
            hint = 'add `[[optimizer]]` with, for example, `use = "fixed-spread"`'
            text = f"missing, expected at least one: nothing would be quoted on {market.title}"
            problems.add(("optimizer",), text, hint=hint, at=market.path)


def _check_names(strategy_file: StrategyFile, problems: Problems) -> None:
    name = strategy_file.strategy.name
    if not _NAME.fullmatch(name):
        expected = "expected up to 32 letters, digits and dashes, with a letter or digit at both ends"
        problems.add(
            ("strategy", "name"), f"{expected}, was {describe(name)}", hint="it becomes part of client order ids"
        )
    seen: dict[str, KeyPath] = {}
    for market in strategy_file.markets:
        symbol, place = market.table.instrument, (*market.path, "instrument")
        if not symbol and not market.is_whole:
            continue
        if not _SYMBOL.fullmatch(symbol):
            problems.add(place, f"expected 'BASE/QUOTE', was {describe(symbol)}", hint='write it like "BTC/USDT"')
        if symbol in seen:
            first = problems.place(seen[symbol])
            problems.add(place, f"expected each instrument once, was {symbol!r} again", hint=f"the first is at {first}")
        seen.setdefault(symbol, place)


def _check_run(run: RunTable, problems: Problems) -> None:
    if run.duration is not None:
        try:
            duration_ns(run.duration)
        except DomainError as error:
            problems.add(("run", "duration"), error.message)
    try:
        _speed(run.speed)
    except ValueError as error:
        problems.add(("run", "speed"), str(error))


def _check_plugins(strategy_file: StrategyFile, problems: Problems) -> None:
    if "core" in strategy_file.plugins.disable:
        index = strategy_file.plugins.disable.index("core")
        problems.add(
            ("plugins", "disable", index), "'core' holds the built-ins and cannot be disabled", hint="remove it"
        )
    stems: dict[str, int] = {}
    for index, path in enumerate(strategy_file.plugins.local):
        place: KeyPath = ("plugins", "local", index)
        if not path.is_file():
            siblings = {sibling.name for sibling in path.parent.glob("*.py")} if path.parent.is_dir() else set()
            problems.add(place, f"no such file: {path_text(path)!r}", hint=nearest_hint(path.name, siblings))
        elif path.suffix != ".py" or not path.stem.isidentifier() or path.stem == "core":
            expected = "expected a Python file whose name is an identifier other than 'core'"
            problems.add(
                place, f"{expected}, was {path.name!r}", hint="the plugin's name is the file's name without .py"
            )
        elif path.stem in stems:
            problems.add(place, f"expected each plugin name once, was {path.stem!r} again")
        stems.setdefault(path.stem, index)


def _check_timing(strategy_file: StrategyFile, problems: Problems) -> None:
    strategy, faults = strategy_file.strategy, strategy_file.faults
    if strategy.requote_interval_ms > strategy.max_quote_age_ms:
        was = f"expected at most max_quote_age_ms = {strategy.max_quote_age_ms}, was {strategy.requote_interval_ms}"
        hint = "a market must be allowed to requote before its quotes are too old"
        problems.add(("strategy", "requote_interval_ms"), was, hint=hint)
    if faults.pull_after > faults.halt_after:
        was = f"expected at most halt_after = {faults.halt_after}, was {faults.pull_after}"
        problems.add(("faults", "pull_after"), was, hint="the run would halt before it ever pulls quotes")


def _check_market(market: MarketConfig, problems: Problems) -> None:
    table, gate, ladder = market.table, market.gate, market.ladder
    symbol = market.title
    if not market.is_whole:
        return
    largest = market.largest_order
    if gate.max_order_size is not None and gate.max_order_size < largest:
        was = f"expected at least {largest:f}, the largest order of {symbol}, was {gate.max_order_size}"
        problems.add(
            market.limit_path("gate", "max_order_size"), was, hint="raise it, or lower order_size or the ladder"
        )
    if gate.max_position is not None and gate.max_position < table.order_size:
        was = f"expected at least the order_size {table.order_size} of {symbol}, was {gate.max_position}"
        problems.add(market.limit_path("gate", "max_position"), was, hint="raise it or lower order_size")
    if gate.max_position is not None and abs(table.target_position) > gate.max_position:
        was = f"expected within gate.max_position = {gate.max_position}, was {table.target_position}"
        problems.add((*market.path, "target_position"), was)
    if gate.max_open_orders < 2 * ladder.levels:
        was = f"expected at least {2 * ladder.levels}, {ladder.levels} on each side, was {gate.max_open_orders}"
        problems.add(market.limit_path("gate", "max_open_orders"), was, hint="raise it or lower ladder.levels")
    reach_bps = market.ladder_reach_bps
    if reach_bps >= gate.price_collar_bps:
        was = f"expected the last of {ladder.levels} levels closer than gate.price_collar_bps = "
        was += f"{gate.price_collar_bps:g} bps, was {reach_bps:g} bps from the best one"
        key = "step_bps" if ladder.step_factor == 1.0 else "step_factor"
        hint = "the gate would refuse it always: lower levels, step_bps or step_factor"
        problems.add(market.limit_path("ladder", key), was, hint=hint)
    if (table.tick_size is None) != (table.lot_size is None):
        present, absent = ("tick_size", "lot_size") if table.lot_size is None else ("lot_size", "tick_size")
        problems.add((*market.path, absent), f"missing, expected beside {present}", hint=f"add it, or remove {present}")


def _factor(ladder: LadderTable) -> Decimal:
    # Without trailing zeros, so that sums read as a person would write them.
    return Decimal(str(ladder.size_factor)).normalize()
