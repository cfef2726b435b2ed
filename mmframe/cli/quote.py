"""`mmframe quote`: one decision of a strategy, stage by stage, from given numbers or at a moment of a recording."""

from __future__ import annotations

import re
import time
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from mmframe.cli.explanation import answer_lines, detail_lines
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint, plain, wall_time
from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.views import NEUTRAL_ADVICE, Advice
from mmframe.errors import DomainError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.status import RunStatus
    from mmframe.runtime.plan import Plan
    from mmframe.runtime.quote import GivenNumbers, Quote

__all__ = ["quote_command"]

_SIDES = {"bid": (Side.BUY,), "ask": (Side.SELL,)}
_ADVICE_NAMES = tuple(name for name in Advice._fields if name != "valid_until_ns")
_ADVICE_LASTS_NS = 3_600_000_000_000
_BARE_OFFSET = re.compile(r"[0-9.]+(ms|[dhms]).*")
_PLAIN_INTERVAL_S = 5.0
_TERMINAL_INTERVAL_S = 0.5
_EPILOG = """\
\b
Examples:
  mmframe quote strategy.toml --bid 100.00 --ask 100.10 --signal volatility=0.02
  mmframe quote strategy.toml --bid 100.00 --ask 100.10 --position 0.5 --average-price 99.8 --day-pnl -20 \\
      --advice skew_bps=2 --json
  mmframe quote strategy.toml --at 90s                    90 s into the recording that [history] names
  mmframe quote strategy.toml --at 2024-07-23T16:00:00Z

With numbers, a signal that is not given is read when the touch is all that it needs (a constant, a micro-price);
another one is not known, as while it warms up, and stages that remember something start afresh. Nothing is connected
and nothing is sent. Numbers are exact decimals on the market's grid.

TIME is an offset from the recording's start (90s, 1h30m), a time of day (16:00:00, UTC), an ISO 8601 time, or
nanoseconds since 1970. The recording is replayed up to it, as a backtest does, and the decision in force then is shown:
the last one at or before it.

With --json, stdout holds one object: source (numbers or recording), missing_signals, fresh_stages, notes, and what
`mmframe explain --json` shows of a decision, where journal is empty and run is 0.
"""


@click.command(epilog=_EPILOG, short_help="Compute one decision and show it stage by stage.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--bid", metavar="PRICE", help="Best bid of the market.")
@click.option("--ask", metavar="PRICE", help="Best ask of the market.")
@click.option("--bid-size", metavar="SIZE", help="Size at the best bid; the market's order size by default.")
@click.option("--ask-size", metavar="SIZE", help="Size at the best ask; the market's order size by default.")
@click.option("--position", metavar="SIZE", help="What is held, signed; 0 by default.")
@click.option("--average-price", metavar="PRICE", help="Of the position; the mid by default.")
@click.option("--day-pnl", metavar="AMOUNT", help="Profit of the day so far, quote asset; 0 by default.")
@click.option("--signal", "signals", multiple=True, metavar="NAME=VALUE", help="Value of a signal; repeatable.")
@click.option(
    "--advice",
    "advice",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"Advice in force, of {', '.join(_ADVICE_NAMES)}; repeatable. Given any, confidence is 1 unless told.",
)
@click.option(
    "--balance",
    "balances",
    multiple=True,
    metavar="ASSET=AMOUNT",
    help="Amount of an asset on the account; not told by default; repeatable.",
)
@click.option("--at", "moment", metavar="TIME", help="A moment of the recording instead of numbers.")
@click.option("--market", "symbol", metavar="SYMBOL", help="The market; by default the first one.")
@click.option("--side", type=click.Choice(list(_SIDES)), help="Tell of one side only.")
@click.option(
    "--mode",
    type=click.Choice([Mode.PAPER.value, Mode.BACKTEST.value]),
    help="Whose venue and feed to compose, with numbers; by default the file's, paper for a live one.",
)
@json_option
@click.pass_context
def quote_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    /,
    *,
    file: Path,
    moment: str | None,
    symbol: str | None,
    side: str | None,
    mode: str | None,
    as_json: bool,
    **numbers: Any,
) -> int:
    """Compute ONE decision of the strategy in FILE and show what each stage got, gave and why, without a run.

    From given numbers (--bid and --ask at least), or at a moment of the recording that [history] names (--at).
    """
    given = [_option_name(name) for name, value in numbers.items() if value]
    sides = _SIDES.get(side or "", (Side.BUY, Side.SELL))
    if moment is not None:
        if given or mode is not None:
            message = f"--at: cannot be combined with {', '.join([*given, *(['--mode'] if mode else [])])}"
            raise UsageError(message, hint="a recording brings its own market, position and signals")
        quote = _at(file, moment, symbol, sides, blocked_names(ctx))
    else:
        if numbers["bid"] is None or numbers["ask"] is None:
            message = f"{'--ask' if numbers['bid'] else '--bid'}: missing, expected --bid and --ask, or --at"
            raise UsageError(message, hint="`mmframe quote --help` has examples")
        plan = _composed(file, None if mode is None else Mode(mode), blocked_names(ctx))
        quote = _from_numbers(plan, symbol, sides, numbers)
    if as_json:
        answer = msgspec.to_builtins(quote, str_keys=True)
        explanation = answer.pop("explanation")
        write_json({**answer, **explanation})
    else:
        write_lines(_lines(quote))
    return 0


# From given numbers.


def _composed(file: Path, mode: Mode | None, blocked: frozenset[str]) -> Plan:
    from mmframe.registry import compose_look

    return compose_look(file, mode=mode, blocked=blocked)


def _from_numbers(plan: Plan, symbol: str | None, sides: Sequence[Side], numbers: dict[str, Any]) -> Quote:
    from mmframe.runtime.quote import quote_from

    market = _market(plan, symbol)
    given = _given(plan, market, numbers, now_ns=time.time_ns())
    return quote_from(plan, given, market=market, sides=sides)


def _given(plan: Plan, market: int, numbers: dict[str, Any], *, now_ns: int) -> GivenNumbers:
    from mmframe.runtime.quote import GivenNumbers

    instrument = plan.instruments[market]
    bid_ticks, ask_ticks = (_ticks(f"--{name}", numbers[name], instrument) for name in ("bid", "ask"))
    if bid_ticks >= ask_ticks:
        message = f"--bid: expected a price below --ask {numbers['ask']}, was {numbers['bid']!r}"
        raise UsageError(message, hint="a crossed book is never quoted on")
    order_lots = plan.settings.markets[market].order_size_lots
    position_lots = _lots("--position", numbers["position"], instrument) if numbers["position"] else 0
    average_price = _decimal("--average-price", numbers["average_price"]) if numbers["average_price"] else None
    if average_price is not None and (average_price <= 0 or not position_lots):
        expected = "a price above 0" if position_lots else "--position beside it"
        message = f"--average-price: expected {expected}, was {numbers['average_price']!r}"
        raise UsageError(message)
    advice = _pairs("--advice", numbers["advice"], _ADVICE_NAMES)
    return GivenNumbers(
        now_ns=now_ns,
        bid_ticks=bid_ticks,
        ask_ticks=ask_ticks,
        bid_lots=_depth("--bid-size", numbers["bid_size"], instrument, order_lots),
        ask_lots=_depth("--ask-size", numbers["ask_size"], instrument, order_lots),
        position_lots=position_lots,
        average_price=average_price,
        day_pnl_quote=_decimal("--day-pnl", numbers["day_pnl"]) if numbers["day_pnl"] else Decimal(0),
        signals=_pairs("--signal", numbers["signals"], _signal_names(plan, market), takes_nan=True),
        advice=_advice(advice, now_ns),
        balances=_balances(numbers["balances"], plan),
    )


def _signal_names(plan: Plan, market: int) -> tuple[str, ...]:
    return tuple(named.name for named in plan.pipelines[market].signals)


def _advice(values: dict[str, float], now_ns: int) -> Advice:
    if not values:
        return NEUTRAL_ADVICE
    return NEUTRAL_ADVICE._replace(**{"confidence": 1.0, **values}, valid_until_ns=now_ns + _ADVICE_LASTS_NS)


def _balances(texts: Sequence[str], plan: Plan) -> dict[str, Decimal]:
    known = dict.fromkeys(asset for instrument in plan.instruments for asset in (instrument.base, instrument.quote))
    amounts = {}
    for text in texts:
        asset, amount = _pair("--balance", text, tuple(known))
        amounts[asset] = _decimal(f"--balance {asset}", amount)
        if amounts[asset] < 0:
            message = f"--balance {asset}: expected 0 or more, was {amount!r}"
            raise UsageError(message)
    return amounts


def _pairs(option: str, texts: Sequence[str], known: tuple[str, ...], *, takes_nan: bool = False) -> dict[str, float]:
    values = {}
    for text in texts:
        name, written = _pair(option, text, known)
        try:
            value = float(written)
        except ValueError:
            message = f"{option} {name}: expected a number, was {written!r}"
            raise UsageError(message) from None
        if not isfinite(value) and not (takes_nan and value != value):  # noqa: PLR0124 - true for NaN alone
            message = f"{option} {name}: expected a finite number, was {written!r}"
            raise UsageError(message)
        values[name] = value
    return values


def _pair(option: str, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    from mmframe.config.problems import nearest_hint

    name, equals, value = text.partition("=")
    if not equals:
        message = f"{option}: expected NAME=VALUE, was {text!r}"
        raise UsageError(message)
    if name not in known:
        listed = ", ".join(known) or "none"
        message = f"{option}: expected one of {listed}, was {name!r}"
        raise UsageError(message, hint=nearest_hint(name, known) or "the strategy file names them")
    return name, value


def _ticks(option: str, text: str, instrument: Instrument) -> int:
    ticks = _on_grid(option, text, instrument.tick_size, instrument.price_ticks)
    if ticks <= 0:
        message = f"{option}: expected a price above 0, was {text!r}"
        raise UsageError(message)
    return ticks


def _lots(option: str, text: str, instrument: Instrument) -> int:
    return _on_grid(option, text, instrument.lot_size, instrument.size_lots)


def _depth(option: str, text: str | None, instrument: Instrument, default_lots: int) -> int:
    lots = default_lots if text is None else _lots(option, text, instrument)
    if lots <= 0:
        message = f"{option}: expected a size above 0, was {text!r}"
        raise UsageError(message)
    return lots


def _on_grid(option: str, text: str, step: Decimal, convert: Any) -> int:
    number = _decimal(option, text)
    try:
        return int(convert(number))
    except DomainError as error:
        below = number // step * step
        if number == below or not isfinite(below):
            raise UsageError(f"{option}: {error.message}", hint=error.hint) from error
        message = f"{option}: expected a multiple of {plain(step)}, was {text!r}"
        raise UsageError(message, hint=f"write {plain(below)} or {plain(below + step)}") from error


def _decimal(option: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        message = f"{option}: expected a decimal number, was {text!r}"
        raise UsageError(message) from None
    if not number.is_finite() or abs(number.adjusted()) > 20:
        message = f"{option}: expected a finite number of sane magnitude, was {text!r}"
        raise UsageError(message)
    return number


def _option_name(name: str) -> str:
    plural = {"signals": "--signal", "balances": "--balance"}
    return plural.get(name, f"--{name.replace('_', '-')}")


def _market(plan: Plan, symbol: str | None) -> int:
    symbols = [instrument.symbol for instrument in plan.instruments]
    if symbol is None:
        if len(symbols) > 1:
            note(f"of {symbols[0]}; --market names another of {', '.join(symbols)}")
        return 0
    if symbol not in symbols:
        message = f"--market: expected one of {', '.join(symbols)}, was {symbol!r}"
        raise UsageError(message)
    return symbols.index(symbol)


# At a moment of a recording.


def _at(file: Path, moment: str, symbol: str | None, sides: Sequence[Side], blocked: frozenset[str]) -> Quote:
    from mmframe.domain.market import NEVER_NS
    from mmframe.runtime.moments import parse_time_ns, time_text
    from mmframe.runtime.quote import quote_at, recording_start_ns

    plan = _composed(file, Mode.BACKTEST, blocked)
    market = _market(plan, symbol)
    start_ns = recording_start_ns(plan)
    text = f"+{moment}" if _BARE_OFFSET.fullmatch(moment) else moment
    try:
        # How far the recording goes is not known before it has been read.
        moment_ns = parse_time_ns(text, (start_ns, NEVER_NS))
    except UsageError as error:
        hint = f"write 90s, 16:00:00 or 2024-07-23T16:00:00Z; the recording begins at {time_text(start_ns)}"
        raise UsageError(f"--at: {error.message.removeprefix('time: ')}", hint=hint) from error
    progress = _Progress(start_ns, moment_ns)
    plans = iter((plan,))
    try:
        return quote_at(
            lambda: next(plans, None) or _composed(file, Mode.BACKTEST, blocked),
            moment_ns,
            market=market,
            sides=sides,
            observer=progress,
        )
    except UsageError as error:
        raise UsageError(f"--at: {error.message.removeprefix('moment: ')}", hint=error.hint) from error
    finally:
        progress.close()


class _Progress:
    """Says on stderr how far the replay is: in one line on a terminal, now and then elsewhere."""

    def __init__(self, start_ns: int, moment_ns: int) -> None:
        from mmframe.cli.status import stderr_is_terminal

        self._start_ns = start_ns
        self._length_ns = max(moment_ns - start_ns, 1)
        self._is_terminal = stderr_is_terminal()
        self._width = 0
        self._due_s = time.monotonic() + _PLAIN_INTERVAL_S
        self.interval_s = _TERMINAL_INTERVAL_S

    def on_status(self, status: RunStatus) -> None:
        """Show how far it is."""
        done = min(max((status.now_ns - self._start_ns) / self._length_ns, 0.0), 1.0)
        line = f"replaying: {done:.0%}, {wall_time(status.now_ns)}, {status.events:,} events"
        if self._is_terminal:
            self._width = max(self._width, len(line))
            click.echo(f"\r{line:<{self._width}}", err=True, nl=False)
        elif time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _PLAIN_INTERVAL_S
            note(line)

    def close(self) -> None:
        """Leave the line empty for what comes after."""
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", err=True, nl=False)


# What a person reads.


def _lines(quote: Quote) -> list[str]:
    explanation = quote.explanation
    is_replayed = quote.source == "recording"
    what = f"{explanation.strategy}, {explanation.instrument}"
    if is_replayed:
        when = f"{wall_time(explanation.now_ns)}, {explanation.since_start_ns / 1e9:.3f} s into the recording"
        before_ns = (explanation.asked_ns or explanation.now_ns) - explanation.now_ns
        before = f", {before_ns / 1e6:,.0f} ms before the moment asked for" if before_ns else ""
        title = f"{what}: decision {explanation.sequence} at {when}{before}"
    else:
        title = f"{what}: one decision from the given numbers"
    lines = [*answer_lines(explanation, is_supposed=not is_replayed), "", title]
    if explanation.halt_reason:
        lines.append(paint(f"halted: {explanation.halt_reason}", fg="red", bold=True))
    notes = [("-", text) for text in (*quote.notes, *_caveats(quote))]
    lines += columns(notes)
    if is_replayed:
        return [*lines, "", *detail_lines(explanation)]
    return [*lines, "", *detail_lines(explanation, sent="It would send", orders="")]


def _caveats(quote: Quote) -> list[str]:
    """Return what a reader must know before trusting the figures."""
    texts = []
    if quote.missing_signals:
        verb = "not known yet" if quote.source == "recording" else "not given"
        gone = [f"no {side.side}" for side in quote.explanation.quotes if not side.levels]
        why = dict.fromkeys(side.reason for side in quote.explanation.quotes if not side.levels)
        outcome = f"there is {' and '.join(gone)}: {'; '.join(why)}" if gone else "every quote was made without them"
        texts.append(f"signals {verb}: {', '.join(quote.missing_signals)}; {outcome}")
    if quote.fresh_stages:
        texts.append(f"stages that remember something started afresh: {', '.join(quote.fresh_stages)}")
    return texts
