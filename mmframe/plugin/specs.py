"""Specs: frozen records by which a plugin hands over its components. One class a port."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import attrs

from mmframe.domain.kinds import Mode, Scope
from mmframe.plugin.options import NoOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mmframe import ports
    from mmframe.domain.findings import Finding
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.liquidation import LiquidationTerms
    from mmframe.plugin.context import BuildContext

__all__ = [
    "AdviserSpec",
    "BookSpec",
    "CommandRegistrar",
    "ComponentKind",
    "ComponentSpec",
    "FeedSpec",
    "HistorySpec",
    "LLMProviderSpec",
    "LimitFacts",
    "Mode",
    "OptimizerSpec",
    "RiskControlSpec",
    "Scope",
    "SignalSpec",
    "SinkSpec",
    "VenueSpec",
]


class ComponentKind(Enum):
    """The kinds of component. The value is the name of the table in the strategy file."""

    FEED = "feed"
    BOOK = "book"
    SIGNAL = "signal"
    OPTIMIZER = "optimizer"
    RISK_CONTROL = "risk"
    VENUE = "venue"
    HISTORY = "history"
    LLM_PROVIDER = "provider"
    ADVISER = "adviser"
    SINK = "sink"


@attrs.frozen(kw_only=True)
class ComponentSpec:
    """What all specs have.

    Attributes:
        name: The component's name inside its plugin, lower case with dashes.
        summary: One line, for `mmframe plugins`.
        build: Makes the component from its parsed options and the context.
        options: The attrs class of its options, made with `option`.
        description: More lines for the reference: formula, units, source, when it fails.
    """

    kind: ClassVar[ComponentKind]

    name: str
    summary: str
    build: Callable[[Any, BuildContext], Any]
    options: type = NoOptions
    description: str = ""


@attrs.frozen(kw_only=True)
class FeedSpec(ComponentSpec):
    """A feed.

    Attributes:
        is_virtual: It lives on the driver's clock (the embedded exchange).
        instruments: Returns the grids of the named markets from the venue's own list; None when it cannot know them,
            and the strategy file must say `tick_size` and `lot_size`. A name that the venue does not list is left out;
            asked for no names, it returns what it can list, from which a near name is suggested.
        replay: Returns the keys of the `[history]` table that replays a recording of this feed, `use` among them and
            without `paths`; None for a feed that tells a recorder no frames (`BuildContext.on_frame`).
    """

    kind: ClassVar[ComponentKind] = ComponentKind.FEED

    build: Callable[[Any, BuildContext], ports.Feed]
    is_virtual: bool = False
    instruments: Callable[[Any, Sequence[str]], Mapping[str, Instrument]] | None = None
    replay: Callable[[Any], Mapping[str, object]] | None = None


@attrs.frozen(kw_only=True)
class BookSpec(ComponentSpec):
    """A book model; one is built a market."""

    kind: ClassVar[ComponentKind] = ComponentKind.BOOK

    build: Callable[[Any, BuildContext], ports.Book]


@attrs.frozen(kw_only=True)
class SignalSpec(ComponentSpec):
    """A signal; one is built a market.

    Attributes:
        provides: The field of `view.signals` that it fills, a Python identifier; `name = ` in the file overrides it.
        unit: The value's unit in words.
    """

    kind: ClassVar[ComponentKind] = ComponentKind.SIGNAL

    build: Callable[[Any, BuildContext], ports.Signal]
    provides: str
    unit: str = ""


@attrs.frozen(kw_only=True)
class OptimizerSpec(ComponentSpec):
    """A spread optimizer; one is built a market.

    Attributes:
        needs: Signals that it reads from `view.signals`.
        reasons: Its own reason codes (from `Reason.PLUGIN` up) and their texts.
    """

    kind: ClassVar[ComponentKind] = ComponentKind.OPTIMIZER

    build: Callable[[Any, BuildContext], ports.Optimizer]
    needs: tuple[str, ...] = ()
    reasons: Mapping[int, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class LimitFacts:
    """What a person must know of one limit besides its unit, which its option tells.

    Attributes:
        scope: What is measured: `market`, `asset` (all markets with one base asset), `group` (all markets with one
            quote asset) or `strategy`.
        is_hard: It takes a side or everything away; a soft one makes smaller or moves further away.
        is_latched: It holds until an operator resumes; otherwise it ends by itself.
    """

    scope: str = "market"
    is_hard: bool = True
    is_latched: bool = False


@attrs.frozen(kw_only=True)
class RiskControlSpec(ComponentSpec):
    """A risk control; one is built a market.

    Attributes:
        needs: Signals that it reads from `view.signals`.
        scope: What its HALT stops.
        reasons: Its own reason codes (from `Reason.PLUGIN` up) and their texts.
        limits: Its options that are limits, and how each of them works.
        keeps_state: The state of its rule outlives a restart, so that what it waits for is not forgotten by one. It is
            saved whenever a limit begins or ends to bind, and at the end.
        liquidation: Returns from its options how positions are closed when its verdict is LIQUIDATE; None for a control
            that never asks for that, whose LIQUIDATE would be a fault.
    """

    kind: ClassVar[ComponentKind] = ComponentKind.RISK_CONTROL

    build: Callable[[Any, BuildContext], ports.RiskControl]
    needs: tuple[str, ...] = ()
    scope: Scope = Scope.MARKET
    reasons: Mapping[int, str] = attrs.field(factory=dict)
    limits: Mapping[str, LimitFacts] = attrs.field(factory=dict)
    keeps_state: bool = False
    liquidation: Callable[[Any], LiquidationTerms] | None = None


@attrs.frozen(kw_only=True)
class VenueSpec(ComponentSpec):
    """A venue.

    Attributes:
        modes: The modes that it can serve.
        is_virtual: It lives on the driver's clock and needs no network.
        observes_market: It is a `MarketObserver`: fills follow from public data.
        assumptions: Returns what its results assume, one sentence each, printed with every result.
        instruments: As of `FeedSpec`.
        doctor: Asks the real venue, before anything is traded, whether a run can work: reachability, clock, permissions
            of the keys, grids and limits. It places nothing and changes nothing; what fails is a finding, never an
            exception. None for a venue that has nothing to ask.
    """

    kind: ClassVar[ComponentKind] = ComponentKind.VENUE

    build: Callable[[Any, BuildContext], ports.Venue]
    modes: frozenset[Mode]
    is_virtual: bool = False
    observes_market: bool = False
    assumptions: Callable[[Any], Sequence[str]] | None = None
    instruments: Callable[[Any, Sequence[str]], Mapping[str, Instrument]] | None = None
    doctor: Callable[[Any, BuildContext], Awaitable[Sequence[Finding]]] | None = None


@attrs.frozen(kw_only=True)
class HistorySpec(ComponentSpec):
    """A reader of recorded data."""

    kind: ClassVar[ComponentKind] = ComponentKind.HISTORY

    build: Callable[[Any, BuildContext], ports.History]
    instruments: Callable[[Any, Sequence[str]], Mapping[str, Instrument]] | None = None


@attrs.frozen(kw_only=True)
class LLMProviderSpec(ComponentSpec):
    """A model behind an API."""

    kind: ClassVar[ComponentKind] = ComponentKind.LLM_PROVIDER

    build: Callable[[Any, BuildContext], ports.LLMProvider]


@attrs.frozen(kw_only=True)
class AdviserSpec(ComponentSpec):
    """A source of advice."""

    kind: ClassVar[ComponentKind] = ComponentKind.ADVISER

    build: Callable[[Any, BuildContext], ports.Adviser]


@attrs.frozen(kw_only=True)
class SinkSpec(ComponentSpec):
    """A reader of what happens."""

    kind: ClassVar[ComponentKind] = ComponentKind.SINK

    build: Callable[[Any, BuildContext], ports.Sink]


class CommandRegistrar(Protocol):
    """Takes the commands that a plugin adds to `mmframe`."""

    def add(self, name: str, load: Callable[[], Any], *, summary: str) -> None:
        """Add `mmframe NAME`; `load` returns a click command and is called only when it is used.

        Raises:
            PluginError: If the name is taken.
        """
        ...
