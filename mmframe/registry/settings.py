"""From the words of a strategy file to the engine's integers: lots, nanoseconds, limits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe.config.strategy import MarketConfig, StrategyFile
from mmframe.config.text import decimal_text
from mmframe.domain.kinds import Mode, OnOpenOrders, OnPosition
from mmframe.engine.settings import (
    EngineSettings,
    FaultBudget,
    GateLimits,
    LadderSettings,
    MarketSettings,
    ReconcileSettings,
)
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.config.locate import KeyPath
    from mmframe.config.problems import Problems
    from mmframe.domain.instrument import Instrument

__all__ = ["LIVE_LIMITS", "engine_settings"]

LIVE_LIMITS = (
    "max_order_size",
    "max_order_notional_quote",
    "max_position",
    "max_position_notional_quote",
    "max_daily_loss_quote",
)
"""Keys of `[gate]` without which a live run does not start."""

_NS_PER_MS = 1_000_000


def engine_settings(
    file: StrategyFile, grids: Sequence[Instrument | None], *, mode: Mode, run_id: str, problems: Problems
) -> EngineSettings | None:
    """Return the engine's settings, or None after reporting why there are none."""
    if mode is Mode.LIVE:
        _require_limits(file, problems)
    markets = [
        None if grid is None or not market.is_whole else _market_settings(market, grid, file, problems)
        for market, grid in zip(file.markets, grids, strict=True)
    ]
    if any(market is None for market in markets):
        return None
    strategy = file.strategy
    return EngineSettings(
        strategy=strategy.name,
        run_id=run_id,
        markets=tuple(market for market in markets if market is not None),
        requote_interval_ns=strategy.requote_interval_ms * _NS_PER_MS,
        max_quote_age_ns=strategy.max_quote_age_ms * _NS_PER_MS,
        stale_after_ns=file.stale_after_ms * _NS_PER_MS,
        acknowledge_timeout_ns=strategy.acknowledge_timeout_ms * _NS_PER_MS,
        on_open_orders=OnOpenOrders(file.live.on_open_orders),
        on_position=OnPosition(file.live.on_position),
        faults=FaultBudget(pull_after=file.faults.pull_after, halt_after=file.faults.halt_after),
    )


def _require_limits(file: StrategyFile, problems: Problems) -> None:
    missing = {name for market in file.markets for name in LIVE_LIMITS if getattr(market.gate, name) is None}
    for name in (name for name in LIVE_LIMITS if name in missing):
        problems.add(
            ("gate", name), "missing, expected a limit: a live run needs it", hint=f'add `{name} = "..."` to [gate]'
        )
    if file.feed is not None and not file.stale_after_ms:
        text = "missing, expected a time: a live run does not quote on a feed that went silent"
        problems.add(("feed", "stale_after_ms"), text, hint="add `stale_after_ms = 2000` to [feed]")


def _market_settings(
    market: MarketConfig, instrument: Instrument, file: StrategyFile, problems: Problems
) -> MarketSettings | None:
    table = market.table
    order_lots = _exact_lots(table.order_size, instrument, (*market.path, "order_size"), problems)
    target_lots = _exact_lots(table.target_position, instrument, (*market.path, "target_position"), problems)
    if order_lots is not None and order_lots < instrument.min_size_lots:
        smallest = decimal_text(instrument.size(instrument.min_size_lots))
        text = f"expected at least {smallest}, the smallest order of {instrument.symbol}, was {table.order_size}"
        problems.add((*market.path, "order_size"), text)
    if order_lots is not None and instrument.max_size_lots is not None and order_lots > instrument.max_size_lots:
        largest = decimal_text(instrument.size(instrument.max_size_lots))
        text = f"expected at most {largest}, the largest order of {instrument.symbol}, was {table.order_size}"
        problems.add((*market.path, "order_size"), text)
    limits = _limits(market, instrument, file)
    if order_lots is None or target_lots is None or limits is None:
        return None
    return MarketSettings(
        instrument=instrument,
        order_size_lots=order_lots,
        limits=limits,
        target_position_lots=target_lots,
        ladder=LadderSettings(
            levels=market.ladder.levels,
            step_bps=market.ladder.step_bps,
            step_factor=market.ladder.step_factor,
            size_factor=market.ladder.size_factor,
        ),
        reconcile=ReconcileSettings(
            price_tolerance_ticks=market.reconcile.price_tolerance_ticks,
            size_tolerance=market.reconcile.size_tolerance,
        ),
    )


def _exact_lots(size: Decimal, instrument: Instrument, path: KeyPath, problems: Problems) -> int | None:
    try:
        return instrument.size_lots(size)
    except DomainError:
        lot = instrument.lot_size
        below = size // lot * lot
        nearby = " or ".join(f'"{decimal_text(value)}"' for value in (below, below + lot) if value)
        text = f"expected a multiple of lot_size {decimal_text(lot)} of {instrument.symbol}, was {size}"
        problems.add(path, text, hint=f"write {nearby}")
        return None


def _limits(market: MarketConfig, instrument: Instrument, file: StrategyFile) -> GateLimits | None:
    gate = market.gate
    lots = {}
    for name in ("max_order_size", "max_position"):
        size = getattr(gate, name)
        # A position is a whole number of lots, so the largest number of lots within a limit is the same limit.
        lots[name] = None if size is None else int(size / instrument.lot_size)
        if lots[name] == 0:
            # Then an order of one lot is above it, which was reported when the file was read.
            return None
    return GateLimits(
        max_order_lots=lots["max_order_size"],
        max_order_notional_quote=gate.max_order_notional_quote,
        max_position_lots=lots["max_position"],
        max_position_notional_quote=gate.max_position_notional_quote,
        max_open_orders=gate.max_open_orders,
        max_orders_per_second=file.gate.max_orders_per_second,
        max_daily_loss_quote=file.gate.max_daily_loss_quote,
        price_collar_bps=gate.price_collar_bps,
        max_repeats=gate.max_repeats,
        repeat_pause_ns=gate.repeat_pause_ms * _NS_PER_MS,
    )
