from __future__ import annotations

import json
import os

import pytest

from mmframe.errors import JournalError
from mmframe.runtime.kill_switch import KillRecord, KillSwitch


@pytest.fixture
def switch(tmp_path):
    return KillSwitch.of(tmp_path / "strategy.toml", "maker")


def test_it_is_set_until_it_is_released(switch, tmp_path):
    before = switch.is_set(), switch.reason(), switch.record()

    switch.set("fat finger", 1_700_000_000_000_000_000)

    assert before == (False, "", None)
    assert switch.path == tmp_path / "mmframe-runs" / "maker.killed"
    assert (switch.is_set(), switch.reason()) == (True, "fat finger")
    assert switch.record() == KillRecord(1_700_000_000_000_000_000, "fat finger", "operator")
    assert json.loads(switch.path.read_text())["asked_by"] == "operator"
    assert [path.name for path in switch.path.parent.iterdir()] == ["maker.killed"]
    assert (switch.release(), switch.release(), switch.is_set()) == (True, False, False)


def test_another_process_sees_it(switch):
    switch.set("fat finger", 1)

    assert KillSwitch(switch.path).is_set()
    assert not KillSwitch.of(switch.path.parent / "strategy.toml", "other").is_set()


@pytest.mark.parametrize("content", [b"", b"stop!", b'{"when_ns": "x"}'], ids=["touched", "words", "wrong"])
def test_a_file_made_by_hand_counts(switch, content):
    switch.path.parent.mkdir()
    switch.path.write_bytes(content)

    assert switch.is_set()
    assert switch.record() == KillRecord(0, "maker.killed is there", "unknown")


def test_what_cannot_be_looked_at_counts_as_set(switch, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)

    assert switch.is_set()


def test_a_folder_that_cannot_be_written_is_told_and_leaves_nothing(switch):
    switch.path.parent.write_text("in the way")

    with pytest.raises(JournalError, match="cannot be set: File exists") as caught:
        switch.set("fat finger", 1)

    assert caught.value.hint == "end the strategy's process yourself: it is not told to stop"
    assert not switch.is_set()
