"""Conformance classes, one per kind of component; subclass them in your tests."""

from mmframe.testing.conformance.adviser import AdviserConformance
from mmframe.testing.conformance.book import BookConformance
from mmframe.testing.conformance.feed import FeedConformance
from mmframe.testing.conformance.history import HistoryConformance
from mmframe.testing.conformance.live_venue import LiveVenueConformance, VenuePeer
from mmframe.testing.conformance.llm_provider import LLMProviderConformance
from mmframe.testing.conformance.optimizer import OptimizerConformance
from mmframe.testing.conformance.plugin import PluginConformance
from mmframe.testing.conformance.risk import RiskControlConformance
from mmframe.testing.conformance.signal import SignalConformance
from mmframe.testing.conformance.venue import VenueConformance

__all__ = [
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
]
