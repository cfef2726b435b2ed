"""A local plugin with one component of each kind that the corpus needs and that is not built in."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.instrument import Instrument
from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import VenueCapabilities
from mmframe.errors import DomainError
from mmframe.plugin import (
    AdviserSpec,
    BuildContext,
    FeedSpec,
    HistorySpec,
    LLMProviderSpec,
    OptimizerRule,
    OptimizerSpec,
    Secret,
    SignalRule,
    SignalSpec,
    VenueSpec,
    hookimpl,
    option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MMFRAME_API = 1

_LISTED = {"BTC/USDT": "0.01", "ETH/USDT": "0.01", "NEXO/USDT": "0.0001"}


@attrs.frozen
class FeedOptions:
    depth: int = option(help="Levels a side.", default=10, choices=(), minimum=5, maximum=20, unit="levels")
    region: str = option(help="Where the servers stand.", default="tokyo", choices=("tokyo", "virginia"))


@attrs.frozen
class VenueOptions:
    api_key: Secret = option(help="Key of the account.")


@attrs.frozen
class BandOptions:
    low_bps: float = option(help="Spread in calm.", default=5.0, above=0.0, unit="bps")
    high_bps: float = option(help="Spread in storm.", default=20.0, above=0.0, unit="bps")

    def __attrs_post_init__(self) -> None:
        if self.low_bps > self.high_bps:
            msg = f"low_bps: expected at most high_bps = {self.high_bps:g}, was {self.low_bps:g}"
            raise DomainError(msg)


@attrs.frozen
class AdviserOptions:
    style: str = option(help="How it asks.", default="plain")


@attrs.frozen
class ProviderOptions:
    model: str = option(help="Name of the model.", example="small")


class Feed:
    next_event_ns = NEVER_NS

    def poll(self, now_ns: int) -> Sequence[Any]:
        return ()

    async def run(self, notify: Callable[[], None]) -> None:
        return


class DeafFeed:
    """Does not satisfy its port: `poll` is missing."""

    next_event_ns = NEVER_NS

    async def run(self, notify: Callable[[], None]) -> None:
        return


class History:
    def batches(self) -> Iterator[Any]:
        return iter(())


class Venue:
    capabilities = VenueCapabilities()
    next_event_ns = NEVER_NS

    def execute(self, approved: Any, now_ns: int) -> None:
        return

    def poll(self, now_ns: int) -> Sequence[Any]:
        return ()

    async def run(self, notify: Callable[[], None]) -> None:
        return


class Silent:
    async def complete(self, request: Any) -> Any:
        return None

    def request(self, views: Any, inventories: Any) -> Any:
        return None

    def advice(self, reply: Any) -> Any:
        return ()


def instruments(options: Any, symbols: Sequence[str]) -> Mapping[str, Instrument]:
    return {
        symbol: Instrument(symbol=symbol, tick_size=Decimal(tick), lot_size=Decimal("0.001"), min_size_lots=10)
        for symbol, tick in _LISTED.items()
        if symbol in symbols or not symbols
    }


def _keep(params: Any, state: Any, view: Any, inventory: Any, advice: Any, proposal: Any) -> Any:
    return proposal


def _calm(params: Any, state: Any, now_ns: int, tick: Any) -> float:
    return 0.0


def _refuse(options: Any, context: BuildContext) -> Any:
    msg = f"expected a market of dollars, was one of {context.instruments[0].quote}"
    raise DomainError(msg, hint="choose another instrument")


def _crash(options: Any, context: BuildContext) -> Any:
    return context.instruments[99]


@hookimpl
def mmframe_register_feeds() -> Iterable[FeedSpec]:
    return (
        FeedSpec(
            name="spot", summary="A feed.", options=FeedOptions, build=lambda o, c: Feed(), instruments=instruments
        ),
        FeedSpec(name="blind", summary="A feed that knows no grid.", build=lambda o, c: Feed()),
        FeedSpec(name="deaf", summary="A feed without poll.", build=lambda o, c: DeafFeed(), instruments=instruments),
        FeedSpec(name="picky", summary="A feed that refuses.", build=_refuse, instruments=instruments),
        FeedSpec(name="crashing", summary="A feed with a fault.", build=_crash, instruments=instruments),
    )


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    return (HistorySpec(name="tape", summary="A history.", build=lambda o, c: History(), instruments=instruments),)


@hookimpl
def mmframe_register_venues() -> Iterable[VenueSpec]:
    live = frozenset({Mode.LIVE})
    return (VenueSpec(name="spot", summary="A venue.", options=VenueOptions, build=lambda o, c: Venue(), modes=live),)


@hookimpl
def mmframe_register_signals() -> Iterable[SignalSpec]:
    return (SignalSpec(name="mood", summary="A signal.", provides="mood", build=lambda o, c: SignalRule(_calm, ())),)


@hookimpl
def mmframe_register_optimizers() -> Iterable[OptimizerSpec]:
    return (
        OptimizerSpec(
            name="band", summary="An optimizer.", options=BandOptions, build=lambda o, c: OptimizerRule(_keep, ())
        ),
        OptimizerSpec(
            name="moody", summary="One with a need.", needs=("mood",), build=lambda o, c: OptimizerRule(_keep, ())
        ),
    )


@hookimpl
def mmframe_register_advisers() -> Iterable[AdviserSpec]:
    return (AdviserSpec(name="oracle", summary="An adviser.", options=AdviserOptions, build=lambda o, c: Silent()),)


@hookimpl
def mmframe_register_llm_providers() -> Iterable[LLMProviderSpec]:
    return (LLMProviderSpec(name="chat", summary="A provider.", options=ProviderOptions, build=lambda o, c: Silent()),)
