"""The book of a signal's own market, for the signals that look deeper than the touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from mmframe.plugin import BuildContext
    from mmframe.ports import Book

__all__ = ["market_book"]


def market_book(context: BuildContext, signal: str) -> Book:
    """Return the book of the market that `signal` is built for.

    Raises:
        DomainError: If the context has none.
    """
    if context.book is None:
        msg = f"signal {signal!r}: expected the book of a market, was none"
        raise DomainError(msg, hint="build it for one market, with that market's book in the context")
    return context.book
