"""Values of options as text: TOML for people, JSON for editors."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

__all__ = ["decimal_text", "json_value", "number_text", "path_text", "toml_text"]


def path_text(path: Path) -> str:
    """Return a path as a person in the current folder would write it: short where it leads on from there."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        # Elsewhere, or the current folder is gone.
        return str(path)


def toml_text(value: Any) -> str:  # noqa: PLR0911 - one line a type
    """Return a Python value as a person would write it in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case Enum():
            return toml_text(value.value)
        case tuple() | list():
            return f"[{', '.join(toml_text(item) for item in value)}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {toml_text(item)}' for key, item in value.items())} }}"
        case _ if attrs.has(type(value)):
            shown = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
            return toml_text({name: item for name, item in shown.items() if item is not None})
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def decimal_text(value: Decimal) -> str:
    """Return a decimal in plain digits without needless zeros."""
    return format(value.normalize(), "f")


def number_text(value: float) -> str:
    """Return a number without a needless `.0`."""
    # Below 1e15 every whole double is exact.
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(value)


def json_value(value: Any) -> Any:
    """Return a default or an example as JSON holds it."""
    match value:
        case bool() | int() | float() | str() | None:
            return value
        case Enum():
            return value.value
        case tuple() | list():
            return [json_value(item) for item in value]
        case dict():
            return {key: json_value(item) for key, item in value.items()}
        case _ if attrs.has(type(value)):
            return {field.name: json_value(getattr(value, field.name)) for field in attrs.fields(type(value))}
        case _:
            return str(value)
