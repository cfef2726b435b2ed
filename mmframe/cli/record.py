"""`mmframe record`: write the raw frames of a strategy's feed to files that a history replays."""

from __future__ import annotations

import os
import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, count, duration, note, paint, plural, program_name, shown_path
from mmframe.errors import DomainError, ExitCode, FeedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.cli.options import GlobalOptions
    from mmframe.runtime.recorder import RecordPlan, RecordResult, RecordStatus

__all__ = ["RecordDisplay", "history_table", "progress_line", "record_command"]

_CAPTURES_FOLDER = "mmframe-captures"
_LINE_INTERVAL_S = 5.0
_TERMINAL_INTERVAL_S = 0.5
_BYTES_A_MB = 1_000_000

_EPILOG = """\
\b
Examples:
  mmframe record strategy.toml                           until Ctrl+C
  mmframe record strategy.toml --for 1h --out captures/monday
  mmframe record strategy.toml --rotate-every 1h --rotate-mb 100

The feed runs as it would in a run, without a venue, without orders and without any key. Each market has files of its
own, one line a frame: `<receive time in ns> <frame>`, gzip; what is of no market goes to files named `other`. A killed
recorder leaves files that can be read, at most a second short. Beside them manifest.json says what the recording holds
and what it lacks. At the end the [history] table is shown that replays it.

Ctrl+C, SIGTERM or a closed terminal completes the files and ends with status 0. A second Ctrl+C aborts with status 130.
If the feed gives up, or not one frame came, the status is 4; what was recorded up to there is whole.

With --json, stdout holds one object: strategy, feed, ended_because, started, ended, directory, frames, raw_bytes,
disk_bytes, dropped_frames, gap_count, gaps, books, files (name, market, first_receive_ns, last_receive_ns, lines,
frames, bytes, raw_bytes, sha256), history (the keys of the table that replays it) and history_toml (its text).
"""


def _time(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from mmframe.config.durations import duration_ns

    try:
        return duration_ns(value)
    except DomainError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


@click.command(epilog=_EPILOG, short_help="Write the raw frames of a live feed to files.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--for", "limit_ns", metavar="TIME", callback=_time, help="End after this much time, such as 60s or 8h.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help=f"New folder for the files; by default one in {_CAPTURES_FOLDER} beside the strategy file.",
)
@click.option(
    "--rotate-mb", type=click.IntRange(min=1), metavar="N", help="Begin a new file at so many megabytes on disk."
)
@click.option(
    "--rotate-every",
    "rotate_every_ns",
    metavar="TIME",
    callback=_time,
    help="Begin a new file at each whole multiple of this time (UTC), such as 1h or 1d.",
)
@click.option(
    "--fsync",
    type=click.Choice(["never", "interval", "rotate"]),
    default="rotate",
    show_default=True,
    help="When data are forced to the disk against a power cut: never, about each second, or with each whole file.",
)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_obj
def record_command(  # noqa: PLR0913 - one parameter for each option
    options: GlobalOptions,
    *,
    file: Path,
    limit_ns: int | None,
    out: Path | None,
    rotate_mb: int | None,
    rotate_every_ns: int | None,
    fsync: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Record what the feed of the strategy in FILE receives of its markets.

    Progress goes to stderr, the result to stdout.
    """
    from mmframe.cli.signals import stop_on_signals
    from mmframe.registry.record import compose_recording
    from mmframe.runtime.driver import StopRequest
    from mmframe.runtime.recorder import Fsync, RecorderSettings, record_feed

    plan = compose_recording(file, blocked=options.blocked)
    settings = RecorderSettings(
        directory=_new_folder(plan) if out is None else out,
        rotate_bytes=None if rotate_mb is None else rotate_mb * _BYTES_A_MB,
        rotate_every_ns=rotate_every_ns,
        fsync=Fsync(fsync),
    )
    stop = StopRequest()
    display = RecordDisplay(is_quiet=quiet)
    with ExitStack() as stack:
        stack.callback(display.close)
        stack.enter_context(stop_on_signals(stop, display.on_stop_requested))
        result = record_feed(plan, settings, stop=stop, observer=display, limit_ns=limit_ns)
    note(f"{result.manifest.ended_because}: {plural(result.status.frames, 'frame')} in {shown_path(result.directory)}")
    if not result.status.frames:
        msg = (
            f"{plan.feed_use}: expected frames of {_symbols(plan)}, was not one in {duration(result.status.elapsed_ns)}"
        )
        raise FeedError(msg, hint="the log says whether the feed was connected; a quiet market may need more time")
    if as_json:
        write_json(_result_object(plan, result))
    else:
        write_lines(_result_lines(plan, result, file))
    return int(ExitCode.OK)


class RecordDisplay:
    """How far a recording is: one line that is drawn over on a terminal, one line every few seconds elsewhere.

    Args:
        is_quiet: Shows nothing but that it is being stopped.
        now_s: Wall time in seconds, of any origin.
    """

    def __init__(self, *, is_quiet: bool, now_s: Callable[[], float] = time.monotonic) -> None:
        self._is_quiet = is_quiet
        self._now_s = now_s
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"
        self.interval_s = _TERMINAL_INTERVAL_S if self._is_terminal else _LINE_INTERVAL_S
        self._before = (now_s(), 0)
        self._width = 0

    def on_status(self, status: RecordStatus) -> None:
        """Show the recording as it stands."""
        if self._is_quiet:
            return
        now_s = self._now_s()
        then_s, frames = self._before
        rate = (status.frames - frames) / (now_s - then_s) if now_s > then_s else 0.0
        self._before = (now_s, status.frames)
        line = progress_line(status, rate)
        if not self._is_terminal:
            note(line)
            return
        self._width = max(self._width, len(line))
        click.echo(f"\r{line:<{self._width}}", err=True, nl=False)

    def on_stop_requested(self, reason: str) -> None:
        """Say that the recording is being ended; called inside a signal handler, so past the buffered stream."""
        lead = "\n" if self._is_terminal else ""
        try:
            os.write(2, f"{lead}{reason}: completing the files; press Ctrl+C (again) to abort at once\n".encode())
        except OSError:
            return  # stderr is gone; the files are completed all the same

    def close(self) -> None:
        """End the line that is drawn over."""
        if self._width:
            note()


def progress_line(status: RecordStatus, frames_per_s: float) -> str:
    """Return how far a recording is, in one line."""
    states = [state.name.lower() for state in status.books.values()]
    books = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    line = (
        f"[{duration(status.elapsed_ns)}] {count(status.frames)} frames ({frames_per_s:,.0f}/s), "
        f"{_size(status.raw_bytes)} raw, {_size(status.disk_bytes)} on disk, books: {books}"
    )
    if status.gaps:
        line += f", {plural(status.gaps, 'gap')}"
    return f"{line}, {count(status.dropped_frames)} DROPPED" if status.dropped_frames else line


def history_table(plan: RecordPlan, result: RecordResult) -> dict[str, Any]:
    """Return the keys of the `[history]` table that replays a recording."""
    paths = [
        _from_strategy(plan, result.directory / facts.name) for facts in result.manifest.files if _is_market(facts)
    ]
    return {**{key: value for key, value in plan.replay.items() if value is not None}, "paths": paths}


def _is_market(facts: Any) -> bool:
    return facts.market is not None and facts.frames > 0


def _from_strategy(plan: RecordPlan, path: Path) -> str:
    """Return a path as the strategy file would write it."""
    path, folder = path.absolute(), plan.directory.absolute()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _toml(table: dict[str, Any]) -> list[str]:
    from mmframe.config.text import toml_text

    lines = ["[history]", *(f"{key} = {toml_text(value)}" for key, value in table.items() if key != "paths")]
    return [*lines, "paths = [", *(f"    {toml_text(path)}," for path in table["paths"]), "]"]


def _result_lines(plan: RecordPlan, result: RecordResult, file: Path) -> list[str]:
    status, manifest = result.status, result.manifest
    rows = [
        ("feed", f"{plan.feed_use} ({plan.provenance.distribution} {plan.provenance.version})"),
        ("time", f"{manifest.started} to {manifest.ended}, {duration(status.elapsed_ns)}"),
        ("frames", f"{count(status.frames)}, {_size(status.raw_bytes)} raw, {_size(status.disk_bytes)} on disk"),
        ("files", f"{count(len(manifest.files))} and manifest.json in {shown_path(result.directory)}"),
        ("gaps", _gaps_text(manifest.gap_count, status.dropped_frames)),
    ]
    lines = [paint(f"{plan.name}: recorded {_symbols(plan)}", bold=True), *columns(rows), ""]
    table = history_table(plan, result)
    if not table["paths"]:
        return [*lines, "No frame of a market came: there is nothing to replay."]
    command = f"{program_name()} run {shlex.quote(str(file))} --mode backtest"
    return [*lines, f"To replay it, put this into {file.name} and run `{command}`:", "", *_toml(table)]


def _result_object(plan: RecordPlan, result: RecordResult) -> dict[str, Any]:
    import msgspec

    status, manifest = result.status, result.manifest
    table = history_table(plan, result)
    return {
        "strategy": plan.name,
        "feed": plan.feed_use,
        "ended_because": manifest.ended_because,
        "started": manifest.started,
        "ended": manifest.ended,
        "directory": str(result.directory.absolute()),
        "frames": status.frames,
        "raw_bytes": status.raw_bytes,
        "disk_bytes": status.disk_bytes,
        "dropped_frames": status.dropped_frames,
        "gap_count": manifest.gap_count,
        "gaps": msgspec.to_builtins(manifest.gaps),
        "books": {symbol: state.name.lower() for symbol, state in status.books.items()},
        "files": msgspec.to_builtins(manifest.files),
        "history": table,
        "history_toml": "\n".join(_toml(table)) + "\n",
    }


def _gaps_text(gap_count: int, dropped: int) -> str:
    if not gap_count:
        return "none"
    text = f"{plural(gap_count, 'time')} a book was void; the manifest says when"
    return f"{text}; {plural(dropped, 'frame')} dropped because the disk was too slow" if dropped else text


def _symbols(plan: RecordPlan) -> str:
    return ", ".join(instrument.symbol for instrument in plan.instruments)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _BYTES_A_MB:,.1f} MB" if size_bytes >= _BYTES_A_MB else f"{size_bytes / 1000:,.1f} kB"


def _new_folder(plan: RecordPlan) -> Path:
    """Return a folder that is not there yet, named after the strategy and the time."""
    stem = f"{plan.name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(plan.clock.now_ns() // 1_000_000_000))}"
    folder = Path(os.path.relpath(plan.directory)) / _CAPTURES_FOLDER
    names: Sequence[Path] = [folder / stem, *(folder / f"{stem}-{number}" for number in range(2, 100))]
    for path in names:
        if not path.exists():
            return path
    msg = f"{folder / stem}: expected a new folder, was one that is there already"
    raise UsageError(msg, hint="choose one with --out")
