"""The entry point: find the command, run it, turn what it raises into text and an exit status.

Commands live in modules of their own and are imported when they are used, so that the quick ones stay quick.
"""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from mmframe import __version__
from mmframe.cli.errors import BUG_REPORT_REQUEST, error_object, error_text
from mmframe.cli.options import GlobalOptions
from mmframe.cli.output import write_json
from mmframe.cli.text import note, paint, silence
from mmframe.errors import ExitCode, MmframeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CLOSED_PIPE_STATUS", "INTERRUPTED_STATUS", "commands", "main"]

INTERRUPTED_STATUS = 130
"""What shells report for a process that SIGINT ended: a second Ctrl+C, or one outside of a run."""
CLOSED_PIPE_STATUS = 141
"""What shells report for a process that SIGPIPE ended: the reader of our output went away."""
_BLOCK_PREFIX = "no:"
_OUTPUT_ERRNOS = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF})
"""What writing a result can fail with; other code wraps its own failures in an `MmframeError`."""


class _Command(NamedTuple):
    module: str
    attribute: str
    summary: str


_COMMANDS = {
    "run": _Command("mmframe.cli.run", "run_command", "Run a strategy: paper, backtest or live."),
    "check": _Command(
        "mmframe.cli.check", "check_command", "Show everything wrong with a strategy file, or what it would run."
    ),
    "record": _Command("mmframe.cli.record", "record_command", "Write the raw frames of a live feed to files."),
    "explain": _Command(
        "mmframe.cli.explain", "explain_command", "Say why a quote stands where it stands, or why there is none."
    ),
    "quote": _Command(
        "mmframe.cli.quote", "quote_command", "Compute one decision and show it stage by stage, without a run."
    ),
    "breakeven": _Command(
        "mmframe.cli.breakeven",
        "breakeven_command",
        "Say which spread and volume pay for fees, adverse moves and inventory.",
    ),
    "calibrate": _Command(
        "mmframe.cli.calibrate", "calibrate_command", "Measure the parameters of a quoting model on recorded data."
    ),
    "advice": _Command(
        "mmframe.cli.advice", "advice_command", "Say whether a model's advice helped, and list what it was asked."
    ),
    "doctor": _Command(
        "mmframe.cli.doctor", "doctor_command", "Say whether a live run can work: file, machine, venue and keys."
    ),
    "llm": _Command("mmframe.cli.llm", "llm_command", "Look at the models that a strategy's advisers ask."),
    "pause": _Command("mmframe.cli.pause", "pause_command", "Pull the quotes of a running strategy, or of one market."),
    "resume": _Command("mmframe.cli.pause", "resume_command", "Let a paused strategy, or market, quote again."),
    "kill": _Command(
        "mmframe.cli.kill", "kill_command", "Stop a live strategy for good and remove its orders at the venue."
    ),
    "liquidate": _Command(
        "mmframe.cli.liquidate", "liquidate_command", "Close all positions of a strategy, or show what that would do."
    ),
    "plugins": _Command(
        "mmframe.cli.plugins", "plugins_command", "List installed plugins, components and their options."
    ),
    "schema": _Command(
        "mmframe.cli.schema", "schema_command", "Describe the strategy file, for people or as JSON Schema."
    ),
    "new": _Command("mmframe.cli.new", "new_command", "Start a plugin package of your own."),
    "bench": _Command("mmframe.cli.bench", "bench_command", "Measure speed against named references."),
}
"""In the order in which a newcomer meets them."""


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is asked for; a plugin's command comes last."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = _COMMANDS.get(cmd_name)
        if known is None:
            return _plugin_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(known.module), known.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is not None:
            return name, command, args[1:]
        nearest = get_close_matches(name, _COMMANDS, n=1)
        hint = f"did you mean `mmframe {nearest[0]}`?" if nearest else "`mmframe --help` lists the commands"
        message = f"no command {name!r}, neither built in nor from a plugin"
        raise UsageError(message, hint=hint)


def _plugin_command(ctx: click.Context, name: str) -> click.Command | None:
    # A plugin's commands are known only once it is imported; only an unknown word is worth importing every plugin for.
    from mmframe.cli.plugin_commands import collect_commands, load_command

    found, errors = collect_commands(ctx)
    for command in found:
        if command.name == name:
            return load_command(command)
    for error in errors:
        note(error_text(error))
    return None


def _keep_blocked(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    # Kept while parsing: looking up a plugin's command, which comes before the group's own function, must know it.
    del parameter
    hint = "`-p no:binance` keeps the plugin 'binance' from being imported"
    for value in values:
        if not value.startswith(_BLOCK_PREFIX) or value == _BLOCK_PREFIX:
            message = f"-p: expected no:NAME, was {value!r}"
            raise UsageError(message, hint=hint)
        if value == f"{_BLOCK_PREFIX}core":
            message = "-p: expected another plugin, was 'core', which holds the built-ins and cannot be blocked"
            raise UsageError(message, hint=hint)
    ctx.obj = GlobalOptions(frozenset(value.removeprefix(_BLOCK_PREFIX) for value in values))


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        python = ".".join(map(str, sys.version_info[:3]))
        click.echo(f"mmframe {__version__} (Python {python})")
        ctx.exit()


_EPILOG = """\
\b
First steps:
  mmframe run examples/01_first_run/strategy.toml        watch a strategy trade
  mmframe explain examples/01_first_run/strategy.toml    why it quoted as it did
  mmframe plugins show core                              what is built in

Plugin commands: run `mmframe plugins commands`.

Exit status: 0 done, also when stopped by Ctrl+C or SIGTERM with nothing left at the venue; 1 a bug; 2 wrong usage or
strategy file; 3 a plugin; 4 a venue or feed, or orders that could not be proved gone; 5 risk halt; 130 a second
Ctrl+C; 141 the reader of the output went away.
"""


@click.group(
    cls=_LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "-p",
    "blocked",
    multiple=True,
    metavar="no:NAME",
    callback=_keep_blocked,
    expose_value=False,
    help="Keep the plugin NAME from being imported; repeatable.",
)
@click.option("--traceback", is_flag=True, help="Show the traceback of expected errors too.")
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def commands(ctx: click.Context, *, traceback: bool) -> None:
    """Compose a market-making strategy from plugins and run it: one TOML file, one engine for every mode."""
    del traceback  # read from the command line itself, since errors may come before it is parsed
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return
    from mmframe.cli.logs import log_to_stderr

    ctx.with_resource(log_to_stderr())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: Words after `mmframe`; those of the process when None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(words)
    except BrokenPipeError:
        status = _after_closed_pipe()
    except OSError as error:
        status = _after_unwritable_output(error)
    sys.exit(status)


def _run(words: list[str]) -> int:
    try:
        status = _invoke(words)
    except MmframeError as error:
        status = _report(error, words)
    except click.ClickException as error:
        status = _report(_usage_error(error), words)
    except (KeyboardInterrupt, click.Abort):
        note(paint("aborted", fg="red"))
        if "--json" in words:
            write_json({"error": {"code": "aborted", "message": "aborted", "exit_code": INTERRUPTED_STATUS}})
        status = INTERRUPTED_STATUS
    except Exception as error:  # the outermost frame: whatever it is, it is a bug, and it is reported
        if isinstance(error, OSError) and error.errno in _OUTPUT_ERRNOS:
            raise
        status = _report_bug(error, words)
    if sys.stdout is not None:  # closed by the caller, as with `>&-`
        sys.stdout.flush()
    return status


def _invoke(words: list[str]) -> int:
    # Not `commands.main`: click turns a closed pipe into status 1 there, which here means a bug.
    try:
        # A copy: click takes the words off the list that it is given.
        with commands.make_context("mmframe", list(words)) as context:
            result = commands.invoke(context)
    except click.exceptions.Exit as request:
        return request.exit_code
    return result if isinstance(result, int) else int(ExitCode.OK)


def _usage_error(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "mmframe"
    message = error.format_message().rstrip(".")
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and error.param:
        name = error.param.opts[0] if isinstance(error.param, click.Option) else error.param.human_readable_name
        message = f"{name}: {error.message.rstrip('.')}"
    return UsageError(message, hint=f"`{path} --help` shows what it takes")


def _report(error: MmframeError, words: list[str]) -> int:
    if "--traceback" in words:
        note(traceback.format_exc().rstrip())
    for line in error_text(error).splitlines():
        head, bracket, rest = line.partition("]: ")
        note(paint(head + bracket[:1], fg="red", bold=True) + bracket[1:] + rest if line.startswith("error[") else line)
    if "--json" in words:
        write_json({"error": error_object(error)})
    return int(error.exit_code)


def _report_bug(error: Exception, words: list[str]) -> int:
    note("".join(traceback.format_exception(error)).rstrip())
    note(paint(BUG_REPORT_REQUEST, fg="red", bold=True))
    note(f"  mmframe {__version__}, Python {sys.version.split()[0]}, {sys.platform}")
    if "--json" in words:
        message = f"{type(error).__name__}: {error}"
        write_json({"error": {"code": "bug", "message": message, "exit_code": int(ExitCode.BUG)}})
    return int(ExitCode.BUG)


def _after_closed_pipe() -> int:
    # The interpreter flushes stdout once more at exit; without this it would complain about the same pipe again.
    silence(sys.stdout)
    silence(sys.stderr)
    return CLOSED_PIPE_STATUS


def _after_unwritable_output(error: OSError) -> int:
    silence(sys.stdout)
    note(
        error_text(
            UsageError(f"cannot write the output: {error.strerror}", hint="free the disk or choose another file")
        )
    )
    return int(ExitCode.USAGE)
