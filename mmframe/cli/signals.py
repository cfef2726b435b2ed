"""Ctrl+C, SIGTERM and a closed terminal ask a run to stop in order; a second Ctrl+C aborts it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from mmframe.runtime.driver import StopRequest

__all__ = ["stop_on_signals"]

_REASONS = {"SIGINT": "stopped by Ctrl+C", "SIGTERM": "stopped by SIGTERM", "SIGHUP": "the terminal was closed"}
"""Windows has no SIGHUP; what the platform lacks is left out."""


@contextmanager
def stop_on_signals(stop: StopRequest, announce: Callable[[str], None]) -> Iterator[None]:
    """Turn the first signal into a request to stop and a Ctrl+C after it into KeyboardInterrupt.

    Others than Ctrl+C come twice by themselves: a terminal that is closed sends SIGHUP once itself and once through its
    shell, a session that is ended SIGTERM and SIGHUP. They must not keep orders from being cancelled. A signal that is
    being ignored stays ignored: `nohup` works.

    Args:
        stop: What the driver looks at.
        announce: Told the reason; runs inside the signal handler.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.reason is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        reason = _REASONS[signal.Signals(number).name]
        stop.request(reason)
        announce(reason)

    numbers = [getattr(signal, name) for name in _REASONS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
