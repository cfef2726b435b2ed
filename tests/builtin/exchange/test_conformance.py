"""Feed and venue pass the public kit."""

from mmframe.builtin.exchange import FEEDS, VENUES
from mmframe.testing.conformance import FeedConformance, VenueConformance


class TestFeed(FeedConformance):
    spec = FEEDS[0]


class TestVenue(VenueConformance):
    spec = VENUES[0]
    feed_spec = FEEDS[0]
