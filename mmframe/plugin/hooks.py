"""The hooks: synchronous, called at start-up only, each handing over specs. Market data never passes here.

A plugin module marks functions of these names with `hookimpl` and says `MMFRAME_API = 1`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.errors import ConfigError
    from mmframe.plugin.plan import PlanSummary
    from mmframe.plugin.specs import (
        AdviserSpec,
        BookSpec,
        CommandRegistrar,
        FeedSpec,
        HistorySpec,
        LLMProviderSpec,
        OptimizerSpec,
        RiskControlSpec,
        SignalSpec,
        SinkSpec,
        VenueSpec,
    )

__all__ = ["ENTRY_POINT_GROUP", "MMFRAME_API", "PROJECT_NAME", "Hooks", "hookimpl", "hookspec"]

PROJECT_NAME = "mmframe"
ENTRY_POINT_GROUP = "mmframe"
MMFRAME_API = 1
"""Version of this contract. A plugin states the one that it was written for as `MMFRAME_API` in its module."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


class Hooks:
    """Every hook there is; a plugin implements those that it needs."""

    @staticmethod
    @hookspec
    def mmframe_register_feeds() -> Iterable[FeedSpec]:
        """Return the plugin's feeds."""
        raise AssertionError  # a specification is never called

    @staticmethod
    @hookspec
    def mmframe_register_books() -> Iterable[BookSpec]:
        """Return the plugin's book models."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_signals() -> Iterable[SignalSpec]:
        """Return the plugin's signals."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_optimizers() -> Iterable[OptimizerSpec]:
        """Return the plugin's optimizers."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_risk_controls() -> Iterable[RiskControlSpec]:
        """Return the plugin's risk controls."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_venues() -> Iterable[VenueSpec]:
        """Return the plugin's venues."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_histories() -> Iterable[HistorySpec]:
        """Return the plugin's readers of recorded data."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_llm_providers() -> Iterable[LLMProviderSpec]:
        """Return the plugin's model providers."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_advisers() -> Iterable[AdviserSpec]:
        """Return the plugin's advisers."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_sinks() -> Iterable[SinkSpec]:
        """Return the plugin's sinks."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_register_commands(registrar: CommandRegistrar) -> None:
        """Add commands to `mmframe` through `registrar.add`."""
        raise AssertionError

    @staticmethod
    @hookspec
    def mmframe_check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
        """Return problems of the composed strategy, before anything connects."""
        raise AssertionError
