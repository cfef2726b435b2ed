"""The result of a run, as text for a person and as one JSON object for a machine."""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.cli.figures import pnl_split, position_text, risk_text, sum_pnl
from mmframe.cli.limits import count_text
from mmframe.cli.text import (
    columns,
    count,
    duration,
    iso_time,
    money,
    paint,
    plain,
    plural,
    program_name,
    shown_path,
    wall_time,
)
from mmframe.domain.views import RiskLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.status import LimitCount, MarketStatus, ProfitAndLoss, RunResult

__all__ = ["result_object", "summary_lines"]

_LIMITS_SHOWN = 4
"""Lines of limits in a summary; `mmframe explain --limits` lists them all."""


def summary_lines(result: RunResult, *, wall_s: float, reasons: Mapping[int, str] | None = None) -> list[str]:
    """Return what a person reads when a run has ended.

    Args:
        result: How it ended.
        wall_s: Seconds that it took on this machine.
        reasons: Texts of plugins' own reason codes.
    """
    status = result.status
    market_time = duration(status.now_ns - status.started_ns)
    lines = [
        paint(f"{status.strategy}", bold=True) + f"  {status.mode}, {market_time} of market time in {wall_s:.1f} s; "
        f"ended: {_ending(result)}",
        f"  {wall_time(status.started_ns)} to {wall_time(status.now_ns)}"
        if status.started_ns
        else "  no market data came",
        "",
    ]
    for market in status.markets:
        lines += [paint(market.instrument, bold=True), *_market_lines(market), ""]
    if len(status.markets) > 1:
        for asset, total in _totals(result).items():
            lines.append(f"All markets in {asset}: {money(total.total)} = {pnl_split(total)}")
        lines.append("")
    lines += _run_lines(result, reasons or {})
    if result.assumptions:
        lines += ["", paint("Assumptions behind these figures", bold=True)]
        lines += columns([("-", sentence) for sentence in result.assumptions])
    lines += ["", *_journal_lines(result)]
    return lines


def result_object(result: RunResult, *, wall_s: float) -> dict[str, Any]:
    """Return the result for a machine. Money, prices and sizes are strings of exact decimals; counts are integers.

    `position` and `pnl` are of the whole strategy where that has a meaning: `position` is null with several markets,
    `pnl` is null with several quote assets. `totals` has the profit of each quote asset, `markets` each market.
    """
    status = result.status
    totals = _totals(result)
    return {
        "strategy": status.strategy,
        "mode": status.mode,
        "ended_because": result.ended_because,
        "is_halted": status.is_halted,
        "halt_reason": status.halt_reason,
        "is_paused": status.is_paused,
        "started": iso_time(status.started_ns),
        "ended": iso_time(status.now_ns),
        "market_time_s": (status.now_ns - status.started_ns) / 1e9,
        "wall_time_s": round(wall_s, 3),
        "events": status.events,
        "market_messages": result.market_messages,
        "decisions": status.decisions,
        "decision_hash": result.decision_hash,
        "orders": sum(market.orders for market in status.markets),
        "fills": sum(market.fills for market in status.markets),
        "position": plain(status.markets[0].position) if len(status.markets) == 1 else None,
        "pnl": _pnl_object(next(iter(totals.values()))) if len(totals) == 1 else None,
        "totals": {asset: _pnl_object(total) for asset, total in totals.items()},
        "markets": [_market_object(market) for market in status.markets],
        "faults": result.faults,
        "fault_notes": list(result.fault_notes),
        "rejections": result.rejections,
        "cancelled": result.cancelled,
        "unresolved": list(result.unresolved),
        "limits": [_limit_object(each) for each in result.limits],
        "advice": list(status.advice),
        "assumptions": list(result.assumptions),
        "journal": result.journal,
    }


def _ending(result: RunResult) -> str:
    if result.status.is_halted:
        return f"halted, {result.status.halt_reason}"
    return result.ended_because


def _market_lines(market: MarketStatus) -> list[str]:
    base = market.instrument.partition("/")[0]
    rows = [
        ("P&L", f"{money(market.pnl.total)} {market.quote_asset} = {pnl_split(market.pnl)}"),
        ("position", position_text(market)),
        ("orders", f"{count(market.orders)} sent"),
        ("fills", f"{count(market.fills)}, {plain(market.volume)} {base} traded"),
    ]
    if market.unvalued_fees:
        fees = ", ".join(f"{plain(amount)} {asset}" for asset, amount in sorted(market.unvalued_fees.items()))
        rows.append(("fees", f"{fees} paid besides, which cannot be valued in {market.quote_asset}"))
    if market.risk_level:
        rows.append(("restricted", risk_text(market.risk_level)))
    return columns(rows)


def _run_lines(result: RunResult, reasons: Mapping[int, str]) -> list[str]:
    status = result.status
    rows = [
        ("events", f"{count(status.events)}, of them {plural(result.market_messages, 'market message')}"),
        ("decisions", f"{count(status.decisions)}, hash {result.decision_hash}"),
    ]
    rows += [("advice", line) for line in status.advice]
    if result.rejections:
        rows.append(("gate", f"refused {plural(result.rejections, 'action')}"))
    if status.is_paused:
        rows.append(("paused", f"by the operator, until `{program_name()} resume FILE`"))
    rows += [
        ("limits" if not number else "", count_text(each, reasons))
        for number, each in enumerate(result.limits[:_LIMITS_SHOWN])
    ]
    if len(result.limits) > _LIMITS_SHOWN:
        rows.append(("", f"and {len(result.limits) - _LIMITS_SHOWN} more: {program_name()} explain PATH --limits"))
    if result.faults:
        last = f", last: {result.fault_notes[-1]}" if result.fault_notes else ""
        rows.append(("faults", f"{plural(result.faults, 'strategy fault')} contained{last}"))
    if result.unresolved:
        rows.append(("unresolved", f"{plural(len(result.unresolved), 'order')}: {', '.join(result.unresolved)}"))
    return columns(rows)


def _journal_lines(result: RunResult) -> list[str]:
    if result.journal is None:
        explain = f"{program_name()} explain PATH"
        return [f"No journal was written. With --journal PATH, `{explain}` tells afterwards why each quote stood."]
    journal = shown_path(result.journal)
    return [f"Journal  {journal}", f"Why?     {program_name()} explain {shlex.quote(journal)}"]


def _totals(result: RunResult) -> dict[str, ProfitAndLoss]:
    assets = dict.fromkeys(market.quote_asset for market in result.status.markets)
    return {
        asset: sum_pnl(market.pnl for market in result.status.markets if market.quote_asset == asset)
        for asset in assets
    }


def _pnl_object(pnl: ProfitAndLoss) -> dict[str, str]:
    return {name: plain(getattr(pnl, name)) for name in pnl.__struct_fields__}


def _market_object(market: MarketStatus) -> dict[str, Any]:
    return {
        "instrument": market.instrument,
        "quote_asset": market.quote_asset,
        "position": plain(market.position),
        "average_price": _optional(market.average_price),
        "pnl": _pnl_object(market.pnl),
        "orders": market.orders,
        "fills": market.fills,
        "volume": plain(market.volume),
        "bid": _optional(market.bid),
        "ask": _optional(market.ask),
        "book_state": market.book_state.name.lower(),
        "risk_level": market.risk_level,
        "unvalued_fees": {asset: plain(amount) for asset, amount in market.unvalued_fees.items()},
    }


def _limit_object(counted: LimitCount) -> dict[str, Any]:
    return {
        "market": counted.instrument or None,
        "stage": counted.stage,
        "level": RiskLevel(counted.level).name.lower(),
        "reason_code": counted.reason,
        "times": counted.times,
        "decisions": counted.decisions,
        "bound_s": counted.bound_ns / 1e9,
    }


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
