"""A plan to look at: everything built as for a run, and nothing that could write, connect or want a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.config import load_strategy_file
from mmframe.domain.kinds import Mode
from mmframe.errors import MmframeError
from mmframe.registry.compose import compose

if TYPE_CHECKING:
    from pathlib import Path

    from mmframe.runtime.plan import Plan

__all__ = ["compose_look"]


def compose_look(path: Path, *, mode: Mode | None = None, blocked: frozenset[str] = frozenset()) -> Plan:
    """Return the plan of a strategy file without journal, sinks and advisers, and never with a live venue.

    Args:
        path: The strategy file.
        mode: Overrides `run.mode`; by default the file's, and paper for a file that says live.
        blocked: As of `compose`.

    Raises:
        ConfigErrors: As `compose`.
        PluginError: As `compose`.
    """
    if mode is None or mode is Mode.LIVE:
        mode = _mode_of(path)
    return compose(path, mode=mode, blocked=blocked, no_journal=True, with_sinks=False, with_advisers=False)


def _mode_of(path: Path) -> Mode | None:
    try:
        in_file = load_strategy_file(path).run.mode
    except MmframeError:
        # Composing finds the same problem together with all others of the file.
        return None
    return Mode.PAPER if in_file == Mode.LIVE.value else Mode(in_file)
