"""The local server's answers are advice: each built-in adviser reads what it makes of that adviser's question."""

from __future__ import annotations

import pytest

from mmframe.builtin.advisers import ADVISERS
from mmframe.domain.advice import Answer, Rejection
from mmframe.testing import build_component
from mmframe.testing.conformance.adviser import make_pictures
from mmframe.testing.llm_server import INJECTION, reply_text
from mmframe.testing.llm_server.replies import schema_in


@pytest.fixture(params=ADVISERS, ids=[spec.name for spec in ADVISERS])
def adviser(request):
    return build_component(request.param)


@pytest.mark.parametrize("markets", [1, 3, 50])
def test_the_default_answer_is_advice_for_every_market(adviser, markets):
    asked = adviser.request(make_pictures(markets))
    schema = schema_in(asked.completion.reply_schema.decode())

    entries, is_salvaged = adviser.read(reply_text(schema, asked.completion.prompt), asked)

    assert [entry.market for entry in entries] == list(range(markets))
    assert {type(entry) for entry in entries} == {Answer}
    assert not is_salvaged


def test_hostile_words_in_every_text_are_shown_without_control_characters(adviser):
    asked = adviser.request(make_pictures(2))
    schema = schema_in(asked.completion.reply_schema.decode())

    entries, _ = adviser.read(reply_text(schema, asked.completion.prompt, words=INJECTION), asked)

    for entry in entries:
        shown = entry.detail if isinstance(entry, Rejection) else entry.note + entry.regime
        assert shown.isprintable()
