"""The sink `jsonl`."""

from __future__ import annotations

import json
import logging
import math
from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.builtin.plugin import mmframe_register_sinks
from mmframe.builtin.sinks import SINKS
from mmframe.builtin.sinks.json_lines import JSONL, JsonLinesOptions
from mmframe.domain.market import Side
from mmframe.domain.orders import Cancel, Fill, OrderStatus, OrderUpdate, Request, Submit
from mmframe.domain.records import AdviceUpdate, LadderLevel, LimitRecord, QuoteDecision, StageKind, StageRecord
from mmframe.domain.views import NEUTRAL_ADVICE
from mmframe.errors import UsageError
from mmframe.ports import Sink
from mmframe.testing import build_component

DECISION = QuoteDecision(
    sequence=1,
    market=0,
    now_ns=5,
    view={"mid": 100.0, "signals.volatility": math.nan},
    inventory={"max_position": math.inf},
    advice={},
    stages=(StageRecord(StageKind.OPTIMIZER, "fixed-spread", 99.9, 0.01, None, 0.0, 0, 20),),
    bids=(LadderLevel(9_990, 10),),
    asks=(),
    bid_reason=0,
    ask_reason=20,
    actions=(),
    rejections=(),
)
FILL = Fill(0, "c-1", "t-1", Side.BUY, 9_990, 10, True, Decimal("0.00010"), "USDT", 4, 5)
UPDATE = OrderUpdate(0, "c-1", OrderStatus.OPEN, Request.SUBMIT, 4, 5)


def build(folder, name="records.jsonl", **options):
    return build_component(JSONL, JsonLinesOptions(Path(name), **options), directory=folder)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_handed_over_by_the_core_plugin():
    assert tuple(mmframe_register_sinks()) == SINKS == (JSONL,)


def test_it_is_a_sink(tmp_path):
    assert isinstance(build(tmp_path), Sink)


def test_each_record_is_a_line_with_its_type(tmp_path):
    sink = build(tmp_path)

    sink.on_action(Submit(0, "c-1", Side.BUY, 9_990, 10), 3)
    sink.on_order_update(UPDATE)
    sink.on_fill(FILL)
    sink.on_advice(AdviceUpdate(0, NEUTRAL_ADVICE._replace(skew_bps=2.5), 5, "calm", "quiet"))
    sink.on_limit(LimitRecord(0, "spread-floor", 1, 13, 2, 5, 9, is_over=True))
    sink.on_decision(DECISION)
    sink.close()

    header, action, update, fill, advice, limit, decision = lines(tmp_path / "records.jsonl")
    assert header == {
        "type": "run",
        "mode": "paper",
        "instruments": [{"symbol": "BTC/USDT", "tick_size": "0.01", "lot_size": "0.001"}],
    }
    assert (action["type"], action["now_ns"], action["action"]["type"]) == ("action", 3, "submit")
    assert action["action"]["client_id"] == "c-1"
    assert (update["type"], update["status"]) == ("order_update", "open")
    assert (fill["type"], fill["venue_trade_id"], fill["fee"]) == ("fill", "t-1", "0.00010")
    assert (advice["type"], advice["source"], advice["advice"]["skew_bps"]) == ("advice", "calm", 2.5)
    assert (limit["type"], limit["stage"], limit["decisions"], limit["is_over"]) == ("limit", "spread-floor", 9, True)
    assert (decision["type"], decision["stages"][0]["name"]) == ("decision", "fixed-spread")
    assert decision["view"] == {"mid": 100.0, "signals.volatility": None}
    assert decision["inventory"] == {"max_position": None}


@pytest.mark.parametrize("decisions", [True, False])
def test_decisions_are_written_only_when_asked_for(tmp_path, decisions):
    sink = build(tmp_path, decisions=decisions)

    sink.on_decision(DECISION)
    sink.on_fill(FILL)
    sink.close()

    assert sink.wants_decisions is decisions
    written = [line["type"] for line in lines(tmp_path / "records.jsonl")]
    assert written == (["run", "decision", "fill"] if decisions else ["run", "fill"])


def test_lines_can_be_followed_while_the_run_goes_on(tmp_path):
    sink = build(tmp_path)

    sink.on_fill(FILL)

    assert [line["type"] for line in lines(tmp_path / "records.jsonl")] == ["run", "fill"]
    sink.close()


def test_buffered_lines_come_at_the_end_at_the_latest(tmp_path):
    sink = build(tmp_path, flush="buffered")

    sink.on_fill(FILL)
    before = (tmp_path / "records.jsonl").read_text()
    sink.close()

    assert before == ""
    assert [line["type"] for line in lines(tmp_path / "records.jsonl")] == ["run", "fill"]


def test_nothing_is_made_before_there_is_something_to_write(tmp_path):
    sink = build(tmp_path)

    sink.close()

    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_appended_to_and_folders_are_made(tmp_path):
    for _ in range(2):
        sink = build(tmp_path, "logs/records.jsonl")
        sink.on_action(Cancel(0, "c-1"), 3)
        sink.close()

    assert [line["type"] for line in lines(tmp_path / "logs" / "records.jsonl")] == ["run", "action"] * 2


def test_a_folder_in_place_of_the_file_is_refused_at_the_start(tmp_path):
    with pytest.raises(UsageError) as caught:
        build(tmp_path, ".")

    assert caught.value.message == f"sink 'jsonl': path: expected a file, was the folder {str(tmp_path)!r}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("flush", ["line", "buffered"])
def test_a_full_disk_stops_the_sink_and_not_the_run(tmp_path, caplog, flush):
    (tmp_path / "records.jsonl").symlink_to("/dev/full")
    sink = build(tmp_path, flush=flush)

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            sink.on_fill(FILL)
        sink.close()

    failed, incomplete = caplog.records
    assert (failed.message, failed.cause) == ("sink_failed", "No space left on device")
    assert (incomplete.message, incomplete.path) == ("sink_incomplete", str(tmp_path / "records.jsonl"))
    assert incomplete.missing_count >= 1


def test_a_file_that_cannot_be_opened_stops_the_sink_and_not_the_run(tmp_path, caplog):
    (tmp_path / "logs").write_text("a file where the folder should be")
    sink = build(tmp_path, "logs/records.jsonl")

    for _ in range(3):
        sink.on_fill(FILL)
    sink.close()

    assert [(record.message, getattr(record, "missing_count", None)) for record in caplog.records] == [
        ("sink_failed", None),
        ("sink_incomplete", 3),
    ]
