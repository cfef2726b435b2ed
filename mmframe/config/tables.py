"""The kernel's own tables of a strategy file, declared with the same `option` fields that plugins use.

Component tables (`[feed]`, `[book]`, `[[signal]]`, ...) have `use`, the component's own options beside it, and the
keys of `COMPONENT_KEYS`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import attrs

from mmframe.plugin.options import option

__all__ = [
    "FaultsTable",
    "FeedKeys",
    "GateTable",
    "JournalTable",
    "LadderTable",
    "LiveTable",
    "MarketTable",
    "PluginsTable",
    "ReconcileTable",
    "RunTable",
    "SignalKeys",
    "StrategyTable",
]


@attrs.frozen
class StrategyTable:
    """`[strategy]`: who this is and how often it may move."""

    name: str = option(
        help="Name of the strategy: letters, digits and dashes; part of client order ids.", example="btc-maker"
    )
    seed: int = option(help="Seed of every random stream in simulations.", default=1, minimum=0)
    requote_interval_ms: int = option(
        help="Shortest time between two decisions of a market.", default=100, minimum=0, unit="ms"
    )
    max_quote_age_ms: int = option(
        help="Longest time between two decisions of a market, even if nothing changed.",
        default=1000,
        minimum=1,
        unit="ms",
    )
    acknowledge_timeout_ms: int = option(
        help="A request without an answer for longer makes its order UNKNOWN.", default=5000, minimum=1, unit="ms"
    )


@attrs.frozen
class RunTable:
    """`[run]`: how `mmframe run` runs it when the command line does not say."""

    mode: str = option(help="Driver.", default="paper", choices=("paper", "backtest", "live"))
    duration: str | None = option(
        help="Ends the run after this much time, such as `20s` or `5m`.", default=None, example="20s"
    )
    speed: str = option(
        help="Pace on virtual time: a factor such as `1` or `10`, or `max`.", default="1", example="max"
    )


@attrs.frozen
class PluginsTable:
    """`[plugins]`: what may be loaded."""

    disable: tuple[str, ...] = option(help="Entry-point names that must not be loaded.", default=())
    local: tuple[Path, ...] = option(
        help="Python files to load as plugins, relative to this file; the plugin's name is the file's stem.", default=()
    )


@attrs.frozen
class LadderTable:
    """`[ladder]`: several orders a side."""

    levels: int = option(help="Orders a side.", default=1, minimum=1, maximum=20)
    step_bps: float = option(
        help="Distance between levels; with a step_factor, between the best two.", default=5.0, above=0.0, unit="bps"
    )
    step_factor: float = option(
        help="Each distance between two levels relative to the one before it: 1 spaces them evenly, 2 at 1, 3, 7, 15 "
        "steps from the best.",
        default=1.0,
        minimum=1.0,
        maximum=10.0,
    )
    size_factor: float = option(
        help="Size of a level relative to the one before it; sizes that fall as e^(-a x level) have e^-a here.",
        default=1.0,
        above=0.0,
        maximum=10.0,
    )


@attrs.frozen
class ReconcileTable:
    """`[reconcile]`: when a resting order is close enough to keep its place in the queue."""

    price_tolerance_ticks: int = option(
        help="Kept when at most so many ticks behind its target.", default=0, minimum=0, unit="ticks"
    )
    size_tolerance: float = option(
        help="Kept when its size is within this share of the target's.", default=0.1, minimum=0.0, maximum=1.0
    )


@attrs.frozen
class GateTable:
    """`[gate]`: the hard limits that no component can bypass. Money and sizes are strings or integers."""

    max_order_size: Decimal | None = option(help="Largest order.", default=None, above=0.0, unit="base units")
    max_order_notional_quote: Decimal | None = option(
        help="Largest order value.", default=None, above=0.0, unit="quote units"
    )
    max_position: Decimal | None = option(
        help="Largest absolute position, counting every order that may still fill.",
        default=None,
        above=0.0,
        unit="base units",
    )
    max_position_notional_quote: Decimal | None = option(
        help="Largest absolute position value, counting every order that may still fill.",
        default=None,
        above=0.0,
        unit="quote units",
    )
    max_open_orders: int = option(help="Open orders in a market.", default=50, minimum=1)
    max_orders_per_second: int = option(
        help="Submits, amends and replaces of the whole strategy.", default=20, minimum=1
    )
    max_daily_loss_quote: Decimal | None = option(
        help="Loss since midnight UTC, fees included, of the whole strategy, that halts it.",
        default=None,
        above=0.0,
        unit="quote units",
    )
    price_collar_bps: float = option(
        help="Largest distance of an order's price from the mid.", default=500.0, above=0.0, unit="bps"
    )
    max_repeats: int = option(help="Refusals by the venue in a row before a side is paused.", default=5, minimum=1)
    repeat_pause_ms: int = option(help="Length of that pause.", default=5000, minimum=1, unit="ms")


@attrs.frozen
class FaultsTable:
    """`[faults]`: what a component that raises or breaks its contract leads to."""

    pull_after: int = option(help="Faults in a row after which quotes are pulled.", default=3, minimum=1)
    halt_after: int = option(help="Faults in the whole run after which the strategy halts.", default=20, minimum=1)


@attrs.frozen
class LiveTable:
    """`[live]`: what a live run does with what it finds at the venue."""

    on_open_orders: str = option(
        help="Orders of this strategy that rest at the venue and that the run does not know: `cancel` them, `adopt` "
        "those without a fill as quotes, or `refuse` to quote.",
        default="cancel",
        choices=("cancel", "adopt", "refuse"),
    )
    on_position: str = option(
        help="A position at a derivatives venue that the run's fills do not explain: `refuse` to quote, or `adopt` it "
        "at the venue's mark price.",
        default="refuse",
        choices=("refuse", "adopt"),
    )


@attrs.frozen
class JournalTable:
    """`[journal]`: the record of the run."""

    path: Path | None = option(
        help="File, relative to this file; by default a new one in `mmframe-runs` beside it, and none for backtests.",
        default=None,
        example="runs/btc.journal",
    )
    decisions: bool = option(help="Record every decision, for `mmframe explain`.", default=True)
    is_enabled: bool = option(help="Write a journal at all.", default=True)


@attrs.frozen
class MarketTable:
    """`[[markets]]`: one instrument. May also hold any of the component and limit tables, for this market alone."""

    instrument: str = option(help="Unified symbol, `BASE/QUOTE`.", example="BTC/USDT")
    order_size: Decimal = option(help="Size of the best quote.", above=0.0, unit="base units", example="0.01")
    target_position: Decimal = option(
        help="Position that the strategy aims for.", default=Decimal(0), unit="base units"
    )
    tick_size: Decimal | None = option(
        help="Price step, where feed or venue do not tell it.", default=None, above=0.0, unit="quote units"
    )
    lot_size: Decimal | None = option(
        help="Size step, where feed or venue do not tell it.", default=None, above=0.0, unit="base units"
    )
    min_size: Decimal | None = option(help="Smallest order.", default=None, above=0.0, unit="base units")
    min_notional_quote: Decimal | None = option(
        help="Smallest order value.", default=None, minimum=0.0, unit="quote units"
    )
    venue_symbol: str | None = option(
        help="The venue's own name; by default the symbol without its slash.", default=None
    )


@attrs.frozen
class FeedKeys:
    """Keys of `[feed]` that belong to the kernel, beside `use` and the component's own options."""

    stale_after_ms: int = option(
        help="Pull quotes when the book had no message for longer; 0 turns it off.", default=0, minimum=0, unit="ms"
    )


@attrs.frozen
class SignalKeys:
    """Keys of a `[[signal]]` that belong to the kernel."""

    name: str | None = option(help="Field of `view.signals`; by default what the signal provides.", default=None)
