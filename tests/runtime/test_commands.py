"""Operators' commands: numbered, durable, each in effect exactly once, in whichever process comes."""

from __future__ import annotations

import threading

import pytest

from mmframe.domain.kinds import Mode
from mmframe.domain.orders import Submit
from mmframe.domain.records import Command, OperatorCommand
from mmframe.domain.views import Reason
from mmframe.engine.state import EngineState, RestoredRun
from mmframe.errors import JournalError
from mmframe.registry import compose
from mmframe.runtime.commands import (
    Answer,
    CommandFolder,
    CommandInbox,
    SentCommand,
    send,
    standing,
    wait_for_answers,
)
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.runtime.journal.lock import lock_path

SECOND_NS = 1_000_000_000
FAST = 1e6
"""A finite speed: the driver hears commands, and never waits."""

STRATEGY = """
schema = 1
[strategy]
name = "told"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
spread_bps = 4
"""


def order(command, number=0, symbol="", at_ns=0, **fields):
    return SentCommand(number, symbol, OperatorCommand(command, at_ns, **fields))


class Scripted:
    """A source of commands at given times of the driver's clock."""

    def __init__(self, *sent):
        self.due = list(sent)
        self.answers = []

    def take(self, now_ns, next_ns):
        # The first step of a run comes at its very time; a command for it comes before it.
        taken = [each for each in self.due if each.command.receive_ns < max(next_ns, now_ns + 1)]
        self.due = self.due[len(taken) :]
        return taken

    def answer(self, answer):
        self.answers.append(answer)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(STRATEGY)
    return path


@pytest.fixture
def folder(file):
    return CommandFolder.of(file, "told", Mode.PAPER)


@pytest.fixture
def inbox(folder):
    """Return a function that begins to listen and looks at every call."""
    opened = []

    def listen(after=0):
        ticks = iter(range(10_000))
        opened.append(CommandInbox.open(folder, run_id="0", after=after, now_s=lambda: float(next(ticks))))
        return opened[-1]

    yield listen
    for each in opened:
        each.close()


def taken(inbox):
    return [(sent.command.command, sent.symbol) for sent in inbox.take(0, 0)]


def words(commands):
    return [(sent.command.command.value, sent.symbol) for sent in commands]


# The folder.


def test_a_command_takes_effect_once_in_each_process(folder, inbox):
    first, second = inbox(), inbox()
    folder.send(OperatorCommand(Command.PAUSE, 1, reason="news"))

    assert taken(first) == [(Command.PAUSE, "")]
    assert taken(first) == []
    assert taken(second) == [(Command.PAUSE, "")]


def test_a_command_carries_its_whole_text_and_the_time_at_which_it_took_effect(folder, inbox):
    sent = folder.send(OperatorCommand(Command.PAUSE, 1, reason="news"), "BTC/USDT")

    (heard,) = inbox().take(77, 99)

    assert heard == SentCommand(sent.number, "BTC/USDT", OperatorCommand(Command.PAUSE, 77, reason="news"))


def test_a_process_that_goes_on_takes_what_came_since(folder, inbox):
    done = folder.send(OperatorCommand(Command.PAUSE, 1))
    folder.send(OperatorCommand(Command.RESUME, 2))

    assert taken(inbox(after=done.number)) == [(Command.RESUME, "")]


def test_numbers_grow_even_after_the_file_was_removed(folder, inbox):
    listening = inbox()
    first = folder.send(OperatorCommand(Command.PAUSE, 1))
    assert taken(listening) == [(Command.PAUSE, "")]

    folder.file.unlink()
    assert taken(listening) == []
    second = folder.send(OperatorCommand(Command.RESUME, 2))

    assert second.number > first.number
    assert taken(listening) == [(Command.RESUME, "")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("pause", "")], [("pause", "")]),
        ([("pause", ""), ("resume", "")], [("resume", "")]),
        ([("pause", "A"), ("pause", "B"), ("resume", "A")], [("pause", "B"), ("resume", "A")]),
        ([("pause", "A"), ("resume", "")], [("resume", "")]),
        ([("resume", ""), ("pause", "A")], [("resume", ""), ("pause", "A")]),
        ([("kill", "A"), ("resume", "")], [("kill", "A"), ("resume", "")]),
        ([("kill", "A"), ("resume", "A")], [("resume", "A")]),
        ([("pause", "A"), ("kill", "A"), ("resume", "A"), ("kill", "A")], [("resume", "A"), ("kill", "A")]),
        ([("kill", "")], []),
    ],
)
def test_what_stands_is_what_no_later_command_took_back(given, expected):
    commands = [order(Command(word), number, symbol) for number, (word, symbol) in enumerate(given, start=1)]

    assert words(standing(commands)) == expected


def test_what_stands_is_never_forgotten_however_many_commands_follow(folder):
    folder.send(OperatorCommand(Command.KILL, 1), "A")
    for _ in range(70):
        folder.send(OperatorCommand(Command.PAUSE, 1), "B")
        folder.send(OperatorCommand(Command.RESUME, 1), "B")

    commands = folder.commands()

    assert len(commands) < 70
    assert words(standing(commands)) == [("kill", "A"), ("resume", "B")]


def test_senders_at_the_same_time_lose_nothing(folder):
    threads = [
        threading.Thread(target=folder.send, args=(OperatorCommand(Command.PAUSE, 1), f"M{number}"))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    commands = folder.commands()

    assert {sent.symbol for sent in commands} == {f"M{number}" for number in range(8)}
    assert len({sent.number for sent in commands}) == 8


def test_what_cannot_be_read_pauses_and_is_told(folder, inbox):
    listening = inbox()
    folder.file.write_bytes(b"{")

    (heard,) = listening.take(5, 9)

    assert (heard.number, heard.command.command) == (0, Command.PAUSE)
    assert "cannot be read" in heard.command.reason
    assert listening.take(6, 9) == ()
    with pytest.raises(JournalError, match="cannot be read"):
        folder.send(OperatorCommand(Command.RESUME, 1))


def test_a_folder_that_cannot_be_made_sends_nothing(tmp_path):
    (tmp_path / "mmframe-runs").write_text("in the way")

    with pytest.raises(JournalError, match="cannot be written") as raised:
        send(tmp_path / "s.toml", "told", OperatorCommand(Command.PAUSE, 1), mode=Mode.PAPER)

    assert raised.value.hint.startswith("nothing was sent")


def test_each_mode_has_commands_of_its_own(file, folder):
    send(file, "told", OperatorCommand(Command.PAUSE, 1), mode=Mode.LIVE)

    assert folder.commands() == ()
    assert words(CommandFolder.of(file, "told", Mode.LIVE).commands()) == [("pause", "")]


def test_the_sender_is_told_by_each_process_and_knows_of_one_that_says_nothing(folder, inbox):
    first, _ = inbox(), inbox()
    sent = folder.send(OperatorCommand(Command.PAUSE, 1))
    first.answer(Answer(sent.number, pulled=2, left=1))
    first.answer(Answer(sent.number, pulled=2))

    answers = wait_for_answers(folder, sent, within_s=0.0)

    assert [answer for _, answer in answers] == [Answer(sent.number, pulled=2), None]
    assert all(listener.is_alive() for listener, _ in answers)


def test_nobody_listens_when_no_process_is_there(folder, inbox):
    inbox().close()

    assert wait_for_answers(folder, folder.send(OperatorCommand(Command.PAUSE, 1)), within_s=0.0) == ()


def test_a_process_that_was_told_nothing_leaves_nothing_behind(folder, inbox, file):
    listening = inbox()
    assert lock_path(listening._path).exists()

    listening.close()

    assert list(file.parent.iterdir()) == [file]


# In a run.


def run(file, source, path=None, *, restored=None, journal=None, seconds=6):
    if path is not None:
        journal = Journal.create(path, RunHeader.of(compose(file), started_ns=1))
    try:
        return run_plan(
            compose(file),
            speed=FAST,
            journal=journal,
            restored=restored,
            commands=source,
            limit_ns=seconds * SECOND_NS,
        )
    finally:
        if journal is not None:
            journal.close()


@pytest.fixture
def start_ns(file):
    return run_plan(compose(file), limit_ns=SECOND_NS).status.started_ns


def test_a_paused_run_has_no_orders_and_sends_none_until_it_is_resumed(file, tmp_path, start_ns):
    paused_ns, resumed_ns = start_ns + 2 * SECOND_NS, start_ns + 4 * SECOND_NS
    source = Scripted(
        order(Command.PAUSE, 11, at_ns=paused_ns, reason="news"), order(Command.RESUME, 12, at_ns=resumed_ns)
    )
    path = tmp_path / "run.journal"

    run(file, source, path)

    assert source.answers == [Answer(11, pulled=2, left=2), Answer(11, pulled=2), Answer(12)]
    with JournalReader(path) as reader:
        submits = [intent.at_ns for intent in reader.intents() if isinstance(intent.action, Submit)]
        assert reader.commands() == (
            OperatorCommand(Command.PAUSE, paused_ns, reason="news"), OperatorCommand(Command.RESUME, resumed_ns),
        )  # fmt: skip
        assert reader.working_orders(resumed_ns - 1, 0) == ()
        (decision,) = reader.decisions(resumed_ns - 1)
    assert any(at_ns < paused_ns for at_ns in submits)
    assert not any(paused_ns <= at_ns < resumed_ns for at_ns in submits)
    assert any(at_ns >= resumed_ns for at_ns in submits)
    assert (decision.bid_reason, decision.ask_reason) == (Reason.PAUSED, Reason.PAUSED)


def test_the_commands_of_a_run_at_the_same_times_give_the_same_run(file, tmp_path, start_ns):
    times = (start_ns, start_ns + SECOND_NS, start_ns + 2 * SECOND_NS + 7, start_ns + 3 * SECOND_NS)
    what = (Command.PAUSE, Command.RESUME, Command.PAUSE, Command.RESUME)
    path = tmp_path / "run.journal"
    first = run(file, Scripted(*map(order, what, (1, 2, 3, 4), ("",) * 4, times)), path)

    with JournalReader(path) as reader:
        journaled = reader.commands()
    again = run(file, Scripted(*(SentCommand(0, "", command) for command in journaled)))
    without = run(file, None)

    assert [command.receive_ns for command in journaled] == list(times)
    assert again.decision_hash == first.decision_hash
    assert again.status.markets == first.status.markets
    assert without.decision_hash != first.decision_hash


def test_whenever_commands_come_the_journal_holds_what_gives_the_same_run(file, folder, tmp_path, inbox):
    due = [(25, Command.PAUSE), (40, Command.RESUME), (55, Command.PAUSE)]

    class Sender:
        """Sends between two steps, at decisions that nobody planned for."""

        interval_s = 0.0

        def on_status(self, status):
            if due and status.decisions >= due[0][0]:
                folder.send(OperatorCommand(due.pop(0)[1], 1))

    path = tmp_path / "run.journal"
    with Journal.create(path, RunHeader.of(compose(file), started_ns=1)) as journal:
        first = run_plan(
            compose(file),
            speed=FAST,
            journal=journal,
            commands=inbox(),
            observer=Sender(),
            limit_ns=20 * SECOND_NS,
        )

    with JournalReader(path) as reader:
        journaled = reader.commands()
    again = run(file, Scripted(*(SentCommand(0, "", command) for command in journaled)), seconds=20)

    assert [each.command for each in journaled] == [Command.PAUSE, Command.RESUME, Command.PAUSE]
    assert again.decision_hash == first.decision_hash
    assert first.status.is_paused


def test_a_pause_from_before_the_start_holds_and_no_order_leaves(file, folder, tmp_path, inbox):
    folder.send(OperatorCommand(Command.PAUSE, 1))
    path = tmp_path / "run.journal"

    result = run(file, inbox(), path, seconds=2)

    assert result.status.is_paused
    assert result.status.markets[0].orders == 0
    assert result.status.decisions > 0


def test_a_resumed_run_stays_paused_and_a_command_that_it_has_taken_is_not_taken_again(file, folder, tmp_path, inbox):
    path = tmp_path / "run.journal"
    sent = folder.send(OperatorCommand(Command.PAUSE, 1))
    run(file, inbox(), path, seconds=2)

    journal, restored = Journal.reopen(path, RunHeader.of(compose(file), started_ns=1))
    assert journal.last_command == sent.number
    stays = run(file, inbox(journal.last_command), journal=journal, restored=restored, seconds=2)
    folder.send(OperatorCommand(Command.RESUME, 1))
    journal, restored = Journal.reopen(path, RunHeader.of(compose(file), started_ns=1))
    quotes = run(file, inbox(journal.last_command), journal=journal, restored=restored, seconds=2)

    assert (stays.status.is_paused, stays.status.markets[0].orders) == (True, 0)
    assert not quotes.status.is_paused
    assert quotes.status.markets[0].orders > 0
    with JournalReader(path) as reader:
        assert [command.command for command in reader.commands()] == [Command.PAUSE, Command.RESUME]
        assert [len(reader.commands(run=number)) for number in (1, 2, 3)] == [1, 0, 1]


def test_a_resume_from_before_the_start_is_no_word_on_a_halt(file, folder, tmp_path, inbox):
    path = tmp_path / "run.journal"
    killed = run(file, Scripted(order(Command.KILL)), path, seconds=2)
    folder.send(OperatorCommand(Command.RESUME, 1))

    journal, restored = Journal.reopen(path, RunHeader.of(compose(file), started_ns=1))
    again = run(file, inbox(journal.last_command), journal=journal, restored=restored, seconds=2)

    assert (killed.ended_because, again.ended_because) == ("halted", "halted")


@pytest.fixture
def pair(file):
    """The strategy with a second market."""
    more = '[[markets]]\ninstrument = "ETH/USDT"\norder_size = "0.1"\n[feed]'
    file.write_text(STRATEGY.replace("[feed]", more))
    return file


def test_a_resume_from_before_the_start_is_no_word_on_the_halt_of_one_market_either(pair, folder, inbox):
    left = RestoredRun(EngineState(is_paused=True, market_halts=("loss", "")), (), ())
    folder.send(OperatorCommand(Command.RESUME, 1))

    result = run(pair, inbox(), restored=left, seconds=2)

    assert result.status.halt_reason == "loss"


def test_a_killed_market_that_was_released_while_nobody_ran_comes_back_with_the_run(pair, folder, inbox):
    left = RestoredRun(EngineState(killed_markets=(0,), market_halts=("killed: delisted", "")), (), ())
    folder.send(OperatorCommand(Command.RESUME, 1), "BTC/USDT")

    result = run(pair, inbox(), restored=left, seconds=2)

    assert result.status.halt_reason == ""
    assert result.status.markets[0].orders > 0


def test_a_resume_releases_the_halt_of_one_market_also_as_the_first_word_to_a_run(pair):
    left = RestoredRun(EngineState(market_halts=("loss", "")), (), ())
    start_ns = run(pair, None, restored=left, seconds=1).status.started_ns
    source = Scripted(order(Command.RESUME, 1, "BTC/USDT", at_ns=start_ns + 2 * SECOND_NS))

    result = run(pair, source, restored=left, seconds=4)

    assert (result.status.halt_reason, source.answers) == ("", [Answer(1)])
    assert result.status.markets[0].orders > 0


def test_a_command_for_a_market_that_the_run_does_not_have_is_answered_with_the_reason(file):
    source = Scripted(order(Command.PAUSE, 3, "ETH/USDT"))

    run(file, source, seconds=1)

    assert source.answers == [Answer(3, "it has no market 'ETH/USDT', but BTC/USDT")]


def test_a_killed_market_stays_dead_in_the_runs_that_follow(file, folder, inbox):
    folder.send(OperatorCommand(Command.KILL, 1, reason="delisted"), "BTC/USDT")
    folder.send(OperatorCommand(Command.RESUME, 1))

    dead = run(file, inbox(), seconds=2)
    folder.send(OperatorCommand(Command.RESUME, 1), "BTC/USDT")
    alive = run(file, inbox(), seconds=2)

    assert (dead.ended_because, dead.status.halt_reason) == ("halted", "killed: delisted")
    assert dead.status.markets[0].orders == 0
    assert alive.status.markets[0].orders > 0


def test_a_run_as_fast_as_possible_does_not_look(file):
    source = Scripted(order(Command.PAUSE))

    result = run_plan(compose(file), commands=source, limit_ns=SECOND_NS)

    assert source.due
    assert not result.status.is_paused
