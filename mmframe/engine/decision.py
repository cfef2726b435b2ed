"""Turns a decision that has just been made into its record for people and sinks."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from mmframe.domain.records import LadderLevel, QuoteDecision, StageKind, StageRecord
from mmframe.domain.views import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.orders import Action
    from mmframe.domain.records import GateRejection
    from mmframe.engine.market import EngineMarket
    from mmframe.engine.pipeline import Targets

__all__ = ["decision_record"]


def decision_record(  # noqa: PLR0913 - the parts of one decision
    market: EngineMarket,
    *,
    sequence: int,
    now_ns: int,
    targets: Targets | None,
    actions: Sequence[Action],
    kept: Sequence[str],
    rejections: Sequence[GateRejection],
    fault: str = "",
) -> QuoteDecision:
    """Return the record of a decision; `targets` None is a decision that was skipped for `fault`."""
    stages = market.pipeline.take_trace()
    reason = int(Reason.STRATEGY_ERROR)
    if targets is None or fault or (not stages and not targets.bids and not targets.asks):
        bid_reason = reason if targets is None else targets.bid_reason
        ask_reason = reason if targets is None else targets.ask_reason
        note = fault or Reason(bid_reason).name.lower()
        if targets is None:
            note = f"{note}; decision skipped, orders left as they are"
        stages = (
            *stages,
            StageRecord(StageKind.ENGINE, "precondition", None, 0.0, None, 0.0, bid_reason, ask_reason, note=note),
        )
    else:
        bid_reason, ask_reason = targets.bid_reason, targets.ask_reason
    is_quotable = targets is not None and bool(market.last_view and market.last_view.now_ns == now_ns)
    return QuoteDecision(
        sequence=sequence,
        market=market.index,
        now_ns=now_ns,
        view=_view_fields(market) if is_quotable else _touch_fields(market),
        inventory=_inventory_fields(market),
        advice={name: float(value) for name, value in zip(market.advice._fields, market.advice, strict=True)},
        stages=stages,
        bids=_levels(targets.bids) if targets else (),
        asks=_levels(targets.asks) if targets else (),
        bid_reason=bid_reason,
        ask_reason=ask_reason,
        actions=tuple(actions),
        rejections=tuple(rejections),
        kept=tuple(kept),
    )


def _levels(levels: Sequence[tuple[int, int]]) -> tuple[LadderLevel, ...]:
    return tuple(LadderLevel(ticks, lots) for ticks, lots in levels)


def _view_fields(market: EngineMarket) -> dict[str, float | None]:
    view = market.last_view
    if view is None:
        return {}
    fields: dict[str, float | None] = {
        name: getattr(view, name) for name in view._fields if name not in {"now_ns", "signals"}
    }
    for name, value in market.signal_values().items():
        fields[f"signals.{name}"] = value if isfinite(value) else None
    return fields


def _touch_fields(market: EngineMarket) -> dict[str, float | None]:
    touch, tick, lot = market.touch, market.instrument.tick, market.instrument.lot
    return {
        "bid": touch.bid_ticks * tick if touch.bid_lots else None,
        "bid_size": touch.bid_lots * lot,
        "ask": touch.ask_ticks * tick if touch.ask_lots else None,
        "ask_size": touch.ask_lots * lot,
    }


def _inventory_fields(market: EngineMarket) -> dict[str, float | None]:
    inventory = market.last_inventory
    if inventory is None:
        return {}
    return {name: value if isfinite(value) else None for name, value in zip(inventory._fields, inventory, strict=True)}
