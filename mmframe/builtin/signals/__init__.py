"""The built-in signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmframe.plugin import SignalSpec

__all__ = ["SIGNALS"]

SIGNALS: tuple[SignalSpec, ...] = ()
