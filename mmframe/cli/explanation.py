"""A decision in text: the answer first, then stage by stage, then what was seen and what came of it.

`mmframe explain` and `mmframe quote` show the same decision in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.cli.text import columns, paint, terminal_width, wall_time
from mmframe.domain.records import StageKind
from mmframe.domain.views import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.runtime.explain import Explanation, QuoteExplained, StageChange, StageExplained

__all__ = ["answer_lines", "detail_lines", "stage_name"]

_WIDE = 110
"""Columns from which the table has room to repeat what each stage gets; it is what the one above gives."""
_NARROW = 100
"""Columns from which it has room for a stage's kind: optimizers stand before rounding, risk controls behind it."""
_ALWAYS_SHOWN = frozenset({"position", "target", "max_position"})
"""Figures of the inventory that say something even when they are 0 or not set."""
_NS_PER_MS = 1_000_000
_FIRST_MOMENT_NS = 10**17
"""A time in nanoseconds from here on (the year 1973) is a moment, below a length."""
_BPS = 10_000.0


def answer_lines(explanation: Explanation, *, is_supposed: bool = False) -> list[str]:
    """Return one sentence a side: where the quote stands and why, or why there is none.

    Args:
        explanation: The decision.
        is_supposed: It was made from given numbers, so that it has no time and nothing came of it.
    """
    at = "" if is_supposed else f" at {wall_time(explanation.now_ns).split(' ')[1]}"
    place = f"in {explanation.instrument}{at}"
    return [_answer(explanation, quote, place, "" if is_supposed else quote.outcome) for quote in explanation.quotes]


def detail_lines(
    explanation: Explanation, *, sent: str = "Sent", orders: str = "Our orders at that moment"
) -> list[str]:
    """Return the stages, what bound, what was seen, what was sent and which orders there were.

    Args:
        explanation: The decision.
        sent: Heading of the requests.
        orders: Heading of the orders; empty leaves them away.
    """
    lines = _stage_table(explanation)
    if explanation.bound:
        lines += ["", paint("What bound", bold=True), *columns([("-", text) for text in explanation.bound])]
    advice = {} if explanation.is_advice_neutral else explanation.advice
    figures = [
        ("market", _figures(explanation.view)),
        ("signals", _figures(explanation.signals, missing="not known yet")),
        ("inventory", _figures(_worth_showing(explanation.inventory), missing="no limit")),
        ("advice", _figures(advice) or "none in force"),
        ("from", explanation.advice_source),
    ]
    lines += ["", paint("What it saw", bold=True), *columns([row for row in figures if row[1]])]
    lines += ["", paint(sent, bold=True), *([f"  {action.words}" for action in explanation.actions] or ["  nothing"])]
    if not orders:
        return lines
    rows = [
        (
            order.client_id,
            order.side,
            f"{order.leaves:f} at {order.price:,f}",
            order.state + (", kept" if order.is_kept else ""),
        )
        for order in explanation.working
    ]
    return [*lines, "", paint(orders, bold=True), *(columns(rows) or ["  none"])]


def stage_name(kind: str, name: str) -> str:
    """Return a stage as people call it."""
    words = {"risk": "risk control ", "optimizer": "optimizer "}
    return f"{words.get(kind, '')}{name}"


def _answer(explanation: Explanation, quote: QuoteExplained, place: str, outcome: str) -> str:
    """Return the one sentence that answers the question."""
    if quote.levels:
        best = quote.levels[0]
        base = explanation.instrument.partition("/")[0]
        distance = "" if best.distance_bps is None else f", {best.distance_bps:.2f} bps from the mid"
        more = f" and {len(quote.levels) - 1} more behind it" if len(quote.levels) > 1 else ""
        moved = _last_word(explanation, quote.side)
        head = paint(f"The {quote.side} {place} is {best.size:f} {base} at {best.price:,f}{distance}{more}", bold=True)
        return f"{head}{f': {moved}' if moved else ''}. {_sentence(outcome)}".rstrip()
    head = paint(f"There is no {quote.side} {place}", bold=True)
    return f"{head}: {_remover(explanation, quote)}."


def _remover(explanation: Explanation, quote: QuoteExplained) -> str:
    for stage in reversed(explanation.stages):
        for change in stage.changes:
            if change.side == quote.side and change.size_before and not change.size_after:
                why = change.bound or change.reason or stage.note or quote.reason
                return f"{stage_name(stage.kind, stage.name)} removed it: {why}"
    return quote.reason or quote.outcome


def _last_word(explanation: Explanation, side: str) -> str:
    """Return which stage changed the quote last, how and why, when it gave a reason."""
    for stage in reversed(explanation.stages):
        for change in stage.changes:
            why = change.bound or change.reason
            if change.side == side and change.is_changed and why:
                return f"{stage_name(stage.kind, stage.name)} {_deed(change)}: {why}"
    return ""


def _deed(change: StageChange) -> str:
    if not change.size_before:
        return "set it"
    is_moved, is_smaller = change.price_after != change.price_before, change.size_after < change.size_before
    return (
        "moved it and made it smaller" if is_moved and is_smaller else "made it smaller" if is_smaller else "moved it"
    )


def _stage_table(explanation: Explanation) -> list[str]:
    width = terminal_width()
    is_wide = width >= _WIDE
    mid = explanation.view.get("mid")
    rows = []
    for stage in explanation.stages:
        name = f"{stage.number} {stage_name(stage.kind, stage.name) if width >= _NARROW else stage.name}"
        level = f"{stage.level}" if stage.level not in {"", "allow"} else ""
        for number, change in enumerate(stage.changes):
            why = "; ".join(part for part in (level if not number else "", _why(stage, change, mid)) if part)
            gets = (_quote(change, after=False),) if is_wide else ()
            rows.append((name if not number else "", change.side, *gets, _output(change), _move(change), why))
    headings = ("stage", "side", *(("gets",) if is_wide else ()), "gives", "bps away", "why")
    return columns(rows, headings=headings, indent=0, numeric=(len(headings) - 2,))


def _move(change: StageChange) -> str:
    """Return how far the price moved away from the other side."""
    return f"{change.moved_bps:+.2f}" if change.moved_bps else ""


def _why(stage: StageExplained, change: StageChange, mid: float | None) -> str:
    # The kernel's own note names the component that failed and its exception; its reason only says that one did.
    if change.reason_code == Reason.STRATEGY_ERROR and " " in stage.note:
        return stage.note
    if change.bound or change.reason:
        return change.bound or change.reason
    if stage.kind == StageKind.LADDER.value and change.is_changed:
        return stage.note
    if mid and change.price_before is None and change.price_after is not None:
        return f"{abs(change.price_after - mid) / mid * _BPS:.2f} bps from the mid"
    return ""


def _output(change: StageChange) -> str:
    return _quote(change, after=True) if change.is_changed or change.price_after is None else "the same"


def _quote(change: StageChange, *, after: bool) -> str:
    price, size = (change.price_after, change.size_after) if after else (change.price_before, change.size_before)
    return "no quote" if price is None else f"{size:.8g} at {price:,.10g}"


def _worth_showing(inventory: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the figures that say something: those that are not 0 and are known, and the position's own."""
    return {name: value for name, value in inventory.items() if value or name in _ALWAYS_SHOWN}


def _figures(values: Mapping[str, float | None], *, missing: str = "-") -> str:
    return ", ".join(_figure(name, value, missing) for name, value in values.items())


def _figure(name: str, value: float | None, missing: str) -> str:
    if value is None:
        return f"{name} {missing}"
    if name.endswith("_ns") and value >= _FIRST_MOMENT_NS:
        return f"{name.removesuffix('_ns')} {wall_time(int(value))}"
    if name.endswith("_ns"):
        return f"{name.removesuffix('_ns')} {value / _NS_PER_MS:,.6g} ms"
    return f"{name} {value:,.8g}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
