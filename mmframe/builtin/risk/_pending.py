"""Fills of ours that wait until their markout can be told: a ring at the beginning of a rule's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmframe.domain.views import FillTick
    from mmframe.plugin.rules import State

__all__ = ["CAPACITY", "COUNT", "FIRST", "NOW_S", "OWN", "PENDING_TEXT", "PRICES", "SIDES", "TIMES", "on_fill"]

CAPACITY = 128
NOW_S = 0
"""State: the newest time seen, s since 1970."""
FIRST = 1
"""Place of the oldest fill in the ring."""
COUNT = 2
TIMES = 3
PRICES = TIMES + CAPACITY
SIDES = PRICES + CAPACITY
OWN = SIDES + CAPACITY
"""Where a rule's own state begins."""

PENDING_TEXT = f"""\
A fill's markout is told by the mid of the first decision that is made horizon_s or more after it: later than that by up
to the time between two decisions (strategy.requote_interval_ms in a moving market, max_quote_age_ms in silence), and by
more while the market cannot be quoted. At most {CAPACITY} fills wait; of more the oldest are not judged."""


def on_fill(params: Any, state: State, fill: FillTick) -> None:  # noqa: ARG001 - the signature
    """Let a fill wait; the oldest gives way when the ring is full."""
    now_s = max(fill.now_ns / 1e9, state[NOW_S])
    first = int(state[FIRST])
    count = int(state[COUNT])
    if count == CAPACITY:
        first = (first + 1) % CAPACITY
        count -= 1
    newest = (first + count) % CAPACITY
    state[TIMES + newest] = now_s
    state[PRICES + newest] = fill.price
    state[SIDES + newest] = fill.side
    state[NOW_S] = now_s
    state[FIRST] = float(first)
    state[COUNT] = float(count + 1)
