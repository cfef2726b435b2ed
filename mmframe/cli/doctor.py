"""`mmframe doctor`: everything that a live run stands on, looked at before anything starts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint, plural, program_name
from mmframe.domain.findings import Finding, FindingLevel
from mmframe.domain.kinds import Mode
from mmframe.errors import ExitCode, MmframeError, UsageError, VenueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.runtime.doctor import Examination
    from mmframe.runtime.plan import Plan

__all__ = ["doctor_command", "require_ready"]

_COLOURS = {FindingLevel.OK: "green", FindingLevel.WARNING: "yellow", FindingLevel.FAILED: "red"}
_EPILOG = """\
\b
Examples:
  mmframe doctor strategy.toml
  mmframe doctor strategy.toml --json

It checks FILE as a live run would, this machine (kill switch, other runs of the strategy, journal, disk, clock), and
asks the venue of [venue.live] with the keys in FILE: reachability, clock skew, what the keys may, grids, limits, open
orders. It places and changes nothing. `mmframe run FILE --mode live --yes-live` does the same before it starts, and
does not start when anything failed.

Exit status: 0 nothing failed, 2 the strategy file or something on this machine failed, 3 a plugin, 4 something at the
venue failed.
"""


@click.command(epilog=_EPILOG, short_help="Say whether a live run can work.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def doctor_command(ctx: click.Context, *, file: Path, as_json: bool) -> int:
    """Look at everything that a live run of FILE stands on: the file, this machine, the venue and its keys."""
    from mmframe.registry import compose
    from mmframe.runtime.doctor import examine

    plan = compose(file, mode=Mode.LIVE, blocked=blocked_names(ctx), with_sinks=False)
    examination = examine(plan)
    if as_json:
        write_json(_object(plan, examination))
    elif sys.stdout.isatty():
        _show_table(plan, examination)
    else:
        write_lines(_lines(plan, examination))
    return _status(examination)


def require_ready(plan: Plan) -> None:
    """Examine a live run that is about to start; what is not as it should be is told on stderr.

    Raises:
        UsageError: If something on this machine failed.
        VenueError: If something at the venue failed.
    """
    from mmframe.runtime.doctor import examine

    examination = examine(plan)
    notable = [finding for finding in _all(examination) if finding.level is not FindingLevel.OK]
    for line in columns(_rows(notable), indent=0):
        note(line)
    failed = examination.failed
    if not failed:
        note(f"doctor: {plural(len(_all(examination)), 'finding')}, nothing failed")
        return
    what = "; ".join(f"{finding.subject}: {finding.text}" for finding in failed)
    kind: type[MmframeError] = UsageError if _status(examination) == ExitCode.USAGE else VenueError
    message = f"{plan.strategy_file}: the live run was not started: {what}"
    raise kind(message, hint=failed[0].hint or f"see {_command(plan)}")


def _all(examination: Examination) -> tuple[Finding, ...]:
    return (*examination.here, *examination.venue)


def _status(examination: Examination) -> int:
    if examination.is_ready:
        return int(ExitCode.OK)
    is_here = any(finding.level is FindingLevel.FAILED for finding in examination.here)
    return int(ExitCode.USAGE if is_here else ExitCode.VENUE)


def _command(plan: Plan) -> str:
    return f"{program_name()} doctor {shlex.quote(str(plan.strategy_file))}"


def _verdict(plan: Plan, examination: Examination) -> str:
    failed = len(examination.failed)
    warnings = sum(finding.level is FindingLevel.WARNING for finding in _all(examination))
    if failed:
        return f"{plan.name!r} must not run live: {plural(failed, 'check')} failed, {plural(warnings, 'warning')}."
    return f"{plan.name!r} can run live: nothing failed, {plural(warnings, 'warning')}."


def _rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    return [
        (finding.level.value, finding.subject, f"{finding.text} ({finding.hint})" if finding.hint else finding.text)
        for finding in findings
    ]


def _lines(plan: Plan, examination: Examination) -> list[str]:
    lines = []
    for title, findings in (("Here", examination.here), ("At the venue", examination.venue)):
        lines += [title, *columns(_rows(findings)), ""]
    return [*lines, paint(_verdict(plan, examination), fg="green" if examination.is_ready else "red", bold=True)]


def _show_table(plan: Plan, examination: Examination) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for title, findings in (("Here", examination.here), ("At the venue", examination.venue)):
        table.add_row(Text(title, style="bold"))
        for finding in findings:
            text = Text(finding.text)
            if finding.hint:
                text.append(f"\n{finding.hint}", style="italic")
            level = Text(f"  {finding.level.value}", style=_COLOURS[finding.level])
            table.add_row(level, Text(finding.subject, style="bold"), text)
    console = Console(highlight=False)
    console.print(table)
    style = f"bold {_COLOURS[FindingLevel.OK if examination.is_ready else FindingLevel.FAILED]}"
    console.print(Text(_verdict(plan, examination), style=style))


def _object(plan: Plan, examination: Examination) -> dict[str, Any]:
    return {
        "strategy": plan.name,
        "strategy_file": plan.strategy_file,
        "is_ready": examination.is_ready,
        "findings": [
            {
                "where": where,
                "subject": finding.subject,
                "level": finding.level.value,
                "text": finding.text,
                "hint": finding.hint or None,
            }
            for where, findings in (("here", examination.here), ("venue", examination.venue))
            for finding in findings
        ],
    }
