"""What a component is built from besides its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DomainError

if TYPE_CHECKING:
    import logging
    import random
    from collections.abc import Callable
    from pathlib import Path

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.kinds import Mode
    from mmframe.ports import Book, Clock

__all__ = ["BuildContext"]

T = TypeVar("T")


@attrs.frozen
class BuildContext:
    """Everything that a build function may use; nothing else is to be read from the world.

    Attributes:
        mode: Which driver will run the component.
        directory: The strategy file's folder; relative paths in options start here.
        instruments: The strategy's markets; a market's index is its place here.
        market: Index of the market that the component is for, or `ALL_MARKETS`.
        clock: The driver's clock.
        random: A seeded stream of this component's own: the same file and seed give the same numbers.
        logger: The component's logger.
        book: The market's book, for components of one market; None otherwise.
        resources: Shared by all components of one plugin in one run; use `shared`.
        on_frame: Set while a recorder listens: a live feed calls it with market, receive time and bytes of every frame
            and every body of a snapshot, exactly as received and in the order of receipt. A market's frames are what a
            history needs to tell the same again; what is of no market, cannot be read, was told before on another
            connection or was of no use goes to `ALL_MARKETS`. Where the feed voids a book for a reason that no later
            frame shows, it hands over a `mmframe.plugin.notes.capture_note`.
        removes_only: The venue is built by a tool that cancels and asks alone: what only a new order depends on, such
            as a grid that the exchange has changed since, must not keep it from that.
    """

    mode: Mode
    directory: Path
    instruments: tuple[Instrument, ...]
    market: int
    clock: Clock
    random: random.Random
    logger: logging.Logger
    book: Book | None = None
    resources: dict[str, object] = attrs.field(factory=dict, repr=False)
    on_frame: Callable[[int, int, bytes], None] | None = None
    removes_only: bool = False

    @property
    def instrument(self) -> Instrument:
        """Return the instrument of the component's own market.

        Raises:
            DomainError: If the component is not for one market.
        """
        if self.market == ALL_MARKETS:
            msg = "instrument: this component serves all markets; use `instruments`"
            raise DomainError(msg)
        return self.instruments[self.market]

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """Return the object under `key`, made once per plugin and run: how a feed and a venue share one exchange."""
        if key not in self.resources:
            self.resources[key] = make()
        return self.resources[key]  # type: ignore[return-value] # the plugin owns the key and its type
