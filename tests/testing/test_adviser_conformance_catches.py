"""The adviser cases pass for an adviser that keeps the rules, and each catches one that breaks it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re

import pytest
from hypothesis import Phase, settings

from mmframe.domain.advice import AdviceRequest, AdviceVerdict, Answer, CompletionRequest, Rejection
from mmframe.plugin import AdviserSpec
from mmframe.plugin.replies import Fault, NumberField, ReplySchema, TextField, canonical_json
from mmframe.testing import AdviserConformance, ConformanceError
from mmframe.testing.conformance.adviser import hostile_replies

_SCHEMA = ReplySchema(
    (
        TextField(name="reason", help="Why.", length_max=50, example="calm"),
        NumberField(name="factor", help="Times the spread.", minimum=0.5, maximum=3, example=1),
        NumberField(name="confidence", help="How sure.", minimum=0, maximum=1, example=0),
    )
)


class LabAdviser:
    """An adviser that keeps every rule; the broken ones below override one thing."""

    levels = 1
    trades = 0
    schema = _SCHEMA

    def request(self, pictures):
        if not pictures:
            return None
        return AdviceRequest(
            markets=tuple(picture.market for picture in pictures),
            completion=CompletionRequest(
                system="Answer in JSON.",
                prompt=canonical_json(
                    {key: self.told(one) for key, one in zip(self.keys(pictures), pictures, strict=True)}
                ).decode(),
                reply_schema=self.reply_schema(self.keys(pictures)),
                reply_name="lab",
                max_reply_tokens=100,
            ),
            prompt_version="1",
        )

    def keys(self, things):
        return [f"M{number}" for number in range(1, len(things) + 1)]

    def told(self, picture):
        return {"spread_bps": f"{(picture.view.ask / picture.view.bid - 1) * 1e4:.1f}"}

    def reply_schema(self, keys):
        return self.schema.json_schema(keys)

    def read(self, text, request):
        reading = self.schema.read(text, self.keys(request.markets))
        return [
            self.entry(market, found) for market, found in zip(request.markets, reading.entries.values(), strict=True)
        ], reading.is_salvaged

    def entry(self, market, found):
        if isinstance(found, Fault):
            return Rejection(market, found.verdict, str(found))
        return self.answer(market, found)

    def answer(self, market, values):
        return Answer(
            market,
            bid_spread_multiplier=float(values["factor"]),
            confidence=float(values["confidence"]),
            note=str(values["reason"]),
        )


class _CountsQuestions(LabAdviser):
    def __init__(self):
        self.numbers = itertools.count()

    def told(self, picture):
        return super().told(picture) | {"question": next(self.numbers)}


class _AsksAboutNothing(LabAdviser):
    def request(self, pictures):
        return super().request(pictures) or super().request.__func__(self, [_Nothing()])


class _Nothing:
    market = 0

    class view:  # noqa: N801 - stands for a value
        bid, ask = 1.0, 2.0


class _NumbersMarketsByPlace(LabAdviser):
    def request(self, pictures):
        request = super().request(pictures)
        if request is None:
            return None
        return AdviceRequest(tuple(range(len(pictures))), request.completion, request.prompt_version)


class _TellsSymbols(LabAdviser):
    def told(self, picture):
        return super().told(picture) | {"symbol": picture.symbol.split("-")[0]}


class _TellsBalances(LabAdviser):
    def told(self, picture):
        return super().told(picture) | {"cash": str(int(picture.inventory.quote_balance))}


class _TellsTheDate(LabAdviser):
    def told(self, picture):
        return super().told(picture) | {"now": picture.view.now_ns // 1_000_000_000}


class _Changed(LabAdviser):
    """One whose completion is another in `changes`."""

    changes: dict[str, object] = {}  # noqa: RUF012 - overridden, never changed

    def request(self, pictures):
        request = super().request(pictures)
        if request is None:
            return None
        old = request.completion
        fields = {name: getattr(old, name) for name in old.__struct_fields__} | self.changes
        return AdviceRequest(request.markets, CompletionRequest(**fields), request.prompt_version)


class _DoesNotSayJson(_Changed):
    changes = {"system": "Answer."}  # noqa: RUF012


class _NamesWithDots(_Changed):
    changes = {"reply_name": "lab.advice"}  # noqa: RUF012


class _LeavesNoRoom(_Changed):
    changes = {"max_reply_tokens": 0}  # noqa: RUF012


class _SchemaWithBlanks(LabAdviser):
    def reply_schema(self, keys):
        return json.dumps(json.loads(super().reply_schema(keys))).encode()


class _SchemaAllowsMore(LabAdviser):
    def reply_schema(self, keys):
        return super().reply_schema(keys).replace(b'"additionalProperties":false', b'"additionalProperties":true', 1)


class _SchemaLeavesOut(LabAdviser):
    def reply_schema(self, keys):
        return super().reply_schema(keys).replace(b'["reason","factor","confidence"]', b'["reason","factor"]')


class _AsksForMoreThanItTakes(LabAdviser):
    def reply_schema(self, keys):
        return super().reply_schema(keys).replace(b'"minimum":0.5,"maximum":3', b'"minimum":40,"maximum":50')


class _OutOfRange(LabAdviser):
    def answer(self, market, values):
        return Answer(market, confidence=2.0 + float(values["confidence"]))


class _SearchesForBraces(LabAdviser):
    """What many programs do: any braces will do, and what is missing is neutral."""

    def read(self, text, request):
        found = re.search(r"\{[^{}]*\}", text)
        try:
            values = json.loads(found.group()) if found else None
        except ValueError:
            values = None
        if not isinstance(values, dict):
            return [Rejection(market, AdviceVerdict.NOT_JSON, "no JSON") for market in request.markets], False
        return [
            Answer(market, bid_spread_multiplier=values.get("factor", 1.0), note=str(values.get("reason", "")))
            for market in request.markets
        ], False


class _LongDetails(LabAdviser):
    def read(self, text, request):
        entries, is_salvaged = super().read(text, request)
        return [
            Rejection(entry.market, entry.verdict, f"was {text}") if isinstance(entry, Rejection) else entry
            for entry in entries
        ], is_salvaged


class _Raises(LabAdviser):
    def read(self, text, request):
        json.loads(text)
        return super().read(text, request)


class _ForgetsMarkets(LabAdviser):
    def read(self, text, request):
        entries, is_salvaged = super().read(text, request)
        return [entry for entry in entries if isinstance(entry, Answer)], is_salvaged


class _AllOrNothing(LabAdviser):
    def read(self, text, request):
        entries, is_salvaged = super().read(text, request)
        faults = [entry for entry in entries if isinstance(entry, Rejection)]
        if not faults:
            return entries, is_salvaged
        return [Rejection(market, faults[0].verdict, faults[0].detail) for market in request.markets], is_salvaged


class _TakesTextForNumbers(LabAdviser):
    """Reads leniently: the numbers of a text, and what is missing is neutral."""

    def read(self, text, request):
        lenient = re.sub(r'"(factor|confidence)": "([0-9.]+)"', r'"\1": \2', text)
        return super().read(lenient, request)


class _KeepsTheLastOfTwoKeys(LabAdviser):
    def read(self, text, request):
        with contextlib.suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text)) if len(text) < 5_000 and text.startswith("{") else text
        return super().read(text, request)


class _ClampsSilently(LabAdviser):
    schema = ReplySchema(
        (
            _SCHEMA.fields[0],
            NumberField(name="factor", help="", minimum=0, maximum=9, example=1),
            _SCHEMA.fields[2],
        )
    )

    def reply_schema(self, keys):
        return _SCHEMA.json_schema(keys)


class _IgnoresOtherMarkets(LabAdviser):
    def read(self, text, request):
        with contextlib.suppress(ValueError, RecursionError, LookupError, TypeError):
            reply = json.loads(text)
            text = json.dumps({key: reply[key] for key in self.keys(request.markets)}) if "factor" in text else text
        return super().read(text, request)


class _HidesSalvage(LabAdviser):
    def read(self, text, request):
        return super().read(text, request)[0], False


class _TakesTheFirstOfTwo(LabAdviser):
    def read(self, text, request):
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return super().read(text, request)
        if isinstance(value, dict) and text[end : end + 2] == "\n{":
            return super().read(text[:end], request)
        return super().read(text, request)


def conformance_of(adviser, **attributes):
    spec = AdviserSpec(name="lab", summary="s", build=lambda _options, _context: adviser())
    return type("Conformance", (AdviserConformance,), {"spec": spec, **attributes})


def failing_cases(conformance, only=None):
    failed = []
    for name in dir(AdviserConformance):
        subject = getattr(getattr(AdviserConformance, name), "conformance_case", None)
        if subject is None or only not in {None, subject.id}:
            continue
        try:
            getattr(conformance(), name)()
        except ConformanceError as error:
            failed.append(error.case.id)
    return sorted(failed)


@pytest.fixture(autouse=True)
def _no_shrinking():
    # A broken component fails soon; how small its failing example becomes is hypothesis' own matter.
    settings.register_profile("find-only", phases=[Phase.generate], database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("find-only")
    yield
    settings.load_profile(before)


class TestTheRulesAreKept(AdviserConformance):
    spec = AdviserSpec(name="lab", summary="s", build=lambda _options, _context: LabAdviser())


@pytest.mark.parametrize(
    ("adviser", "expected"),
    [
        (_CountsQuestions, "MM-A01"),
        (_AsksAboutNothing, "MM-A02"),
        (_NumbersMarketsByPlace, "MM-A02"),
        (_TellsSymbols, "MM-A03"),
        (_TellsBalances, "MM-A03"),
        (_TellsTheDate, "MM-A03"),
        (_DoesNotSayJson, "MM-A04"),
        (_NamesWithDots, "MM-A04"),
        (_LeavesNoRoom, "MM-A04"),
        (_SchemaWithBlanks, "MM-A05"),
        (_SchemaAllowsMore, "MM-A05"),
        (_SchemaLeavesOut, "MM-A05"),
        (_AsksForMoreThanItTakes, "MM-A06"),
        (_OutOfRange, "MM-A06"),
        (_SearchesForBraces, "MM-A07"),
        (_LongDetails, "MM-A07"),
        (_Raises, "MM-A08"),
        (_ForgetsMarkets, "MM-A08"),
        (_AllOrNothing, "MM-A09"),
        (_TakesTextForNumbers, "MM-A10"),
        (_KeepsTheLastOfTwoKeys, "MM-A10"),
        (_ClampsSilently, "MM-A10"),
        (_IgnoresOtherMarkets, "MM-A11"),
        (_HidesSalvage, "MM-A12"),
        (_TakesTheFirstOfTwo, "MM-A12"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"),
)
def test_a_broken_adviser_is_caught(adviser, expected):
    assert failing_cases(conformance_of(adviser), only=expected) == [expected]


def test_an_adviser_that_means_to_tell_symbols_may():
    assert failing_cases(conformance_of(_TellsSymbols, is_anonymous=False), only="MM-A03") == []


def test_there_are_many_hostile_replies_and_none_is_valid():
    valid = json.loads(_SCHEMA.example(("M1", "M2")))

    texts = hostile_replies(valid)

    assert len(set(texts.values())) == len(texts) >= 60
    assert json.dumps(valid) not in texts.values()
