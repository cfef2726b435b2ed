"""What is to be recorded: a feed that can be built, its markets, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mmframe.domain.instrument import Instrument
    from mmframe.ports import Clock, Feed
    from mmframe.runtime.plan import Provenance

__all__ = ["RecordPlan"]


@attrs.frozen(kw_only=True)
class RecordPlan:
    """Everything that a recorder needs; nothing is connected.

    Attributes:
        name: The strategy's.
        directory: The strategy file's folder.
        strategy_hash: SHA-256 of the strategy file.
        feed_use: `plugin/component`.
        feed_options: Every option by name, but no secret.
        provenance: Of the feed's plugin.
        replay: Keys of the `[history]` table that replays the recording, without `paths`.
        clock: What receive times are of.
        make_feed: Builds the feed anew, each time with the function that takes its frames.
    """

    name: str
    directory: Path
    strategy_hash: str
    instruments: tuple[Instrument, ...]
    feed_use: str
    feed_options: Mapping[str, object]
    provenance: Provenance
    replay: Mapping[str, object]
    clock: Clock
    make_feed: Callable[[Callable[[int, int, bytes], None]], Feed]
