from __future__ import annotations

import logging
import re

import pytest

from mmframe.cli.logs import LineFormatter, RepeatFilter, log_to_file, log_to_stderr


def record(event="websocket_lost", level=logging.WARNING, created=0.0, **fields):
    made = logging.LogRecord("mmframe.net", level, "file.py", 1, event, (), None)
    made.created, made.msecs = created, 250.0
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_a_line_holds_time_level_logger_event_and_facts():
    line = LineFormatter().format(record(address="ws://127.0.0.1:1", reason="HTTP 404", count=3, empty=""))

    assert line == (
        "1970-01-01T00:00:00.250Z warning mmframe.net websocket_lost "
        "address=ws://127.0.0.1:1 reason='HTTP 404' count=3 empty=''"
    )


def test_what_a_venue_says_cannot_begin_a_line():
    line = LineFormatter().format(record(reason="bad\n2026-01-01 info all is well\r"))

    assert "\n" not in line
    assert "\r" not in line


def test_the_same_event_again_and_again_is_counted_instead():
    repeats = RepeatFilter()

    passed = [repeats.filter(record(created=second)) for second in range(9)]
    other = repeats.filter(record("snapshot_failed", created=8.0))
    later = record(created=10.0)

    assert passed == [True] * 5 + [False] * 4
    assert other
    assert repeats.filter(later)
    assert later.repeats_left_out == 4


def test_a_clock_that_is_set_back_silences_nothing():
    repeats = RepeatFilter()
    for _ in range(9):
        repeats.filter(record(created=5_000.0))

    assert repeats.filter(record(created=1_000.0))


def test_warnings_go_to_stderr_and_the_rest_nowhere(capsys):
    logger = logging.getLogger("mmframe.test")

    with log_to_stderr():
        logger.info("venue_up")
        logger.warning("websocket_lost", extra={"reason": "cut"})

    assert re.fullmatch(r"\S+Z warning mmframe\.test websocket_lost reason=cut\n", capsys.readouterr().err)


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_file_takes_the_records_of_a_drawn_run(tmp_path, capsys, is_alone):
    logger = logging.getLogger("mmframe.test")
    path = tmp_path / "runs" / "demo.log"

    with log_to_stderr():
        with log_to_file(path, is_alone=is_alone):
            logger.info("venue_up")
            logger.warning("websocket_lost")
        shown = capsys.readouterr().err
        logger.warning("after")

    assert [line.split()[3] for line in path.read_text().splitlines()] == ["venue_up", "websocket_lost"]
    assert f"1 warning in {path}" in shown
    assert ("websocket_lost" in shown) is not is_alone
    assert "after" in capsys.readouterr().err


def test_no_record_makes_no_file(tmp_path, capsys):
    with log_to_file(tmp_path / "demo.log", is_alone=True):
        pass

    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch):
    with log_to_file(tmp_path / "demo.log", is_alone=True):
        logger = logging.getLogger("mmframe.test")
        handler = logging.getLogger("mmframe").handlers[0]
        monkeypatch.setattr(handler, "_open", lambda: (_ for _ in ()).throw(OSError(28, "No space left on device")))

        logger.warning("websocket_lost")
