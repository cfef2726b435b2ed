"""Every way to get a strategy file wrong that we know of, with the exact words and the exit status.

`broken/NAME/expected.txt` holds `exit STATUS` and then one line a problem, as `mmframe check` reports them in NAME:

    LINE: MESSAGE (HINT)                                            of the file; `-` when it has no line
    plugin-KIND: MESSAGE, needed by PLACE [CAUSE] (HINT)            of a plugin

Set MMFRAME_CORPUS_WRITE=1 to write the files anew; read every difference before committing it.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from mmframe.cli.errors import error_text
from mmframe.cli.main import main
from mmframe.errors import ConfigError, ConfigErrors, MmframeError, PluginError
from mmframe.registry import check

CORPUS = Path(__file__).parent / "broken"
CASES = sorted(path.name for path in CORPUS.iterdir())
VALID = Path(__file__).parent / "valid"
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


@pytest.mark.parametrize("name", sorted(path.name for path in VALID.iterdir()))
def test_a_right_file_is_accepted_and_a_check_writes_nothing(monkeypatch, name):
    monkeypatch.chdir(VALID / name)
    before = sorted(path.name for path in Path().iterdir())

    report = check(STRATEGY)

    assert report.name == name
    assert sorted(path.name for path in Path().iterdir()) == before


VALUES = [
    "1",
    "-1",
    "0",
    "0.5",
    "nan",
    "inf",
    "true",
    '""',
    '"x"',
    '"core/sorted"',
    "[]",
    "[1]",
    "{}",
    "{ use = 3 }",
    "9" * 25,
]


def mutated(text: str, seed: int) -> str:
    """Change up to four lines: drop, repeat or move one, or give its key another value."""
    chance = random.Random(seed)
    lines = text.split("\n")
    for _ in range(chance.randint(1, 4)):
        index = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[index]
                lines.append("")
            case 1:
                lines.insert(index, lines[chance.randrange(len(lines))])
            case 2:
                lines[index], lines[-1] = lines[-1], lines[index]
            case 3:
                lines[index] = lines[index].replace("[", "").replace("]", "")
            case _:
                key, equals, _ = lines[index].partition(" = ")
                lines[index] = f"{key} = {chance.choice(VALUES)}" if equals else lines[index]
    return "\n".join(lines)


@settings(max_examples=100)
@given(st.sampled_from(sorted(path.name for path in VALID.iterdir())), st.integers(0, 2**64))
def test_no_change_of_a_right_file_leads_to_a_traceback(tmp_path_factory, name, seed):
    folder = tmp_path_factory.getbasetemp() / "corpus" / "valid" / "mutated"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(CORPUS.parent / "lab.py", folder.parents[1])
    path = folder / "strategy.toml"
    path.write_text(mutated((VALID / name / "strategy.toml").read_text(encoding="utf-8"), seed), encoding="utf-8")
    note(path.read_text(encoding="utf-8"))

    try:
        check(path)
        status = 0
    except MmframeError as error:
        status = int(error.exit_code)

    assert status in (0, 2, 3)
