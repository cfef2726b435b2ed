"""Answers without a model: JSON that follows a schema, the same for the same schema and prompt."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["reply_text", "reply_value", "schema_in"]

_DEPTH_MAX = 32
_ITEMS_MAX = 64
_BRACES_MAX = 200
_TOLD_BOUND = re.compile(r"[{ ](minimum|maximum): (-?\d+(?:\.\d+)?)(?=[,}])")
_LOWEST, _HIGHEST = -1.0, 1.0
"""Of a number that the schema does not bound."""


def reply_text(schema: Mapping[str, Any], prompt: str, *, words: str = "calm market") -> str:
    """Return JSON text that follows `schema`.

    Args:
        schema: JSON Schema: types, properties, items, enum, const, bounds, lengths, anyOf, oneOf, allOf of one, local
            references. An item of an array whose property may have as many values as there are items gets one each.
        prompt: What was asked; another prompt gives other numbers.
        words: What a text says that the schema does not choose.
    """
    return json.dumps(reply_value(schema, prompt, words=words), ensure_ascii=False)


def reply_value(schema: Mapping[str, Any], prompt: str, *, words: str = "calm market") -> Any:
    """Return what `reply_text` writes."""
    return _Maker(schema, prompt, words).value(schema, "$", 0)


def schema_in(text: str) -> Mapping[str, Any] | None:
    """Return the first JSON Schema of an object that stands in a text, or None."""
    decoder, start = json.JSONDecoder(), 0
    for _ in range(_BRACES_MAX):
        start = text.find("{", start)
        if start < 0:
            return None
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
            continue
        if isinstance(found, dict) and isinstance(found.get("properties"), dict):
            return found
        start = end
    return None


class _Maker:
    def __init__(self, root: Mapping[str, Any], prompt: str, words: str) -> None:
        self._root = root
        self._prompt = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
        self._words = words

    def value(self, schema: Any, path: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _DEPTH_MAX:
            return None
        if "$ref" in schema:
            return self.value(self._target(str(schema["$ref"])), path, depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._pick(path, len(schema["enum"]))]
        for name in ("anyOf", "oneOf", "allOf"):
            if schema.get(name):
                return self.value(schema[name][0], path, depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "null")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        make = {
            "object": self._object,
            "array": self._array,
            "number": self._number,
            "integer": self._integer,
            "string": self._string,
            "boolean": self._boolean,
        }.get(kind)
        return make(schema, path, depth) if make is not None else None

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for name in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(name) if isinstance(found, dict) and name else found
        return found

    def _object(self, schema: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        return {name: self.value(each, f"{path}.{name}", depth + 1) for name, each in properties.items()}

    def _array(self, schema: dict[str, Any], path: str, depth: int) -> list[Any]:
        fixed = schema.get("prefixItems", [])
        items = schema.get("items", {})
        distinct = _distinct(items)
        least = int(schema.get("minItems", len(fixed) or len(next(iter(distinct.values()), [None]))))
        count = min(max(least, len(fixed)), int(schema.get("maxItems", _ITEMS_MAX)), _ITEMS_MAX)
        made = []
        for index in range(count):
            item = fixed[index] if index < len(fixed) else items
            value = self.value(item, f"{path}[{index}]", depth + 1)
            if isinstance(value, dict):
                value |= {name: values[index] for name, values in distinct.items() if len(values) == count}
            made.append(value)
        return made

    def _number(self, schema: dict[str, Any], path: str, _depth: int) -> float:
        schema = {**_told_bounds(schema), **schema}
        low = float(schema.get("minimum", schema.get("exclusiveMinimum", _LOWEST)))
        high = float(schema.get("maximum", schema.get("exclusiveMaximum", max(low + 1, _HIGHEST))))
        # Away from the ends, so that rounding and exclusive bounds are kept.
        return round(low + (high - low) * (0.1 + 0.8 * self._pick(path, 1001) / 1000), 4)

    def _integer(self, schema: dict[str, Any], path: str, _depth: int) -> int:
        low = int(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
        high = int(schema.get("maximum", schema.get("exclusiveMaximum", low + 101) - 1))
        return low + self._pick(path, max(1, high - low + 1))

    def _string(self, schema: dict[str, Any], _path: str, _depth: int) -> str:
        text = self._words[: int(schema.get("maxLength", len(self._words)))]
        return text.ljust(int(schema.get("minLength", 0)), ".")

    def _boolean(self, _schema: dict[str, Any], path: str, _depth: int) -> bool:
        return bool(self._pick(path, 2))

    def _pick(self, path: str, count: int) -> int:
        digest = hashlib.sha256(self._prompt + path.encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:8], "big") % count


def _told_bounds(schema: dict[str, Any]) -> dict[str, float]:
    """Return the bounds that stand in a description: in the words of clients whose API takes none in a schema."""
    told = _TOLD_BOUND.findall(str(schema.get("description", "")))
    return {name: float(value) for name, value in told}


def _distinct(items: Any) -> dict[str, list[Any]]:
    """Return the properties of an item that name one of several things, with their values."""
    properties = items.get("properties", {}) if isinstance(items, dict) else {}
    named = {name: each["enum"] for name, each in properties.items() if isinstance(each, dict) and each.get("enum")}
    return {name: values for name, values in named.items() if name in {"market", "symbol", "instrument", "id", "index"}}
