"""When a diff may be applied: the exchange's two continuity rules, as pure state machines.

Spot: a diff follows when it begins at or before the id after the last one (`U <= last + 1`) and ends behind it. The
same rule joins the snapshot, which may lie strictly inside a diff. Futures: ids skip, so a diff names its predecessor
(`pu`); the first one after a snapshot must contain the snapshot's id (`U <= L <= u`) or name it.

An id that is further from the last one than any market gets between two messages is wrong, or the last one was: to
believe it would make every later diff look old.

Source: "How to manage a local order book correctly", spot and USDⓈ-M documentation.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mmframe_binance.wire import DepthUpdate

__all__ = ["SPOT_IDS_MAX", "USDM_IDS_MAX", "Continuity", "SpotContinuity", "UsdmContinuity", "Verdict"]

SPOT_IDS_MAX = 1_000_000
"""Ids of one diff, or by which one can be late. A busy market was seen to have 1,466 in 100 ms."""

USDM_IDS_MAX = 10_000_000_000
"""The same of futures, whose markets share one count: at 100,000 a second, a market silent for a day."""


class Verdict(Enum):
    """What to do with a diff."""

    APPLY = "apply"
    STALE = "stale"
    """Its changes are in the book already."""
    GAP = "gap"
    """Something before it is missing: the book is void until the next snapshot."""
    IMPLAUSIBLE = "implausible"
    """Its ids, or those that the book has, cannot be right: the book is void, and nothing may follow this diff."""


class Continuity(Protocol):
    """One symbol's place in the stream of diffs."""

    last_id: int
    ids_max: int
    """By how much ids may plausibly differ from the last one."""

    def join(self, snapshot_id: int) -> None:
        """Start from a snapshot."""
        ...

    def judge(self, update: DepthUpdate) -> Verdict:
        """Return what to do with the next diff, and move on if it is to be applied."""
        ...

    def is_older_than(self, snapshot_id: int, first: DepthUpdate) -> bool:
        """Tell whether diffs between a snapshot and `first`, the oldest one held, are missing for good."""
        ...


class SpotContinuity:
    """The rule of spot."""

    __slots__ = ("ids_max", "last_id")

    def __init__(self) -> None:
        self.last_id = -1
        self.ids_max = SPOT_IDS_MAX

    def join(self, snapshot_id: int) -> None:
        """Start from a snapshot."""
        self.last_id = snapshot_id

    def judge(self, update: DepthUpdate) -> Verdict:
        """Return what to do with the next diff, and move on if it is to be applied."""
        ahead = update.u - self.last_id
        if ahead <= 0:
            return Verdict.STALE if ahead >= -SPOT_IDS_MAX else Verdict.IMPLAUSIBLE
        if self.last_id + 1 < update.U:
            return Verdict.GAP
        if ahead > SPOT_IDS_MAX:
            return Verdict.IMPLAUSIBLE
        self.last_id = update.u
        return Verdict.APPLY

    def is_older_than(self, snapshot_id: int, first: DepthUpdate) -> bool:
        """Tell whether diffs between a snapshot and `first`, the oldest one held, are missing for good."""
        return snapshot_id + 1 < first.U


class UsdmContinuity:
    """The rule of USDⓈ-M futures."""

    __slots__ = ("_is_joining", "ids_max", "last_id")

    def __init__(self) -> None:
        self.last_id = -1
        self.ids_max = USDM_IDS_MAX
        self._is_joining = True

    def join(self, snapshot_id: int) -> None:
        """Start from a snapshot."""
        self.last_id = snapshot_id
        self._is_joining = True

    def judge(self, update: DepthUpdate) -> Verdict:
        """Return what to do with the next diff, and move on if it is to be applied."""
        ahead = update.u - self.last_id
        if abs(ahead) > USDM_IDS_MAX:
            return Verdict.IMPLAUSIBLE
        if self._is_joining:
            # A diff that ends exactly at the snapshot's id joins too (its changes are in both); one before is old.
            if ahead < 0:
                return Verdict.STALE
            is_next = update.U <= self.last_id <= update.u or update.pu == self.last_id
        else:
            if ahead <= 0:
                return Verdict.STALE
            is_next = update.pu == self.last_id
        if not is_next:
            return Verdict.GAP
        self._is_joining = False
        self.last_id = update.u
        return Verdict.APPLY

    def is_older_than(self, snapshot_id: int, first: DepthUpdate) -> bool:
        """Tell whether diffs between a snapshot and `first`, the oldest one held, are missing for good."""
        return snapshot_id < first.U and first.pu != snapshot_id
