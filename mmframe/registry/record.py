"""From a strategy file to what a recorder needs: the feed and its markets, nothing else of the file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.net.redact import origin
from mmframe.plugin.options import Secret, Use
from mmframe.plugin.specs import FeedSpec
from mmframe.registry.build import build_feed
from mmframe.registry.resolve import resolve_feed
from mmframe.runtime.clocks import SystemClock
from mmframe.runtime.plan import Provenance
from mmframe.runtime.recorder.plan import RecordPlan

if TYPE_CHECKING:
    from pathlib import Path

    from mmframe.ports import Clock

__all__ = ["compose_recording"]

_PLAIN = (bool, int, float, str)


def compose_recording(path: Path, *, blocked: frozenset[str] = frozenset(), clock: Clock | None = None) -> RecordPlan:
    """Return what a recorder of a strategy file's live feed needs; nothing is built or connected, and no key is read.

    Args:
        path: The strategy file; what it says of anything but feed and markets is passed over.
        blocked: Plugins that must not be imported, besides `plugins.disable`.
        clock: What receive times are of; by default the machine's.

    Raises:
        ConfigErrors: With every problem that concerns the feed, or if it is none that can be recorded.
        PluginError: If the one thing wrong is the feed's plugin.
    """
    resolved = resolve_feed(path, blocked=blocked)
    feed = resolved.feed
    if feed is None or not isinstance(feed.spec, FeedSpec):
        msg = "a feed without problems was found"
        raise AssertionError(msg)
    replay = feed.spec.replay
    if replay is None:
        why = "lives on virtual time" if feed.spec.is_virtual else "tells no raw frames"
        text = f"expected a feed that can be recorded, was {feed.table.use!r}, which {why}"
        hint = (
            "give the same seed to have its market again" if feed.spec.is_virtual else "ask the plugin's authors for it"
        )
        resolved.problems.add((*feed.table.path, "use"), text, hint=hint)
        resolved.problems.raise_if_any()
        raise AssertionError(text)
    clock = SystemClock() if clock is None else clock
    found = feed.found
    return RecordPlan(
        name=resolved.file.strategy.name,
        directory=resolved.file.directory,
        strategy_hash=resolved.file.digest,
        instruments=resolved.instruments,
        feed_use=found.use,
        feed_options=_shown(feed.options),
        provenance=Provenance(plugin=found.plugin, distribution=found.distribution, version=found.version),
        replay=replay(feed.options),
        clock=clock,
        make_feed=partial(build_feed, resolved, clock),
    )


def _shown(options: Any) -> dict[str, object]:
    """Return every option as plain values, but no secret; of an address with a user only its origin."""
    values = {field.name: getattr(options, field.name) for field in attrs.fields(type(options))}
    return {name: _plain(value) for name, value in values.items() if not isinstance(value, Secret)}


def _plain(value: object) -> object:
    if isinstance(value, str) and "://" in value and "@" in value:
        return origin(value)
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value if not isinstance(each, Secret)]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items() if not isinstance(each, Secret)}
    if isinstance(value, Use):
        return {"use": value.use}
    return value if value is None or isinstance(value, _PLAIN) else str(value)
