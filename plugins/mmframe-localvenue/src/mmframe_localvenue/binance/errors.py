"""Binance's way to say no."""

from __future__ import annotations

from typing import Any

__all__ = ["BinanceError", "bad_parameter", "missing"]

UNKNOWN_KEY = "Invalid API-key, IP, or permissions for action."


class BinanceError(Exception):
    """A refusal in the exchange's words.

    Attributes:
        code: Error code, below zero.
        msg: Its text.
        status: HTTP status.
        data: More, as the exchange's `data`; None for none.
        retry_after_s: With 429 and 418.
    """

    def __init__(
        self, code: int, msg: str, *, status: int = 400, data: Any = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{code}: {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.data = data
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        body: dict[str, Any] = {"code": self.code, "msg": self.msg}
        if self.data is not None:
            body["data"] = self.data
        return body


def missing(name: str) -> BinanceError:
    """Return the refusal of a request without a mandatory parameter."""
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def bad_parameter(name: str, legal: str) -> BinanceError:
    """Return the refusal of a parameter with characters that it must not have."""
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
