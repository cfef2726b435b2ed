"""`mmframe run`: compose a strategy, open its journal, drive it, show it, and say how it ended."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import note, paint, plural, program_name, wall_time
from mmframe.domain.kinds import Mode
from mmframe.errors import ExitCode, JournalError, MmframeError, UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mmframe.cli.options import GlobalOptions
    from mmframe.cli.status import RunDisplay
    from mmframe.config.tables import RunTable
    from mmframe.domain.status import RunResult
    from mmframe.engine.state import RestoredRun
    from mmframe.runtime.commands import CommandFolder, CommandInbox
    from mmframe.runtime.driver import StopRequest
    from mmframe.runtime.journal import Journal
    from mmframe.runtime.plan import Plan

__all__ = ["RunRequest", "run_command"]

_AS_FAST_AS_POSSIBLE = "max"
_VIRTUAL_RUN_ID = "0"
"""The same in every run on virtual markets, so that equal runs have equal order ids and equal hashes."""

_EPILOG = """\
\b
Examples:
  mmframe run strategy.toml                      as the file says, paper by default
  mmframe run strategy.toml --for 20s --json     twenty seconds, the result for a program
  mmframe run strategy.toml --speed max          as fast as the machine can, on virtual markets
  mmframe run strategy.toml --mode backtest      replay what [history] names
  mmframe run strategy.toml --resume PATH        go on with the orders, position and profit of a journal
  mmframe run strategy.toml --advice-from PATH --speed max
                                                 the same run again, with the model's recorded replies

A run that was halted or killed stays so when it is resumed, until --release-halt says that somebody has looked into it.
A limit that is still broken, such as the loss of the day, halts it again. One that was closing its positions goes on
with it, and needs no release for that.

A live run is examined before anything starts, as `mmframe doctor` does, and refused when anything failed or while its
kill switch is set (`mmframe kill`).

Ctrl+C, SIGTERM or a closed terminal cancels all orders, waits for the venue's word, says what is left and ends with
status 0, or 4 if something is left. A second Ctrl+C aborts at once with status 130.

With --json, stdout holds one object: strategy, mode, ended_because, is_halted, halt_reason, is_paused, started, ended,
market_time_s, wall_time_s, events, market_messages, decisions, decision_hash, orders, fills, position, pnl (total,
spread_capture, inventory, fees, realised, unrealised), totals (the same by quote asset), markets (each market),
faults, fault_notes, rejections, cancelled, unresolved, limits (which bound, how often), advice (one line an adviser),
assumptions, journal. Money, prices and sizes are strings of exact decimals. With several markets position is null; with
several quote assets pnl is null.
"""


@attrs.frozen
class RunRequest:
    """What the command line asks for; None leaves it to the file.

    Attributes:
        speed: A factor, `max`, or None.
        resume: Journal to go on with.
        releases_halt: `--release-halt` was given: the resumed run may quote although it was halted or killed.
        is_live_confirmed: `--yes-live` was given.
        advice_from: Journal, or file of calls, whose replies the advisers use instead of asking.
    """

    file: Path
    mode: Mode | None = None
    duration: str | None = None
    speed: str | None = None
    seed: int | None = None
    journal: Path | None = None
    no_journal: bool = False
    resume: Path | None = None
    releases_halt: bool = False
    is_live_confirmed: bool = False
    advice_from: Path | None = None
    blocked: frozenset[str] = frozenset()


def _speed_text(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value != _AS_FAST_AS_POSSIBLE and not _is_factor(value):
        message = f"expected a number above 0 or 'max', was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter)
    return value


def _is_factor(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


@click.command(epilog=_EPILOG, short_help="Run a strategy.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Driver; the file's by default.")
@click.option(
    "--for",
    "run_for",
    metavar="TIME",
    help="End after this much time, such as 60s or 5m; virtual time on virtual markets.",
)
@click.option(
    "--speed",
    metavar="N|max",
    callback=_speed_text,
    help="Pace on virtual time: a factor, or max. A backtest runs at max by default.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of every random stream in simulations.")
@json_option
@click.option("--journal", type=click.Path(path_type=Path), metavar="PATH", help="Write the journal here.")
@click.option("--no-journal", is_flag=True, help="Write no journal.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="PATH", help="Go on with the run in this journal.")
@click.option("--release-halt", is_flag=True, help="Let a resumed run quote again that was halted or killed.")
@click.option("--yes-live", is_flag=True, help="Confirm that real orders may be sent; live mode demands it.")
@click.option(
    "--advice-from",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Use the recorded replies in this journal, or file of calls, instead of asking models.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show no status while running.")
@click.pass_obj
def run_command(  # noqa: PLR0913 - one parameter for each option
    options: GlobalOptions,
    *,
    file: Path,
    mode: str | None,
    run_for: str | None,
    speed: str | None,
    seed: int | None,
    as_json: bool,
    journal: Path | None,
    no_journal: bool,
    resume: Path | None,
    release_halt: bool,
    yes_live: bool,
    advice_from: Path | None,
    quiet: bool,
) -> int:
    """Run the strategy in FILE: paper on a simulated venue, backtest on recorded data, or live.

    The status goes to stderr, the result to stdout.
    """
    if resume is not None and (journal is not None or no_journal):
        message = "--resume: cannot be combined with --journal or --no-journal"
        raise UsageError(message, hint="a resumed run goes on writing the journal that it came from")
    if release_halt and resume is None:
        message = "--release-halt: expected --resume PATH beside it"
        raise UsageError(message, hint="a new run is not halted")
    if journal is not None and no_journal:
        message = "--journal and --no-journal: expected at most one of them"
        raise UsageError(message)
    request = RunRequest(
        file=file,
        mode=None if mode is None else Mode(mode),
        duration=run_for,
        speed=speed,
        seed=seed,
        journal=journal,
        no_journal=no_journal,
        resume=resume,
        releases_halt=release_halt,
        is_live_confirmed=yes_live,
        advice_from=advice_from,
        blocked=options.blocked,
    )
    return _run(request, as_json=as_json, is_quiet=quiet)


def _run(request: RunRequest, *, as_json: bool, is_quiet: bool) -> int:
    from mmframe.cli.doctor import require_ready
    from mmframe.cli.signals import stop_on_signals
    from mmframe.runtime.driver import StopRequest, run_plan

    in_file = _file_table(request.file)
    mode = request.mode.value if request.mode is not None else in_file.mode
    _require_confirmation(request, mode)
    plan = _compose(request, mode)
    if request.advice_from is not None and not plan.advisers:
        message = f"--advice-from: expected a strategy with an adviser, was {request.file}"
        raise UsageError(message, hint="add an `[[adviser]]`, or leave --advice-from away")
    speed = _speed(request, plan, in_file.speed)
    if plan.mode is Mode.LIVE:
        _require_no_kill_switch(request, plan)
        require_ready(plan)
    stop = StopRequest()
    began_s = time.monotonic()
    with ExitStack() as stack:
        if plan.mode is Mode.LIVE:
            stack.enter_context(_sole_live_run(request, plan))
        journal, restored = _open_journal(request, plan)
        if journal is not None:
            stack.callback(journal.close)
        inbox = _listen(request, plan, speed, journal)
        if inbox is not None:
            stack.callback(inbox.close)
        plan, display = _display(plan, stop, is_quiet=is_quiet)
        stack.callback(display.close)
        log = _log_path(plan)
        if log is not None and (plan.mode is Mode.LIVE or display.is_drawn):
            from mmframe.cli.logs import log_to_file

            stack.enter_context(log_to_file(log, is_alone=display.is_drawn))
        stack.enter_context(stop_on_signals(stop, display.on_stop_requested))
        try:
            result = run_plan(
                plan, speed=speed, stop=stop, observer=display, journal=journal, restored=restored, commands=inbox
            )
        except BaseException as error:
            if not _is_abort(error):
                raise
            display.close()
            note(_after_abort(plan))
            raise KeyboardInterrupt from error
    wall_s = time.monotonic() - began_s
    _say_how_it_ended(result, stop)
    if as_json:
        from mmframe.cli.summary import result_object

        write_json(result_object(result, wall_s=wall_s))
    else:
        from mmframe.cli.summary import summary_lines

        write_lines(summary_lines(result, wall_s=wall_s, reasons=plan.reasons))
    return _status(result)


def _compose(request: RunRequest, mode: str) -> Plan:
    from mmframe.registry import compose

    return compose(
        request.file,
        mode=request.mode,
        blocked=request.blocked,
        duration=request.duration,
        seed=request.seed,
        run_id=_run_id(request, mode),
        journal=request.journal if request.resume is None else request.resume,
        no_journal=request.no_journal,
        advice_from=request.advice_from,
    )


def _require_confirmation(request: RunRequest, mode: str) -> None:
    if mode == Mode.LIVE.value and not request.is_live_confirmed:
        message = f"{request.file}: live mode sends real orders and needs --yes-live"
        paper = f"{program_name()} run {shlex.quote(str(request.file))} --mode paper"
        raise UsageError(message, hint=f"try it first: {paper}")


def _require_no_kill_switch(request: RunRequest, plan: Plan) -> None:
    from mmframe.runtime.kill_switch import KillSwitch

    record = KillSwitch.of(request.file, plan.name).record()
    if record is None:
        return
    when = f" on {wall_time(record.when_ns)}" if record.when_ns else ""
    message = f"{request.file}: the strategy {plan.name!r} was killed{when} ({record.reason})"
    release = f"{program_name()} kill {shlex.quote(str(request.file))} --release"
    raise UsageError(message, hint=f"when its orders are gone and you know why: {release}")


def _sole_live_run(request: RunRequest, plan: Plan) -> AbstractContextManager[None]:
    from mmframe.runtime.traces import sole_live_run

    journal = None if plan.journal.path is None else Path(plan.journal.path)
    return sole_live_run(request.file, plan.name, run_id=plan.settings.run_id, journal=journal)


def _file_table(file: Path) -> RunTable:
    from mmframe.config import load_strategy_file
    from mmframe.config.tables import RunTable

    try:
        return load_strategy_file(file).run
    except MmframeError:
        # Composing finds the same problem together with all others of the file, and reports them at once.
        return RunTable()


def _speed(request: RunRequest, plan: Plan, in_file: str) -> float | None:
    if not plan.is_virtual:
        if request.speed is not None:
            message = f"--speed: expected a strategy on virtual markets, was one on the live feed of {request.file}"
            raise UsageError(message, hint="live markets go at their own pace; leave --speed away")
        return 1.0
    by_default = _AS_FAST_AS_POSSIBLE if plan.mode is Mode.BACKTEST else in_file
    chosen = request.speed if request.speed is not None else by_default
    return None if chosen == _AS_FAST_AS_POSSIBLE else float(chosen)


def _run_id(request: RunRequest, mode: str) -> str:
    if request.resume is not None:
        from mmframe.runtime.journal import JournalReader

        with JournalReader(request.resume) as reader:
            return reader.runs()[-1].header.run_id
    if mode == Mode.LIVE.value:
        # Order ids of two live runs must differ even where the first one left no journal.
        return f"{time.time_ns() // 1_000_000_000:x}"
    return _VIRTUAL_RUN_ID


def _open_journal(request: RunRequest, plan: Plan) -> tuple[Journal | None, RestoredRun | None]:
    from mmframe.runtime.journal import Journal, RunHeader

    if plan.journal.path is None:
        return None, None
    header = RunHeader.of(
        plan, started_ns=time.time_ns(), strategy_text=request.file.read_text(encoding="utf-8"), reasons=plan.reasons
    )
    path = Path(plan.journal.path)
    if request.resume is None:
        return Journal.create(path, header, wants_decisions=plan.journal.records_decisions), None
    journal, restored = Journal.reopen(path, header, wants_decisions=plan.journal.records_decisions)
    so_far = f"{plural(len(restored.orders), 'open order')}, {plural(len(restored.fills), 'fill')} so far"
    note(f"going on with {path}: {so_far}")
    return journal, restored.released() if request.releases_halt else restored


def _listen(request: RunRequest, plan: Plan, speed: float | None, journal: Journal | None) -> CommandInbox | None:
    """Begin to listen to operators; a run that is as fast as possible is over before anybody could pause it."""
    from mmframe.runtime.commands import CommandFolder, CommandInbox

    if speed is None:
        return None
    folder = CommandFolder.of(request.file, plan.name, plan.mode)
    _say_what_stands(request, plan, folder)
    after = 0 if journal is None else journal.last_command
    try:
        return CommandInbox.open(folder, run_id=plan.settings.run_id, after=after)
    except JournalError as error:
        if plan.mode is Mode.LIVE:
            raise
        note(f"{error.message}; no command of an operator reaches this run")
        return None


def _say_what_stands(request: RunRequest, plan: Plan, folder: CommandFolder) -> None:
    """Tell of pauses from before this run, with which it begins."""
    from mmframe.domain.records import Command
    from mmframe.runtime.commands import standing

    words = {Command.PAUSE: "paused", Command.KILL: "killed"}
    for sent in standing(folder.commands()):
        if sent.command.command not in words:
            continue
        reason = f" ({sent.command.reason})" if sent.command.reason else ""
        when = wall_time(sent.command.receive_ns)
        what = f"{sent.symbol or plan.name} was {words[sent.command.command]} on {when}{reason}"
        scope = f" --market {sent.symbol}" if sent.symbol else ""
        resume = f"{program_name()} resume {shlex.quote(str(request.file))}{scope}"
        note(paint(f"{what}: `{resume}` lets it quote again", fg="yellow", bold=True))


def _log_path(plan: Plan) -> Path | None:
    """Return where the run's log goes: beside its journal."""
    return None if plan.journal.path is None else Path(plan.journal.path).with_suffix(".log")


def _display(plan: Plan, stop: StopRequest, *, is_quiet: bool) -> tuple[Plan, RunDisplay]:
    from mmframe.cli.status import PlainStatus, SilentStatus, stderr_is_terminal

    if is_quiet:
        return plan, SilentStatus()
    if not stderr_is_terminal():
        return plan, PlainStatus(plan, stop, reasons=plan.reasons)
    from mmframe.cli.figures import RecentFills
    from mmframe.cli.live import LiveStatus, RunView

    fills = RecentFills(plan.instruments)
    view = RunView(plan, fills, reasons=plan.reasons)
    return attrs.evolve(plan, sinks=(*plan.sinks, fills)), LiveStatus(view)


def _is_abort(error: BaseException) -> bool:
    """Tell whether a second Ctrl+C ended the run; it may have come while any of a live run's tasks was at work."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _after_abort(plan: Plan) -> str:
    if plan.mode is Mode.LIVE:
        kill = f"{program_name()} kill {shlex.quote(str(plan.strategy_file))}"
        return f"orders may be left at the venue; `{kill}` removes them"
    if plan.journal.path is None:
        return "orders may be left at the venue, and no journal knows them"
    files = (str(plan.strategy_file), str(plan.journal.path))
    resume = "{} run {} --resume {}".format(program_name(), *map(shlex.quote, files))
    return f"orders may be left at the venue; `{resume}` takes them up"


def _say_how_it_ended(result: RunResult, stop: StopRequest) -> None:
    left = len(result.unresolved)
    ending = stop.reason or result.ended_because
    note(f"{ending}: cancelled {plural(result.cancelled, 'order')}, {left} left")
    if result.status.mode == Mode.LIVE.value:
        note(
            "the venue has twice listed no order of this strategy"
            if result.is_confirmed_empty
            else paint("the venue has not confirmed that no order of this strategy is left", fg="red", bold=True)
        )
    if left:
        note(
            paint(f"orders whose end the venue has not confirmed: {', '.join(result.unresolved)}", fg="red", bold=True)
        )


def _status(result: RunResult) -> int:
    if result.status.is_halted:
        return int(ExitCode.RISK_HALT)
    return int(ExitCode.OK if result.is_confirmed_empty and not result.unresolved else ExitCode.VENUE)
