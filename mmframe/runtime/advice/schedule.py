"""When an adviser asks, and about which markets. Pure: times are passed in, nothing is asked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.market import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PERIOD", "Due", "Schedule"]

PERIOD = "period"
"""Why a question is asked when nothing but the clock asks for it."""


class Due(NamedTuple):
    """A question that is to be asked now."""

    markets: tuple[int, ...]
    trigger: str


class Schedule:
    """The questions of one adviser: one under way at a time, a period, triggers, a shortest interval.

    A round asks about all markets, in questions of at most `max_markets`, one after the other. What triggers meanwhile
    waits, and is asked about once; nothing queues up.

    Args:
        markets: Indexes of the markets.
        every_ns: From the beginning of one round to that of the next.
        min_interval_ns: From one question to the next that is not of the same round.
        max_markets: In one question.

    Attributes:
        wake_ns: When something may be due, `NEVER_NS` while a question is under way.
        asked_ns: When the question under way was asked; 0 when none is.
    """

    __slots__ = (
        "_every_ns",
        "_is_round_empty",
        "_last_ns",
        "_markets",
        "_max_markets",
        "_min_interval_ns",
        "_next_round_ns",
        "_pending",
        "_trigger",
        "_triggered",
        "asked_ns",
        "wake_ns",
    )

    def __init__(self, markets: Sequence[int], *, every_ns: int, min_interval_ns: int, max_markets: int) -> None:
        self._markets = tuple(markets)
        self._every_ns = every_ns
        self._min_interval_ns = min_interval_ns
        self._max_markets = max_markets
        self._next_round_ns = NEVER_NS
        self._last_ns = -NEVER_NS
        self._pending: list[Due] = []
        self._triggered: dict[int, None] = {}
        self._trigger = ""
        self._is_round_empty = False
        self.asked_ns = 0
        self.wake_ns = NEVER_NS

    def begin(self, first_ns: int) -> None:
        """Let the first round be due at a time."""
        self._next_round_ns = first_ns
        self._reschedule()

    def trigger(self, markets: Iterable[int], name: str) -> None:
        """Take note that something asks for a question about markets, as soon as there may be one."""
        self._triggered.update(dict.fromkeys(markets))
        self._trigger = name
        self._reschedule()

    def due(self, now_ns: int) -> Due | None:
        """Return what is to be asked now, or None. Then either `asked` or `passed` is to be called."""
        if self.asked_ns or now_ns < self.wake_ns:
            return None
        if not self._pending and now_ns >= self._next_round_ns:
            self._next_round_ns = now_ns + self._every_ns
            self._is_round_empty = True
            self._pending = self._batches(self._markets, PERIOD if not self._triggered else self._trigger)
            self._triggered.clear()
        if not self._pending and self._triggered:
            self._pending = self._batches(tuple(sorted(self._triggered)), self._trigger)
            self._triggered.clear()
        return self._pending[0] if self._pending else None

    def asked(self, now_ns: int) -> None:
        """Take note that what was due is under way."""
        self._pending.pop(0)
        self._is_round_empty = False
        self.asked_ns = self._last_ns = now_ns
        self.wake_ns = NEVER_NS

    def passed(self, again_ns: int) -> None:
        """Take note that nothing could be asked about the markets that were due; an empty round is tried again then."""
        self._pending.pop(0)
        if not self._pending and self._is_round_empty:
            self._is_round_empty = False
            self._next_round_ns = min(self._next_round_ns, again_ns)
        self._reschedule()

    def answered(self) -> None:
        """Take note that nothing is under way any more."""
        self.asked_ns = 0
        self._reschedule()

    def _batches(self, markets: tuple[int, ...], trigger: str) -> list[Due]:
        size = self._max_markets
        return [Due(markets[start : start + size], trigger) for start in range(0, len(markets), size)]

    def _reschedule(self) -> None:
        if self.asked_ns:
            self.wake_ns = NEVER_NS
        elif self._pending:
            self.wake_ns = self._last_ns
        else:
            wanted_ns = -NEVER_NS if self._triggered else self._next_round_ns
            self.wake_ns = max(wanted_ns, self._last_ns + self._min_interval_ns)
