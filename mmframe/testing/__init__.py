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
    from mmframe.testing.clock import START_NS, ManualClock

__all__ = [
    "START_NS",
    "ManualClock",
    "Message",
    "approve",
    "build_component",
    "build_context",
    "delta",
    "gap",
    "make_advice",
    "make_batch",
    "make_instrument",
    "make_inventory",
    "make_options",
    "make_signals",
    "make_view",
    "snapshot",
    "trade",
]

_BUILDERS = (
    "Message",
    "approve",
    "build_component",
    "build_context",
    "delta",
    "gap",
    "make_advice",
    "make_batch",
    "make_instrument",
    "make_inventory",
    "make_options",
    "make_signals",
    "make_view",
    "snapshot",
    "trade",
)
_HOMES: dict[str, str] = {
    **dict.fromkeys(("START_NS", "ManualClock"), "clock"),
    **dict.fromkeys(_BUILDERS, "builders"),
}
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
        msg = f"mmframe.testing.{name} needs {error.name!r}, which is not installed: pip install {error.name}"
        raise ModuleNotFoundError(msg, name=error.name) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
