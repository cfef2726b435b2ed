"""The plugin passes the kit."""

from __future__ import annotations

import pytest

from mmframe.testing import HistoryConformance, PluginConformance
from mmframe_tardis.plugin import HISTORIES


class TestPlugin(PluginConformance):
    module = "mmframe_tardis.plugin"
    entry_point = "tardis"


class TestHistory(HistoryConformance):
    spec = HISTORIES[0]

    @pytest.fixture(autouse=True)
    def files(self, recording):
        self.directory = recording.folder
        self.recording = recording

    @pytest.fixture
    def good_options(self):
        self.recording.changes("book.csv", *self.recording.sample)
        self.recording.trades("trades.csv", self.recording.trade(50, "buy", "101", "1"))
        return self.recording.options()

    @pytest.fixture
    def bad_options(self):
        self.recording.changes("bad.csv", *self.recording.sample, "binance,BTCUSDT,1700000000200000")
        return self.recording.options(paths=("bad.csv",)), "bad.csv", 6
