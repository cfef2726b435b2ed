"""Builds what was resolved: every component from its options and a context, checked against its port."""

from __future__ import annotations

import hashlib
import logging
import random
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.kinds import Mode
from mmframe.domain.liquidation import LiquidationTerms
from mmframe.domain.orders import ALL_MARKETS
from mmframe.engine.settings import MarketPipeline, NamedOptimizer, NamedRiskControl, NamedSignal
from mmframe.errors import ConfigError, DomainError, MmframeError
from mmframe.plugin.context import BuildContext
from mmframe.plugin.specs import VenueSpec
from mmframe.registry.contract import plugin_error
from mmframe.registry.satisfaction import port_problem
from mmframe.runtime.plan import AdviserPlan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mmframe.domain.findings import Finding
    from mmframe.ports import Book, Clock, Feed, Venue
    from mmframe.registry.advisers import ParsedAdviser
    from mmframe.registry.resolve import ParsedComponent, ParsedMarket, ResolvedStrategy

__all__ = ["Built", "build", "build_advisers", "build_feed", "build_venue", "models_question", "venue_question"]


@attrs.frozen
class Built:
    """The components of a run; nothing is connected.

    `feed`, `history` and the sinks are None or empty where the mode has none.
    """

    pipelines: tuple[MarketPipeline, ...]
    feed: Any
    history: Any
    venue: Any
    sinks: tuple[Any, ...]
    advisers: tuple[AdviserPlan, ...] = ()


def build(resolved: ResolvedStrategy, clock: Clock, *, with_sinks: bool) -> Built:
    """Build every component, books before what reads them, and sinks last: they may open files.

    Args:
        resolved: A strategy without problems.
        clock: The driver's clock.
        with_sinks: False leaves the sinks away, for a check that writes nothing.

    Raises:
        ConfigErrors: If components refuse their options.
        PluginError: If a build function fails or what it returns does not satisfy its port.
    """
    builder = _Builder(resolved, clock)
    pipelines = tuple(builder.pipeline(index, market) for index, market in enumerate(resolved.markets))
    feed, history, venue = (
        None if source is None else builder.make(source) for source in (resolved.feed, resolved.history, resolved.venue)
    )
    advisers = tuple(builder.adviser(adviser) for adviser in resolved.advisers)
    resolved.problems.raise_if_any()
    sinks = tuple(builder.make(sink) for sink in resolved.sinks) if with_sinks else ()
    resolved.problems.raise_if_any()
    return Built(pipelines=pipelines, feed=feed, history=history, venue=venue, sinks=sinks, advisers=advisers)


def build_advisers(resolved: ResolvedStrategy, clock: Clock) -> tuple[AdviserPlan, ...]:
    """Build the advisers and their providers alone: to ask a question without a run.

    Raises:
        ConfigErrors: If one refuses its options.
        PluginError: If a build function fails or what it returns does not satisfy its port.
    """
    builder = _Builder(resolved, clock)
    advisers = tuple(builder.adviser(adviser) for adviser in resolved.advisers)
    resolved.problems.raise_if_any()
    return advisers


def build_feed(resolved: ResolvedStrategy, clock: Clock, on_frame: Callable[[int, int, bytes], None]) -> Feed:
    """Build the feed alone, which hands its raw frames to `on_frame`; each time one that shares nothing with another.

    Raises:
        ConfigErrors: If it refuses its options.
        PluginError: If its build function fails or what it returns does not satisfy its port.
    """
    if resolved.feed is None:
        msg = "a feed without problems was found"
        raise AssertionError(msg)
    feed = _Builder(resolved, clock, on_frame).make(resolved.feed)
    resolved.problems.raise_if_any()
    return feed  # type: ignore[no-any-return] # checked against its port


def build_venue(resolved: ResolvedStrategy, clock: Clock) -> Venue:
    """Build the venue alone, to cancel and to ask.

    Raises:
        ConfigErrors: If it refuses its options.
        PluginError: If its build function fails or what it returns does not satisfy its port.
    """
    if resolved.venue is None:
        msg = "a venue without problems was found"
        raise AssertionError(msg)
    venue = _Builder(resolved, clock, removes_only=True).make(resolved.venue)
    resolved.problems.raise_if_any()
    return venue  # type: ignore[no-any-return] # checked against its port


def venue_question(resolved: ResolvedStrategy, clock: Clock) -> Callable[[], Awaitable[Sequence[Finding]]] | None:
    """Return what asks the real venue of a live run whether it can work, or None where there is nothing to ask."""
    venue = resolved.venue
    if resolved.mode is not Mode.LIVE or venue is None or not isinstance(venue.spec, VenueSpec):
        return None
    doctor, options = venue.spec.doctor, venue.options
    if doctor is None:
        return None
    # A context of its own: sessions that it shared with the venue would be bound to the event loop that ended first.
    context = _Builder(resolved, clock).context(venue, ALL_MARKETS, None)
    return lambda: doctor(options, context)


def models_question(resolved: ResolvedStrategy, clock: Clock) -> Callable[[], Awaitable[Sequence[Finding]]] | None:
    """Return what asks the providers of a live run whether their models can be asked, or None without advisers."""
    if resolved.mode is not Mode.LIVE or all(adviser.keys.replay is not None for adviser in resolved.advisers):
        return None

    async def ask() -> Sequence[Finding]:
        from mmframe.runtime.advice.check import ask_models, model_finding  # noqa: PLC0415 - loaded where it is asked

        # Providers of their own: their sessions would be bound to the event loop that ends first.
        asking = [plan for plan in build_advisers(resolved, clock) if plan.keys.replay is None]
        return [model_finding(report) for report in await ask_models(asking, probes=False)]

    return ask


class _Builder:
    """Builds single components and collects what goes wrong."""

    def __init__(
        self,
        resolved: ResolvedStrategy,
        clock: Clock,
        on_frame: Callable[[int, int, bytes], None] | None = None,
        *,
        removes_only: bool = False,
    ) -> None:
        self._resolved = resolved
        self._clock = clock
        self._on_frame = on_frame
        self._removes_only = removes_only
        self._problems = resolved.problems
        self._resources: dict[str, dict[str, object]] = {}

    def pipeline(self, index: int, market: ParsedMarket) -> MarketPipeline:
        """Build one market's components; one that fails is None, and its problem is known."""
        # A strategy without problems has a book in every market.
        book = self.make(market.book, index) if market.book is not None else None
        # Without a book the others would fail for a reason that is not theirs.
        buildable = book is not None
        signals = [NamedSignal(name, self.make(signal, index, book)) for name, signal in market.signals if buildable]
        optimizers = [self.make(optimizer, index, book) for optimizer in market.optimizers if buildable]
        controls = [self.make(control, index, book) for control in market.risk_controls if buildable]
        optimizer_names = _stage_names(market.optimizers)
        control_names = _stage_names(market.risk_controls)
        return MarketPipeline(
            book=book,  # type: ignore[arg-type] # a None is never run: its problem is raised before
            signals=tuple(signals),
            optimizers=tuple(map(NamedOptimizer, optimizer_names, optimizers)),
            risk_controls=tuple(
                NamedRiskControl(
                    name,
                    built,
                    control.spec.scope,
                    keeps_state=control.spec.keeps_state,
                    liquidation=self._terms(control),
                    reasons=control.spec.reasons,
                )
                for name, built, control in zip(control_names, controls, market.risk_controls, strict=False)
            ),
        )

    def adviser(self, parsed: ParsedAdviser) -> AdviserPlan:
        """Build an adviser and the provider that it asks; one that fails is None, and its problem is known."""
        return AdviserPlan(
            name=parsed.name,
            key=parsed.component.table.key,
            adviser=self.make(parsed.component),
            provider=self.make(parsed.provider),
            provider_use=parsed.provider.found.use,
            keys=parsed.keys,
            markets=tuple(range(len(self._resolved.instruments))),
            directory=self._resolved.file.directory,
            seed=self._resolved.seed,
        )

    def _terms(self, control: ParsedComponent) -> LiquidationTerms | None:
        """Return how a risk control closes positions; terms that cannot be are a problem of its options."""
        if control.spec.liquidation is None:
            return None
        found = control.found
        try:
            terms = control.spec.liquidation(control.options)
        except DomainError as error:
            self._refused(control, error)
            return None
        except Exception as error:
            hint = f"this is a fault of the plugin: tell its authors; `mmframe plugins show {found.plugin}` names them"
            text = f"{control.table.key}: {found.use!r} does not tell how it closes positions"
            raise plugin_error(found.owner.installed, text, kind="build", cause=error, hint=hint) from error
        if isinstance(terms, LiquidationTerms):
            return terms
        text = f"{control.table.key}: {found.use!r}: liquidation: expected LiquidationTerms, was {terms!r}"
        hint = "return `mmframe.domain.liquidation.LiquidationTerms` from the spec's `liquidation`"
        self._problems.add_plugin_error(plugin_error(found.owner.installed, text, kind="port", hint=hint))
        return None

    def make(self, component: ParsedComponent, market: int = ALL_MARKETS, book: Book | None = None) -> Any:
        """Return a built component, or None after reporting why there is none."""
        spec, found = component.spec, component.found
        try:
            built = spec.build(component.options, self.context(component, market, book))
        except ConfigError as error:
            self._problems.add_error(error)
            return None
        except (DomainError, ValueError, OSError) as error:
            self._refused(component, error)
            return None
        except MmframeError:
            raise
        except Exception as error:
            hint = f"this is a fault of the plugin: tell its authors; `mmframe plugins show {found.plugin}` names them"
            text = f"{component.table.key}: {found.use!r} cannot be built"
            raise plugin_error(found.owner.installed, text, kind="build", cause=error, hint=hint) from error
        problem = port_problem(built, spec)
        if problem is None:
            return built
        text = f"{component.table.key}: {found.use!r} does not satisfy its port: {problem}"
        hint = "the conformance kit in `mmframe.testing` shows what a port asks for"
        self._problems.add_plugin_error(plugin_error(found.owner.installed, text, kind="port", hint=hint))
        return None

    def _refused(self, component: ParsedComponent, error: DomainError | ValueError | OSError) -> None:
        text = error.message if isinstance(error, DomainError) else str(error)
        hint = error.hint if isinstance(error, DomainError) else None
        name, colon, rest = text.partition(":")
        is_option = bool(colon) and name in {field.name for field in attrs.fields(component.spec.options)}
        path = (*component.table.path, name) if is_option else component.table.path
        if not self._problems.has(path, rest.strip() if is_option else text):
            self._problems.add(path, rest.strip() if is_option else text, hint=hint)

    def context(self, component: ParsedComponent, market: int, book: Book | None) -> BuildContext:
        """Return what a component is built from besides its options."""
        plugin, name = component.found.plugin, component.spec.name
        return BuildContext(
            mode=self._resolved.mode,
            directory=self._resolved.file.directory,
            instruments=self._resolved.instruments,
            market=market,
            clock=self._clock,
            random=_stream(self._resolved.seed, plugin, name, component.table.key, market),
            logger=logging.getLogger(f"mmframe.{plugin}.{name}"),
            book=book,
            resources=self._resources.setdefault(plugin, {}),
            on_frame=self._on_frame,
            removes_only=self._removes_only,
        )


def _stream(seed: int, *place: str | int) -> random.Random:
    """Return a stream of its own for each component: adding one component leaves the numbers of the others alone."""
    text = "/".join(str(part) for part in (seed, *place))
    # Chance in simulations, never a secret.
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()))  # noqa: S311


def _stage_names(components: Sequence[ParsedComponent]) -> list[str]:
    """Return the names that records show; a component that stands in a chain twice is told apart by its number."""
    names: list[str] = []
    for component in components:
        name = component.found.owner.use(component.spec)
        count = sum(known.split("#")[0] == name for known in names)
        names.append(f"{name}#{count + 1}" if count else name)
    return names
