"""The grid of each market: from the venue's own list, or from the strategy file where nobody else knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mmframe.config.problems import nearest_hint
from mmframe.config.text import decimal_text
from mmframe.domain.instrument import Instrument
from mmframe.errors import DomainError, MmframeError
from mmframe.registry.contract import plugin_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.config.problems import Problems
    from mmframe.config.strategy import MarketConfig
    from mmframe.registry.resolve import ParsedComponent

__all__ = ["resolve_instruments"]


def resolve_instruments(
    markets: Sequence[MarketConfig], sources: Sequence[ParsedComponent], problems: Problems, *, is_complete: bool
) -> tuple[Instrument | None, ...]:
    """Return the instrument of each market, None where it cannot be told; why not has been reported.

    Args:
        markets: As the file has them.
        sources: Components that may know grids; the first that knows one is believed.
        problems: Where problems go.
        is_complete: The sources are all that the strategy has; otherwise one of them may yet know the grid.
    """
    symbols = tuple(market.table.instrument for market in markets if _is_symbol(market))
    lists = [(source, _listed(source, symbols, problems)) for source in sources if _knows_instruments(source)]
    return tuple(
        _instrument(market, lists, problems, is_complete=is_complete) if _is_symbol(market) else None
        for market in markets
    )


def _is_symbol(market: MarketConfig) -> bool:
    base, slash, quote = market.table.instrument.partition("/")
    return bool(base and slash and quote)


def _knows_instruments(source: ParsedComponent) -> bool:
    # A venue that stands in for none in the file shares the feed's markets.
    return getattr(source.spec, "instruments", None) is not None and not source.table.is_default


def _listed(source: ParsedComponent, symbols: tuple[str, ...], problems: Problems) -> Mapping[str, Instrument] | None:
    """Return what a source says of the markets, or None after reporting why it says nothing."""
    try:
        listed = source.spec.instruments(source.options, symbols)
        if not all(isinstance(instrument, Instrument) for instrument in listed.values()):
            msg = "returned something else than instruments"
            raise TypeError(msg)
    except DomainError as error:
        problems.add(source.table.path, error.message, hint=error.hint)
    except MmframeError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin's function may raise anything; it is reported with its cause
        text = f"the instruments of {source.found.use!r} cannot be listed"
        problems.add_plugin_error(plugin_error(source.found.owner.installed, text, kind="build", cause=error))
    else:
        found: Mapping[str, Instrument] = listed
        return found
    return None


def _instrument(
    market: MarketConfig,
    lists: Sequence[tuple[ParsedComponent, Mapping[str, Instrument] | None]],
    problems: Problems,
    *,
    is_complete: bool,
) -> Instrument | None:
    symbol = market.table.instrument
    for source, listed in lists:
        if listed is None:
            return None
        if symbol in listed:
            _compare_grid(market, listed[symbol], source, problems)
            return _adjusted(market, listed[symbol], problems)
        hint = nearest_hint(symbol, _all_symbols(source, listed)) or f"see what {source.found.use!r} trades"
        text = f"expected an instrument of {source.table.use!r}, was {symbol!r}"
        problems.add((*market.path, "instrument"), text, hint=hint)
        return None
    return _from_file(market, problems) if is_complete else None


def _all_symbols(source: ParsedComponent, listed: Mapping[str, Instrument]) -> set[str]:
    """Return every symbol that the source knows, for a suggestion only."""
    try:
        return {*listed, *source.spec.instruments(source.options, ())}
    except Exception:  # noqa: BLE001 - without a suggestion the message is still right
        return set(listed)


def _compare_grid(market: MarketConfig, instrument: Instrument, source: ParsedComponent, problems: Problems) -> None:
    for key in ("tick_size", "lot_size"):
        written, known = getattr(market.table, key), getattr(instrument, key)
        if written is not None and written != known:
            text = f"expected {decimal_text(known)} as {source.table.use!r} says, was {written}"
            problems.add((*market.path, key), text, hint=f"remove it: {source.table.key} knows the grid")


def _from_file(market: MarketConfig, problems: Problems) -> Instrument | None:
    table = market.table
    if table.tick_size is None or table.lot_size is None:
        # One without the other was reported when the file was read.
        if table.tick_size is None and table.lot_size is None:
            text = f"missing, expected the price and size steps of {table.instrument}: no feed or venue tells them"
            hint = 'add `tick_size = "0.01"` and `lot_size = "0.0001"`, as the venue has them'
            problems.add((*market.path, "tick_size"), text, hint=hint)
        return None
    return _adjusted(
        market, Instrument(symbol=table.instrument, tick_size=table.tick_size, lot_size=table.lot_size), problems
    )


def _adjusted(market: MarketConfig, instrument: Instrument, problems: Problems) -> Instrument | None:
    """Return the instrument with what the file says of smallest orders and the venue's name."""
    table, changes = market.table, dict[str, Any]()
    if table.min_size is not None:
        try:
            changes["min_size_lots"] = instrument.size_lots(table.min_size)
        except DomainError:
            text = f"expected a multiple of lot_size {decimal_text(instrument.lot_size)}, was {table.min_size}"
            problems.add((*market.path, "min_size"), text)
    if table.min_notional_quote is not None:
        changes["min_notional_quote"] = table.min_notional_quote
    if table.venue_symbol is not None:
        changes["venue_symbol"] = table.venue_symbol
    return attrs.evolve(instrument, **changes)
