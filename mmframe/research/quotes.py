"""What a chain of optimizers quotes in many markets, in one call.

Each market is one moment of its own: stages start afresh in it and see nothing of the others. Prices are as they leave
the last optimizer: not yet rounded, laddered, or seen by risk controls and the gate; `mmframe quote` goes all the way.

No array library is needed and every one is welcome: a column is a number for all markets, or anything with a length
and an index.
"""

from __future__ import annotations

import logging
import random
from array import array
from collections import namedtuple
from decimal import Decimal
from functools import cache, partial
from itertools import repeat
from math import inf, isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from mmframe.config.options import parse_options
from mmframe.config.problems import nearest_hint
from mmframe.domain.instrument import Instrument
from mmframe.domain.kinds import Mode
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin.context import BuildContext
from mmframe.plugin.rules import OptimizerRule
from mmframe.plugin.specs import ComponentKind, OptimizerSpec
from mmframe.registry import Registry, compose_look
from mmframe.runtime.clocks import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mmframe.engine.settings import MarketSettings
    from mmframe.ports import Optimizer

    Propose = Callable[[MarketView, Inventory, Advice, QuoteProposal], QuoteProposal]

__all__ = ["Chain", "Column", "ManyQuotes", "PerMarket", "Stage", "chain_of", "quote_many"]

_BPS = 10_000.0
_ADVICE_LASTS_NS = 3_600_000_000_000
_FAULTS_MAX = 20
_ONE_SIDED = int(Reason.ONE_SIDED)
_STRATEGY_ERROR = int(Reason.STRATEGY_ERROR)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BOOK_CROSSED = int(Reason.BOOK_CROSSED)
_OWN_INVENTORY = frozenset({"position", "target", "max_position"})
"""Figures of the inventory that are arguments of their own."""


class Column(Protocol):
    """One value a market: a list, an array, a NumPy array, a column of a table."""

    def __len__(self) -> int:
        """Return the number of markets."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """Return the value of one market, anything that `float` takes."""
        ...


@attrs.frozen
class PerMarket:
    """An option with a value of its own in each market.

    Attributes:
        values: One a market.
    """

    values: Column


@attrs.frozen
class Stage:
    """One optimizer of a chain.

    Attributes:
        use: A built-in's name or `plugin/component`, as in a strategy file.
        options: Its options as the strategy file would have them; `PerMarket` where they differ.
    """

    use: str
    options: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Chain:
    """The optimizers of a strategy file's market, with that market's numbers; made by `chain_of`.

    Attributes:
        optimizers: Name and built optimizer, in order.
        signals: The fields that the strategy's signals fill.
        settings: Of the market: its grid, order size, target and largest position are the defaults of `quote_many`.
        reasons: Texts of the optimizers' own reason codes.
    """

    optimizers: tuple[tuple[str, Optimizer], ...]
    signals: tuple[str, ...]
    settings: MarketSettings
    reasons: Mapping[int, str]


@attrs.frozen
class ManyQuotes:
    """What was quoted, one value a market in each column; nothing in it is NaN.

    Attributes:
        bid: `array('d')`, price of the bid, quote units; 0.0 for no bid.
        bid_size: `array('d')`, base units; 0.0 for no bid.
        ask: As `bid`.
        ask_size: As `bid_size`.
        spread_bps: `array('d')`, between bid and ask, bps of the mid; 0.0 without one of them.
        bid_flags: `array('q')`, why the bid is absent or was changed last, a `Reason` or an optimizer's own code; 0
            for nothing to say. BOOK_EMPTY, BOOK_CROSSED: the market's own bid and ask cannot be quoted on.
            STRATEGY_ERROR: a stage raised or broke its contract; see `faults`.
        ask_flags: As `bid_flags`.
        reasons: Texts of the optimizers' own codes.
        faults: The first few failures, with market and stage.
    """

    bid: array[float]
    bid_size: array[float]
    ask: array[float]
    ask_size: array[float]
    spread_bps: array[float]
    bid_flags: array[int]
    ask_flags: array[int]
    reasons: Mapping[int, str]
    faults: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.bid)


def chain_of(path: Path, *, market: int = 0, mode: Mode | None = None) -> Chain:
    """Return the chain of optimizers of a strategy file, built as a run builds it.

    Args:
        path: The strategy file.
        market: Index of the market in it.
        mode: Overrides `run.mode`; by default the file's, and paper for a file that says live.

    Raises:
        ConfigErrors: With every problem of the file.
        DomainError: If it has no such market.
    """
    plan = compose_look(path, mode=mode)
    if not 0 <= market < len(plan.pipelines):
        msg = f"market: expected 0 to {len(plan.pipelines) - 1}, was {market}"
        raise DomainError(msg)
    pipeline = plan.pipelines[market]
    return Chain(
        optimizers=tuple((named.name, named.optimizer) for named in pipeline.optimizers),
        signals=tuple(named.name for named in pipeline.signals),
        settings=plan.settings.markets[market],
        reasons=plan.reasons,
    )


def quote_many(  # noqa: PLR0913 - one keyword for each thing that stages see
    chain: Chain | Path | Sequence[Stage],
    *,
    bid: float | Column | None = None,
    ask: float | Column | None = None,
    mid: float | Column | None = None,
    touch_spread_bps: float | Column = 1.0,
    bid_size: float | Column = 1.0,
    ask_size: float | Column = 1.0,
    signals: Mapping[str, float | Column] | None = None,
    position: float | Column = 0.0,
    target: float | Column | None = None,
    max_position: float | Column | None = None,
    inventory: Mapping[str, float | Column] | None = None,
    advice: Mapping[str, float | Column] | None = None,
    order_size: float | Column | None = None,
    tick: float | Column | None = None,
    lot: float | Column | None = None,
    now_ns: int = 0,
    registry: Registry | None = None,
) -> ManyQuotes:
    """Return what a chain of optimizers quotes in each of many markets; the number of markets is that of the columns.

    Args:
        chain: Stages by name, a strategy file, or what `chain_of` made of one.
        bid: Best bid, quote units. A market whose bid and ask are not 0 < bid < ask is flagged, not quoted.
        ask: Best ask, quote units.
        mid: Instead of bid and ask, which then stand around it.
        touch_spread_bps: Between them, bps of the mid; counts only together with `mid`.
        bid_size: At the best bid, base units.
        ask_size: At the best ask, base units.
        signals: By the field of `view.signals`; NaN is 'not known yet', and so is one of a strategy file's that is not
            named here. Stages by name must get every signal that they need.
        position: Signed, base units.
        target: The position to aim for, base units; the file's, else 0.
        max_position: Base units; the file's, else infinity.
        inventory: Other fields of `Inventory`. Left out, values follow from the position and the mid, profits are 0
            and balances are not told.
        advice: Fields of `Advice` that are not neutral; given any, confidence is 1 unless named.
        order_size: Base units; the file's, else 1.
        tick: Price step; the file's, else 1e-8. Nothing is rounded to it, but stages may count in it.
        lot: Size step; the file's, else 1e-8.
        now_ns: Time of all markets, nanoseconds UTC.
        registry: Where stages are looked up; by default the plugins that were installed at the first call.

    Raises:
        DomainError: If columns are not of one length, or a name is not known.
        ConfigErrors: If options are wrong.
        PluginError: If a plugin cannot be used.
    """
    if isinstance(chain, Path):
        chain = chain_of(chain)
    asked = {"target": target, "max_position": max_position, "order_size": order_size, "tick": tick, "lot": lot}
    given = {name: value for name, value in asked.items() if value is not None}
    columns = _Columns(
        {
            **_touch(bid, ask, mid, touch_spread_bps),
            "bid_size": bid_size,
            "ask_size": ask_size,
            "position": position,
            **_defaults(chain.settings if isinstance(chain, Chain) else None),
            **given,
        }
    )
    signal_values = _named("signals", signals, chain.signals if isinstance(chain, Chain) else None, columns)
    extra = _named("inventory", inventory, tuple(set(Inventory._fields) - _OWN_INVENTORY), columns)
    advised = _named("advice", advice, tuple(name for name in Advice._fields if name != "valid_until_ns"), columns)
    if isinstance(chain, Chain):
        signal_values = {name: signal_values.get(name, nan) for name in chain.signals}
        stages = _Stages.of_chain(chain)
    else:
        stages = _Stages.by_name(chain, columns, tuple(signal_values), registry or _installed())
    return _Run(columns, signal_values, extra, advised, now_ns).quotes(stages)


@cache
def _installed() -> Registry:
    """Return the installed plugins; looking for them takes longer than a thousand quotes."""
    return Registry()


def _touch(
    bid: float | Column | None, ask: float | Column | None, mid: float | Column | None, spread_bps: float | Column
) -> dict[str, float | Column]:
    """Return bid and ask, or mid and spread, whichever was given."""
    if bid is not None and ask is not None and mid is None:
        return {"bid": bid, "ask": ask}
    if mid is not None and bid is None and ask is None:
        return {"mid": mid, "touch_spread_bps": spread_bps}
    names = [name for name, value in (("bid", bid), ("ask", ask), ("mid", mid)) if value is not None]
    msg = f"prices: expected bid and ask, or mid, was {' and '.join(names) or 'none'}"
    raise DomainError(msg)


def _defaults(settings: MarketSettings | None) -> dict[str, float | Column]:
    if settings is None:
        return {"target": 0.0, "max_position": inf, "order_size": 1.0, "tick": 1e-8, "lot": 1e-8}
    lot = settings.instrument.lot
    return {
        "target": settings.target_position_lots * lot,
        "max_position": settings.max_position,
        "order_size": settings.order_size_lots * lot,
        "tick": settings.instrument.tick,
        "lot": lot,
    }


class _Columns:
    """Columns of one length, and numbers that hold for all."""

    def __init__(self, values: Mapping[str, float | Column]) -> None:
        self._length: int | None = None
        self._measured_by = ""
        self.values = {name: self.checked(name, value) for name, value in values.items()}

    @property
    def length(self) -> int:
        """Return the number of markets; one when nothing is a column."""
        return 1 if self._length is None else self._length

    def checked(self, name: str, value: float | Column) -> float | Column:
        """Return a column of the common length, or a number.

        Raises:
            DomainError: If the length differs.
        """
        if isinstance(value, (int, float, str)) or not hasattr(value, "__getitem__"):
            return _as_float(name, value)
        count = len(value)
        if self._length is None:
            self._length, self._measured_by = count, name
        elif count != self._length:
            msg = f"{name}: expected {self._length} values, as many as {self._measured_by}, was {count}"
            raise DomainError(msg)
        return value


def _named(
    place: str, values: Mapping[str, float | Column] | None, known: tuple[str, ...] | None, columns: _Columns
) -> dict[str, float | Column]:
    found = {}
    for name, value in (values or {}).items():
        if known is not None and name not in known:
            msg = f"{place}: expected one of {', '.join(sorted(known)) or 'none'}, was {name!r}"
            raise DomainError(msg, hint=nearest_hint(name, known))
        found[name] = columns.checked(f"{place}.{name}", value)
    return found


def _as_float(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"{name}: expected a number or a column of numbers, was {value!r}"
        raise DomainError(msg) from None


def _cells(name: str, value: float | Column, count: int) -> Iterable[float]:
    """Return the value of each market, as Python floats."""
    if isinstance(value, float):
        return repeat(value, count)
    if isinstance(value, array) and value.typecode == "d":
        return value
    try:
        return [float(value[index]) for index in range(count)]
    except (TypeError, ValueError):
        # Slowly, to say which one it is.
        return [_as_float(f"{name}[{index}]", value[index]) for index in range(count)]


class _Stages:
    """The chain, with state of its own in each market."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        self.reasons = reasons
        self._of_market: list[tuple[str, Callable[[int], Propose]]] = []

    @classmethod
    def of_chain(cls, chain: Chain) -> _Stages:
        stages = cls(chain.reasons)
        for name, optimizer in chain.optimizers:
            if not isinstance(optimizer, OptimizerRule):
                msg = f"optimizer {name!r}: expected a rule, whose state can be made anew for each market"
                raise DomainError(msg, hint=f"give the stages by name instead of a file: Stage({name!r}, ...)")
            stages.add_shared(name, optimizer)
        return stages

    @classmethod
    def by_name(
        cls, chain: Sequence[Stage], columns: _Columns, signals: tuple[str, ...], registry: Registry
    ) -> _Stages:
        if not chain:
            msg = "chain: expected at least one stage, was none"
            raise DomainError(msg)
        reasons: dict[int, str] = {}
        stages = cls(reasons)
        for place, stage in enumerate(chain):
            spec = registry.component(ComponentKind.OPTIMIZER, stage.use, needed_by=f"chain[{place}]").spec
            if not isinstance(spec, OptimizerSpec):
                msg = f"chain[{place}]: expected an optimizer, was {stage.use!r}"
                raise DomainError(msg)
            _require_signals(place, stage, spec, signals)
            reasons.update(spec.reasons)
            stages.add_built(_Builder(place, stage, spec, columns))
        return stages

    def add_shared(self, name: str, rule: OptimizerRule) -> None:
        """Add one rule for all markets."""
        if rule.state:
            self._of_market.append((name, lambda _: partial(rule.function, rule.params, list(rule.state))))
        else:
            propose = rule.propose
            self._of_market.append((name, lambda _: propose))

    def add_built(self, builder: _Builder) -> None:
        """Add a stage that may differ between markets."""
        self._of_market.append((builder.name, builder.propose))

    def of_market(self, index: int) -> list[tuple[str, Propose]]:
        """Return the stages of one market, with a state that nothing has touched."""
        return [(name, make(index)) for name, make in self._of_market]


def _require_signals(place: int, stage: Stage, spec: OptimizerSpec, signals: tuple[str, ...]) -> None:
    for need in spec.needs:
        if need not in signals:
            msg = f"signals: expected {need!r}, which chain[{place}] {stage.use!r} needs"
            raise DomainError(msg, hint=f"signals={{{need!r}: ...}}; NaN where it is not known")


class _Builder:
    """Builds one stage, once for each set of options and each grid."""

    def __init__(self, place: int, stage: Stage, spec: OptimizerSpec, columns: _Columns) -> None:
        self.name = stage.use
        self._place = place
        self._spec = spec
        self._fixed = {name: value for name, value in stage.options.items() if not isinstance(value, PerMarket)}
        self._columns = {
            name: columns.checked(f"chain[{place}].{name}", value.values)
            for name, value in stage.options.items()
            if isinstance(value, PerMarket)
        }
        self._tick, self._lot = columns.values["tick"], columns.values["lot"]
        self._rules: dict[tuple[Any, ...], OptimizerRule] = {}
        self._is_uniform = not self._columns and isinstance(self._tick, float) and isinstance(self._lot, float)
        self._last: OptimizerRule | None = None

    def propose(self, index: int) -> Propose:
        """Return the stage of one market, with a fresh state."""
        rule = self._last
        if rule is None or not self._is_uniform:
            built = self._built(index)
            if not isinstance(built, OptimizerRule):
                # It may hold anything, so no other market may use it.
                return built.propose
            self._last = rule = built
        return partial(rule.function, rule.params, list(rule.state)) if rule.state else rule.propose

    def _built(self, index: int) -> Optimizer:
        values = tuple(_plain(column, index) for column in self._columns.values())
        key = (*values, _number(self._tick, index), _number(self._lot, index))
        rule = self._rules.get(key)
        if rule is not None:
            return rule
        built = self._build(index, values, *key[-2:])
        if isinstance(built, OptimizerRule):
            self._rules[key] = built
        return built

    def _build(self, index: int, values: tuple[Any, ...], tick: float, lot: float) -> Optimizer:
        raw = {**self._fixed, **dict(zip(self._columns, values, strict=True))}
        options: Any = parse_options(self._spec.options, raw, path=("chain", self._place))
        context = BuildContext(
            mode=Mode.BACKTEST,
            directory=Path(),
            instruments=(Instrument("MARKET/QUOTE", tick_size=Decimal(repr(tick)), lot_size=Decimal(repr(lot))),),
            market=0,
            clock=VirtualClock(),
            random=random.Random(index),  # noqa: S311 - chance in simulations, never a secret
            logger=logging.getLogger("mmframe.research"),
            book=None,
            resources={},
        )
        return self._spec.build(options, context)


def _plain(column: float | Column, index: int) -> Any:
    """Return an option's value as a strategy file would have it: NumPy's numbers are none of TOML."""
    value = column if isinstance(column, float) else column[index]
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _number(value: float | Column, index: int) -> float:
    return value if isinstance(value, float) else float(value[index])


class _Run:
    """One call: makes views and inventories market by market and asks the stages."""

    def __init__(
        self,
        columns: _Columns,
        signals: Mapping[str, float | Column],
        inventory: Mapping[str, float | Column],
        advice: Mapping[str, float | Column],
        now_ns: int,
    ) -> None:
        self._count = columns.length
        self._has_mid = "mid" in columns.values
        self._rows = _rows(columns.values, self._count)
        # The fields are known only at run time, as in a strategy file.
        self._signals: Callable[..., tuple[float, ...]] = namedtuple("Signals", tuple(signals))  # type: ignore[misc]  # noqa: PYI024
        self._signal_rows = _rows(signals, self._count)
        self._extra_names = tuple(inventory)
        self._extra_rows = _rows(inventory, self._count)
        self._advice_names = tuple(advice)
        self._advice_rows = _rows(advice, self._count)
        self._now_ns = now_ns
        self._faults: list[str] = []

    def quotes(self, stages: _Stages) -> ManyQuotes:
        """Return what the stages quote in every market."""
        floats = [array("d", bytes(8 * self._count)) for _ in range(5)]
        flags = [array("q", bytes(8 * self._count)) for _ in range(2)]
        bids, bid_sizes, asks, ask_sizes, spreads = floats
        for index, row in enumerate(self._rows):
            bid, ask, *rest = row
            if self._has_mid:
                # The first two are then mid and spread.
                bid, ask = bid * (1.0 - ask / (2.0 * _BPS)), bid * (1.0 + ask / (2.0 * _BPS))
            proposal = self._propose(index, bid, ask, rest, stages)
            bids[index], bid_sizes[index], asks[index], ask_sizes[index] = proposal[:4]
            flags[0][index], flags[1][index] = proposal.bid_reason, proposal.ask_reason
            if proposal.bid_size and proposal.ask_size:
                spreads[index] = (proposal.ask - proposal.bid) / ((bid + ask) * 0.5) * _BPS
        return ManyQuotes(
            bid=bids,
            bid_size=bid_sizes,
            ask=asks,
            ask_size=ask_sizes,
            spread_bps=spreads,
            bid_flags=flags[0],
            ask_flags=flags[1],
            reasons=stages.reasons,
            faults=tuple(self._faults),
        )

    def _propose(self, index: int, bid: float, ask: float, row: list[float], stages: _Stages) -> QuoteProposal:
        signals, extra, advised = next(self._signal_rows), next(self._extra_rows), next(self._advice_rows)
        bid_size, ask_size, position, target, max_position, order_size, tick, lot = row
        # Written so that NaN fails too.
        if not 0.0 < bid < inf or not 0.0 < ask < inf:
            return _no_quote(_BOOK_EMPTY)
        if bid >= ask:
            return _no_quote(_BOOK_CROSSED)
        mid = (bid + ask) * 0.5
        view = MarketView(
            now_ns=self._now_ns,
            bid=bid,
            bid_size=bid_size,
            ask=ask,
            ask_size=ask_size,
            mid=mid,
            tick=tick,
            lot=lot,
            order_size=order_size,
            age_ns=0,
            lag_ns=0,
            signals=self._signals(*signals),
        )
        inventory = _inventory(position, target, max_position, mid)
        if extra:
            inventory = inventory._replace(**dict(zip(self._extra_names, extra, strict=True)))
        advice = self._advice(advised) if advised else NEUTRAL_ADVICE
        proposal = NO_QUOTE
        for name, propose in stages.of_market(index):
            try:
                proposal = propose(view, inventory, advice, proposal)
                problem = _problem(proposal)
            except Exception as error:  # noqa: BLE001 - a stage may raise anything; it is recorded
                problem = f"{type(error).__name__}: {error}"
            if problem:
                return self._fault(index, name, problem)
        return _whole(proposal)

    def _advice(self, values: tuple[float, ...]) -> Advice:
        given = dict(zip(self._advice_names, values, strict=True))
        valid_until_ns = self._now_ns + _ADVICE_LASTS_NS
        return NEUTRAL_ADVICE._replace(**{"confidence": 1.0, **given}, valid_until_ns=valid_until_ns)

    def _fault(self, index: int, name: str, text: str) -> QuoteProposal:
        if len(self._faults) < _FAULTS_MAX:
            self._faults.append(f"market {index}, {name}: {text}")
        return _no_quote(_STRATEGY_ERROR)


def _rows(values: Mapping[str, float | Column], count: int) -> Iterator[tuple[float, ...]]:
    if not values:
        return iter([()] * count)
    return zip(*(_cells(name, value, count) for name, value in values.items()), strict=True)


def _problem(proposal: QuoteProposal) -> str:
    """Return what the engine would refuse a stage's answer for; empty when nothing."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    # The comparisons are false for NaN, so that it fails here too.
    if (bid_size and not (0.0 < bid < inf and 0.0 < bid_size < inf)) or (
        ask_size and not (0.0 < ask < inf and 0.0 < ask_size < inf)
    ):
        return f"expected finite prices and sizes above 0, was {proposal!r}"
    return f"expected bid < ask, was {bid!r} >= {ask!r}" if bid_size and ask_size and bid >= ask else ""


def _whole(proposal: QuoteProposal) -> QuoteProposal:
    """Return a proposal in which a side without a quote has no price, and a reason."""
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    return QuoteProposal(
        bid=bid if bid_size else 0.0,
        bid_size=bid_size,
        ask=ask if ask_size else 0.0,
        ask_size=ask_size,
        bid_reason=int(bid_reason) or (0 if bid_size else _ONE_SIDED),
        ask_reason=int(ask_reason) or (0 if ask_size else _ONE_SIDED),
    )


def _no_quote(reason: int) -> QuoteProposal:
    return QuoteProposal(bid=0.0, bid_size=0.0, ask=0.0, ask_size=0.0, bid_reason=reason, ask_reason=reason)


def _inventory(position: float, target: float, max_position: float, mid: float) -> Inventory:
    """Return the inventory of a market that stands alone and has made nothing yet."""
    value = position * mid
    is_held = isfinite(position) and position != 0.0
    return Inventory(
        position=position,
        target=target,
        max_position=max_position,
        average_price=mid if is_held else 0.0,
        realised_pnl_quote=0.0,
        unrealised_pnl_quote=0.0,
        fees_quote=0.0,
        day_pnl_quote=0.0,
        total_notional_quote=abs(value),
        net_notional_quote=value,
        concentration=1.0 if is_held else 0.0,
        market_count=1.0,
        asset_position=position,
        total_pnl_quote=0.0,
        peak_pnl_quote=0.0,
        day_peak_pnl_quote=0.0,
        base_balance=nan,
        quote_balance=nan,
        open_orders=0.0,
        orders_sent=0.0,
        requests_sent=0.0,
        fill_count=0.0,
    )
