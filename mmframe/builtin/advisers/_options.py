"""The options that all built-in advisers share: what the model is told, in which words, and how long it may answer."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.errors import DomainError
from mmframe.plugin import option

__all__ = ["SIGNALS_MAX", "QuestionOptions"]

SIGNALS_MAX = 20
"""More numbers cost more and are not read."""


@attrs.frozen
class QuestionOptions:
    """What a model is told, and in which words.

    Raises:
        DomainError: If a signal is named twice, cannot be one's name, or there are too many.
    """

    levels: int = option(
        help="Levels of each side that the numbers of depth are made of.", default=5, minimum=1, maximum=50
    )
    trades: int = option(
        help="Newest executions that the numbers of trading are made of.", default=50, minimum=0, maximum=500
    )
    signals: tuple[str, ...] = option(
        help="Signals whose values are told as they are. One in price units would tell the price level: ask for bps "
        "where the signal can, or name it in `price_signals`.",
        default=(),
        example=("market_condition",),
    )
    price_signals: tuple[str, ...] = option(
        help="Signals that are prices, told as distance from the mid in bps.", default=(), example=("micro_price",)
    )
    anonymise: bool = option(
        help="Tell neither symbols nor prices: markets are M1, M2, ..., prices distances from the mid, sizes multiples "
        "of the order size. Without it symbol and mid are told too.",
        default=True,
    )
    template: Path | None = option(
        help="File with the model's instructions instead of the built-in ones. `$inputs`, `$fields` and the word JSON "
        "must stand in it; `$task` and `$example` may; `$$` is a dollar sign.",
        default=None,
        example="prompts/advice.txt",
    )
    reply_tokens_per_market: int = option(
        help="Tokens that an answer about one market may have.", default=200, unit="tokens", minimum=20, maximum=10_000
    )
    thinking_tokens: int = option(
        help="Tokens beyond the answers, for a model that thinks before it answers; they are billed.",
        default=100,
        unit="tokens",
        minimum=0,
        maximum=100_000,
    )

    def __attrs_post_init__(self) -> None:
        names = (*self.signals, *self.price_signals)
        if len(names) > SIGNALS_MAX:
            msg = f"signals: expected at most {SIGNALS_MAX} with price_signals, was {len(names)}"
            raise DomainError(msg)
        for name in names:
            where = "signals" if name in self.signals else "price_signals"
            if not name.isidentifier() or not name.isascii():
                msg = f"{where}: expected names of signals, was {name!r}"
                raise DomainError(msg)
            if names.count(name) > 1:
                msg = f"{where}: expected each signal once, was {name!r} again"
                raise DomainError(msg)
