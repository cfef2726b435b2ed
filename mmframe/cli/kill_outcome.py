"""What became of a kill, strategy by strategy: the steps as they happen, then the outcome for people and machines."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.cli.text import columns, iso_time, note, paint, plain, plural, program_name
from mmframe.domain.kinds import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.cli.kill_targets import Targets
    from mmframe.config import StrategyFile
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import OrderReport
    from mmframe.errors import MmframeError
    from mmframe.runtime.clean_up import MarketLeft, Removal
    from mmframe.runtime.kill_switch import KillSwitch
    from mmframe.runtime.plan import VenuePlan

__all__ = [
    "Outcome",
    "Steps",
    "after_failure",
    "outcome_lines",
    "outcome_object",
    "scope_lines",
    "scope_object",
]

_WEB_PAGE = "look at the open orders on the exchange's web page and cancel them there"


@attrs.frozen
class Step:
    """One step, in words."""

    at_ns: int
    text: str


class Steps:
    """What was done so far; each step is told on stderr as it happens.

    Args:
        began_s: Begin on the monotonic clock.
        title: Stands before each step where several strategies are killed.
    """

    def __init__(self, began_s: float, title: str = "") -> None:
        self.taken: list[Step] = []
        self._began_s = began_s
        self._title = f"{title}: " if title else ""

    def say(self, text: str) -> None:
        """Take a step, and tell it."""
        self.taken.append(Step(time.time_ns(), text))
        note(f"[{time.monotonic() - self._began_s:5.2f} s] {self._title}{text}")


@attrs.define
class Outcome:
    """What became of one strategy, or of one market of it.

    Attributes:
        is_told: What tells its processes to stop is there.
        plan: None while its venue could not be built.
        error: Why nothing was removed from here.
    """

    strategy: StrategyFile
    symbol: str
    switch: KillSwitch
    mode: Mode
    is_told: bool
    steps: Steps
    plan: VenuePlan | None = None
    removal: Removal | None = None
    error: MmframeError | None = None

    @property
    def is_clean(self) -> bool:
        """Tell whether its orders are proved gone; in paper nobody but the process itself knows of them."""
        if self.mode is not Mode.LIVE:
            return self.is_told
        return self.is_told and self.removal is not None and self.removal.is_clean


def after_failure(outcome: Outcome) -> str:
    """Return what a person must know where nothing was removed."""
    if outcome.symbol:
        told = "a process that runs the strategy pulls them itself" if outcome.is_told else "no process is told either"
    elif outcome.is_told:
        told = "a strategy that still runs sees the kill switch, cancels its orders and ends"
    else:
        told = "no kill switch is set either"
    return f"no order was removed from here; {told}; {_WEB_PAGE}"


def outcome_lines(outcome: Outcome) -> list[str]:
    """Return what a person reads of one strategy in the end."""
    name, plan, removal = outcome.strategy.strategy.name, outcome.plan, outcome.removal
    scope = f" --market {shlex.quote(outcome.symbol)}" if outcome.symbol else ""
    command = f"{program_name()} kill {shlex.quote(str(outcome.strategy.path))}{scope}"
    lines = []
    if removal is not None and plan is not None:
        where = f" in {outcome.symbol}" if outcome.symbol else ""
        took = f"{removal.took_ns / 1e9:.1f} s"
        if removal.is_clean:
            lines = [paint(f"No order of {name!r} is left{where} at {plan.use} ({took}).", fg="green", bold=True)]
        else:
            lines = [paint(f"NOT PROVED after {took}: {removal.failure}.", fg="red", bold=True)]
        lines += _removal_lines(removal)
        if not removal.is_clean:
            lines.append(f"{_WEB_PAGE[0].upper()}{_WEB_PAGE[1:]}, or try again: {command}")
    elif outcome.error is not None:
        lines = [paint(f"{name!r} FAILED: {outcome.error.message}.", fg="red", bold=True)]
        lines.append(f"{after_failure(outcome)}.")
    elif outcome.mode is not Mode.LIVE:
        color = "green" if outcome.is_told else "red"
        lines = [paint(f"{outcome.symbol} of {name!r}: {outcome.steps.taken[-1].text}.", fg=color, bold=True)]
    if outcome.is_told:
        again = "It is quoted again" if outcome.symbol else "It starts again"
        mode = "" if outcome.mode is Mode.LIVE else f" --mode {outcome.mode.value}"
        lines.append(f"{again} only after: {command}{mode} --release")
    return lines


def _removal_lines(removal: Removal) -> list[str]:
    lines = []
    for market in removal.markets:
        lines += _market_lines(market)
    for process in removal.processes:
        end = f"kill -9 {process.holder.pid}" if process.holder.pid else "end it"
        lines.append(paint(f"{process} is still there: `{end}` before anything else.", fg="red"))
    if removal.fills:
        lines.append(f"{plural(removal.fills, 'fill')} arrived meanwhile; a resumed run counts what its journal lacks.")
    return lines


def scope_lines(targets: Targets, outcomes: Sequence[Outcome]) -> list[str]:
    """Return what a person reads of several strategies in the end."""
    lines = []
    for outcome in outcomes:
        lines += [paint(str(outcome.strategy.path), bold=True), *(f"  {line}" for line in outcome_lines(outcome))]
    lines += [paint(f"NOT LOOKED AT: {problem}", fg="red", bold=True) for problem in targets.unread]
    clean = sum(outcome.is_clean for outcome in outcomes)
    return [*lines, "", f"{clean} of {plural(len(outcomes), 'strategy file')} proved without an order."]


def scope_object(targets: Targets, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "is_clean": not targets.unread and all(outcome.is_clean for outcome in outcomes),
        "strategies": [outcome_object(outcome) for outcome in outcomes],
        "unread": list(targets.unread),
    }


def _market_lines(market: MarketLeft) -> list[str]:
    instrument = market.instrument
    lines = []
    for owner, orders in (("of this strategy", market.ours), ("of others, left alone", market.others)):
        if orders:
            lines.append(f"{instrument.symbol}: {plural(len(orders), 'open order')} {owner}")
            lines += columns([_order_cells(order, instrument) for order in orders])
    if market.position_lots:
        position = f"{plain(instrument.size(market.position_lots))} {instrument.base}"
        lines.append(f"{instrument.symbol}: a position of {position} stays")
    return lines


def _order_cells(order: OrderReport, instrument: Instrument) -> tuple[str, ...]:
    facts = _order_object(order, instrument)
    return (facts["side"], facts["leaves"], "at", facts["price"], order.client_id or order.venue_order_id)


def _order_object(order: OrderReport, instrument: Instrument) -> dict[str, str]:
    return {
        "client_id": order.client_id,
        "venue_order_id": order.venue_order_id,
        "side": order.side.name.lower(),
        "price": plain(instrument.price(order.price_ticks)),
        "leaves": plain(instrument.size(order.size_lots - order.filled_lots)),
    }


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return what became of one strategy for a machine."""
    plan, removal = outcome.plan, outcome.removal
    failure = removal.failure if removal is not None else outcome.error.message if outcome.error is not None else ""
    return {
        "strategy": outcome.strategy.strategy.name,
        "file": str(outcome.strategy.path),
        "market": outcome.symbol or None,
        "venue": None if plan is None else plan.use,
        "is_clean": outcome.is_clean if removal is None else removal.is_clean,
        "failure": failure or None,
        "kill_switch": str(outcome.switch.path) if outcome.is_told and not outcome.symbol else None,
        "took_s": None if removal is None else removal.took_ns / 1e9,
        "markets": [_market_object(market) for market in (() if removal is None else removal.markets)],
        "fills": 0 if removal is None else removal.fills,
        "processes": [
            {"pid": process.holder.pid, "host": process.holder.host, "journal": str(process.journal)}
            for process in (() if removal is None else removal.processes)
        ],
        "steps": [{"at": iso_time(step.at_ns), "text": step.text} for step in outcome.steps.taken],
    }


def _market_object(market: MarketLeft) -> dict[str, Any]:
    return {
        "instrument": market.instrument.symbol,
        "is_known": bool(market.reports),
        "orders": [_order_object(order, market.instrument) for order in market.ours],
        "orders_of_others": [_order_object(order, market.instrument) for order in market.others],
        "position": _position(market),
    }


def _position(market: MarketLeft) -> str | None:
    return None if market.position_lots is None else plain(market.instrument.size(market.position_lots))
