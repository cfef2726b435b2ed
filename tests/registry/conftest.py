"""Plugins as pip leaves them behind: a module beside a dist-info folder, found by importlib.metadata itself."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from mmframe.registry import Registry

HEADER = """\
import attrs
from decimal import Decimal
from pathlib import Path
from mmframe.domain.kinds import Mode, Scope
from mmframe.domain.instrument import Instrument
from mmframe.domain.orders import VenueCapabilities
from mmframe.domain.market import NEVER_NS
from mmframe.errors import ConfigError, DataError, DomainError
from mmframe.plugin import *

MMFRAME_API = 1
"""


class Site:
    """A folder on `sys.path` into which distributions are installed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(
        self, name: str, code: str, *, distribution: str | None = None, version: str = "1.2.3", header: str = HEADER
    ) -> str:
        """Install plugin `name` with the module text `code`; return the module's name."""
        package = distribution or f"mmframe-{name}"
        module = f"{package.replace('-', '_')}_plugin"
        (self.path / f"{module}.py").write_text(header + textwrap.dedent(code))
        info = self.path / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mmframe]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return module

    def write(self, name: str, text: str) -> Path:
        """Write a file beside the plugins, as a user keeps strategy files."""
        path = self.path / name
        path.write_text(textwrap.dedent(text))
        return path


@pytest.fixture
def site(tmp_path, monkeypatch):
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith(("mmframe_", "_mmframe_local_")):
            del sys.modules[name]


@pytest.fixture
def load_error(site):
    """Return the error that loading a plugin of the given module text ends with."""

    def load(code: str, **keywords):
        site.install("broken", code, **keywords)
        with pytest.raises(Exception) as caught:
            Registry().load("broken", 'feed.use = "broken/x" (strategy.toml:9)')
        return caught.value

    return load
