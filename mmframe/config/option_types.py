"""The types that an option may have: how each is read from TOML, named to people, and described to editors.

A type reads one TOML value and either returns the converted value or reports a problem and returns `INVALID`; it never
raises for bad input.
"""

from __future__ import annotations

import math
import operator
import os
import re
import stat
import types
import typing
from abc import ABC, abstractmethod
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from mmframe.config.problems import describe, nearest_hint, unknown_keys
from mmframe.config.text import json_value, number_text, path_text, toml_text
from mmframe.errors import DomainError
from mmframe.plugin.options import OPTION_METADATA_KEY, OptionInfo, Secret, Use
from mmframe.plugin.specs import ComponentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mmframe.config.locate import KeyPath
    from mmframe.config.problems import Problems

__all__ = [
    "INVALID",
    "Invalid",
    "OptionField",
    "OptionType",
    "Reading",
    "construct",
    "field_schema",
    "kind_of_key",
    "option_fields",
    "read_table",
    "read_values",
    "table_schema",
]

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_EXPONENT = 30
"""Of ten, of a decimal: far beyond any price or size."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE_FORMS = '{ env = "NAME" } or { file = "path" }'
_FORBIDDEN_MODE_BITS = 0o077
_DECIMAL_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"


class Invalid(Enum):
    """The type of `INVALID`."""

    INVALID = "invalid"


INVALID: Final = Invalid.INVALID
"""Read instead of a value after the problem was reported."""


@attrs.frozen
class Reading:
    """What reading options needs besides the options.

    Attributes:
        problems: Where problems go.
        directory: Relative paths start here.
        reads_secrets: Whether secrets are read, or only their shape is checked.
        environment: Environment variables.
        resolve_use: `(path, kind, use, rest)` -> the component reference with its options parsed, or `INVALID`; None
            leaves the rest as it is.
    """

    problems: Problems
    directory: Path
    reads_secrets: bool = False
    environment: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    resolve_use: Callable[[KeyPath, ComponentKind, str, dict[str, Any]], Use | Invalid] | None = None

    def wrong(self, path: KeyPath, expected: str, value: Any, *, hint: str | None = None) -> Invalid:
        """Report `expected ..., was ...` and return `INVALID`."""
        self.problems.add(path, f"expected {expected}, was {describe(value)}", hint=hint)
        return INVALID

    def bad(self, path: KeyPath, text: str, *, hint: str | None = None) -> Invalid:
        """Report `text` and return `INVALID`."""
        self.problems.add(path, text, hint=hint)
        return INVALID


class OptionType(ABC):
    """One type.

    Attributes:
        text: What a person is told to write, such as `an integer`.
        is_reference: It names other components, whose kind follows from the key.
    """

    text: str
    is_reference: bool = False

    @abstractmethod
    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        """Return the converted value, or `INVALID` after reporting why not."""

    @abstractmethod
    def schema(self, info: OptionInfo) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""


@attrs.frozen
class OptionField:
    """One option of a component, as its class declares it.

    Attributes:
        name: The key in the file.
        argument: The name under which the class takes it.
        default: The default value, a made one when the class has a factory; `attrs.NOTHING` when the key is required.
    """

    name: str
    argument: str
    type: OptionType
    info: OptionInfo
    default: Any

    @property
    def is_required(self) -> bool:
        """Tell whether the file must have the key."""
        return self.default is attrs.NOTHING


def _expected_unit(info: OptionInfo) -> str:
    return f" {info.unit}" if info.unit else ""


def _is_in_bounds(value: float | Decimal, path: KeyPath, info: OptionInfo, reading: Reading) -> bool:
    # Text first: as a double, 0.1 is more than one tenth and would refuse Decimal("0.1").
    number = Decimal(str(value))
    unit = _expected_unit(info)
    for words, bound, is_broken in (
        ("at least", info.minimum, operator.lt),
        ("above", info.above, operator.le),
        ("at most", info.maximum, operator.gt),
    ):
        if bound is not None and is_broken(number, Decimal(str(bound))):
            reading.bad(path, f"expected {words} {number_text(bound)}{unit}, was {value}")
            return False
    return True


def _bounds_schema(info: OptionInfo) -> dict[str, Any]:
    bounds = {"minimum": info.minimum, "maximum": info.maximum, "exclusiveMinimum": info.above}
    return {name: bound for name, bound in bounds.items() if bound is not None}


class _Integer(OptionType):
    text = "an integer"

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return reading.wrong(path, self.text, value)
        if abs(value) > _LARGEST_INTEGER:
            return reading.wrong(path, "an integer of at most 64 bits", value)
        return value if _is_in_bounds(value, path, info, reading) else INVALID

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        return {"type": "integer", **_bounds_schema(info)}


class _Float(OptionType):
    text = "a number"

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return reading.wrong(path, self.text, value)
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            return reading.wrong(path, "a number of at most 64 bits", value)
        if not math.isfinite(value):
            return reading.wrong(path, "a finite number", value)
        return float(value) if _is_in_bounds(value, path, info, reading) else INVALID

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        return {"type": "number", **_bounds_schema(info)}


class _Boolean(OptionType):
    text = "true or false"

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        return value if isinstance(value, bool) else reading.wrong(path, self.text, value)

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        return {"type": "boolean"}


class _String(OptionType):
    text = "a string"

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if not isinstance(value, str):
            return reading.wrong(path, self.text, value)
        if info.choices and value not in info.choices:
            return _wrong_choice(value, info.choices, path, reading)
        return value

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        return {"type": "string", **({"enum": list(info.choices)} if info.choices else {})}


def _wrong_choice(value: str, choices: Iterable[str], path: KeyPath, reading: Reading) -> Invalid:
    expected = ", ".join(repr(choice) for choice in choices)
    return reading.wrong(path, f"one of {expected}", value, hint=nearest_hint(value, choices))


class _Decimal(OptionType):
    text = 'a decimal number as text, such as "0.01", or an integer'

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if isinstance(value, float):
            hint = f'write {path[-1]} = "{value}": a float is not exact' if math.isfinite(value) else None
            return reading.wrong(path, self.text, value, hint=hint)
        if isinstance(value, bool) or not isinstance(value, str | int):
            return reading.wrong(path, self.text, value)
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            return reading.wrong(path, "an integer of at most 64 bits", value)
        if isinstance(value, str) and not _DECIMAL.fullmatch(value):
            return reading.wrong(path, self.text, value)
        number = Decimal(value)
        if number and abs(number.adjusted()) > _LARGEST_EXPONENT:
            return reading.wrong(path, f"a number between 1e-{_LARGEST_EXPONENT} and 1e+{_LARGEST_EXPONENT}", value)
        return number if _is_in_bounds(number, path, info, reading) else INVALID

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        # Bounds hold for the integer form; JSON Schema cannot compare text.
        return {"anyOf": [{"type": "string", "pattern": _DECIMAL_PATTERN}, {"type": "integer", **_bounds_schema(info)}]}


class _Path(OptionType):
    text = "a path"

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        if not isinstance(value, str) or not value or "\0" in value:
            return reading.wrong(path, self.text, value)
        return reading.directory / Path(value).expanduser() if value.startswith("~") else reading.directory / value

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        return {"type": "string", "minLength": 1}


class _Enum(OptionType):
    def __init__(self, enum: type[Enum]) -> None:
        self.members = {member.value: member for member in enum}
        self.text = "one of " + ", ".join(repr(value) for value in self.members)

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        if isinstance(value, str | int) and not isinstance(value, bool) and value in self.members:
            return self.members[value]
        hint = nearest_hint(value, map(str, self.members)) if isinstance(value, str) else None
        return reading.wrong(path, self.text, value, hint=hint)

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        return {"enum": list(self.members)}


class _Secret(OptionType):
    text = _REFERENCE_FORMS

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        if isinstance(value, str):
            # The value itself must not reach a terminal or a log.
            hint = "put it into an environment variable or a file of mode 0600; treat the written one as leaked"
            return reading.bad(path, f"expected {_REFERENCE_FORMS}, was a secret in clear text", hint=hint)
        if not isinstance(value, dict) or set(value) not in ({"env"}, {"file"}):
            was = (
                "a table with " + (", ".join(sorted(value)) or "nothing")
                if isinstance(value, dict)
                else describe(value)
            )
            return reading.bad(path, f"expected {_REFERENCE_FORMS}, was {was}")
        if "env" in value:
            return self._from_environment(value["env"], (*path, "env"), reading)
        return self._from_file(value["file"], (*path, "file"), reading)

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        def form(key: str) -> dict[str, Any]:
            return {
                "type": "object",
                "properties": {key: {"type": "string", "minLength": 1}},
                "required": [key],
                "additionalProperties": False,
            }

        return {"oneOf": [form("env"), form("file")]}

    @staticmethod
    def _from_environment(name: Any, path: KeyPath, reading: Reading) -> Secret | Invalid:
        if not isinstance(name, str) or not _ENVIRONMENT_NAME.fullmatch(name):
            # Someone may have written the secret where its variable's name belongs: do not echo it.
            return reading.bad(path, "expected the name of an environment variable, was something else")
        source = f"env {name}"
        if not reading.reads_secrets:
            return Secret(value=None, source=source)
        secret = reading.environment.get(name, "").strip()
        if not secret:
            state = "empty" if name in reading.environment else "not set"
            return reading.bad(
                path, f"environment variable {name} is {state}", hint=f"export {name}=... before the run"
            )
        return Secret(value=secret, source=source)

    @staticmethod
    def _from_file(name: Any, path: KeyPath, reading: Reading) -> Secret | Invalid:
        file = _Path().read(name, path, OptionInfo(help=""), reading)
        if file is INVALID:
            return Invalid.INVALID
        source = f"file {name}"
        if not reading.reads_secrets:
            return Secret(value=None, source=source)
        try:
            return Secret(value=_secret_text(file), source=source)
        except DomainError as error:
            return reading.bad(path, error.message, hint=error.hint)


def _secret_text(file: Path) -> str:
    """Return the secret in a file that nobody else can read.

    Raises:
        DomainError: If it is not there, not private, not text or empty.
    """
    name = path_text(file)
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            msg = f"expected a secret in a file, was {name!r}, which is not a file"
            raise DomainError(msg)
        mode = stat.S_IMODE(status.st_mode)
        if mode & _FORBIDDEN_MODE_BITS:
            msg = f"expected mode 0600 of {name!r}, was {mode:04o}"
            raise DomainError(msg, hint=f"chmod 600 {name}")
        secret = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        msg = f"expected UTF-8 text in {name!r}, was something else"
        raise DomainError(msg) from None
    except OSError as error:
        msg = f"cannot read the secret's file {name!r}: {error.strerror}"
        raise DomainError(msg) from None
    if not secret:
        msg = f"expected a secret in {name!r}, was an empty file"
        raise DomainError(msg)
    return secret


class _Use(OptionType):
    text = '{ use = "plugin/component", ... }'
    is_reference = True

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        if not isinstance(value, dict):
            return reading.wrong(path, self.text, value)
        if "use" not in value:
            return reading.bad((*path, "use"), "missing, expected the component's name", hint=f"write {self.text}")
        use = value["use"]
        if not isinstance(use, str) or not use:
            return reading.wrong((*path, "use"), "the component's name", use)
        rest = {key: item for key, item in value.items() if key != "use"}
        if reading.resolve_use is None:
            return Use(use=use, options=rest)
        return reading.resolve_use(path, kind_of_key(path), use, rest)

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        return {"type": "object", "properties": {"use": {"type": "string", "minLength": 1}}, "required": ["use"]}


def kind_of_key(path: KeyPath) -> ComponentKind:
    """Return the kind of component that a key such as `provider`, `providers` or `cheap_provider` refers to.

    Raises:
        DomainError: If the key does not end with the name of a kind.
    """
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    word = key.rsplit("_", 1)[-1]
    for kind in ComponentKind:
        if kind.value in (word, word.removesuffix("s")):
            return kind
    kinds = ", ".join(kind.value for kind in ComponentKind)
    msg = f"{key}: expected a name that ends with the kind of component it refers to ({kinds})"
    raise DomainError(msg)


class _Sequence(OptionType):
    def __init__(self, item: OptionType, make: Callable[[Iterable[Any]], Any]) -> None:
        self.item = item
        self.make = make
        self.text = f"an array, each item {item.text}"
        self.is_reference = item.is_reference

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if not isinstance(value, list):
            return reading.wrong(path, self.text, value)
        items = [self.item.read(item, (*path, index), info, reading) for index, item in enumerate(value)]
        return INVALID if INVALID in items else self.make(items)

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(info)}


class _FixedTuple(OptionType):
    def __init__(self, items: tuple[OptionType, ...]) -> None:
        self.items = items
        self.text = f"an array of {len(items)}: " + ", ".join(item.text for item in items)

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if not isinstance(value, list):
            return reading.wrong(path, self.text, value)
        if len(value) != len(self.items):
            return reading.bad(path, f"expected {self.text}, was an array of {len(value)}")
        pairs = zip(self.items, value, strict=True)
        items = [kind.read(item, (*path, index), info, reading) for index, (kind, item) in enumerate(pairs)]
        return INVALID if INVALID in items else tuple(items)

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        count = len(self.items)
        prefix = [item.schema(info) for item in self.items]
        return {"type": "array", "prefixItems": prefix, "minItems": count, "maxItems": count}


class _Mapping(OptionType):
    def __init__(self, item: OptionType) -> None:
        self.item = item
        self.text = f"a table, each value {item.text}"
        self.is_reference = item.is_reference

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return reading.wrong(path, self.text, value)
        items = {key: self.item.read(item, (*path, key), info, reading) for key, item in value.items()}
        return INVALID if INVALID in items.values() else items

    def schema(self, info: OptionInfo) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema(info)}


class _Nested(OptionType):
    text = "a table"

    def __init__(self, cls: type) -> None:
        self.cls = cls
        option_fields(cls)

    def read(self, value: Any, path: KeyPath, info: OptionInfo, reading: Reading) -> Any:  # noqa: ARG002 - a port
        if not isinstance(value, dict):
            return reading.wrong(path, self.text, value)
        return read_table(self.cls, value, path, reading)

    def schema(self, info: OptionInfo) -> dict[str, Any]:  # noqa: ARG002 - a port
        return table_schema(self.cls)


_PLAIN_TYPES: dict[Any, OptionType] = {
    int: _Integer(),
    float: _Float(),
    bool: _Boolean(),
    str: _String(),
    Decimal: _Decimal(),
    Path: _Path(),
    Secret: _Secret(),
    Use: _Use(),
}


@cache
def option_fields(cls: type) -> tuple[OptionField, ...]:
    """Return the options that an attrs class declares.

    Raises:
        DomainError: If it is no attrs class, or an annotation cannot be resolved or is of no supported type.
    """
    if not attrs.has(cls):
        msg = f"options {cls.__name__}: expected a class made with attrs.frozen, was a plain class"
        raise DomainError(msg)
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        msg = f"options {cls.__name__}: annotation not importable: {error}"
        raise DomainError(msg, hint="import the types of options at run time, outside of TYPE_CHECKING") from error
    return tuple(_field(cls, attribute, hints[attribute.name]) for attribute in attrs.fields(cls) if attribute.init)


def _field(cls: type, attribute: attrs.Attribute[Any], hint: Any) -> OptionField:
    info = attribute.metadata.get(OPTION_METADATA_KEY)
    if info is None:
        msg = f"options {cls.__name__}.{attribute.name}: expected a field made with `option`, was another"
        raise DomainError(msg, hint='write `name: type = option(help="...", default=...)`')
    try:
        option_type = _type_of(hint)
        if option_type.is_reference:
            kind_of_key((attribute.name,))
    except DomainError as error:
        msg = f"options {cls.__name__}.{attribute.name}: {error.message}"
        raise DomainError(msg, hint=error.hint) from error
    default = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type] # attrs' own idiom; its stub says function
        default = default.factory()  # type: ignore[union-attr] # as above
    return OptionField(
        name=attribute.name, argument=attribute.alias or attribute.name, type=option_type, info=info, default=default
    )


def _type_of(hint: Any) -> OptionType:  # noqa: PLR0911 - one line a type
    if isinstance(hint, type) and hint in _PLAIN_TYPES:
        return _PLAIN_TYPES[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Enum(hint)
    if isinstance(hint, type) and attrs.has(hint):
        return _Nested(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        present = [argument for argument in arguments if argument is not type(None)]
        if len(present) == 1:
            return _type_of(present[0])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _Sequence(_type_of(arguments[0]), tuple)
    if origin is tuple and arguments:
        return _FixedTuple(tuple(_type_of(argument) for argument in arguments))
    if origin is list:
        return _Sequence(_type_of(arguments[0]), list)
    if isinstance(origin, type) and issubclass(dict, origin) and arguments and arguments[0] is str:
        return _Mapping(_type_of(arguments[1]))
    msg = f"expected a type that a strategy file can hold, was {hint!r}"
    raise DomainError(
        msg, hint="int, float, bool, str, Decimal, Path, Secret, Use, an Enum, tuples and mappings of these"
    )


def read_table(  # noqa: PLR0913 - the last two serve tables that are shared or laid over each other
    cls: type,
    raw: Mapping[str, Any],
    path: KeyPath,
    reading: Reading,
    *,
    also_known: Iterable[str] = (),
    key_paths: Mapping[str, KeyPath] | None = None,
) -> Any:
    """Return an object of `cls` from a TOML table, or `INVALID` after reporting every problem in it.

    Args:
        cls: A class of options.
        raw: The table.
        path: Its place.
        reading: Where problems go, and what is needed besides.
        also_known: Keys that belong to someone else and are not in `raw`; they serve as suggestions only.
        key_paths: Tables in which single keys stand, when it is not `path`.
    """
    values = read_values(cls, raw, path, reading, also_known=also_known, key_paths=key_paths)
    missing = [field for field in option_fields(cls) if field.is_required and field.name not in raw]
    for field in missing:
        _report_missing(field, path, reading)
    if missing or INVALID in values.values():
        return INVALID
    return construct(lambda: cls(**values), cls, path, reading)


def read_values(  # noqa: PLR0913 - as `read_table`
    cls: type,
    raw: Mapping[str, Any],
    path: KeyPath,
    reading: Reading,
    *,
    also_known: Iterable[str] = (),
    key_paths: Mapping[str, KeyPath] | None = None,
) -> dict[str, Any]:
    """Return the constructor arguments that `raw` has, each converted or `INVALID`; missing keys are not reported."""
    fields = option_fields(cls)
    places = key_paths or {}
    known = {field.name for field in fields} | set(also_known)
    for key in raw:
        unknown_keys({key: raw[key]}, known, places.get(key, path), reading.problems)
    return {
        field.argument: field.type.read(
            raw[field.name], (*places.get(field.name, path), field.name), field.info, reading
        )
        for field in fields
        if field.name in raw
    }


def construct(make: Callable[[], Any], cls: type, path: KeyPath, reading: Reading) -> Any:
    """Call `make`, turning what the validators of `cls` raise into located problems."""
    try:
        return make()
    except DomainError as error:
        text, hint = error.message, error.hint
    except (ValueError, TypeError) as error:
        # attrs' own validators put the text first and the attribute, type and value behind it.
        text, hint = str(error.args[0]) if error.args else type(error).__name__, None
    name, colon, rest = text.partition(":")
    if colon and name in {field.name for field in option_fields(cls)}:
        return reading.bad((*path, name), rest.strip(), hint=hint)
    return reading.bad(path, text, hint=hint)


def _report_missing(field: OptionField, path: KeyPath, reading: Reading) -> None:
    example = f"add `{field.name} = {toml_text(field.info.example)}`: " if field.info.example is not None else ""
    help_text = field.info.help.rstrip(".")
    unit = _expected_unit(field.info)
    text = f"missing, expected {field.type.text}" + (f", in{unit}" if unit else "")
    reading.problems.add((*path, field.name), text, hint=f"{example}{help_text[:1].lower()}{help_text[1:]}")


def table_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a table that holds the options of `cls`."""
    fields = option_fields(cls)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in fields},
        "additionalProperties": False,
    }
    required = [field.name for field in fields if field.is_required]
    return {**schema, "required": required} if required else schema


def field_schema(field: OptionField) -> dict[str, Any]:
    """Return the JSON Schema of one option, with what a person wants to read when pointing at it."""
    info = field.info
    described = {"description": f"{info.help} Unit: {info.unit}." if info.unit else info.help}
    schema: dict[str, Any] = {**field.type.schema(info), **described}
    if not field.is_required and field.default is not None:
        schema["default"] = json_value(field.default)
    if info.example is not None:
        schema["examples"] = [json_value(info.example)]
    return schema
