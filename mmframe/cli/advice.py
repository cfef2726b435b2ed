"""`mmframe advice`: whether a model's advice helped, how good its forecasts were, and what it was asked."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import note, plural, shown_path
from mmframe.errors import DomainError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from mmframe.domain.advice import AdviceCall
    from mmframe.ports import History
    from mmframe.research.advice import MidSeries

__all__ = ["advice_command"]

_ARMS = ("none", "constant", "shifted", "rule", "model")
_FORMATS = (".svg", ".png")
_BATCH_LATENCY_NS = 1_000_000_000

_EVALUATE_EPILOG = """\
\b
Examples:
  mmframe advice evaluate strategy.toml --calls runs/paper.journal
  mmframe advice evaluate strategy.toml --calls calls.jsonl --shifts 20 --plot helped.svg
  mmframe advice evaluate strategy.toml --calls calls.jsonl --arms none,constant --for 4h --json

Every arm is a backtest of FILE on its [history], with the same seed, latency and fills; only the advice differs:
none; constant, the model's own mean over time; shifted, the model's advice moved round the clock of the recording by
random times, so that its level stays and its timing is lost; rule, a simple rule asked when the model was; model, the
recorded advice at its recorded times. API cost is charged to the model, and to the shifted model, which asks as often.

The difference of model and arm is paired by blocks of time. Its interval of 95 % is that of a moving-block bootstrap;
p allows for all comparisons made (Holm). --blocks sets how much time stays together, by default what the differences'
own dependence asks for.

A run for each arm and each shift takes as long as a backtest.

With --json, stdout holds one object: verdict, caveats, strategy, adviser, quote_asset, start, end, calls,
calls_outside, cost_usd, usd_rate, step_s, seed, levels, arms, shifts, shifts_at_least_as_good, comparisons, rule and
curves. Money is in the quote asset, as numbers: these are statistics.
"""

_SCORE_EPILOG = """\
\b
Examples:
  mmframe advice score runs/live.journal
  mmframe advice score runs/live.journal --horizon 30s --horizon 5m --json
  mmframe advice score calls.jsonl --data strategy.toml

A forecast counts from when it took effect. It is a hit when the mid has moved to its side after the horizon; where the
mid has not moved it is neither. Brier: mean squared distance of the confidence from 1 for a hit and 0 for a miss; a
constant confidence, equal to the hit rate, scores the figure beside it. Information coefficient: rank correlation of
direction and return, with the interval of 95 % of a moving-block bootstrap.

Mids are those of the journal's decisions, or of the [history] of --data. Shadow advice is scored as applied advice is.

With --json, stdout holds one object: scores, one an adviser, market and horizon.
"""

_CALLS_EPILOG = """\
\b
Examples:
  mmframe advice calls runs/live.journal
  mmframe advice calls calls.jsonl --adviser night-watch --json

With --json, stdout holds one object: calls, each as it was recorded, with its times as text, and totals.
"""

_ASK_EPILOG = """\
\b
Examples:
  mmframe advice ask strategy.toml --out calls.jsonl --for 1h
  mmframe advice ask strategy.toml --out calls.jsonl --latency 1500ms
  mmframe advice ask strategy.toml --out labels.jsonl --batch --dry-run
  mmframe advice ask strategy.toml --out labels.jsonl --batch --wait

This really asks the models that FILE names and costs what they cost, within each adviser's budget by the days and
minutes of the recording. A pass that was interrupted goes on where it was: what --out holds is not asked again.

--batch hands all questions over at once, where the provider takes batches: cheaper (`batch_share` of a price row), and
answered within a day. Run the same command again to fetch the answers, or let it --wait. What was submitted is kept in
a file beside --out and never paid for twice. Since the questions are put before the first answer is there, they are
those of a run without advice, and answers are written as in shadow mode: for `score`, and for `evaluate` where they do
not depend on the position. They take effect a second after their question, or after --latency.

With --batch --json, stdout holds one object: state (dry-run, under-way or done), out and batches, each with adviser,
model, name, status, questions, refused, answered, worst_usd, detail, and when done failed and cost_usd.

A model asked about the past may know how it went. What was recorded at the time, in a paper or live run or in shadow
mode, is better evidence.
"""


def _time(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from mmframe.config.durations import duration_ns

    try:
        return duration_ns(value)
    except DomainError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


def _times(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(found for value in values if (found := _time(ctx, parameter, value)) is not None)


def _arms(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    arms = tuple(part.strip() for part in value.split(","))
    unknown = [arm for arm in arms if arm not in _ARMS]
    if unknown or not set(arms) - {"model"}:
        message = f"expected some of {', '.join(_ARMS)}, and not the model alone, was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter)
    return arms


def _plot_path(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in _FORMATS:
        message = f"expected a file that ends with {' or '.join(_FORMATS)}, was {str(value)!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter)
    return value


@click.group(short_help="Say whether a model's advice helped, and list what it was asked.")
def advice_command() -> None:
    """Say whether a model's advice helped, how good its forecasts were, and what it was asked."""


@advice_command.command("evaluate", epilog=_EVALUATE_EPILOG, short_help="Compare the model with four other arms.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--calls",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    metavar="JOURNAL|CALLS.jsonl",
    help="The recorded calls: a journal, or a file with one call a line.",
)
@click.option("--adviser", metavar="NAME", help="Whose calls; needed where there are several advisers.")
@click.option("--arms", metavar="NAMES", callback=_arms, default=",".join(_ARMS), show_default=True, help="Which arms.")
@click.option(
    "--shifts",
    metavar="N",
    type=click.IntRange(1, 1_000),
    default=5,
    show_default=True,
    help="Random shifts that the shifted arm is the mean of.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the shifts and of the bootstrap.")
@click.option("--blocks", "block_ns", metavar="TIME", callback=_time, help="Time that stays together, such as 30m.")
@click.option(
    "--usd-rate", metavar="RATE", type=float, help="Quote units for a USD of API cost; 1 where it is a dollar."
)
@click.option("--for", "duration", metavar="TIME", help="Only the first part of the recording, such as 4h.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_plot_path,
    metavar="PATH.svg|.png",
    help='Draw profits over time and the differences; needs `pip install "mmframe[plot]"`.',
)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_context
def evaluate_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    /,
    *,
    file: Path,
    source: Path,
    adviser: str | None,
    arms: tuple[str, ...],
    shifts: int,
    seed: int,
    block_ns: int | None,
    usd_rate: float | None,
    duration: str | None,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run FILE's recording with the model's advice and with four kinds of other advice, and say what differs.

    Progress goes to stderr, the result to stdout.
    """
    from mmframe.cli.advice_report import evaluation_lines, evaluation_object
    from mmframe.research.advice import Choices, evaluate
    from mmframe.research.advice.plot import plot_evaluation, require_matplotlib
    from mmframe.runtime.advice.replay import read_calls

    if plot is not None:
        # Before the long work.
        require_matplotlib()
    choices = Choices(
        arms=arms,
        shifts=shifts,
        seed=seed,
        block_ns=block_ns,
        usd_rate=usd_rate,
        adviser=adviser,
        duration=duration,
        blocked=blocked_names(ctx),
    )
    evaluation = evaluate(file, read_calls(source), choices, watch=_watch(is_quiet=quiet))
    if plot is not None:
        plot_evaluation(evaluation, plot)
    if as_json:
        write_json(evaluation_object(evaluation))
        return
    write_lines(evaluation_lines(evaluation))
    if plot is not None:
        write_lines(["", f"The picture is in {shown_path(plot)}."])


@advice_command.command("score", epilog=_SCORE_EPILOG, short_help="Score forecasts of direction.")
@click.argument("source", type=click.Path(path_type=Path), metavar="JOURNAL|CALLS.jsonl")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="FILE", help="Strategy file whose [history] has the mids."
)
@click.option("--adviser", metavar="NAME", help="One adviser alone.")
@click.option(
    "--run", "number", metavar="N", type=click.IntRange(1), help="Of a journal: the run; the newest by default."
)
@click.option(
    "--horizon",
    "horizons_ns",
    metavar="TIME",
    multiple=True,
    callback=_times,
    default=("60s",),
    show_default=True,
    help="Time after which a forecast is held against the mid; repeatable.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--blocks", "block", metavar="N", type=click.IntRange(1), help="Forecasts that stay together.")
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_context
def score_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    /,
    *,
    source: Path,
    data: Path | None,
    adviser: str | None,
    number: int | None,
    horizons_ns: tuple[int, ...],
    seed: int,
    block: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score the forecasts of direction in a journal, applied or in shadow, against the mids that followed."""
    from mmframe.cli.advice_report import score_lines, score_object
    from mmframe.research.advice import score

    calls = _calls(source, adviser, number)
    if data is None:
        markets = _journal_mids(source, number)
    else:
        markets = _recorded_mids(data, blocked_names(ctx), is_quiet=quiet)
    scores = score(calls, markets, horizons_s=[horizon_ns / 1e9 for horizon_ns in horizons_ns], seed=seed, block=block)
    if as_json:
        write_json(score_object(scores))
    else:
        write_lines(score_lines(scores, calls))


@advice_command.command("calls", epilog=_CALLS_EPILOG, short_help="List the questions, what became of them, and cost.")
@click.argument("source", type=click.Path(path_type=Path), metavar="JOURNAL|CALLS.jsonl")
@click.option("--adviser", metavar="NAME", help="One adviser alone.")
@click.option("--run", "number", metavar="N", type=click.IntRange(1), help="Of a journal: one run; all by default.")
@json_option
def calls_command(*, source: Path, adviser: str | None, number: int | None, as_json: bool) -> None:
    """List the questions to models, what became of the answers, and what they cost."""
    from mmframe.cli.advice_report import calls_lines, calls_object

    calls = _calls(source, adviser, number)
    if as_json:
        write_json(calls_object(calls))
    else:
        write_lines(calls_lines(calls))


@advice_command.command("ask", epilog=_ASK_EPILOG, short_help="Ask the models about a recording, for an evaluation.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="CALLS.jsonl",
    help="Where calls go.",
)
@click.option("--for", "duration", metavar="TIME", help="Only the first part of the recording, such as 4h.")
@click.option(
    "--latency",
    "latency_ns",
    metavar="TIME",
    callback=_time,
    help="When each reply takes effect after its question, such as 1500ms; by default as long as it took.",
)
@click.option("--batch", "uses_batches", is_flag=True, help="All at once: cheaper, and answered within a day.")
@click.option("--wait", "waits", is_flag=True, help="Of a batch: stay until it is answered.")
@click.option(
    "--poll", "poll_ns", metavar="TIME", callback=_time, default="60s", show_default=True, help="Between two looks."
)
@click.option("--cancel", "cancels", is_flag=True, help="Of a batch: have it ended early; what is answered costs.")
@click.option("--dry-run", is_flag=True, help="Of a batch: say what it would cost at most, and ask nothing.")
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_context
def ask_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    /,
    *,
    file: Path,
    out: Path,
    duration: str | None,
    latency_ns: int | None,
    uses_batches: bool,
    waits: bool,
    poll_ns: int,
    cancels: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Replay FILE's recording, ask its advisers' models at the times at which a run would have, and write the calls."""
    if uses_batches:
        from mmframe.cli.advice_batches import ask_in_batches
        from mmframe.research.advice import RecordingBatches

        def questions() -> RecordingBatches:
            return RecordingBatches(
                file,
                latency_ns=_BATCH_LATENCY_NS if latency_ns is None else latency_ns,
                duration=duration,
                blocked=blocked_names(ctx),
                watch=_watch(is_quiet=quiet),
            )

        ask_in_batches(
            questions,
            out,
            waits=waits,
            poll_s=poll_ns / 1e9,
            cancels=cancels,
            is_dry=dry_run,
            as_json=as_json,
            is_quiet=quiet,
        )
        return
    if waits or cancels or dry_run or as_json:
        message = "expected --batch beside --wait, --cancel, --dry-run or --json, was none"
        raise UsageError(message, hint="without it questions are asked one by one, and it waits for each answer")
    from mmframe.research.advice import ask_about_recording
    from mmframe.runtime.advice.replay import read_calls

    before = read_calls(out) if out.exists() else ()
    kept = _CallFile(out)
    try:
        ask_about_recording(
            file,
            kept.add,
            before=before,
            latency_ns=latency_ns,
            duration=duration,
            blocked=blocked_names(ctx),
            watch=_watch(is_quiet=quiet),
        )
    finally:
        kept.close(before)
    spent = sum(call.cost_usd for call in kept.calls)
    note(f"{plural(len(kept.calls), 'call')}, {spent:f} USD by the price table; {shown_path(out)} holds them")


class _CallFile:
    """A file of calls that is whole at any time: written beside and put in place at the end."""

    def __init__(self, path: Path) -> None:
        import msgspec

        self._path = path
        self._encode: Callable[[AdviceCall], bytes] = msgspec.json.encode
        self.calls: list[AdviceCall] = []

    def add(self, call: AdviceCall) -> None:
        """Keep one call."""
        self.calls.append(call)

    def close(self, before: Sequence[AdviceCall]) -> None:
        """Write the calls, and what there was before of later times: a pass that was cut short forgets nothing."""
        if not self.calls:
            return
        last_ns = self.calls[-1].requested_ns
        every = [*self.calls, *(call for call in before if call.requested_ns > last_ns)]
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.write_bytes(b"".join(self._encode(call) + b"\n" for call in every))
            part.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(part)  # noqa: PTH108 - beside `suppress` as short as can be
            message = f"--out: expected a file that can be written, was {str(self._path)!r}: {error.strerror}"
            raise UsageError(message) from error


def _watch(*, is_quiet: bool) -> Callable[[History, str], AbstractContextManager[History]]:
    from mmframe.cli.reading import reading

    def watch(history: History, title: str, /) -> AbstractContextManager[History]:
        return reading(history, title, is_quiet=is_quiet)

    return watch


def _calls(source: Path, adviser: str | None, number: int | None) -> tuple[AdviceCall, ...]:
    """Return the calls of a journal, or of a file of calls."""
    from mmframe.runtime.advice.replay import read_calls

    if number is None:
        calls = read_calls(source)
    else:
        from mmframe.runtime.journal import JournalReader

        with JournalReader(source) as reader:
            calls = reader.advice_calls(run=reader.run(number).number)
    names = sorted({call.adviser for call in calls})
    if adviser is not None and adviser not in names:
        message = f"--adviser: expected one of {', '.join(map(repr, names)) or 'none'}, was {adviser!r}"
        raise UsageError(message, hint="`mmframe advice calls` without it lists the calls of all")
    return tuple(call for call in calls if adviser in {None, call.adviser})


def _journal_mids(path: Path, number: int | None) -> dict[int, tuple[str, MidSeries]]:
    """Return the mids that a journal's decisions saw, by market."""
    from mmframe.errors import JournalError
    from mmframe.research.advice import MidSeries
    from mmframe.runtime.journal import JournalReader

    hint = "name the strategy file of a recording of that time with --data"
    try:
        reader = JournalReader(path)
    except JournalError as error:
        message = f"{path.name!r} is no journal that could be read, so it has no mids: {error.message}"
        raise UsageError(message, hint=hint) from error
    with reader:
        runs = reader.runs() if number is None else (reader.run(number),)
        symbols = [instrument.symbol for instrument in runs[-1].header.instruments]
        found = {}
        for market, symbol in enumerate(symbols):
            rows = [
                (decision.now_ns, mid)
                for run in runs
                for decision in reader.each_decision(market, run=run.number)
                if (mid := decision.view.get("mid")) is not None
            ]
            if rows:
                rows.sort()
                found[market] = symbol, MidSeries([at for at, _ in rows], [mid for _, mid in rows], rows[-1][0])
    if not found:
        message = f"{path.name!r} holds no decisions, so it has no mids"
        raise UsageError(message, hint=hint)
    return found


def _recorded_mids(path: Path, blocked: frozenset[str], *, is_quiet: bool) -> dict[int, tuple[str, MidSeries]]:
    """Return the mids of a strategy file's recording, by market."""
    from mmframe.research.advice import MidSeries
    from mmframe.research.advice.tape import read_tapes

    tapes = read_tapes(path, blocked=blocked, watch=_watch(is_quiet=is_quiet))
    return {
        market: (instrument.symbol, MidSeries(tape.mid_times_ns, tape.mid_half_ticks, tape.end_ns))
        for market, (instrument, tape) in enumerate(tapes)
    }
