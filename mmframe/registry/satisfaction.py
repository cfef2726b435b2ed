"""Checks that what a build function returned satisfies its port, before anything depends on it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mmframe import ports
from mmframe.domain.orders import VenueCapabilities
from mmframe.plugin.specs import ComponentKind, ComponentSpec, VenueSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PORTS", "port_problem"]

PORTS: dict[ComponentKind, type] = {
    ComponentKind.FEED: ports.Feed,
    ComponentKind.BOOK: ports.Book,
    ComponentKind.SIGNAL: ports.Signal,
    ComponentKind.OPTIMIZER: ports.Optimizer,
    ComponentKind.RISK_CONTROL: ports.RiskControl,
    ComponentKind.VENUE: ports.Venue,
    ComponentKind.HISTORY: ports.History,
    ComponentKind.LLM_PROVIDER: ports.LLMProvider,
    ComponentKind.ADVISER: ports.Adviser,
    ComponentKind.SINK: ports.Sink,
}
"""The Protocol of each kind."""


def port_problem(component: Any, spec: ComponentSpec) -> str | None:
    """Return how `component` falls short of the port of its spec, or None when it satisfies it."""
    return next(_problems(component, spec), None)


def _problems(component: Any, spec: ComponentSpec) -> Iterator[str]:
    if isinstance(component, type):
        yield f"expected an object, was the class {component.__name__}"
        return
    yield from _protocol_problems(component, PORTS[spec.kind])
    if isinstance(spec, VenueSpec):
        if spec.observes_market:
            yield from _protocol_problems(component, ports.MarketObserver)
        yield from _capability_problems(component, spec)


def _protocol_problems(component: Any, port: type) -> Iterator[str]:
    for name, member in vars(port).items():
        if not name.startswith("_") and inspect.isfunction(member):
            yield from _method_problems(component, port, member)
        elif isinstance(member, property) and not hasattr(component, name):
            yield f"{port.__name__}.{name} is missing"
    for name in inspect.get_annotations(port):
        if not hasattr(component, name):
            yield f"{port.__name__}.{name} is missing"


def _method_problems(component: Any, port: type, expected: Any) -> Iterator[str]:
    title = f"{port.__name__}.{expected.__name__}"
    method = getattr(component, expected.__name__, None)
    parameters = list(inspect.signature(expected).parameters.values())[1:]
    by_name = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    by_place = [each.name for each in parameters if each.name not in by_name]
    call = f"({', '.join([*by_place, *(f'{name}=...' for name in by_name)])})"
    if method is None:
        yield f"{title}{call} is missing"
        return
    if not callable(method):
        yield f"{title}: expected a method {call}, was {type(method).__name__}"
        return
    if inspect.iscoroutinefunction(expected) != inspect.iscoroutinefunction(method):
        kinds = ("`async def`", "`def`") if inspect.iscoroutinefunction(expected) else ("`def`", "`async def`")
        yield f"{title}: expected {kinds[0]}, was {kinds[1]}"
        return
    try:
        signature = inspect.signature(method)
    except (ValueError, TypeError):
        # A compiled method without a signature; calling it will tell.
        return
    try:
        signature.bind(*by_place, **dict.fromkeys(by_name))
    except TypeError:
        yield f"{title}: expected to be called with {call}, takes {signature}"


def _capability_problems(component: Any, spec: VenueSpec) -> Iterator[str]:
    capabilities = component.capabilities
    if not isinstance(capabilities, VenueCapabilities):
        yield f"Venue.capabilities: expected VenueCapabilities, was {type(capabilities).__name__}"
    elif capabilities.is_virtual != spec.is_virtual:
        expected = f"expected {spec.is_virtual} as its spec says"
        yield f"Venue.capabilities.is_virtual: {expected}, was {capabilities.is_virtual}"
