"""What `mmframe advice calls` shows of a file that may be anybody's."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from mmframe.cli.main import main
from mmframe.domain.advice import AdviceCall, AdviceVerdict, CompletionReply, MarketVerdict, ReplyStatus

OBEYED = "\x1b]0;owned\x07\x7f\x9b2J\u202e\u2028evil"


def test_no_text_of_a_recorded_call_reaches_the_terminal_as_a_command(tmp_path, capsys):
    call = AdviceCall(
        sequence=1,
        adviser=f"watch{OBEYED}",
        markets=(0,),
        prompt_version="v",
        request_hash="h",
        model="m",
        requested_ns=10**18,
        applied_ns=10**18,
        reply=CompletionReply(ReplyStatus.OK, text=OBEYED, model=f"model{OBEYED}"),
        cost_usd=Decimal(0),
        verdicts=(MarketVerdict(0, AdviceVerdict.NOT_JSON, f"detail{OBEYED}"),),
    )
    path = tmp_path / "calls.jsonl"
    path.write_bytes(msgspec.json.encode(call))

    outputs = []
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit, match="0"):
            main(["advice", "calls", str(path), *options])
        outputs.append(capsys.readouterr().out)
    shown, told = outputs

    assert "evil" in shown
    assert all(line.isprintable() for text in (shown, told) for line in text.split("\n"))
    assert json.loads(told)["calls"][0]["adviser"] == f"watch{OBEYED}"
