"""Replies of language models: one declared schema makes the request's JSON Schema, the prompt's words and the reader.

Because all three come from the same fields, what a model is asked for and what is taken from it cannot differ. The
reader is strict and never raises: a text is read whole, or why it is not is told with path, was and expected.
"""

from __future__ import annotations

import json
import math
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import attrs

from mmframe.domain.advice import AdviceVerdict
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "DEPTH_MAX",
    "TEXT_CHARACTERS_MAX",
    "ChoiceField",
    "Fault",
    "FlagField",
    "FoundValue",
    "NumberField",
    "Reading",
    "ReplyField",
    "ReplySchema",
    "TextField",
    "Value",
    "Values",
    "canonical_json",
    "clean_text",
]

TEXT_CHARACTERS_MAX = 65_536
"""A longer reply is not looked at; fifty markets with a sentence each need a third of it."""
DEPTH_MAX = 8
"""Objects and lists inside one another; a reply that follows a schema of here has two."""
_LITERAL_CHARACTERS_MAX = 40
_QUOTED_CHARACTERS_MAX = 40
_NAME_CHARACTERS_MAX = 64
_BLANKS = " \t\r\n"

Value: TypeAlias = float | bool | str
"""What a field can hold."""
Values: TypeAlias = dict[str, Value]
"""The fields of one thing asked about, each of them present and within its range."""


class Fault(NamedTuple):
    """Why a reply, or the part of it about one thing, is not taken."""

    verdict: AdviceVerdict
    path: str
    """Such as `M1.skew_bps`; empty for the reply as a whole."""
    was: str
    """A short quotation, without control characters."""
    expected: str

    def __str__(self) -> str:
        return f"{self.path or 'reply'}: expected {self.expected}, was {self.was}"


class Reading(NamedTuple):
    """What a reply says about each thing that was asked about, in the order of the question."""

    entries: dict[str, Values | Fault]
    is_salvaged: bool
    """The object stood in a fence or in prose."""


class FoundValue(NamedTuple):
    """A JSON value as it was found, for a field to judge."""

    value: Any
    path: str

    def fault(self, verdict: AdviceVerdict, expected: str) -> Fault:
        """Return that it is not what was expected."""
        return Fault(verdict, self.path, _quoted(self.value), expected)


@attrs.frozen(kw_only=True)
class NumberField:
    """A finite number within a range, ends included.

    Attributes:
        name: The key in the reply.
        help: What it means, with unit and sign, as the model is to read it.
        minimum: Smallest value.
        maximum: Largest value.
        example: For the example of a reply in the prompt: a neutral value, because models copy.

    Raises:
        DomainError: If the range is empty or not finite, or the example not within it.
    """

    name: str
    help: str
    minimum: float
    maximum: float
    example: float

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        if not -math.inf < self.minimum <= self.example <= self.maximum < math.inf:
            msg = f"{self.name}: expected minimum <= example <= maximum, was {self.minimum!r}, {self.example!r}, "
            msg += f"{self.maximum!r}"
            raise DomainError(msg)

    @property
    def expected(self) -> str:
        """Return the range in words."""
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def json_schema(self) -> dict[str, Any]:
        """Return the field's part of the JSON Schema."""
        return {
            "type": "number",
            "minimum": _plain(self.minimum),
            "maximum": _plain(self.maximum),
            "description": self.help,
        }

    def example_value(self) -> float | int:
        """Return the example as it stands in a reply."""
        return _plain(self.example)

    def read(self, found: FoundValue) -> float | Fault:
        """Return the number, or why it is none."""
        value = found.value
        if not isinstance(value, float):  # what JSON has for numbers is one by now, and true is none
            return found.fault(AdviceVerdict.WRONG_TYPE, self.expected)
        if not -math.inf < value < math.inf:
            return found.fault(AdviceVerdict.NOT_FINITE, self.expected)
        if not self.minimum <= value <= self.maximum:
            return found.fault(AdviceVerdict.OUT_OF_RANGE, self.expected)
        return value


@attrs.frozen(kw_only=True)
class ChoiceField:
    """One of some words.

    Attributes:
        name: The key in the reply.
        help: What it means.
        choices: The words, in the order in which the model reads them.
        example: One of them, for the example of a reply in the prompt.

    Raises:
        DomainError: If there is no choice, a choice stands twice, or the example is none of them.
    """

    name: str
    help: str
    choices: tuple[str, ...]
    example: str

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        if self.example not in self.choices or len(set(self.choices)) != len(self.choices):
            msg = f"{self.name}: expected choices, each once, and an example of them, was {self.choices!r}, "
            msg += f"{self.example!r}"
            raise DomainError(msg)

    @property
    def expected(self) -> str:
        """Return the choices in words."""
        return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)

    def json_schema(self) -> dict[str, Any]:
        """Return the field's part of the JSON Schema."""
        return {"type": "string", "enum": list(self.choices), "description": self.help}

    def example_value(self) -> str:
        """Return the example as it stands in a reply."""
        return self.example

    def read(self, found: FoundValue) -> str | Fault:
        """Return the word, or why it is none."""
        if not isinstance(found.value, str):
            return found.fault(AdviceVerdict.WRONG_TYPE, self.expected)
        if found.value not in self.choices:
            return found.fault(AdviceVerdict.OUT_OF_RANGE, self.expected)
        return found.value


@attrs.frozen(kw_only=True)
class FlagField:
    """True or false.

    Attributes:
        name: The key in the reply.
        help: What true means.
        example: For the example of a reply in the prompt.

    Raises:
        DomainError: If the name cannot be a key.
    """

    name: str
    help: str
    example: bool = False

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)

    @property
    def expected(self) -> str:
        """Return what it takes in words."""
        return "true or false"

    def json_schema(self) -> dict[str, Any]:
        """Return the field's part of the JSON Schema."""
        return {"type": "boolean", "description": self.help}

    def example_value(self) -> bool:
        """Return the example as it stands in a reply."""
        return self.example

    def read(self, found: FoundValue) -> bool | Fault:
        """Return the flag, or why it is none."""
        return found.value if isinstance(found.value, bool) else found.fault(AdviceVerdict.WRONG_TYPE, self.expected)


@attrs.frozen(kw_only=True)
class TextField:
    """Words for people, which nothing may act on.

    A longer text is cut and not refused: advice is not worse because its reason is long. Control characters, and those
    that turn the direction of writing, are removed.

    Attributes:
        name: The key in the reply.
        help: What it is to say.
        length_max: Characters that are kept.
        example: For the example of a reply in the prompt.

    Raises:
        DomainError: If nothing would be kept.
    """

    name: str
    help: str
    length_max: int
    example: str

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        if self.length_max < 1 or len(self.example) > self.length_max:
            msg = f"{self.name}: expected an example of at most length_max >= 1 characters, was {self.length_max!r}"
            raise DomainError(msg)

    @property
    def expected(self) -> str:
        """Return what it takes in words."""
        return f"a text of at most {self.length_max} characters"

    def json_schema(self) -> dict[str, Any]:
        """Return the field's part of the JSON Schema; strict modes know no length, so the words tell it."""
        return {"type": "string", "description": f"{self.help} At most {self.length_max} characters."}

    def example_value(self) -> str:
        """Return the example as it stands in a reply."""
        return self.example

    def read(self, found: FoundValue) -> str | Fault:
        """Return the text, clean and cut, or why it is none."""
        if not isinstance(found.value, str):
            return found.fault(AdviceVerdict.WRONG_TYPE, self.expected)
        return clean_text(found.value, self.length_max)


ReplyField: TypeAlias = NumberField | ChoiceField | FlagField | TextField


@attrs.frozen
class ReplySchema:
    """What is asked about each of several things: a reply is one object with a key a thing, such as `M1`.

    Attributes:
        fields: In the order in which the model is to answer. A reason before the numbers lets it think first.

    Raises:
        DomainError: If there is no field, or two of one name.
    """

    fields: tuple[ReplyField, ...]

    def __attrs_post_init__(self) -> None:
        names = [field.name for field in self.fields]
        if not names or len(set(names)) != len(names):
            msg = f"fields: expected some, each name once, was {names!r}"
            raise DomainError(msg)

    def json_schema(self, keys: Sequence[str]) -> bytes:
        """Return the JSON Schema of a reply about `keys`, as canonical JSON.

        It keeps to what strict modes take: every key required, no other allowed. What is asked about each thing is told
        once, whatever their number: the schema is paid for as input.
        """
        thing = {
            "type": "object",
            "properties": {field.name: field.json_schema() for field in self.fields},
            "required": [field.name for field in self.fields],
            "additionalProperties": False,
        }
        return canonical_json(
            {
                "type": "object",
                "properties": {key: {"$ref": "#/$defs/thing"} for key in keys},
                "required": list(keys),
                "additionalProperties": False,
                "$defs": {"thing": thing},
            }
        )

    def describe(self) -> str:
        """Return the fields for a prompt: one line each, with range and meaning."""
        return "\n".join(f"- {field.name}: {field.expected}. {field.help}" for field in self.fields)

    def example(self, keys: Sequence[str]) -> str:
        """Return an example of a reply, as JSON."""
        return json.dumps(
            {key: {field.name: field.example_value() for field in self.fields} for key in keys}, ensure_ascii=True
        )

    def read(self, text: str, keys: Sequence[str]) -> Reading:
        """Return what `text` says about each of `keys`. Never raises, and takes time in proportion to the text.

        The text is to be one JSON object. One object in a code fence or between sentences is taken too, and said to be
        salvaged; two are none. A key that was not asked about voids the whole reply, because it is then the answer to
        another question; any other fault voids the one thing that it is about.
        """
        found = _object_in(text)
        if isinstance(found, Fault):
            return Reading(dict.fromkeys(keys, found), is_salvaged=False)
        pairs, is_salvaged = found
        things: dict[str, list[Any]] = {key: [] for key in keys}
        for key, value in pairs:
            if key not in things:
                return Reading(dict.fromkeys(keys, self._stranger(key, keys)), is_salvaged)
            things[key].append(value)
        return Reading({key: self._thing(key, values) for key, values in things.items()}, is_salvaged)

    def _stranger(self, key: str, keys: Sequence[str]) -> Fault:
        is_field = any(field.name == key for field in self.fields)
        verdict = AdviceVerdict.UNKNOWN_KEY if is_field else AdviceVerdict.UNASKED_MARKET
        return Fault(verdict, "", f"the key {_quoted(key)}", f"no other keys than {_listed(keys)}")

    def _thing(self, key: str, values: Sequence[Any]) -> Values | Fault:
        if not values:
            return Fault(AdviceVerdict.MISSING_KEY, key, "absent", "an object")
        if len(values) > 1:
            return Fault(AdviceVerdict.DUPLICATE_KEY, key, f"{len(values)} of them", "it once")
        if not isinstance(values[0], _Pairs):
            return FoundValue(values[0], key).fault(AdviceVerdict.WRONG_TYPE, "an object")
        return self._fields(key, values[0])

    def _fields(self, key: str, pairs: _Pairs) -> Values | Fault:
        known = {field.name for field in self.fields}
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name not in known:
                expected = f"no other keys than {_listed([field.name for field in self.fields])}"
                return Fault(AdviceVerdict.UNKNOWN_KEY, key, f"the key {_quoted(name)}", expected)
            if name in found:
                return Fault(AdviceVerdict.DUPLICATE_KEY, f"{key}.{name}", "there again", "it once")
            found[name] = value
        values: Values = {}
        for field in self.fields:
            path = f"{key}.{field.name}"
            if field.name not in found:
                return Fault(AdviceVerdict.MISSING_KEY, path, "absent", field.expected)
            value = field.read(FoundValue(found[field.name], path))
            if isinstance(value, Fault):
                return value
            values[field.name] = value
        return values


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON without blanks, keys in the order given, ASCII only: the same value gives the same bytes.

    Raises:
        ValueError: If a number is not finite.
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def clean_text(text: str, length_max: int) -> str:
    """Return at most `length_max` characters of `text` that can be shown: one line, one blank between words.

    Control characters, invisible ones and those that turn the direction of writing become blanks; a text that was cut
    ends in an ellipsis.
    """
    # Enough to fill it through many blanks; a huge text is not walked for one line of it.
    head = text[: 4 * length_max + 64]
    shown = "".join(character if _is_shown(character) else " " for character in head)
    words = " ".join(shown.split())
    if len(words) <= length_max and len(head) == len(text):
        return words
    return words[: length_max - 1].rstrip() + "…"


def _is_shown(character: str) -> bool:
    # Cc, Cf, Cs, Co, Cn: nothing to be seen; Zl and Zp end lines.
    category = unicodedata.category(character)
    return category[0] != "C" and category not in {"Zl", "Zp"}


# The object in a text


class _Pairs(list[tuple[str, Any]]):
    """An object as it stands: duplicate keys and all, so that whoever reads it can say where they are."""


class _LongLiteral(NamedTuple):
    """A number of more digits than anybody means."""

    text: str


def _object_in(text: str) -> tuple[_Pairs, bool] | Fault:
    """Return the one object of a text and whether it had to be taken out of something."""
    if len(text) > TEXT_CHARACTERS_MAX:
        was = f"{len(text)} characters"
        return Fault(AdviceVerdict.NOT_JSON, "", was, f"at most {TEXT_CHARACTERS_MAX} characters")
    span = _span(text)
    if isinstance(span, Fault):
        return span
    start, end = span
    before, after = text[:start].rstrip(_BLANKS), text[end:].lstrip(_BLANKS)
    if before.endswith(("[", ",")) or after.startswith(("]", ",")):
        return Fault(AdviceVerdict.NOT_JSON, "", "an object inside a list", "one JSON object")
    try:
        found = json.loads(
            text[start:end], object_pairs_hook=_Pairs, parse_int=_number, parse_float=_number, parse_constant=float
        )
    except (ValueError, RecursionError) as error:
        was = f"{_quoted_text(text[start:end])} ({clean_text(str(error), _NAME_CHARACTERS_MAX)})"
        return Fault(AdviceVerdict.NOT_JSON, "", was, "one JSON object")
    return found, bool(before or after)


def _span(text: str) -> tuple[int, int] | Fault:
    """Return where the one group of balanced braces of a text begins and ends.

    One pass over the text. Inside a group, braces in strings are text; outside of it quotation marks are prose.
    """
    start = end = -1
    for position, step in _steps(text):
        if step > DEPTH_MAX:
            return Fault(AdviceVerdict.NOT_JSON, "", f"nested deeper than {DEPTH_MAX}", "one JSON object")
        if step < 0 or (step == 1 and end >= 0):
            was = "a closing brace too many" if step < 0 else "more than one object"
            return Fault(AdviceVerdict.NOT_JSON, "", was, "one JSON object")
        if step == 1:
            start = position
        elif step == 0:
            end = position + 1
    if start < 0:
        return Fault(AdviceVerdict.NOT_JSON, "", _quoted_text(text), "one JSON object")
    if end < 0:
        was = f"{_quoted_text(text[start:])} without its end"
        return Fault(AdviceVerdict.NOT_JSON, "", was, "one JSON object")
    return start, end


def _steps(text: str) -> Iterator[tuple[int, int]]:
    """Yield each position at which the outermost group begins (1) or ends (0), is too deep, or is closed twice (-1)."""
    depth, position = 0, _next_brace(text, 0)
    while position < len(text):
        character = text[position]
        if character == '"':
            position = _string_end(text, position)
            continue
        if character in "{[":
            depth += 1
            if depth == 1 or depth > DEPTH_MAX:
                yield position, depth
        elif character in "}]":
            depth -= 1
            if depth <= 0:
                yield position, depth
        position = position + 1 if depth > 0 else _next_brace(text, position + 1)


def _next_brace(text: str, start: int) -> int:
    """Return where the next brace of prose is, or the text's end."""
    found = (text.find("{", start), text.find("}", start))
    return min((place for place in found if place >= 0), default=len(text))


def _string_end(text: str, start: int) -> int:
    """Return the position after the string that begins at `start`, or the text's end."""
    end = text.find('"', start + 1)
    while end >= 0:
        escapes = end
        while text[escapes - 1] == "\\":
            escapes -= 1
        if (end - escapes) % 2 == 0:
            return end + 1
        end = text.find('"', end + 1)
    return len(text)


def _number(text: str) -> float | _LongLiteral:
    # Adding 0.0 makes -0.0 the 0.0 that everybody means.
    return float(text) + 0.0 if len(text) <= _LITERAL_CHARACTERS_MAX else _LongLiteral(text)


# Words


def _quoted(value: object) -> str:
    """Return a short quotation of a JSON value."""
    if isinstance(value, str):
        return _quoted_text(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, _LongLiteral):
        return f"a number of {len(value.text)} characters"
    return "an object" if isinstance(value, _Pairs) else "a list"


def _quoted_text(text: str) -> str:
    return f"'{clean_text(text, _QUOTED_CHARACTERS_MAX)}'"


def _listed(keys: Sequence[str]) -> str:
    few = 8
    return ", ".join(keys[:few]) + (f" and {len(keys) - few} more" if len(keys) > few else "")


def _plain(value: float) -> float | int:
    """Return a whole number as one, so that 2 does not stand as 2.0 in what a model reads."""
    return int(value) if float(value).is_integer() else value


def _check_name(name: str) -> None:
    if not name.isascii() or not name.isidentifier() or len(name) > _NAME_CHARACTERS_MAX:
        msg = f"name: expected letters, digits and '_', was {name!r}"
        raise DomainError(msg)
