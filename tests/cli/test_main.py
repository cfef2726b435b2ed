from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mmframe import __version__
from mmframe.cli import main as entry
from mmframe.errors import JournalError, PluginError

FULL = Path("/dev/full")


@pytest.fixture
def failing(monkeypatch):
    """Make `mmframe check` fail with an error of one's choice."""

    def arrange(error):
        @click.command()
        @click.argument("words", nargs=-1)
        @click.option("--json", "as_json", is_flag=True)
        def command(words, as_json):
            raise error

        monkeypatch.setattr(entry.commands, "get_command", lambda *_: command)

    return arrange


def test_help_lists_the_commands_in_a_newcomers_order_and_the_exit_statuses(invoke):
    shown = invoke("--help")

    listed = shown.stdout.partition("Commands:\n")[2].partition("First steps")[0]
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert shown.status == 0
    assert names == [
        "run",
        "check",
        "record",
        "explain",
        "quote",
        "breakeven",
        "calibrate",
        "advice",
        "doctor",
        "llm",
        "pause",
        "resume",
        "kill",
        "liquidate",
        "plugins",
        "schema",
        "new",
        "bench",
    ]
    assert "5 risk halt" in shown.stdout
    assert "Plugin commands: run `mmframe plugins commands`." in shown.stdout


def test_without_a_command_there_is_help(invoke):
    assert invoke().stdout == invoke("--help").stdout


def test_the_version_names_the_interpreter_too(invoke):
    python = ".".join(map(str, sys.version_info[:3]))

    assert invoke("--version").stdout == f"mmframe {__version__} (Python {python})\n"


@pytest.mark.parametrize("name", ["run", "check", "explain", "plugins", "schema", "new", "bench"])
def test_every_command_has_help_with_what_it_is_for(invoke, name):
    shown = invoke(name, "--help")

    assert shown.status == 0
    assert shown.stdout.startswith(f"Usage: mmframe {name}")


@pytest.mark.parametrize(
    ("words", "message", "fix"),
    [
        (["rnu", "x"], "no command 'rnu', neither built in nor from a plugin", "did you mean `mmframe run`?"),
        (["zzz"], "no command 'zzz', neither built in nor from a plugin", "`mmframe --help` lists the commands"),
        (["run"], "Missing argument 'FILE'", "`mmframe run --help` shows what it takes"),
        (
            ["run", "--mode", "demo", "x"],
            "--mode: 'demo' is not one of 'paper', 'backtest', 'live'",
            "`mmframe run --help` shows what it takes",
        ),
        (
            ["run", "--speed", "nan", "x"],
            "--speed: expected a number above 0 or 'max', was 'nan'",
            "`mmframe run --help` shows what it takes",
        ),
        (
            ["-p", "binance", "check", "x"],
            "-p: expected no:NAME, was 'binance'",
            "`-p no:binance` keeps the plugin 'binance' from being imported",
        ),
        (
            ["-p", "no:core", "check", "x"],
            "-p: expected another plugin, was 'core', which holds the built-ins and cannot be blocked",
            "`-p no:binance` keeps the plugin 'binance' from being imported",
        ),
    ],
    ids=["typo", "unknown", "no file", "mode", "speed", "blocking", "core"],
)
def test_wrong_usage_says_what_was_expected_and_where_to_look(invoke, words, message, fix):
    ended = invoke(*words)

    assert (ended.status, ended.stdout, ended.stderr) == (2, "", f"error[usage]: {message}\n  fix    {fix}\n")


def test_an_expected_error_has_no_traceback_and_its_own_status(invoke, failing):
    failing(
        PluginError("cannot load plugin 'x'", kind="import", plugin="x", cause="ImportError: y", hint="pip install x")
    )

    ended = invoke("check", "x")

    assert ended.status == 3
    assert ended.stdout == ""
    assert ended.stderr == (
        "error[plugin-import]: cannot load plugin 'x'\n  cause  ImportError: y\n  fix    pip install x\n"
    )


def test_a_machine_gets_the_error_as_one_object_on_stdout_too(invoke, failing):
    failing(JournalError("locked by process 7", hint="wait for it"))

    ended = invoke("check", "x", "--json")

    assert json.loads(ended.stdout) == {
        "error": {"code": "journal", "message": "locked by process 7", "exit_code": 2, "hint": "wait for it"}
    }
    assert ended.stderr == "error[journal]: locked by process 7\n  fix    wait for it\n"


def test_the_traceback_of_an_expected_error_can_be_asked_for(invoke, failing):
    failing(JournalError("locked"))

    assert "Traceback (most recent call last)" in invoke("--traceback", "check", "x").stderr


def test_a_bug_shows_its_traceback_and_where_to_report_it(invoke, failing):
    failing(ZeroDivisionError("by zero"))

    ended = invoke("check", "x", "--json")

    assert ended.status == 1
    assert "ZeroDivisionError: by zero" in ended.stderr
    assert "this is a bug in mmframe; please report it at the project's issue tracker with this text" in ended.stderr
    assert json.loads(ended.stdout) == {
        "error": {"code": "bug", "message": "ZeroDivisionError: by zero", "exit_code": 1}
    }


def test_a_missing_file_that_nobody_expected_is_a_bug_and_not_an_unwritable_output(invoke, failing):
    failing(FileNotFoundError(2, "No such file or directory", "x"))

    assert invoke("check", "x").status == 1


def test_ctrl_c_outside_of_a_run_ends_with_its_own_status(invoke, failing):
    failing(KeyboardInterrupt())

    ended = invoke("check", "x")

    assert (ended.status, ended.stdout, ended.stderr) == (130, "", "aborted\n")


def test_a_reader_that_goes_away_is_no_error(start):
    read_end, write_end = os.pipe()
    os.close(read_end)

    process = start("--help", stdout=write_end)
    os.close(write_end)
    _, errors = process.communicate()

    assert (process.returncode, errors) == (141, "")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_an_output_that_cannot_be_written_is_said(start):
    with FULL.open("w") as full:
        process = start("--help", stdout=full)
        _, errors = process.communicate()

    assert process.returncode == 2
    assert errors == (
        "error[usage]: cannot write the output: No space left on device\n"
        "  fix    free the disk or choose another file\n"
    )


def test_a_closed_output_is_no_bug(repository):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m mmframe --version >&-"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_python_m_mmframe_is_mmframe(command):
    assert command("--version").stdout == f"mmframe {__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})\n"


HEAVY = ("httpx", "websockets", "rich")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plugins"], ["plugins", "show", "core"]], ids=" ".join)
def test_quick_commands_import_no_network_and_no_terminal_library(repository, words):
    code = f"""
import sys
from mmframe.cli.main import main
try:
    main({words!r})
except SystemExit as end:
    status = end.code
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(status, heavy, file=sys.stderr)
"""

    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)

    assert done.stderr == "0 []\n"


@pytest.mark.parametrize("words", [["--help"], ["plugins", "--help"], ["new", "--help"]], ids=" ".join)
def test_no_summary_of_a_command_is_cut_off(invoke, words):
    assert "..." not in invoke(*words).stdout.replace("[ARGS]...", "")
