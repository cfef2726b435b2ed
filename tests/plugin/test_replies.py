"""Replies of models: read whole and strictly, salvaged with a scanner, rejected with place, was and expected."""

from __future__ import annotations

import json
import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.advice import AdviceVerdict
from mmframe.errors import DomainError
from mmframe.plugin import replies
from mmframe.plugin.replies import (
    TEXT_CHARACTERS_MAX,
    ChoiceField,
    Fault,
    FlagField,
    NumberField,
    ReplySchema,
    TextField,
    clean_text,
)

_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why.", length_max=20, example="calm"),
        NumberField(name="factor", help="Times the spread.", minimum=0.5, maximum=3, example=1.0),
        ChoiceField(name="regime", help="How lively.", choices=("calm", "wild"), example="calm"),
        FlagField(name="stop", help="Whether to stop."),
    )
)
_KEYS = ("M1", "M2")
_ONE = '{"reason": "r", "factor": 1.5, "regime": "wild", "stop": true}'
_VALID = f'{{"M1": {_ONE}, "M2": {_ONE}}}'
_TAKEN = {"reason": "r", "factor": 1.5, "regime": "wild", "stop": True}


def read_one(one):
    return _SCHEMA.read(f'{{"M1": {one}, "M2": {_ONE}}}', _KEYS).entries["M1"]


def verdict_of(text):
    entries = _SCHEMA.read(text, _KEYS).entries
    assert all(isinstance(entry, Fault) for entry in entries.values())
    assert len(set(entries.values())) == 1
    return entries["M1"].verdict


def test_schema_and_prompt_and_reader_are_of_the_same_fields():
    schema = json.loads(_SCHEMA.json_schema(_KEYS))
    thing = schema["$defs"]["thing"]

    assert schema["required"] == list(_KEYS)
    assert schema["additionalProperties"] is thing["additionalProperties"] is False
    assert thing["properties"] == {
        "reason": {"type": "string", "description": "Why. At most 20 characters."},
        "factor": {"type": "number", "minimum": 0.5, "maximum": 3, "description": "Times the spread."},
        "regime": {"type": "string", "enum": ["calm", "wild"], "description": "How lively."},
        "stop": {"type": "boolean", "description": "Whether to stop."},
    }
    assert thing["required"] == list(thing["properties"])
    assert _SCHEMA.describe().splitlines()[1:3] == [
        "- factor: a number from 0.5 to 3. Times the spread.",
        '- regime: one of "calm", "wild". How lively.',
    ]
    assert not any(isinstance(entry, Fault) for entry in _SCHEMA.read(_SCHEMA.example(_KEYS), _KEYS).entries.values())


def test_a_plain_reply_is_taken_and_not_called_salvaged():
    reading = _SCHEMA.read(_VALID, _KEYS)

    assert reading.entries == {"M1": _TAKEN, "M2": _TAKEN}
    assert not reading.is_salvaged
    assert not _SCHEMA.read(f"\n {_VALID}\t\r\n", _KEYS).is_salvaged


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{_VALID}\n```",
        f"```{_VALID}```",
        f"Here's what I think:\n{_VALID}",
        f'{_VALID}\nThe "spread" is wide.',
        f"\ufeff{_VALID}",
        f'"Sure": {_VALID}',
    ],
    ids=["fence", "bare fence", "prose before", "prose after", "byte order mark", "unclosed quotes before"],
)
def test_one_object_in_a_fence_or_in_prose_is_salvaged(text):
    reading = _SCHEMA.read(text, _KEYS)

    assert reading.entries == {"M1": _TAKEN, "M2": _TAKEN}
    assert reading.is_salvaged


def test_braces_and_fences_inside_texts_are_text():
    for text in ('} { ``` \\" [', "} \\", "\\\\", '"', '{"'):
        one = _ONE.replace('"r"', json.dumps(text))

        assert read_one(one)["reason"] == text


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", AdviceVerdict.NOT_JSON),
        ("no", AdviceVerdict.NOT_JSON),
        ("null", AdviceVerdict.NOT_JSON),
        (f"[{_VALID}]", AdviceVerdict.NOT_JSON),
        (f"[1, {_VALID}]", AdviceVerdict.NOT_JSON),
        (json.dumps(_VALID), AdviceVerdict.NOT_JSON),
        (_VALID[:-1], AdviceVerdict.NOT_JSON),
        (_VALID + "}", AdviceVerdict.NOT_JSON),
        (_VALID + _VALID, AdviceVerdict.NOT_JSON),
        (_VALID + " {}", AdviceVerdict.NOT_JSON),
        (f'{_VALID} and then " {_VALID}', AdviceVerdict.NOT_JSON),
        (_VALID.replace('"', "'"), AdviceVerdict.NOT_JSON),
        (_VALID.replace("1.5", "1.5 // a"), AdviceVerdict.NOT_JSON),
        (_VALID.replace("1.5", "[" * 9 + "]" * 9), AdviceVerdict.NOT_JSON),
        (_VALID.replace("1.5", "{]"), AdviceVerdict.NOT_JSON),
        ("{" * 100_000, AdviceVerdict.NOT_JSON),
        (_VALID + " " * TEXT_CHARACTERS_MAX, AdviceVerdict.NOT_JSON),
        ('{"M3": {}, ' + _VALID[1:], AdviceVerdict.UNASKED_MARKET),
        (_ONE, AdviceVerdict.UNKNOWN_KEY),
        (f'{{"answer": {_VALID}}}', AdviceVerdict.UNASKED_MARKET),
    ],
)
def test_what_is_not_one_object_about_the_markets_is_no_answer_to_any(text, verdict):
    assert verdict_of(text) is verdict


@pytest.mark.parametrize(
    ("was", "now", "verdict", "detail"),
    [
        ("1.5", '"1.5"', AdviceVerdict.WRONG_TYPE, "M1.factor: expected a number from 0.5 to 3, was '1.5'"),
        ("1.5", "true", AdviceVerdict.WRONG_TYPE, "M1.factor: expected a number from 0.5 to 3, was true"),
        ("1.5", "null", AdviceVerdict.WRONG_TYPE, "M1.factor: expected a number from 0.5 to 3, was null"),
        ("1.5", "[1.5]", AdviceVerdict.WRONG_TYPE, "M1.factor: expected a number from 0.5 to 3, was a list"),
        ("1.5", "{}", AdviceVerdict.WRONG_TYPE, "M1.factor: expected a number from 0.5 to 3, was an object"),
        ("1.5", "NaN", AdviceVerdict.NOT_FINITE, "M1.factor: expected a number from 0.5 to 3, was nan"),
        ("1.5", "-Infinity", AdviceVerdict.NOT_FINITE, "M1.factor: expected a number from 0.5 to 3, was -inf"),
        ("1.5", "1e999", AdviceVerdict.NOT_FINITE, "M1.factor: expected a number from 0.5 to 3, was inf"),
        ("1.5", "3.0001", AdviceVerdict.OUT_OF_RANGE, "M1.factor: expected a number from 0.5 to 3, was 3.0001"),
        ("1.5", "0.49", AdviceVerdict.OUT_OF_RANGE, "M1.factor: expected a number from 0.5 to 3, was 0.49"),
        ("1.5", "9" * 5_000, AdviceVerdict.WRONG_TYPE, "was a number of 5000 characters"),
        ('"wild"', '"Wild"', AdviceVerdict.OUT_OF_RANGE, "M1.regime: expected one of \"calm\", \"wild\", was 'Wild'"),
        ('"wild"', "1", AdviceVerdict.WRONG_TYPE, 'M1.regime: expected one of "calm", "wild", was 1'),
        ("true", "1", AdviceVerdict.WRONG_TYPE, "M1.stop: expected true or false, was 1"),
        ('"r"', "1", AdviceVerdict.WRONG_TYPE, "M1.reason: expected a text of at most 20 characters, was 1"),
        (', "stop": true', "", AdviceVerdict.MISSING_KEY, "M1.stop: expected true or false, was absent"),
        ("true", 'true, "x": 1', AdviceVerdict.UNKNOWN_KEY, "was the key 'x'"),
        ("true", 'true, "stop": true', AdviceVerdict.DUPLICATE_KEY, "M1.stop: expected it once, was there again"),
    ],
)  # fmt: skip
def test_a_fault_of_one_market_rejects_that_one_and_says_where(was, now, verdict, detail):
    reading = _SCHEMA.read(f'{{"M1": {_ONE.replace(was, now)}, "M2": {_ONE}}}', _KEYS)
    fault = reading.entries["M1"]

    assert isinstance(fault, Fault)
    assert fault.verdict is verdict
    assert detail in str(fault)
    assert reading.entries["M2"] == _TAKEN


@pytest.mark.parametrize(
    ("text", "verdict", "detail"),
    [
        (f'{{"M2": {_ONE}}}', AdviceVerdict.MISSING_KEY, "M1: expected an object, was absent"),
        (f'{{"M1": 1, "M2": {_ONE}}}', AdviceVerdict.WRONG_TYPE, "M1: expected an object, was 1"),
        (f'{{"M1": {_ONE}, "M1": {_ONE}, "M2": {_ONE}}}', AdviceVerdict.DUPLICATE_KEY, "M1: expected it once"),
    ],
    ids=["missing", "no object", "twice"],
)
def test_a_market_that_is_not_there_once_as_an_object_is_rejected_alone(text, verdict, detail):
    entries = _SCHEMA.read(text, _KEYS).entries

    assert entries["M1"].verdict is verdict
    assert detail in str(entries["M1"])
    assert entries["M2"] == _TAKEN


def test_texts_are_cut_and_cleaned_and_quotations_too():
    evil = "a\u202eb\x1b[31mc\ud800\u2028d\u200be" + "x" * 100_000

    kept = read_one(_ONE.replace('"r"', json.dumps(evil[:60])))["reason"]
    quoted = str(read_one(_ONE.replace('"wild"', json.dumps(evil[:1_000]))))

    assert kept == "a b [31mc d exxxxxx…"
    assert len(kept) == 20
    assert quoted.endswith("xxx…'")
    assert len(quoted) < 120
    assert clean_text(evil, 20) == kept
    assert clean_text("  one\n\ttwo ", 20) == "one two"


def test_minus_zero_is_zero():
    schema = ReplySchema((NumberField(name="skew", help="Shift.", minimum=-1, maximum=1, example=0),))

    value = schema.read('{"M1": {"skew": -0.0}}', ("M1",)).entries["M1"]["skew"]

    assert math.copysign(1.0, value) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NumberField(name="a", help="", minimum=1, maximum=0, example=1), "a: expected minimum <= example"),
        (lambda: NumberField(name="a", help="", minimum=0, maximum=math.inf, example=1), "a: expected minimum <="),
        (lambda: NumberField(name="a b", help="", minimum=0, maximum=1, example=1), "name: expected letters"),
        (lambda: ChoiceField(name="a", help="", choices=("x", "x"), example="x"), "a: expected choices, each once"),
        (lambda: ChoiceField(name="a", help="", choices=("x",), example="y"), "a: expected choices, each once"),
        (lambda: TextField(name="a", help="", length_max=2, example="long"), "a: expected an example of at most"),
        (lambda: ReplySchema(()), "fields: expected some"),
        (lambda: ReplySchema((FlagField(name="a", help=""), FlagField(name="a", help=""))), "fields: expected some"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(make, message):
    with pytest.raises(DomainError) as caught:
        make()

    assert message in str(caught.value)


# Properties

_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(["calm", 1.5, 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_THING = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.text(max_size=30) | _JSON,
        "factor": st.floats(0.4, 3.2) | st.integers(-1, 4) | _JSON,
        "regime": st.sampled_from(["calm", "wild", "CALM"]) | _JSON,
        "stop": st.booleans() | _JSON,
        "more": _JSON,
    },
)
_REPLY = st.fixed_dictionaries({}, optional={"M1": _THING | _JSON, "M2": _THING, "M3": _THING})


def reference(reply):
    """Say of each market whether it is answered, from the parsed value: the rules as they are told to people."""
    if set(reply) - set(_KEYS):
        return dict.fromkeys(_KEYS, False)
    return {key: key in reply and _is_answer(reply[key]) for key in _KEYS}


def _is_answer(thing):
    if not isinstance(thing, dict) or set(thing) != set(_TAKEN):
        return False
    factor = thing["factor"]
    return (
        isinstance(thing["reason"], str)
        and thing["regime"] in ("calm", "wild")
        and isinstance(thing["stop"], bool)
        and isinstance(factor, (int, float))
        and not isinstance(factor, bool)
        and 0.5 <= factor <= 3
    )


@settings(max_examples=100)
@given(reply=_REPLY)
def test_it_takes_exactly_what_the_rules_say(reply):
    entries = _SCHEMA.read(json.dumps(reply), _KEYS).entries

    assert {key: not isinstance(entry, Fault) for key, entry in entries.items()} == reference(reply)


_BITS = st.sampled_from(
    ["NaN", "1e999", "{", "}", "[", "]", '"', "\\", ",", ":", "null", "```", "\x00", "\ud800", "M1"]
)


@settings(max_examples=100)
@given(data=st.data())
def test_any_text_is_read_without_an_exception_and_what_is_taken_is_within_range(data):
    text = data.draw(st.sampled_from([_VALID, f"```json\n{_VALID}\n```", ""]))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 6))
        text = text[:start] + data.draw(_BITS | st.text(max_size=3)) + text[end:]

    reading = _SCHEMA.read(text, _KEYS)

    assert list(reading.entries) == list(_KEYS)
    for entry in reading.entries.values():
        if not isinstance(entry, Fault):
            assert 0.5 <= entry["factor"] <= 3.0
            assert entry["regime"] in {"calm", "wild"}
            assert isinstance(entry["stop"], bool)
            assert len(entry["reason"]) <= 20
        else:
            assert len(str(entry)) < 300
            assert str(entry).isprintable()


# Time, counted in lines that are executed

_GROWING = {
    "openings": lambda size: "{" * size,
    "closed openings": lambda size: "{}" * (size // 2),
    "quotes": lambda size: '{"' * (size // 2),
    "escapes": lambda size: '{"' + "\\" * size,
    "escaped quotes": lambda size: '{"' + '\\"' * (size // 2),
    "escapes before quotes": lambda size: '{"' + ("\\" * 9 + '"') * (size // 10),
    "lists": lambda size: '{"a":' + "[" * size,
    "prose": lambda size: "x" * size + _VALID,
    "digits": lambda size: '{"M1": ' + "9" * size + "}",
    "points": lambda size: '{"M1": 0.' + "9" * size + "}",
    "keys": lambda size: "{" + ",".join(f'"k{number}":0' for number in range(size // 8)) + "}",
    "the same key": lambda size: "{" + ",".join(['"M1":0'] * (size // 7)) + "}",
    "unknown keys inside": lambda size: '{"M1":{' + ",".join(f'"k{number}":0' for number in range(size // 8)) + "}}",
    "a long reason": lambda size: _VALID.replace('"r"', '"' + "\u202e" * size + '"'),
    "many texts": lambda size: '{"M1":[' + ",".join(['"a"'] * (size // 4)) + "]}",
}


def lines_executed(text):
    count = 0
    here = replies.__file__

    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename != here:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        _SCHEMA.read(text, _KEYS)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", _GROWING)
def test_reading_takes_time_in_proportion_to_the_text(name):
    make = _GROWING[name]

    small, large = lines_executed(make(1_000)), lines_executed(make(4_000))

    assert large <= 4.5 * small + 200
    assert large <= 12 * (4_000 + len(_VALID)) + 500


def test_a_text_beyond_the_limit_is_not_walked():
    assert lines_executed("{" * 10_000_000) < 100
