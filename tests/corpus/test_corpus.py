"""Every way to get a strategy file wrong that we know of, with the exact words and the exit status.

`broken/NAME/expected.txt` holds `exit STATUS` and then one line a problem, as `mmframe check` reports them in NAME:

    LINE: MESSAGE (HINT)                                            of the file; `-` when it has no line
    plugin-KIND: MESSAGE, needed by PLACE [CAUSE] (HINT)            of a plugin

Set MMFRAME_CORPUS_WRITE=1 to write the files anew; read every difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmframe.cli.errors import error_text
from mmframe.cli.main import main
from mmframe.errors import ConfigError, ConfigErrors, MmframeError, PluginError
from mmframe.registry import check

CORPUS = Path(__file__).parent / "broken"
CASES = sorted(path.name for path in CORPUS.iterdir())
STRATEGY = Path("strategy.toml")


@pytest.fixture
def enter(monkeypatch):
    """Go into a case's folder: messages then hold no path but `strategy.toml`."""

    def enter(name: str) -> Path:
        monkeypatch.chdir(CORPUS / name)
        return CORPUS / name

    return enter


def failure(path: Path) -> MmframeError:
    with pytest.raises(MmframeError) as caught:
        check(path)
    return caught.value


def lines_of(error: MmframeError) -> list[str]:
    problems = (*error.problems, *error.plugin_errors) if isinstance(error, ConfigErrors) else (error,)
    return [line_of(problem) for problem in problems]


def line_of(problem: MmframeError) -> str:
    hint = f" ({problem.hint})" if problem.hint else ""
    if isinstance(problem, PluginError):
        place = f", needed by {problem.needed_by}" if problem.needed_by else ""
        cause = f" [{problem.cause}]" if problem.cause else ""
        return f"{problem.code}: {problem.message}{place}{cause}{hint}"
    assert isinstance(problem, ConfigError)
    assert problem.file == "strategy.toml"
    return f"{problem.line or '-'}: {problem.message}{hint}"


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_gets_exactly_these_words(enter, name):
    expected = enter(name) / "expected.txt"

    error = failure(STRATEGY)

    found = "\n".join((f"exit {int(error.exit_code)}", *lines_of(error))) + "\n"
    if os.environ.get("MMFRAME_CORPUS_WRITE"):
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_the_command_line_shows_these_problems_and_ends_with_this_status(enter, name, capsys):
    status = (enter(name) / "expected.txt").read_text(encoding="utf-8").split("\n", 1)[0]

    with pytest.raises(SystemExit) as caught:
        main(["check", "strategy.toml"])

    output = capsys.readouterr()
    assert f"exit {caught.value.code}" == status
    assert output.out == ""
    assert output.err == error_text(failure(STRATEGY)) + "\n"


def test_there_are_more_than_forty_kinds():
    assert len(CASES) > 40


def test_no_message_repeats_a_secret():
    text = (CORPUS / "secret-in-clear-text" / "expected.txt").read_text(encoding="utf-8")

    assert "hunter2" not in text
