"""Remembers which limits bind, so that each time is on record once: when it began and ended, how often it bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.records import LimitRecord

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LimitLog"]

_HOLD_NS = 1_000_000_000
"""A limit that binds again within this time has never stopped: on its edge it would fill the record with flicker."""


class _Binding:
    """A limit that binds."""

    __slots__ = ("began_ns", "decisions", "is_latched", "last_ns", "level", "reason")

    def __init__(self, level: int, reason: int, now_ns: int, *, is_latched: bool) -> None:
        self.is_latched = is_latched
        self.level = level
        self.reason = reason
        self.began_ns = now_ns
        self.last_ns = now_ns
        self.decisions = 1


class LimitLog:
    """The limits that bind in one market.

    Args:
        market: The market's index, or `ALL_MARKETS` for the strategy.
        emit: Takes each record.

    Attributes:
        has_news: A limit began or ended to bind since somebody last set this to False.
        has_bound: Some limit binds, so that `expire` has something to look at.
    """

    __slots__ = ("_active", "_emit", "_market", "has_bound", "has_news")

    def __init__(self, market: int, emit: Callable[[LimitRecord], None]) -> None:
        self._market = market
        self._emit = emit
        self._active: dict[str, _Binding] = {}
        self.has_news = False
        self.has_bound = False

    def note(  # noqa: PLR0913 - one keyword for each thing that a record tells
        self, stage: str, level: int, reason: int, now_ns: int, *, detail: str = "", is_latched: bool = False
    ) -> None:
        """Take down that a limit binds at this moment.

        Args:
            stage: Whose limit: the name of the risk control, `gate`, `engine`.
            level: How far it goes, a `RiskLevel`.
            reason: Why: a `Reason` or a component's own code.
            now_ns: The moment.
            detail: Figures, for people.
            is_latched: It binds until `end` is called, told again or not.
        """
        binding = self._active.get(stage)
        if binding is not None:
            is_same = binding.level == level and binding.reason == reason
            if is_same or (level <= binding.level and now_ns - binding.began_ns < _HOLD_NS):
                binding.last_ns = now_ns
                binding.decisions += 1
                return
            self._end(stage, binding, now_ns)
        self._active[stage] = _Binding(level, reason, now_ns, is_latched=is_latched)
        self.has_bound = self.has_news = True
        self._emit(LimitRecord(self._market, stage, level, reason, now_ns, now_ns, 1, is_over=False, detail=detail))

    def tell(self, stage: str, level: int, reason: int, now_ns: int, detail: str) -> None:
        """Take down what a limit did at this moment, once; it begins and ends nothing."""
        self.has_news = True
        self._emit(LimitRecord(self._market, stage, level, reason, now_ns, now_ns, 1, is_over=True, detail=detail))

    def expire(self, now_ns: int) -> None:
        """End what has not bound for a while."""
        for stage, binding in list(self._active.items()):
            if now_ns - binding.last_ns >= _HOLD_NS and not binding.is_latched:
                self._end(stage, binding, now_ns)

    def tell_open(self, now_ns: int) -> None:
        """Tell once more of each limit that still binds, with how often it has: what follows is not recorded."""
        for stage, binding in self._active.items():
            self._emit(
                LimitRecord(
                    self._market,
                    stage,
                    binding.level,
                    binding.reason,
                    binding.began_ns,
                    now_ns,
                    binding.decisions,
                    is_over=False,
                )
            )

    def end(self, stage: str, now_ns: int, *, detail: str = "") -> None:
        """End a latched limit that was released, or that has done its work."""
        binding = self._active.get(stage)
        if binding is not None:
            self._end(stage, binding, now_ns, detail)

    def _end(self, stage: str, binding: _Binding, now_ns: int, detail: str = "") -> None:
        del self._active[stage]
        self.has_news = True
        self.has_bound = bool(self._active)
        self._emit(
            LimitRecord(
                self._market,
                stage,
                binding.level,
                binding.reason,
                binding.began_ns,
                now_ns,
                binding.decisions,
                is_over=True,
                detail=detail,
            )
        )
