"""How often a resting order at each distance from the mid would have been filled: waiting times on recorded data.

On each side an order of no size rests at each of some distances. All of them are posted anew at the mid of the moment
every window; an order ends filled when a taker trades at its price or beyond, and censored when its window, the
recording or the book ends. Under a constant rate of fills the waiting times are exponential, and whatever ends the
waiting otherwise, fills over the total time waited is the rate of largest likelihood. Leaving out the waits that ended
unfilled would count only the quick ones.

Source: Avellaneda & Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008, section
2.5, for what is measured; Fernandez-Tapia, Modeling, optimization and estimation for the on-line control of trading
algorithms in limit-order markets, doctoral thesis, 2015, for the waiting times of orders posted at regular times.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.calibration.tape import Mark
from mmframe.domain.market import NEVER_NS, Side
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.builtin.calibration.tape import Tape

__all__ = [
    "BLOCKS_MAX",
    "DISTANCES_MAX",
    "DistanceCount",
    "FillCounts",
    "count_fills",
    "half_spread_ticks",
    "reach_ticks",
]

BLOCKS_MAX = 20
"""Parts of the recording that are left out in turn to see how much an estimate depends on each."""
DISTANCES_MAX = 200
_HALF_TICKS = 2
_NS_PER_S = 1e9
_CLOSED = -1
_PAUSE_NS = 500_000_000
"""Longer than books are told late and takers take to sweep."""
_QUOTED = (Side.BUY, Side.SELL)

_BySide = tuple[Counter[int], Counter[int]]
"""Of bids and of asks, by distance in half ticks."""


class DistanceCount(NamedTuple):
    """What became of the orders at one distance."""

    distance: float
    """From the mid, in the unit of whoever counts."""
    fills: int
    exposure_s: float
    """Time that orders have rested at this distance, seconds."""

    @property
    def rate_per_s(self) -> float:
        """Return the rate of fills of largest likelihood; NaN without exposure."""
        return self.fills / self.exposure_s if self.exposure_s > 0.0 else nan

    @property
    def rate_std_error(self) -> float:
        """Return the standard error of the rate; NaN without a fill, which tells nothing of it."""
        return self.rate_per_s / sqrt(self.fills) if self.fills else nan


@attrs.frozen
class FillCounts:
    """Fills and exposure by part of the recording, side and distance.

    Attributes:
        distances_ticks: Distances from the mid at which orders have rested, rising.
        fills: Fills by block, side (bids first) and distance.
        exposure_ns: Nanoseconds rested, likewise.
    """

    distances_ticks: tuple[float, ...]
    fills: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = attrs.field(repr=False)
    exposure_ns: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = attrs.field(repr=False)

    @property
    def blocks(self) -> int:
        """Return how many parts the recording was cut into."""
        return len(self.fills)

    def counts(
        self, side: Side | None = None, *, tick: float = 1.0, without_block: int | None = None
    ) -> tuple[DistanceCount, ...]:
        """Return the counts at each distance.

        Args:
            side: BUY for bids, SELL for asks; None for both taken together, whose rate is still that of one order on
                one side.
            tick: Size of a tick in the unit of distance that is wanted.
            without_block: A part of the recording to leave out.
        """
        sides = [int(one) for one in _QUOTED if side in {None, one}]
        blocks = [block for block in range(self.blocks) if block != without_block]
        return tuple(
            DistanceCount(
                distance * tick,
                sum(self.fills[block][one][place] for block in blocks for one in sides),
                sum(self.exposure_ns[block][one][place] for block in blocks for one in sides) / _NS_PER_S,
            )
            for place, distance in enumerate(self.distances_ticks)
        )


def count_fills(
    tape: Tape, distances_ticks: Sequence[float], *, window_s: float = 5.0, blocks: int = BLOCKS_MAX
) -> FillCounts:
    """Return what orders at these distances from the mid would have met.

    An order stands at its distance or, where no price is there, half a tick further from the mid, which is what becomes
    of a quote: a mid lies on a tick or between two. It is counted at the distance at which it stands; where all the
    distances lie two ticks apart or more, both count as one, at the mean over time. Half a second after a fill it is
    posted again: by then the book has seen the trade, and the taker has ended. That moment is one of the clock, not
    of the data: some venues tell a change of the book before the trade behind it, and an order that such a change
    brings back would be filled by a trade that was already done.

    A bid is filled by takers who sell, an ask by takers who buy. A trade at an order's very price fills it, as if it
    stood first in its queue.

    Args:
        tape: The recording.
        distances_ticks: In ticks from the mid, from 0 up, rising by at least 1; multiples of a half.
        window_s: Time after which all orders are posted anew, seconds, > 0.
        blocks: Parts of equal length into which the counts are kept apart.

    Raises:
        DomainError: If the distances or the window cannot be, or no order ever rested.
    """
    requested = _half_ticks(distances_ticks)
    window_ns = _window_ns(window_s)
    windows = max(1, -(-(tape.end_ns - tape.start_ns) // window_ns))
    counter = _Orders(requested, blocks=min(blocks, windows))
    end_ns = tape.start_ns + window_ns
    for time_ns, mark, low_ticks, high_ticks in tape.entries():
        while counter.due_ns <= time_ns and counter.due_ns < end_ns:
            counter.post(counter.due_ns)
        if end_ns <= time_ns:
            counter.end(end_ns)
            counter.block = min((end_ns - tape.start_ns) // window_ns, windows - 1) * len(counter.fills) // windows
            counter.post(end_ns)
            # Windows in which nothing happens would post the same orders again.
            end_ns += ((time_ns - end_ns) // window_ns + 1) * window_ns
            while counter.due_ns <= time_ns:
                counter.post(counter.due_ns)
        if mark == Mark.SOLD:
            counter.trade(Side.BUY, time_ns, low_ticks)
        elif mark == Mark.BOUGHT:
            counter.trade(Side.SELL, time_ns, high_ticks)
        elif mark == Mark.TOUCH:
            counter.touch(time_ns, low_ticks + high_ticks)
        else:
            counter.void(time_ns)
    return counter.result()


def half_spread_ticks(tape: Tape) -> float:
    """Return the median over time of half the spread, in ticks.

    Raises:
        DomainError: If the recording has no touch.
    """
    held_ns: Counter[int] = Counter()
    spread, since_ns = 0, 0
    for time_ns, mark, low_ticks, high_ticks in tape.entries():
        if mark in {Mark.TOUCH, Mark.VOID}:
            held_ns[spread] += time_ns - since_ns
            spread, since_ns = high_ticks - low_ticks, time_ns
    del held_ns[0]
    return _quantile(held_ns, 0.5) / _HALF_TICKS


def reach_ticks(tape: Tape, *, window_s: float = 5.0, share: float = 0.99) -> float:
    """Return the distance from the mid that takers do not go beyond in this share of all windows, in ticks.

    It is measured from the mid at the start of each whole window, on each side, and is 0 for a window without trades.

    Raises:
        DomainError: If the window cannot be, or there is no whole one with a touch.
    """
    window_ns = _window_ns(window_s)
    reached: Counter[int] = Counter()
    mid2 = start2 = end_ns = down = up = 0
    for time_ns, mark, low_ticks, high_ticks in tape.entries():
        if start2 and time_ns >= end_ns:
            quiet = (time_ns - end_ns) // window_ns
            reached.update((down, up))
            reached[0] += 2 * quiet
            end_ns += (quiet + 1) * window_ns
            start2, down, up = mid2, 0, 0
        if mark == Mark.TOUCH:
            mid2 = low_ticks + high_ticks
            if not start2:
                start2, end_ns, down, up = mid2, time_ns + window_ns, 0, 0
        elif mark == Mark.VOID:
            mid2 = start2 = 0
        elif start2 and mark == Mark.SOLD:
            down = max(down, start2 - _HALF_TICKS * low_ticks)
        elif start2:
            up = max(up, _HALF_TICKS * high_ticks - start2)
    return _quantile(reached, share) / _HALF_TICKS


def _quantile(weights: Counter[int], share: float) -> int:
    """Return the lowest value that has, with those below it, this share of the weight."""
    passed, wanted = 0, share * weights.total()
    for value in sorted(weights):
        passed += weights[value]
        if passed >= wanted:
            return value
    raise _no_touch()


def _window_ns(window_s: float) -> int:
    if not 0.001 <= window_s <= 86_400.0:
        msg = f"window_s: expected 0.001 to 86400, was {window_s:g}"
        raise DomainError(msg)
    return round(window_s * _NS_PER_S)


def _no_touch() -> DomainError:
    msg = "touches: expected some with a bid and an ask, was none"
    return DomainError(msg, hint="the recording needs the order book, or the best bid and ask")


def _half_ticks(distances_ticks: Sequence[float]) -> tuple[int, ...]:
    if not 1 <= len(distances_ticks) <= DISTANCES_MAX:
        msg = f"distances: expected 1 to {DISTANCES_MAX}, was {len(distances_ticks)}"
        raise DomainError(msg)
    before = -1.0
    for distance in distances_ticks:
        if not 0.0 <= distance <= 1e9 or (distance * _HALF_TICKS) % 1.0:
            msg = f"distances: expected multiples of half a tick from 0 up, was {distance:g}"
            raise DomainError(msg)
        if distance < before + 1.0:
            msg = f"distances: expected each at least 1 tick further than the last, was {distance:g} after {before:g}"
            raise DomainError(msg, hint="prices lie a tick apart: closer distances would be one order twice")
        before = distance
    return tuple(round(distance * _HALF_TICKS) for distance in distances_ticks)


class _Orders:
    """The orders of both sides, and what they have met so far.

    Attributes:
        block: Part of the recording that counts go to.
        due_ns: When `post` next has an order to bring back.
        fills: By block and side, from half ticks to fills.
    """

    __slots__ = (
        "_distances",
        "_due",
        "_exposure",
        "_mid2",
        "_opened",
        "_prices",
        "_requested",
        "block",
        "due_ns",
        "fills",
    )

    def __init__(self, requested: tuple[int, ...], *, blocks: int) -> None:
        self.block = 0
        self.due_ns = NEVER_NS
        self.fills: list[_BySide] = [(Counter(), Counter()) for _ in range(blocks)]
        self._exposure: list[_BySide] = [(Counter(), Counter()) for _ in range(blocks)]
        self._requested = requested
        self._mid2 = 0
        """Bid plus ask, in ticks; 0 while there is none."""
        self._opened = [[_CLOSED] * len(requested) for _ in _QUOTED]
        self._due = [[0] * len(requested) for _ in _QUOTED]
        """From when on an order may be posted."""
        self._prices = [[0] * len(requested) for _ in _QUOTED]
        self._distances = [[0] * len(requested) for _ in _QUOTED]

    def touch(self, time_ns: int, mid2: int) -> None:
        """Note the mid, and post the orders if there was none."""
        is_new = not self._mid2
        self._mid2 = mid2
        if is_new:
            self.post(time_ns)

    def void(self, time_ns: int) -> None:
        """End all orders: there is no mid."""
        self.end(time_ns)
        self._mid2 = 0

    def post(self, time_ns: int) -> None:
        """Post every order that does not rest and whose pause is over, at its distance or half a tick further."""
        self.due_ns = NEVER_NS
        if not self._mid2:
            return
        for side, outward in ((Side.BUY, -1), (Side.SELL, 1)):
            opened, prices, distances = self._opened[side], self._prices[side], self._distances[side]
            for place, due_ns in enumerate(self._due[side]):
                if opened[place] != _CLOSED:
                    continue
                if due_ns > time_ns:
                    self.due_ns = min(self.due_ns, due_ns)
                    continue
                wanted = self._requested[place]
                distance = wanted + (self._mid2 + wanted) % _HALF_TICKS
                if self._mid2 + outward * distance > 0:
                    prices[place] = (self._mid2 + outward * distance) // _HALF_TICKS
                    distances[place] = distance
                    opened[place] = time_ns

    def trade(self, side: Side, time_ns: int, price_ticks: int) -> None:
        """Fill the orders of `side` that a trade reaches."""
        opened, prices = self._opened[side], self._prices[side]
        for place, since_ns in enumerate(opened):
            if since_ns == _CLOSED:
                continue
            if prices[place] >= price_ticks if side == Side.BUY else prices[place] <= price_ticks:
                self._close(side, place, time_ns)
                self.fills[self.block][side][self._distances[side][place]] += 1
                self._due[side][place] = time_ns + _PAUSE_NS
                self.due_ns = min(self.due_ns, time_ns + _PAUSE_NS)

    def end(self, time_ns: int) -> None:
        """End all orders unfilled: their time counts, and nothing more is known of them."""
        for side in _QUOTED:
            for place, since_ns in enumerate(self._opened[side]):
                if since_ns != _CLOSED:
                    self._close(side, place, time_ns)

    def result(self) -> FillCounts:
        """Return what was counted.

        Raises:
            DomainError: If no order ever rested.
        """
        exposure: Counter[int] = Counter()
        for block in self._exposure:
            for side in block:
                exposure.update(side)
        groups = [[one for one in group if exposure[one]] for group in self._groups(exposure)]
        groups = [group for group in groups if group]
        if not groups:
            raise _no_touch()
        return FillCounts(
            tuple(
                sum(one * exposure[one] for one in group) / sum(exposure[one] for one in group) / _HALF_TICKS
                for group in groups
            ),
            _dense(self.fills, groups),
            _dense(self._exposure, groups),
        )

    def _groups(self, exposure: Counter[int]) -> list[list[int]]:
        """Return the distances that are one row each, in half ticks."""
        if all(later - early >= 2 * _HALF_TICKS for early, later in pairwise(self._requested)):
            return [[wanted, wanted + 1] for wanted in self._requested]
        return [[one] for one in sorted(exposure)]

    def _close(self, side: Side, place: int, time_ns: int) -> None:
        self._exposure[self.block][side][self._distances[side][place]] += time_ns - self._opened[side][place]
        self._opened[side][place] = _CLOSED


def _dense(
    counts: list[_BySide], groups: Sequence[Sequence[int]]
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Return the counts of each block and side as columns with a place for each group."""
    return tuple(
        (
            tuple(sum(bids[one] for one in group) for group in groups),
            tuple(sum(asks[one] for one in group) for group in groups),
        )
        for bids, asks in counts
    )
