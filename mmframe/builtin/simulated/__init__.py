"""Venue `simulated`: fills of our orders computed from recorded or live public data; never sends anything anywhere."""

from __future__ import annotations

from mmframe.builtin.simulated.options import SimulatedOptions, assumptions
from mmframe.builtin.simulated.venue import SimulatedVenue
from mmframe.plugin import BuildContext, Mode, VenueSpec

__all__ = ["VENUES"]


_DESCRIPTION = """\
A resting order joins the recorded queue at its price. Trades at its price take the queue ahead first and then fill it;
trades through its price fill it at once; neither by more than their size. When the opposite side of the book reaches
its price it fills as maker (`fill_on_cross`). Off-book trades never fill. After a gap in the data orders stand at the
back of their queues. Marketable orders take what the book shows, level by level, and the same displayed lots only once.

Sources: Rigtorp, "Estimating order queue position" (2013); the queue and exchange models that hftbacktest documents.
"""


def _build(options: SimulatedOptions, context: BuildContext) -> SimulatedVenue:
    return SimulatedVenue(context.instruments, options, context.random)


VENUES = (
    VenueSpec(
        name="simulated",
        summary="Fills from public data: queue position, latency, fees, post-only rejects.",
        description=_DESCRIPTION,
        build=_build,
        options=SimulatedOptions,
        modes=frozenset({Mode.PAPER, Mode.BACKTEST}),
        is_virtual=True,
        observes_market=True,
        assumptions=assumptions,
    ),
)
