"""Values of a request as they come: of any JSON type, of any length. What is not what it must be is 10001."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from mmframe_localvenue.bybit.envelope import SPOT, BybitError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["category_in", "choice_of", "integer_of", "number_of"]

_INTEGER = re.compile(r"[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_Value = TypeVar("_Value")


def category_in(args: Mapping[str, Any], known: Collection[str], code: int = 10001) -> str:
    """Return the category of a request.

    Raises:
        BybitError: `code`, if it is none of `known`.
    """
    category = args.get("category")
    if isinstance(category, str) and category in known:
        return category
    raise BybitError(code, f"params error: Illegal category {category}")


def choice_of(
    args: Mapping[str, Any], name: str, choices: Mapping[str, _Value], spot_code: int, category: str
) -> _Value:
    """Return what a word of a request stands for; an absent word is "".

    Raises:
        BybitError: 10001, on spot `spot_code`, for a word that is none of `choices`.
    """
    value = args.get(name)
    text = "" if value is None else value
    if isinstance(text, str) and text in choices:
        return choices[text]
    raise BybitError(spot_code if category == SPOT else 10001, f"params error: {name} invalid {value}")


def number_of(value: object, name: str) -> Decimal:
    """Return a decimal number, which travels as a string.

    Raises:
        BybitError: 10001 for anything else, JSON numbers and exponents too.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    raise BybitError(10001, f"params error: {name} invalid")


def integer_of(value: object, name: str) -> int:
    """Return a whole number >= 0 out of a string of digits.

    Raises:
        BybitError: 10001 for anything else.
    """
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise BybitError(10001, f"params error: {name} invalid")
