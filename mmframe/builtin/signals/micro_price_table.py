"""The table behind `stoikov-micro-price`: estimated from recorded touches, written to a file and read back."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from math import isfinite, nan
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.builtin.calibration.replay import played
from mmframe.domain.market import MessageKind, Touch
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mmframe.ports import Book, History

__all__ = [
    "MicroPriceTable",
    "calibrate_micro_price",
    "load_micro_price_table",
    "save_micro_price_table",
    "state_of",
    "touches_of",
]

_FORMAT = "mmframe-micro-price-table/1"
_BUCKETS_MAX = 51
_SPREADS_MAX = 20
_STATES_MAX = 300
"""States of a table: a calibration solves as many linear equations."""
_ROUNDS_MAX = 2_000
_TERM_MIN_TICKS = 1e-9
"""The series of later moves ends when the next term is below this in every state."""

_TRADES = frozenset({MessageKind.TRADE, MessageKind.OFF_BOOK_TRADE})

_Counts = dict[int, dict[int, float]]


@attrs.frozen
class MicroPriceTable:
    """How far the price is expected to be from the mid, by imbalance and spread.

    Attributes:
        tick_size: Of the market that it was estimated on; spreads and adjustments count in it.
        imbalance_buckets: Equal parts of [0, 1] for bid size / (bid size + ask size); odd, so that even sizes have a
            bucket of their own.
        spreads: Spreads told apart, 1 to `spreads` ticks; the last one stands for wider ones too.
        adjustments_ticks: Micro-price less mid, in ticks, by spread and then by bucket; NaN for a state without data.
        observations: Changes of the touch from each state, in the same order, each counted with its mirror image.
    """

    tick_size: Decimal
    imbalance_buckets: int
    spreads: int
    adjustments_ticks: tuple[float, ...]
    observations: tuple[int, ...]

    def __attrs_post_init__(self) -> None:
        """Refuse a table that no calibration makes.

        Raises:
            DomainError: If a count or length does not fit, or an adjustment is infinite.
        """
        _check_size(self.imbalance_buckets, self.spreads)
        states = self.imbalance_buckets * self.spreads
        if len(self.adjustments_ticks) != states or len(self.observations) != states:
            was = f"{len(self.adjustments_ticks)} and {len(self.observations)}"
            msg = f"table: expected {states} adjustments and observations, was {was}"
            raise DomainError(msg)
        if not self.tick_size > 0 or any(abs(value) > 1e6 for value in self.adjustments_ticks):
            msg = f"table: expected a tick size above 0 and adjustments below 1e6, was {self!r}"
            raise DomainError(msg)


class _TableFile(msgspec.Struct, forbid_unknown_fields=True):
    """What the file holds; `null` is a state without data."""

    format: str
    tick_size: str
    imbalance_buckets: int
    spreads: int
    adjustments_ticks: list[float | None]
    observations: list[int]


def state_of(touch: Touch, *, imbalance_buckets: int, spreads: int) -> int:
    """Return the place of a touch in a table: spread first, then imbalance."""
    # Counted from the lighter side, so that a touch on the edge of two buckets has its mirror image on that of theirs.
    bucket = min(touch.bid_lots, touch.ask_lots) * imbalance_buckets // (touch.bid_lots + touch.ask_lots)
    if touch.bid_lots > touch.ask_lots:
        bucket = imbalance_buckets - 1 - bucket
    spread = min(touch.ask_ticks - touch.bid_ticks, spreads)
    return (spread - 1) * imbalance_buckets + bucket


def touches_of(history: History, book: Book, *, market: int = 0, limit_ns: int | None = None) -> Iterator[Touch | None]:
    """Yield the touch of one market after each change of it; None where continuity was lost or there is no touch.

    Args:
        history: The recording.
        book: An empty book to play it into.
        market: Index of the market in the history.
        limit_ns: Read so much of the recording only, counted from the market's first message.

    Raises:
        DataError: If a row of the recording cannot be read.
    """
    last = None
    for batch, index, is_synced in played(history, book, market=market, limit_ns=limit_ns):
        if batch.kinds[index] in _TRADES:
            continue
        touch = _quotable(book.touch()) if is_synced else None
        if touch != last:
            yield touch
            last = touch


def calibrate_micro_price(
    touches: Iterable[Touch | None], *, tick_size: Decimal, imbalance_buckets: int = 9, spreads: int = 3
) -> MicroPriceTable:
    """Return the table that the touches make, as in the paper: the expected mid after all coming moves.

    Each change is counted together with its mirror image (bid and ask exchanged), so that a trend in the recording
    does not end up in the table, and the series of moves converges.

    Args:
        touches: The touch after each change; None where the next one does not follow from the last.
        tick_size: Of the market.
        imbalance_buckets: Odd, from 3 up.
        spreads: Spreads told apart, from 1 up.

    Raises:
        DomainError: If the numbers do not fit, the mid never moved, or the moves do not die out.

    Source: Stoikov, The micro-price: a high-frequency estimator of future prices (2018), section 3.
    """
    _check_size(imbalance_buckets, spreads)
    states = imbalance_buckets * spreads
    stays: _Counts = defaultdict(lambda: defaultdict(float))
    moves: _Counts = defaultdict(lambda: defaultdict(float))
    shifts: dict[tuple[int, int], float] = defaultdict(float)
    observations = [0] * states
    last: Touch | None = None
    for touch in touches:
        if last is not None and touch is not None:
            early = state_of(last, imbalance_buckets=imbalance_buckets, spreads=spreads)
            late = state_of(touch, imbalance_buckets=imbalance_buckets, spreads=spreads)
            half_ticks = touch.bid_ticks + touch.ask_ticks - last.bid_ticks - last.ask_ticks
            for start, end, shift in (
                (early, late, half_ticks),
                (_mirror(early, imbalance_buckets), _mirror(late, imbalance_buckets), -half_ticks),
            ):
                (moves if shift else stays)[start][end] += 1.0
                shifts[start, end] += shift / 2.0
                observations[start] += 1
        last = touch
    adjustments = _adjustments(stays, moves, shifts)
    return MicroPriceTable(
        tick_size,
        imbalance_buckets,
        spreads,
        tuple(adjustments.get(s, nan) for s in range(states)),
        tuple(observations),
    )


def save_micro_price_table(table: MicroPriceTable, path: Path) -> None:
    """Write the table as JSON.

    Raises:
        OSError: If the file cannot be written.
    """
    contents = _TableFile(
        format=_FORMAT,
        tick_size=str(table.tick_size),
        imbalance_buckets=table.imbalance_buckets,
        spreads=table.spreads,
        adjustments_ticks=[value if isfinite(value) else None for value in table.adjustments_ticks],
        observations=list(table.observations),
    )
    path.write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n")


def load_micro_price_table(path: Path) -> MicroPriceTable:
    """Return the table in a file.

    Raises:
        DomainError: If it is no such table.
        OSError: If it cannot be read.
    """
    try:
        contents = msgspec.json.decode(path.read_bytes(), type=_TableFile)
        tick_size = Decimal(contents.tick_size)
    except (msgspec.DecodeError, ArithmeticError) as error:
        msg = f"table: expected a micro-price table in {path.name!r}, was something else: {error}"
        raise DomainError(msg, hint="`mmframe calibrate FILE --model micro-price` makes one") from error
    if contents.format != _FORMAT:
        msg = f"table: expected format {_FORMAT!r} in {path.name!r}, was {contents.format!r}"
        raise DomainError(msg, hint="calibrate it again with this version")
    return MicroPriceTable(
        tick_size,
        contents.imbalance_buckets,
        contents.spreads,
        tuple(nan if value is None else value for value in contents.adjustments_ticks),
        tuple(contents.observations),
    )


def _check_size(imbalance_buckets: int, spreads: int) -> None:
    if not 3 <= imbalance_buckets <= _BUCKETS_MAX or imbalance_buckets % 2 == 0:
        msg = f"imbalance_buckets: expected an odd number from 3 to {_BUCKETS_MAX}, was {imbalance_buckets}"
        raise DomainError(msg)
    if not 1 <= spreads <= _SPREADS_MAX or imbalance_buckets * spreads > _STATES_MAX:
        msg = f"spreads: expected 1 to {_SPREADS_MAX} and at most {_STATES_MAX} states, was {spreads}"
        raise DomainError(msg)


def _quotable(touch: Touch) -> Touch | None:
    return touch if touch.bid_lots and touch.ask_lots and touch.bid_ticks < touch.ask_ticks else None


def _mirror(state: int, imbalance_buckets: int) -> int:
    spread, bucket = divmod(state, imbalance_buckets)
    return spread * imbalance_buckets + imbalance_buckets - 1 - bucket


def _adjustments(stays: _Counts, moves: _Counts, shifts: Mapping[tuple[int, int], float]) -> dict[int, float]:
    """Return the sum of all expected moves from each state that leads to any.

    With Q the chance to go on without a move, R the expected first move and T the chance to be in a state after it:
    the first move is G = (1 - Q)^-1 R, what follows it B = (1 - Q)^-1 T, and the sum G + B G + B^2 G + ...
    """
    states = _connected(stays, moves)
    place = {state: number for number, state in enumerate(states)}
    rows = []
    for state in states:
        totals = [(end, count) for counts in (stays, moves) for end, count in counts[state].items() if end in place]
        total = sum(count for _, count in totals)
        row = [0.0] * (2 * len(states) + 1)
        row[place[state]] = 1.0
        for end, count in stays[state].items():
            if end in place:
                row[place[end]] -= count / total
        for end, count in moves[state].items():
            if end in place:
                row[len(states)] += shifts[state, end] / total
                row[len(states) + 1 + place[end]] = count / total
        rows.append(row)
    solved = _solved(rows)
    first = [row[0] for row in solved]
    following = [row[1:] for row in solved]
    return dict(zip(states, _summed(first, following), strict=True))


def _connected(stays: _Counts, moves: _Counts) -> list[int]:
    """Return the states from which a move can be reached by way of such states only.

    Raises:
        DomainError: If there are none.
    """
    known = set(stays) | set(moves)
    while True:
        reaching = {state for state in known if any(end in known for end in moves.get(state, ()))}
        before = -1
        while len(reaching) != before:
            before = len(reaching)
            reaching |= {state for state in known if any(end in reaching for end in stays.get(state, ()))}
        if reaching == known:
            break
        known = reaching
    if not known:
        msg = "touches: expected some in which the mid moves, was none"
        raise DomainError(msg, hint="calibrate on a longer recording")
    return sorted(known)


def _solved(rows: list[list[float]]) -> list[list[float]]:
    """Return the right-hand columns after the left square was brought to the unit matrix, by pivots of largest size."""
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda number: abs(rows[number][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        pivot_row = rows[column] = [value / scale for value in rows[column]]
        for number in range(size):
            factor = rows[number][column]
            if number != column and factor:
                rows[number] = [value - factor * by for value, by in zip(rows[number], pivot_row, strict=True)]
    return [row[size:] for row in rows]


def _summed(first: Sequence[float], following: Sequence[Sequence[float]]) -> list[float]:
    """Return first + following x first + following^2 x first + ...

    Raises:
        DomainError: If the terms do not die out.
    """
    total, term = list(first), list(first)
    for _ in range(_ROUNDS_MAX):
        if max(abs(value) for value in term) < _TERM_MIN_TICKS:
            return total
        term = [sum(chance * value for chance, value in zip(row, term, strict=True)) for row in following]
        total = [value + more for value, more in zip(total, term, strict=True)]
    msg = f"touches: expected moves that die out, was {max(abs(value) for value in term):g} ticks after {_ROUNDS_MAX}"
    raise DomainError(msg, hint="calibrate on a longer recording, or with fewer spreads and buckets")
