"""The plugin author's contract: mark hooks, describe components, declare options, write rules.

Everything an author imports besides `mmframe.domain`, `mmframe.ports` and `mmframe.errors` is here.
"""

from mmframe.plugin.context import BuildContext
from mmframe.plugin.hooks import MMFRAME_API, hookimpl, hookspec
from mmframe.plugin.options import Secret, Use, option
from mmframe.plugin.rules import OptimizerRule, RiskRule, SignalRule
from mmframe.plugin.specs import (
    AdviserSpec,
    BookSpec,
    CommandRegistrar,
    ComponentKind,
    ComponentSpec,
    FeedSpec,
    HistorySpec,
    LimitFacts,
    LLMProviderSpec,
    Mode,
    OptimizerSpec,
    RiskControlSpec,
    Scope,
    SignalSpec,
    SinkSpec,
    VenueSpec,
)

__all__ = [
    "MMFRAME_API",
    "AdviserSpec",
    "BookSpec",
    "BuildContext",
    "CommandRegistrar",
    "ComponentKind",
    "ComponentSpec",
    "FeedSpec",
    "HistorySpec",
    "LLMProviderSpec",
    "LimitFacts",
    "Mode",
    "OptimizerRule",
    "OptimizerSpec",
    "RiskControlSpec",
    "RiskRule",
    "Scope",
    "Secret",
    "SignalRule",
    "SignalSpec",
    "SinkSpec",
    "Use",
    "VenueSpec",
    "hookimpl",
    "hookspec",
    "option",
]
