"""Which limits bound in a run, and what operators ordered, in text and for machines: behind `mmframe explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from mmframe.cli.text import columns, count, duration, iso_time, paint, plural, wall_time
from mmframe.domain.orders import ALL_MARKETS
from mmframe.domain.records import Command
from mmframe.domain.views import RiskLevel
from mmframe.runtime.explain import reason_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.records import OperatorCommand
    from mmframe.domain.status import LimitCount
    from mmframe.runtime.journal import JournalLimit, JournalReader

__all__ = [
    "LimitsRecord",
    "binding_lines",
    "count_text",
    "limit_object",
    "limits_lines",
    "operator_object",
    "operator_text",
    "orders_in_force",
]

_FORCE = {RiskLevel.ALLOW: "", RiskLevel.SHRINK: "soft", RiskLevel.CANCEL_ONLY: "hard"}
_LATCHED = "latched"
"""Of a level beyond these: it holds until an operator resumes."""
_GATE = "gate "
_DEEDS = {
    Command.PAUSE: "paused by the operator",
    Command.KILL: "killed by the operator",
    Command.LIQUIDATE: "being closed by the operator's order",
}


@attrs.frozen
class LimitsRecord:
    """The limits that bound in a run, with what their text needs.

    Attributes:
        symbols: The markets, in order.
        reasons: Texts of plugins' own reason codes.
        end_ns: Until when the run's record tells.
        has_ended: The run ended by itself, so that its counts are whole.
    """

    limits: tuple[JournalLimit, ...]
    symbols: tuple[str, ...]
    reasons: Mapping[int, str]
    end_ns: int
    has_ended: bool

    @classmethod
    def read(
        cls,
        reader: JournalReader,
        *,
        market: int | None,
        run: int | None,
        since_ns: int = 0,
        until_ns: int | None = None,
    ) -> LimitsRecord:
        """Read from a journal what bound at some time of a span, both ends included."""
        chosen = reader.run(run)
        return cls(
            limits=reader.limits(market, run=run, since_ns=since_ns, until_ns=until_ns),
            symbols=tuple(instrument.symbol for instrument in chosen.header.instruments),
            reasons=chosen.header.reasons,
            end_ns=(reader.span_ns(run) or (0, 0))[1],
            has_ended=chosen.ended_ns is not None,
        )

    def scope(self, market: int) -> str:
        """Return whom it concerns."""
        return "strategy" if market == ALL_MARKETS else self.symbols[market]


def limits_lines(record: LimitsRecord) -> list[str]:
    """Return one row for each time that a limit bound."""
    if not record.limits:
        return ["No limit bound."]
    rows = [
        (
            wall_time(limit.began_ns).removesuffix(" UTC"),
            record.scope(limit.market),
            limit.stage,
            _force(limit.level),
            _length(limit, record),
            count(limit.decisions),
            _why(limit, record.reasons),
        )
        for limit in record.limits
    ]
    headings = ("began, UTC", "market", "whose", "kind", "for", "decisions", "why")
    lines = columns(rows, headings=headings, indent=0, numeric=(4, 5))
    if not record.has_ended and any(limit.ended_ns is None for limit in record.limits):
        lines += ["", "The run has not ended: what still binds has bound in more decisions than are counted here."]
    return lines


def binding_lines(record: LimitsRecord, at_ns: int) -> list[str]:
    """Return the limits that bound at a moment, since when and why; the record is of that moment alone."""
    if not record.limits:
        return []
    rows = []
    for limit in record.limits:
        whose = ", ".join(part for part in (limit.stage, _force(limit.level), record.scope(limit.market)) if part)
        length = duration(max(at_ns - limit.began_ns, 0))
        rows.append(("-", f"{whose}, for {length}: {_why(limit, record.reasons)}"))
    return ["", paint("Limits in force", bold=True), *columns(rows)]


def limit_object(limit: JournalLimit, record: LimitsRecord) -> dict[str, Any]:
    """Return one time that a limit bound, for a machine."""
    return {
        "began": iso_time(limit.began_ns),
        "ended": None if limit.ended_ns is None else iso_time(limit.ended_ns),
        "bound_s": None if limit.ended_ns is None else (limit.ended_ns - limit.began_ns) / 1e9,
        "market": None if limit.market == ALL_MARKETS else record.symbols[limit.market],
        "stage": limit.stage,
        "level": RiskLevel(limit.level).name.lower(),
        "kind": _force(limit.level),
        "reason_code": limit.reason,
        "reason": reason_text(limit.reason, record.reasons),
        "decisions": limit.decisions,
        "detail": limit.detail,
    }


def count_text(counted: LimitCount, reasons: Mapping[int, str]) -> str:
    """Return how often a limit bound in a run, in words."""
    times = "once" if counted.times == 1 else f"{count(counted.times)} times"
    scope = f" in {counted.instrument}" if counted.instrument else ""
    length = f", for {duration(counted.bound_ns)}" if counted.bound_ns else ""
    why = reason_text(counted.reason, reasons)
    text = f"{counted.stage}{scope}: {times}{length}, in {plural(counted.decisions, 'decision')}"
    return f"{text}: {why}" if why else text


def orders_in_force(reader: JournalReader, market: int, at_ns: int, run: int | None) -> tuple[OperatorCommand, ...]:
    """Return the operators' commands that were in force in a market at a moment: pauses, kills, liquidations.

    A run that goes on with a journal begins with those of the runs before it.
    """
    number = reader.run(run).number
    commands = [command for earlier in range(1, number) for command in reader.commands(run=earlier)]
    commands += [command for command in reader.commands(run=number) if command.receive_ns <= at_ns]
    force: dict[tuple[Command, int], OperatorCommand] = {}
    for command in commands:
        if command.market not in {ALL_MARKETS, market}:
            continue
        if command.command is Command.RESUME:
            force = {key: each for key, each in force.items() if not _is_released(each, command)}
            continue
        if command.command is Command.LIQUIDATE:
            # It also closes what a pause held up.
            force = {key: each for key, each in force.items() if key[0] is not Command.PAUSE}
        force[command.command, command.market] = command
    return tuple(force.values())


def operator_text(command: OperatorCommand) -> str:
    """Return a command in force, in words."""
    reason = f" ({command.reason})" if command.reason else ""
    return f"{_DEEDS[command.command]} since {wall_time(command.receive_ns)}{reason}"


def operator_object(command: OperatorCommand) -> dict[str, Any]:
    """Return a command in force, for a machine."""
    return {**msgspec.to_builtins(command), "since": iso_time(command.receive_ns)}


def _is_released(command: OperatorCommand, resume: OperatorCommand) -> bool:
    if command.command is Command.KILL:
        # The strategy's is released by --release-halt alone, a market's when it is named.
        return command.market == resume.market != ALL_MARKETS
    return resume.market in {ALL_MARKETS, command.market}


def _force(level: int) -> str:
    return _FORCE.get(RiskLevel(level), _LATCHED)


def _length(limit: JournalLimit, record: LimitsRecord) -> str:
    if limit.ended_ns is None:
        return f"{duration(max(record.end_ns - limit.began_ns, 0))}, to the end"
    return duration(limit.ended_ns - limit.began_ns) if limit.ended_ns > limit.began_ns else "a moment"


def _why(limit: JournalLimit, reasons: Mapping[int, str]) -> str:
    why = reason_text(limit.reason, reasons)
    if not why and limit.stage.startswith(_GATE):
        why = f"the gate's {limit.stage.removeprefix(_GATE)} refused a request"
    return "; ".join(part for part in (why, limit.detail) if part)
