"""What `mmframe_check_plan` gets to see: the composed strategy as plain facts, nothing that can act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from decimal import Decimal

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.kinds import Mode
    from mmframe.plugin.specs import ComponentKind

__all__ = ["ComponentUse", "PlanSummary"]


@attrs.frozen
class ComponentUse:
    """One component that the strategy uses.

    Attributes:
        kind: Which port it fills.
        use: `plugin/component` as resolved; built-ins are `core/<name>`.
        key: Its place in the strategy file, such as `optimizer[0]`.
        options: Its parsed options.
        market: Index of the market that it is for, or `ALL_MARKETS`.
        provides: Of a signal, the field of `view.signals` that it fills; empty otherwise.
    """

    kind: ComponentKind
    use: str
    key: str
    options: Any
    market: int
    provides: str = ""


@attrs.frozen
class PlanSummary:
    """A strategy as composed, before anything is connected.

    Attributes:
        max_positions: The gate's largest position of each market, base units; None where it has no such limit.
    """

    name: str
    mode: Mode
    instruments: tuple[Instrument, ...]
    components: tuple[ComponentUse, ...]
    max_positions: tuple[Decimal | None, ...] = ()
