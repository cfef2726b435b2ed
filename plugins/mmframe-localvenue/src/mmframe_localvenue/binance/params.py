"""Parameters of a request: text in, values out, and a note of which were read."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe_localvenue.binance.errors import BinanceError, bad_parameter, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Params"]

_DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = r"^[0-9]{1,20}$"
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_PRECISION = 8


class Params:
    """The parameters of one request.

    Args:
        values: By name, as text.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a parameter; None where it was not sent.

        Raises:
            BinanceError: If it is empty.
        """
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise BinanceError(-1105, f"Parameter '{name}' was empty.")
        return value

    def required(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises:
            BinanceError: If it is not.
        """
        self._read.add(name)
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def choice(self, name: str, legal: Iterable[str], error: BinanceError) -> str | None:
        """Return one of `legal`; None where it was not sent.

        Raises:
            BinanceError: `error` if it is another.
        """
        value = self.text(name)
        if value is not None and value not in set(legal):
            raise error
        return value

    def decimal(self, name: str) -> Decimal | None:
        """Return a number without sign or exponent, at most eight decimals.

        Raises:
            BinanceError: If it is something else.
        """
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_DECIMAL, value):
            raise bad_parameter(name, _DECIMAL)
        if len(value.partition(".")[2].rstrip("0")) > _PRECISION:
            raise BinanceError(-1111, f"Parameter '{name}' has too much precision.")
        return Decimal(value)

    def integer(self, name: str) -> int | None:
        """Return a whole number, 0 or more; None where it was not sent.

        Raises:
            BinanceError: If it is something else.
        """
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_INTEGER, value):
            raise bad_parameter(name, _INTEGER)
        return int(value)

    def limit(self, default: int, largest: int) -> int:
        """Return `limit`, cut to `largest`.

        Raises:
            BinanceError: If it is no number, or 0.
        """
        value = self.integer("limit")
        if value == 0:
            raise BinanceError(-1102, "Mandatory parameter 'limit' was not sent, was empty/null, or malformed.")
        return min(default if value is None else value, largest)

    def client_id(self, name: str, legal: str = _CLIENT_ID) -> str | None:
        """Return a client order id; None where it was not sent.

        Raises:
            BinanceError: If it has characters that it must not have.
        """
        value = self.text(name)
        if value is not None and not re.fullmatch(legal, value):
            raise bad_parameter(name, legal)
        return value

    def flag(self, name: str) -> bool:
        """Return whether a boolean is set."""
        return (self.text(name) or "").lower() == "true"

    def pass_over(self, *names: str) -> None:
        """Count parameters as read that are of no consequence here."""
        self._read.update(names)

    def check_all_read(self) -> None:
        """Check that nothing was sent that the call does not know.

        Raises:
            BinanceError: If something was.
        """
        unread = self._values.keys() - self._read
        if unread:
            read = len(self._values) - len(unread)
            raise BinanceError(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(self._values)}'.",
            )
