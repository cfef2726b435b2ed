"""Documentation that is wrong fails: every block that a reader could copy is executed.

The blocks of one page run in order in one folder that looks like a clone. A comment before a block says what differs:

- `<!-- not run: REASON -->` leaves it out;
- `<!-- file: NAME -->` writes it to a file instead, for blocks further down;
- `<!-- exit: 2 -->` expects this exit code of a console block.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
    *sorted(EXAMPLES.glob("*/README.md")),
]

PROJECT_COMMANDS = {"docs", "lint", "setup", "test"}
"""Words of dev.py that are not commands of mmframe: what they do is what runs these tests."""
SHELL_WORDS = {"cat", "cd", "ls", "mkdir", "mmframe"}
"""Other lines of console blocks are shown, not run: `git clone`, `pip install`."""
DEV = re.compile(r"^python3 (?:\S*/)?dev\.py\s+")
COMMENT = re.compile(r"^<!-- (not run|file|exit): (.+?) -->$")


class Block(NamedTuple):
    """One fenced block and the comment before it."""

    place: str
    language: str
    text: str
    line: int
    note: str
    value: str


def blocks_of(page: Path) -> list[Block]:
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    blocks = []
    before = None
    for token in tokens:
        if token.type == "fence":
            note = COMMENT.match(before.content.strip()) if before is not None else None
            line = token.map[0] + 1
            place = f"{page.relative_to(ROOT)}:{line}"
            words = note.groups() if note else ("", "")
            blocks.append(Block(place, token.info.split(" ")[0], token.content, line, *words))
        before = token if token.type == "html_block" else None
    return blocks


def is_strategy(block: Block) -> bool:
    return block.language == "toml" and re.search(r"^schema = 1$", block.text, re.MULTILINE) is not None


def is_console(block: Block) -> bool:
    return block.language in {"console", "bash", "sh", "shell"}


def runs(block: Block) -> bool:
    return block.note == "file" or block.language == "python" or is_strategy(block) or is_console(block)


PAGES_THAT_RUN = [page for page in PAGES if any(runs(block) for block in blocks_of(page))]


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_works(page, clone, run_shell, monkeypatch):
    monkeypatch.chdir(clone)
    namespace = {"__name__": "__main__"}

    for block in blocks_of(page):
        if block.note == "not run":
            continue
        if block.note == "file":
            target = clone / block.value
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            # Blank lines before it, so that a traceback shows the page's own line numbers.
            exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)
        if is_strategy(block):
            # An example's page stands beside what its strategy file names.
            beside = clone / page.parent.relative_to(ROOT) if EXAMPLES in page.parents else clone
            check_strategy(block, beside, run_shell)
        elif is_console(block) and block.note != "file":
            run_console(block, clone, run_shell)


def check_strategy(block, folder, run_shell):
    (folder / "block.toml").write_text(block.text, encoding="utf-8")

    ended = run_shell("mmframe check block.toml", folder)

    assert ended.returncode == 0, f"{block.place}\n{ended.stdout}{ended.stderr}"


def run_console(block, clone, run_shell):
    expected = int(block.value) if block.note == "exit" else 0
    lines = [line for line in map(executable, commands_in(block)) if line]
    if not lines:
        return

    ended = run_shell("\n".join(lines), clone)

    assert ended.returncode == expected, f"{block.place}: {lines}\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}"


def commands_in(block):
    """Return the commands of a console block; a line that ends with a backslash goes on."""
    text = block.text.replace("\\\n", " ")
    return [line[2:].strip() for line in text.splitlines() if line.startswith("$ ")]


def executable(command):
    """Return the command as it is run here, or an empty string when it is only shown."""
    word = DEV.sub("", command).split(" ")[0] if DEV.match(command) else None
    if word in PROJECT_COMMANDS:
        return ""
    command = DEV.sub("mmframe ", command)
    if command.split(" ")[0] not in SHELL_WORDS:
        return ""
    # A reader watches in real time; a test has none to spare.
    if command.startswith("mmframe run ") and "--speed" not in command:
        command = command.replace("mmframe run ", "mmframe run --speed max ", 1)
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_comment_that_steers_a_block_stands_right_before_it_and_is_spelt_right(page):
    text = page.read_text(encoding="utf-8")
    steering = re.findall(r"^<!-- .* -->$", text, re.MULTILINE)

    meant = [line for line in steering if not re.match(r"<!-- (generated|SPDX)", line)]

    assert [line for line in meant if not COMMENT.match(line)] == []
    assert len(meant) == sum(bool(block.note) for block in blocks_of(page))


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("python3 dev.py run a.toml --for 2s", "mmframe run --speed max a.toml --for 2s"),
        ("mmframe run a.toml --speed 10", "mmframe run a.toml --speed 10"),
        ("python3 dev.py test -x", ""),
        ("pip install mmframe-tardis", ""),
    ],
)
def test_what_is_run_of_a_console_block(command, run):
    assert executable(command) == run
