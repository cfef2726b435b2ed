"""How positions are closed when nothing else may be traded: slice by slice, paced, within a price cap."""

from __future__ import annotations

import math
from enum import Enum

import msgspec

from mmframe.domain.kinds import Scope
from mmframe.errors import DomainError

__all__ = ["CloseTo", "LiquidationTerms"]

_SECOND_NS = 1_000_000_000
_MAX_CAP_BPS = 10_000.0
_SHARE_TOLERANCE = 1e-9
"""0.1 x 30 is 3.0000000000000004 in binary: not a lot more."""


class CloseTo(Enum):
    """What a liquidation leaves of a position."""

    FLAT = "flat"
    TARGET = "target"
    """The market's `target_position`, where it lies between flat and the position; flat where it lies beyond: what only
    reduces can't cross zero."""


class LiquidationTerms(msgspec.Struct, frozen=True):
    """How a liquidation goes about it. Kept with its state, so that a resumed one goes on as it began.

    Raises:
        DomainError: If a value cannot be worked with.
    """

    slice_share: float = 0.1
    """Share of the position at the start that one order closes, above 0, at most 1."""
    interval_ns: int = 5 * _SECOND_NS
    """From one slice to the next, over all markets of the liquidation."""
    price_cap_bps: float = 50.0
    """How far from the mid an order may reach; the gate's `price_collar_bps` binds as well."""
    max_duration_ns: int | None = 3600 * _SECOND_NS
    """After that it is given up and what is left is reported; None is never."""
    scope: Scope = Scope.STRATEGY
    """Whose positions: of the market whose control asked, or of all."""
    close_to: CloseTo = CloseTo.FLAT
    is_latched: bool = True
    """Halts its scope until an operator resumes; otherwise quoting goes on afterwards."""

    def __post_init__(self) -> None:
        if not 0.0 < self.slice_share <= 1.0:
            msg = f"slice_share: expected above 0 and at most 1, was {self.slice_share!r}"
            raise DomainError(msg)
        if self.interval_ns <= 0:
            msg = f"interval_ns: expected above 0, was {self.interval_ns!r}"
            raise DomainError(msg)
        if not 0.0 < self.price_cap_bps < _MAX_CAP_BPS:
            msg = f"price_cap_bps: expected above 0 and below {_MAX_CAP_BPS:g}, was {self.price_cap_bps!r}"
            raise DomainError(msg)
        if self.max_duration_ns is not None and self.max_duration_ns <= 0:
            msg = f"max_duration_ns: expected above 0 or none, was {self.max_duration_ns!r}"
            raise DomainError(msg)

    def slice_lots(self, start_lots: int) -> int:
        """Return the size of one slice of a position that had `start_lots` to close, >= 1."""
        return max(1, math.ceil(self.slice_share * start_lots - _SHARE_TOLERANCE))
