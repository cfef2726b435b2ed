from __future__ import annotations

from functools import partial

import pytest

from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import VenueCapabilities
from mmframe.plugin import ComponentKind, FeedSpec, OptimizerSpec, SignalSpec, VenueSpec
from mmframe.plugin.specs import Mode
from mmframe.registry import Registry
from mmframe.registry.satisfaction import PORTS, port_problem


class Optimizer:
    def propose(self, view, inventory, advice, proposal):
        return proposal


OPTIMIZER = OptimizerSpec(name="a", summary="A.", build=print)
FEED = FeedSpec(name="a", summary="A.", build=print)
SIGNAL = SignalSpec(name="a", summary="A.", build=print, provides="a")


def venue(**keywords) -> VenueSpec:
    return VenueSpec(name="a", summary="A.", build=print, modes=frozenset(Mode), **keywords)


def test_each_kind_has_a_port():
    assert set(PORTS) == set(ComponentKind)


def test_a_component_that_does_what_its_port_says_is_fine():
    class More:
        def propose(self, view, inventory, advice, proposal, *, extra=0):
            return proposal

    class Any:
        def propose(self, *everything):
            return everything[-1]

    class Bound:
        propose = staticmethod(partial(lambda params, *rest: rest[-1], ()))

    for component in (Optimizer(), More(), Any(), Bound()):
        assert port_problem(component, OPTIMIZER) is None


class Feed:
    next_event_ns = NEVER_NS

    def poll(self, now_ns):
        return ()

    async def run(self, notify):
        pass


class Venue(Feed):
    capabilities = VenueCapabilities()

    def execute(self, approved, now_ns):
        pass


class Observing(Venue):
    def observe(self, batch, index, book):
        pass


class Timeless(Feed):
    next_event_ns = property(lambda self: self.nothing)


class Synchronous(Feed):
    def run(self, notify):
        pass


class Awaited(Feed):
    async def poll(self, now_ns):
        return ()


class Eager(Feed):
    def poll(self):
        return ()


class Fixed(Feed):
    poll = ()


class Virtual(Venue):
    capabilities = VenueCapabilities(is_virtual=True)


class Vague(Venue):
    capabilities = ()


@pytest.mark.parametrize(
    ("component", "spec", "problem"),
    [
        (None, OPTIMIZER, "Optimizer.propose(view, inventory, advice, proposal) is missing"),
        (Optimizer, OPTIMIZER, "expected an object, was the class Optimizer"),
        (Timeless(), FEED, "Feed.next_event_ns is missing"),
        (Synchronous(), FEED, "Feed.run: expected `async def`, was `def`"),
        (Awaited(), FEED, "Feed.poll: expected `def`, was `async def`"),
        (Eager(), FEED, "Feed.poll: expected to be called with (now_ns), takes ()"),
        (Fixed(), FEED, "Feed.poll: expected a method (now_ns), was tuple"),
        (Optimizer(), SIGNAL, "Signal.read(now_ns, tick) is missing"),
        (Venue(), venue(observes_market=True), "MarketObserver.observe(batch, index, book) is missing"),
        (Virtual(), venue(), "Venue.capabilities.is_virtual: expected False as its spec says, was True"),
        (Vague(), venue(), "Venue.capabilities: expected VenueCapabilities, was tuple"),
        (Observing(), venue(observes_market=True), None),
        (Venue(), venue(), None),
    ],
)
def test_what_falls_short_of_the_port_is_named(component, spec, problem):
    assert port_problem(component, spec) == problem


def test_a_book_needs_its_version():
    spec = Registry().component(ComponentKind.BOOK, "sorted").spec
    methods = ("clear", "apply", "touch", "levels", "level_count", "lots_at", "lots_through")
    unversioned = type("Unversioned", (), {name: staticmethod(lambda *arguments: None) for name in methods})

    assert port_problem(unversioned(), spec) == "Book.version is missing"


def test_a_compiled_method_without_a_signature_passes():
    class Compiled:
        next_event_ns = NEVER_NS
        poll = max

        async def run(self, notify):
            pass

    assert port_problem(Compiled(), FEED) is None
