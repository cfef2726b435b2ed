"""What is wrong with a strategy that trades on the embedded exchange, told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.errors import ConfigError
from mmframe.plugin import ComponentKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin.plan import PlanSummary

__all__ = ["EMBEDDED", "check_plan"]

EMBEDDED = "core/embedded"
"""Feed and venue of the embedded exchange, as resolved."""


def check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return a problem for a venue `embedded` without the feed that makes its market."""
    feeds = [use.use for use in plan.components if use.kind is ComponentKind.FEED]
    if EMBEDDED in feeds:
        return []
    was = repr(feeds[0].removeprefix("core/")) if feeds else "no feed"
    return [
        ConfigError(
            f"{use.key}.use: expected feed 'embedded', in whose market it trades, was {was}",
            key=f"{use.key}.use",
            hint='write [feed] use = "embedded", or use venue "simulated"',
        )
        for use in plan.components
        if use.kind is ComponentKind.VENUE and use.use == EMBEDDED
    ]
