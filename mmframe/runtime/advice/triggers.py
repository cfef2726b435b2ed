"""What makes a question due besides the clock: a change of regime, a band of the position, a spike. Pure."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.views import Inventory, MarketView

__all__ = ["TRIGGER_SIGNALS", "TriggerWatch"]

TRIGGER_SIGNALS: dict[str, tuple[str, ...]] = {
    "regime-change": ("market_condition", "condition"),
    "inventory-band": (),
    "spike": ("spike_flag", "manipulation"),
}
"""By trigger: signals of which it needs one at least."""

_BANDS = 4
_RAISED = 0.5


class TriggerWatch:
    """Remembers one market's last look and tells what has happened since.

    Args:
        triggers: Names of the triggers that are watched.
    """

    __slots__ = ("_band", "_regimes", "_spikes", "_triggers")

    def __init__(self, triggers: Sequence[str]) -> None:
        self._triggers = frozenset(triggers)
        self._regimes: dict[str, float] = {}
        self._spikes: dict[str, bool] = {}
        self._band: int | None = None

    def look(self, view: MarketView, inventory: Inventory) -> str:
        """Return the name of a trigger that went off since the last look, or nothing; the first look only remembers."""
        found = [
            name
            for name, is_off in (
                ("spike", self._spike(view.signals)),
                ("regime-change", self._regime(view.signals)),
                ("inventory-band", self._inventory(inventory)),
            )
            if is_off and name in self._triggers
        ]
        return found[0] if found else ""

    def _regime(self, signals: tuple[float, ...]) -> bool:
        changed = False
        for name in TRIGGER_SIGNALS["regime-change"]:
            value = getattr(signals, name, nan)
            if isfinite(value):
                changed = changed or self._regimes.get(name, value) != value
                self._regimes[name] = value
        return changed

    def _spike(self, signals: tuple[float, ...]) -> bool:
        raised = False
        for name in TRIGGER_SIGNALS["spike"]:
            value = getattr(signals, name, nan)
            if isfinite(value):
                is_up = value > _RAISED
                raised = raised or (is_up and not self._spikes.get(name, is_up))
                self._spikes[name] = is_up
        return raised

    def _inventory(self, inventory: Inventory) -> bool:
        share = inventory.position / inventory.max_position if inventory.max_position > 0.0 else nan
        if not isfinite(share):
            return False
        # Towards zero, so that both sides of flat are one band.
        band = int(share * _BANDS)
        before, self._band = self._band, band
        return before is not None and before != band
