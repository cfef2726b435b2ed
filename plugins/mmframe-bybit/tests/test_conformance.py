"""The plugin passes the kit."""

from __future__ import annotations

import pytest

from mmframe.testing import FeedConformance, HistoryConformance, PluginConformance
from mmframe_bybit.plugin import FEEDS, HISTORIES


class TestPlugin(PluginConformance):
    module = "mmframe_bybit.plugin"
    entry_point = "bybit"


class TestSpotFeed(FeedConformance):
    spec = FEEDS[0]


class TestLinearFeed(FeedConformance):
    spec = FEEDS[1]


class TestHistory(HistoryConformance):
    spec = HISTORIES[0]

    @pytest.fixture(autouse=True)
    def files(self, capture):
        self.directory = capture.folder
        self.capture = capture

    @pytest.fixture
    def good_options(self):
        self.capture.write("book.raw.gz", *self.capture.sample)
        return self.capture.options()

    @pytest.fixture
    def bad_options(self):
        self.capture.write("bad.raw", *self.capture.sample, self.capture.line(60, b"<html>502 Bad Gateway</html>"))
        return self.capture.options(paths=("bad.raw",)), "bad.raw", 5
