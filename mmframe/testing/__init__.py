"""The kit for plugin authors: conformance classes, fakes, builders and generators. Our own components pass it too.

Names are loaded on first use, so that a test which needs only a builder does not pay for pytest and hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmframe.testing.builders import (
        Message,
        approve,
        build_component,
        build_context,
        delta,
        gap,
        make_advice,
        make_batch,
        make_instrument,
        make_inventory,
        make_options,
        make_signals,
        make_view,
        snapshot,
        trade,
    )
    from mmframe.testing.cases import CASES, Case, ConformanceError
    from mmframe.testing.clock import START_NS, ManualClock
    from mmframe.testing.conformance import (
        AdviserConformance,
        BookConformance,
        FeedConformance,
        HistoryConformance,
        LiveVenueConformance,
        LLMProviderConformance,
        OptimizerConformance,
        PluginConformance,
        RiskControlConformance,
        SignalConformance,
        VenueConformance,
        VenuePeer,
    )
    from mmframe.testing.fake_venue import (
        Answer,
        Duplicate,
        FakeVenue,
        FillDuringCancel,
        LateAnswer,
        NoAnswer,
        Reject,
        UnclearAnswer,
    )
    from mmframe.testing.reference import ReferenceBook
    from mmframe.testing.strategies import Situation, advice, inventories, l2_streams, proposals, situations, views
    from mmframe.testing.transport import Cut, Expect, Frame, ScriptedTransport, TransportCutError, chunks

__all__ = [
    "CASES",
    "START_NS",
    "AdviserConformance",
    "Answer",
    "BookConformance",
    "Case",
    "ConformanceError",
    "Cut",
    "Duplicate",
    "Expect",
    "FakeVenue",
    "FeedConformance",
    "FillDuringCancel",
    "Frame",
    "HistoryConformance",
    "LLMProviderConformance",
    "LateAnswer",
    "LiveVenueConformance",
    "ManualClock",
    "Message",
    "NoAnswer",
    "OptimizerConformance",
    "PluginConformance",
    "ReferenceBook",
    "Reject",
    "RiskControlConformance",
    "ScriptedTransport",
    "SignalConformance",
    "Situation",
    "TransportCutError",
    "UnclearAnswer",
    "VenueConformance",
    "VenuePeer",
    "advice",
    "approve",
    "build_component",
    "build_context",
    "chunks",
    "delta",
    "gap",
    "inventories",
    "l2_streams",
    "make_advice",
    "make_batch",
    "make_fill",
    "make_instrument",
    "make_inventory",
    "make_options",
    "make_signals",
    "make_view",
    "proposals",
    "situations",
    "snapshot",
    "trade",
    "views",
]

_NAMES: dict[str, tuple[str, ...]] = {
    "builders": (
        "Message",
        "approve",
        "build_component",
        "build_context",
        "delta",
        "gap",
        "make_advice",
        "make_batch",
        "make_fill",
        "make_instrument",
        "make_inventory",
        "make_options",
        "make_signals",
        "make_view",
        "snapshot",
        "trade",
    ),
    "cases": (
        "CASES",
        "Case",
        "ConformanceError",
    ),
    "clock": (
        "START_NS",
        "ManualClock",
    ),
    "conformance": (
        "AdviserConformance",
        "BookConformance",
        "FeedConformance",
        "HistoryConformance",
        "LLMProviderConformance",
        "LiveVenueConformance",
        "OptimizerConformance",
        "PluginConformance",
        "RiskControlConformance",
        "SignalConformance",
        "VenueConformance",
        "VenuePeer",
    ),
    "fake_venue": (
        "Answer",
        "Duplicate",
        "FakeVenue",
        "FillDuringCancel",
        "LateAnswer",
        "NoAnswer",
        "Reject",
        "UnclearAnswer",
    ),
    "reference": ("ReferenceBook",),
    "strategies": (
        "Situation",
        "advice",
        "inventories",
        "l2_streams",
        "proposals",
        "situations",
        "views",
    ),
    "transport": (
        "Cut",
        "Expect",
        "Frame",
        "ScriptedTransport",
        "TransportCutError",
        "chunks",
    ),
}
"""The public names of each module; the imports above are the same for type checkers."""

_HOMES = {name: home for home, names in _NAMES.items() for name in names}
_TEST_TOOLS = frozenset({"pytest", "hypothesis"})


def __getattr__(name: str) -> Any:
    """Load the module that `name` lives in.

    Raises:
        AttributeError: If the kit has no such name.
        ModuleNotFoundError: If a test tool that it needs is not installed; the message says which.
    """
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'mmframe.testing' has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        module = import_module(f"mmframe.testing.{home}")
    except ModuleNotFoundError as error:
        if error.name not in _TEST_TOOLS:
            raise
        msg = f"mmframe.testing.{name} needs {error.name!r}, which is not installed: pip install 'mmframe[testing]'"
        raise ModuleNotFoundError(msg, name=error.name) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
