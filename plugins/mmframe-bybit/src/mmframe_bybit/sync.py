"""When a book message may be applied: the v5 rule of one `orderbook` topic, as a pure state machine.

A snapshot replaces the whole book, and so does `u == 1` (the service was restarted), whatever `type` says. A delta
follows when its `u` is one more than the last and `seq` did not go back. Depth 1 sends snapshots only and repeats the
last one, with the same `u` and a newer `seq`, when nothing changes for three seconds.

The exchange calls `u` consecutive for the full book only, and `seq` is older where it is smaller. Recordings of depths
1, 200 and 500 confirm both for every message, so a delta with another `u` counts as loss: at worst a sound book is
thrown away, never a wrong one kept.

Source: v5 documentation, `orderbook`.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["RESTART_U", "Continuity", "Verdict"]

RESTART_U = 1
"""The `u` of the first message after a restart of the service."""


class Verdict(Enum):
    """What to do with a book message."""

    APPLY = "apply"
    SNAPSHOT = "snapshot"
    """The whole book, in its place in the stream."""
    RESTART = "restart"
    """The whole book, and what happened between the last message and this one is not known."""
    REPEAT = "repeat"
    """A snapshot with the number that the book has already."""
    STALE = "stale"
    """Its changes are in the book already."""
    EARLY = "early"
    """A delta while there is no book."""
    GAP = "gap"
    """Something before it is missing, or it is older than the book: void until the next snapshot."""


class Continuity:
    """One topic's place in the stream of messages.

    Args:
        depth: Levels a side of the topic.

    Attributes:
        last_u: Of the last message that is in the book.
        last_seq: Of the same.
        is_joined: There is a book that deltas can follow.
    """

    __slots__ = ("_is_touch_only", "is_joined", "last_seq", "last_u")

    def __init__(self, depth: int) -> None:
        self.last_u = -1
        self.last_seq = -1
        self.is_joined = False
        self._is_touch_only = depth == 1

    def judge(self, u: int, seq: int, *, is_snapshot: bool) -> Verdict:
        """Return what to do with the next message, and move on accordingly."""
        verdict = self._snapshot(u, seq) if is_snapshot or u == RESTART_U else self._delta(u, seq)
        if verdict is Verdict.GAP:
            self.lose()
        elif verdict is not Verdict.STALE and verdict is not Verdict.EARLY:
            self.last_u, self.last_seq, self.is_joined = u, seq, True
        return verdict

    def lose(self) -> None:
        """Forget the book: only a snapshot counts now."""
        self.is_joined = False

    def _snapshot(self, u: int, seq: int) -> Verdict:
        if not self.is_joined:
            return Verdict.SNAPSHOT
        if u == self.last_u and seq >= self.last_seq:
            return Verdict.REPEAT
        if u == RESTART_U:
            return Verdict.RESTART
        if seq < self.last_seq:
            return Verdict.GAP
        # A stream of whole books loses nothing when one of them is missing.
        is_next = u == self.last_u + 1 or (self._is_touch_only and u > self.last_u)
        return Verdict.SNAPSHOT if is_next else Verdict.RESTART

    def _delta(self, u: int, seq: int) -> Verdict:
        if not self.is_joined:
            return Verdict.EARLY
        if u == self.last_u + 1 and seq >= self.last_seq:
            return Verdict.APPLY
        is_old = u <= self.last_u and seq <= self.last_seq
        return Verdict.STALE if is_old else Verdict.GAP
