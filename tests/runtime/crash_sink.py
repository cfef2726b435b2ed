"""A local plugin whose sink kills its own process with SIGKILL at a chosen moment, as a test of what survives needs it.

What a sink is told was done and is on disk before, so the moment is exact: nothing of the process runs after it.
"""

from __future__ import annotations

import os
import signal

import attrs

from mmframe.plugin import SinkSpec, hookimpl, option

MMFRAME_API = 1


@attrs.frozen
class CrashOptions:
    """When to die."""

    at_fill: int = option(help="At this fill of the process; 0 for none.", default=0, minimum=0)
    at: str = option(
        help="When a HALT is on record, or at the first word of the venue after it.",
        default="never",
        choices=("never", "halt", "after-halt"),
    )


class Crash:
    """Counts, and dies."""

    wants_decisions = False

    def __init__(self, options: CrashOptions) -> None:
        self._options = options
        self._fills = 0
        self._is_halted = False

    def on_fill(self, fill):
        self._fills += 1
        if self._fills == self._options.at_fill:
            _die()

    def on_limit(self, limit):
        if limit.stage == "halt":
            self._is_halted = True
            if self._options.at == "halt":
                _die()

    def on_order_update(self, update):
        if self._is_halted and self._options.at == "after-halt":
            _die()

    def on_decision(self, decision):
        """Not asked for."""

    def on_action(self, action, now_ns):
        """No moment of interest."""

    def on_advice(self, update):
        """There is no adviser."""

    def close(self):
        """Nothing is held open."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@hookimpl
def mmframe_register_sinks():
    """Return the one sink."""
    return [
        SinkSpec(
            name="crash",
            summary="Kills the process at a chosen moment.",
            options=CrashOptions,
            build=lambda options, context: Crash(options),
        )
    ]
