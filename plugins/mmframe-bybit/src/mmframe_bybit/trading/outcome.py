"""What became of one request to the exchange, as values: taken, refused, never sent, or nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import msgspec

    from mmframe_bybit.trading.codes import CodeClass

__all__ = ["Accepted", "NeverSent", "Outcome", "Refused", "Unclear"]


@attrs.frozen(repr=False)
class Accepted:
    """The exchange took the request. Of an order request that is no evidence that it took effect.

    Attributes:
        result: What came with it.
        receive_ns: When, nanoseconds UTC.
    """

    result: msgspec.Raw
    receive_ns: int

    def __repr__(self) -> str:
        return f"<Accepted, {len(self.result)} bytes>"


@attrs.frozen
class Refused:
    """The exchange answered with a code other than 0.

    Attributes:
        code: The code, or the HTTP status where there was none.
        kind: What it says of the request; not every kind says that it had no effect.
        reason: Code and words, without secrets.
        receive_ns: When, nanoseconds UTC.
    """

    code: int
    kind: CodeClass
    reason: str
    receive_ns: int


@attrs.frozen
class NeverSent:
    """No byte left this process.

    Attributes:
        reason: Why, without secrets.
        receive_ns: When that was known, nanoseconds UTC.
    """

    reason: str
    receive_ns: int


@attrs.frozen
class Unclear:
    """It may have happened: no usable answer.

    Attributes:
        reason: Why, without secrets.
        receive_ns: When it was given up, nanoseconds UTC.
    """

    reason: str
    receive_ns: int


Outcome = Accepted | Refused | NeverSent | Unclear
